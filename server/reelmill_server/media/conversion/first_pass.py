"""Passes over the sources before the conversion: for the statistics of video that is encoded twice, the loudness of audio, and
the peaks that its encoder makes of it.
"""

import threading
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output, StopSignal
from reelmill_server.media.output.file import FileOutput, SideInputs
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.plan.chunks import read_streams
from reelmill_server.plan.passes import encodes_twice, first_pass, peak_trial, with_decoded_peaks, with_loudness

_VIDEO_SHARE, _AUDIO_SHARE = 0.4, 0.1  # of the time of a conversion, roughly
_MOST_TRIALS = 4


class Passes:
    """The passes before the conversion of the plan `whole`; what they leave on disk goes to `directory`.

    `running`: the one that runs, for progress; None: none.
    """

    def __init__(
        self,
        whole: Plan,
        locations: Sequence[Location],
        directory: Path,
        *,
        side_inputs: SideInputs,
        limits: Limits,
        stop: threading.Event,
    ) -> None:
        """`locations` follow the inputs of the plan."""
        self.share = _VIDEO_SHARE if encodes_twice(whole) else _AUDIO_SHARE
        self.running: Run | None = None
        self._whole, self._locations, self._directory = whole, locations, directory
        self._side_inputs, self._limits, self._stop = side_inputs, limits, stop

    def run(self) -> Plan:
        """Return `whole` with what the passes have measured. Raises as `Run.write`."""
        plan = self._whole
        written = self._written(first_pass(plan, self._directory))
        plan = with_loudness(plan, [stats.loudness.before if stats.loudness else None for stats in written])
        for _ in range(_MOST_TRIALS):
            trial = peak_trial(plan)
            if not trial.targets:
                break
            plan = with_decoded_peaks(plan, [stats.decoded_peak for stats in self._written(trial)])
        return plan

    def _written(self, plan: Plan) -> list[StreamStats]:
        """Carry out one pass; return what was counted of each stream whose loudness is of concern.

        The outputs are let go of: encoders of video write their statistics when they are freed.
        """
        scope = Scope(read_streams(self._whole))  # where inputs end depends on all their streams
        run = self.running = Run(plan, self._locations, self._limits, self._stop, scope)
        run.write(partial(self._open, plan, run.stop))
        self.running = None
        return [track.written for output in run.outputs for track in output.tracks if track.plan.loudness]

    def _open(self, plan: Plan, stop: StopSignal, sources: Sequence[InputContainer]) -> Iterator[Output]:
        """Yield an output that writes nothing for each stream of a pass."""
        for number, target in enumerate(plan.targets):
            path = str(self._directory / f"{number}.null")
            yield FileOutput(target, plan, path, sources=sources, side_inputs=self._side_inputs, limits=self._limits, stop=stop)
