"""The first pass over video that is encoded twice and audio whose loudness is measured: the same reading and filtering, into
statistics only.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.output.base import Output, StopSignal
from reelmill_server.media.output.file import FileOutput, SideInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.plan.chunks import read_streams
from reelmill_server.plan.passes import encodes_twice, first_pass, with_loudness

_VIDEO_SHARE, _AUDIO_SHARE = 0.4, 0.1  # of the time of a conversion, roughly


class FirstPass:
    """The first pass of the plan `whole`: what it reads, and its outputs, whose statistics go to `directory`."""

    def __init__(self, whole: Plan, directory: Path, side_inputs: SideInputs, limits: Limits) -> None:
        self.plan = first_pass(whole, directory)
        self.share = _VIDEO_SHARE if encodes_twice(whole) else _AUDIO_SHARE
        self.scope = Scope(read_streams(whole))  # where inputs end depends on all their streams
        self._outputs: list[FileOutput] = []
        self._directory, self._side_inputs, self._limits = directory, side_inputs, limits

    def open_outputs(self, stop: StopSignal, sources: Sequence[InputContainer]) -> Iterator[Output]:
        """Yield an output that writes nothing for each stream that is encoded twice, or measured."""
        for number, target in enumerate(self.plan.targets):
            path = str(self._directory / f"{number}.null")
            self._outputs.append(
                FileOutput(
                    target, self.plan, path, sources=sources, side_inputs=self._side_inputs, limits=self._limits, stop=stop
                )
            )
            yield self._outputs[-1]

    def completed(self, whole: Plan) -> Plan:
        """Return `whole` with the loudness that this pass has measured, and let go of the outputs.

        Encoders of video write their statistics when they are freed.
        """
        written = [track.written for output in self._outputs for track in output.tracks if track.plan.loudness]
        self._outputs.clear()
        return with_loudness(whole, [stats.loudness.before if stats.loudness else None for stats in written])
