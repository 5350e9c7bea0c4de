"""Compute the progress of an attempt from the media time that its outputs have reached."""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from reelmill_server.model.plan import ImagePlan, Plan, StreamType, TargetPlan
from reelmill_server.model.task import Progress, TargetProgress, TaskPhase
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.worker.messages import Advanced

if TYPE_CHECKING:
    from reelmill_server.media.conversion.whole import Conversion
    from reelmill_server.media.output.base import Output

_CONVERTED_PERCENT = 96.0  # the rest is for reading back and publishing
_SEARCHED_SHARE = 0.2  # of a conversion: the search of a quality, where there is one
_VERIFIED_PERCENT = 99.0


class ProgressMeter:
    """Turns positions into progress that never decreases within an attempt."""

    def __init__(self, targets: int) -> None:
        self._targets = tuple(TargetProgress(index) for index in range(targets))
        self._phase = TaskPhase.PROBING
        self._position = 0.0
        self._begun = 0.0
        self._searched = 0.0  # share of the search before the conversion
        self._plan = Plan(())

    def report(self, phase: TaskPhase) -> Advanced:
        """Return the progress on entering `phase`."""
        self._phase = phase
        self._position += 1
        return self._advanced()

    def searching(self, share: float, moved: float) -> Advanced:
        """Return the progress of a search before the conversion, of which `share` is done; `moved` grows as media moves."""
        self._phase, self._searched = TaskPhase.CONVERTING, _SEARCHED_SHARE
        percent = share * _SEARCHED_SHARE * _CONVERTED_PERCENT
        self._targets = tuple(replace(target, percent=max(target.percent, percent)) for target in self._targets)
        self._position = moved
        return self._advanced()

    def begin(self, plan: Plan) -> None:
        """Start measuring `plan`; after a change of encoder it starts again, and percentages stay until they are exceeded."""
        self._plan, self._begun = plan, time.monotonic()

    def measure(self, conversion: "Conversion") -> Advanced:
        """Return the progress of the outputs of `conversion`; it converts once they are open."""
        if conversion.outputs:
            self._phase = TaskPhase.CONVERTING
        elapsed = max(time.monotonic() - self._begun, 1e-3)
        updated = list(self._targets)
        # The slowest of several outputs of one target determines its progress.
        for output in _slowest(conversion.outputs):
            planned = output.plan
            seconds = float(output.position)
            length = _length(planned, conversion.expected_seconds)
            share_done, until = conversion.shares
            share_done, until = (self._searched + (1 - self._searched) * edge for edge in (share_done, until))
            share = share_done + (until - share_done) * min(1.0, seconds / length if length else 0.0)
            index = planned.index
            before = updated[index]
            speed = seconds / elapsed
            updated[index] = TargetProgress(
                target_index=index,
                percent=max(before.percent, share * _CONVERTED_PERCENT),
                media_seconds=max(before.media_seconds, seconds),
                speed=speed,
                frames_per_second=output.frames / elapsed,
                eta_seconds=max(0.0, length - seconds) / speed if speed else 0.0,
                encoders=", ".join(track.plan.encoder for track in output.tracks),
            )
            for served in _served(planned):
                updated[served] = replace(updated[index], target_index=served)
        self._targets = tuple(updated)
        self._position = sum(float(output.position) for output in conversion.outputs)
        return self._advanced()

    def verified(self, slots: Collection[int]) -> Advanced:
        """Return the progress after these outputs of the plan were read back."""
        served = [(slot in slots, index) for slot, planned in enumerate(self._plan.targets) for index in _served(planned)]
        complete = {index for _, index in served} - {index for read, index in served if not read}
        self._targets = tuple(
            replace(target, percent=_VERIFIED_PERCENT, eta_seconds=0.0) if target.target_index in complete else target
            for target in self._targets
        )
        return self.report(TaskPhase.VERIFYING)

    def _advanced(self) -> Advanced:
        mean = sum(target.percent for target in self._targets) / max(len(self._targets), 1)
        return Advanced(Progress(phase=self._phase, percent=int(mean), targets=self._targets), self._position)


def _length(planned: TargetPlan | ImagePlan, sources_seconds: float) -> float:
    """Return the expected duration of an output in seconds, 0 if unknown; `sources_seconds`: what is known of the sources by
    now.
    """
    if isinstance(planned, TargetPlan) and sources_seconds:  # the stream that is played slowest lasts longest
        return sources_seconds / float(min(stream.speed for stream in planned.streams))
    return planned.duration_us / MICROSECONDS


def _served(planned: TargetPlan | ImagePlan) -> Iterator[int]:
    """Yield the indexes of the request's targets that an output is made for."""
    yield planned.index
    if isinstance(planned, TargetPlan) and planned.package and planned.package.hls_index >= 0:
        yield planned.package.hls_index


def _slowest(outputs: Iterable["Output"]) -> Iterable["Output"]:
    slowest: dict[int, Output] = {}
    known = list(outputs)
    # Subtitles beside video or audio say nothing about progress: their last cue may be early.
    indexes = {output.plan.index for output in known if not _only_subtitles(output.plan)}
    for output in known:
        if output.plan.index in indexes and _only_subtitles(output.plan):
            continue
        slower = slowest.get(output.plan.index)
        if slower is None or output.position < slower.position:
            slowest[output.plan.index] = output
    return slowest.values()


def _only_subtitles(planned: TargetPlan | ImagePlan) -> bool:
    return isinstance(planned, TargetPlan) and all(stream.type == StreamType.SUBTITLE for stream in planned.streams)
