"""How far an attempt is, told from the media time that its outputs have reached."""

import time
from collections.abc import Collection
from typing import TYPE_CHECKING

from reelmill_server.model.plan import Plan
from reelmill_server.model.task import Progress, TargetProgress, TaskPhase
from reelmill_server.worker.messages import Advanced

if TYPE_CHECKING:
    from reelmill_server.media.pipeline import Conversion

_CONVERTED_PERCENT = 96.0  # what is left is for reading back and publishing
_VERIFIED_PERCENT = 99.0
_MICROSECONDS = 1_000_000


class Meter:
    """Turns positions into progress that never falls within an attempt."""

    def __init__(self, targets: int) -> None:
        self._targets = tuple(TargetProgress(index) for index in range(targets))
        self._phase = TaskPhase.PROBING
        self._position = 0.0
        self._begun = 0.0
        self._plan = Plan(())

    def report(self, phase: TaskPhase) -> Advanced:
        """The attempt entered `phase`."""
        self._phase = phase
        self._position += 1
        return self._advanced()

    def begin(self, plan: Plan) -> None:
        """Work on `plan` begins now; after a change of encoder it begins again, and percentages wait until they are passed."""
        self._plan, self._begun = plan, time.monotonic()

    def measure(self, conversion: "Conversion") -> Advanced:
        """Where the outputs of `conversion` are now."""
        self._phase = TaskPhase.CONVERTING
        elapsed = max(time.monotonic() - self._begun, 1e-3)
        updated = list(self._targets)
        fresh: dict[int, TargetProgress] = {}
        for output, planned in zip(list(conversion.outputs), self._plan.targets, strict=False):
            seconds = float(output.position)
            share = seconds * _MICROSECONDS / planned.duration_us if planned.duration_us else 0.0
            # A target may make several files: what the earlier ones say is added to.
            before, said = updated[planned.index], fresh.get(planned.index, TargetProgress(planned.index))
            speed = seconds / elapsed
            left = planned.duration_us / _MICROSECONDS - seconds
            updated[planned.index] = TargetProgress(
                target_index=planned.index,
                percent=max(before.percent, min(1.0, share) * _CONVERTED_PERCENT),
                media_seconds=max(before.media_seconds, seconds),
                speed=max(speed, said.speed),
                frames_per_second=max(output.frames / elapsed, said.frames_per_second),
                eta_seconds=max(0.0, left / speed) if speed and planned.duration_us else 0.0,
                encoders=", ".join(filter(None, (said.encoders, *(stream.encoder for stream in planned.streams)))),
            )
            fresh[planned.index] = updated[planned.index]
        self._targets = tuple(updated)
        self._position = sum(float(output.position) for output in conversion.outputs)
        return self._advanced()

    def verified(self, waiting: Collection[int]) -> Advanced:
        """All outputs were read back but those of the targets numbered `waiting`."""
        self._targets = tuple(
            target if index in waiting else TargetProgress(**{**vars(target), "percent": _VERIFIED_PERCENT, "eta_seconds": 0.0})
            for index, target in enumerate(self._targets)
        )
        return self.report(TaskPhase.VERIFYING)

    def _advanced(self) -> Advanced:
        mean = sum(target.percent for target in self._targets) / max(len(self._targets), 1)
        return Advanced(Progress(phase=self._phase, percent=int(mean), targets=self._targets), self._position)
