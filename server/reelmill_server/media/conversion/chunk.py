"""Convert one chunk of a plan: the same reading, decoding and filtering, into files that the join concatenates."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.chunk_file import IMAGES, Summary
from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.chunk_output import ChunkImageOutput, ChunkStreamOutput
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.conversion.first_pass import Passes
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output
from reelmill_server.media.output.file import SideInputs
from reelmill_server.media.track.cover_art import CoverInputs
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import Split, Unit, UnitFile, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import members, read_streams, unit_plan
from reelmill_server.plan.passes import has_first_pass


class ChunkConversion:
    """Convert one chunk of the plan `whole`, cut as `split` says."""

    def __init__(
        self,
        whole: Plan,
        split: Split,
        chunk: Unit,
        locations: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        watermark_locations: Mapping[str, Location] | None = None,
    ) -> None:
        """Take locations as Conversion does."""
        self._plan, self._split, self._chunk = unit_plan(whole, chunk), split, chunk
        self._directory, self._limits, self._watermarks = directory, limits, watermark_locations or {}
        self._streams, self._images = members(whole, chunk)
        (entry,) = self._plan.inputs
        self._entry, self._window = entry, _window(chunk)
        self._members: list[tuple[Summary, Path]] = []
        self._locations, self._stop = [locations[entry.source]], stop
        self._run = Run(self._plan, self._locations, limits, stop, self._scope(whole))

    def _scope(self, whole: Plan) -> Scope:
        streams, chunk, window = read_streams(whole), self._chunk, self._window
        if window is None or not isinstance(chunk, VideoUnit):
            return Scope(streams, whole=isinstance(chunk, WholeUnit))
        origin = Fraction(self._entry.origin_us + self._entry.start_us, MICROSECONDS)
        end = None if window.end is None else origin + window.end
        lead_in = max(Fraction(0), window.begin - Fraction(chunk.lead_us, MICROSECONDS)) if chunk.begin_us else None
        return Scope(streams, lead_in, Span(origin + window.begin, end, window.from_front))

    @property
    def outputs(self) -> Sequence[Output]:
        """Return the outputs that are open."""
        return self._run.outputs

    @property
    def share(self) -> float:
        """Return how much of the chunk is done, 0 to 1, judged by the output that lags most."""
        begin = float(self._window.begin) if self._window else 0.0
        end = float(self._window.end) if self._window and self._window.end else self._entry.duration_us / MICROSECONDS
        reached = min((float(output.position) * _speed(output) for output in self._run.outputs), default=end)
        return min(max((reached - begin) / max(end - begin, 1e-3), 0.0), 1.0)

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves, even before the window is reached."""
        return float(self.decoded) + sum(float(output.position) for output in self._run.outputs)

    @property
    def decoded(self) -> int:
        """Return how many packets were given to decoders."""
        return self._run.decoded

    def make(self) -> tuple[list[UnitFile], list[str]]:
        """Write the files of the chunk below the directory; return them and warnings for the user. Raises as `Run.write`."""
        if isinstance(self._chunk, WholeUnit) and has_first_pass(self._plan):
            self._measure()
        warnings = self._run.write(self._open_outputs)  # what was left out is judged when all chunks are joined
        files = [
            UnitFile(summary.unit, summary.slot, summary.stream, path.name, path.stat().st_size, summary.count)
            for summary, path in self._members
        ]
        return files, warnings

    def _measure(self) -> None:
        """Measure the loudness of the audio, all of which is in this chunk."""
        side_inputs = SideInputs(SubtitleInputs((), (), (), self._limits), CoverInputs((), (), self._limits), {})
        self._plan = Passes(
            self._plan, self._locations, self._directory, side_inputs=side_inputs, limits=self._limits, stop=self._stop
        ).run()

    def _open_outputs(self, sources: Sequence[InputContainer]) -> Iterator[Output]:
        stop = self._run.stop
        for (slot, stream), plan in zip(self._streams, self._plan.targets, strict=True):
            summary, path = self._member(slot, stream, f"{slot}-{stream}.chunk")
            yield ChunkStreamOutput(
                plan,
                self._plan,
                path,
                sources=sources,
                watermarks=self._watermarks,
                limits=self._limits,
                stop=stop,
                window=self._window,
                summary=summary,
                accountant=self._run.accountant,
            )
        for slot, image in zip(self._images, self._plan.images, strict=True):
            summary, path = self._member(slot, IMAGES, f"images-{slot}.chunk")
            yield ChunkImageOutput(image, self._plan, path, stop=stop, window=self._window, summary=summary)

    def _member(self, slot: int, stream: int, name: str) -> tuple[Summary, Path]:
        summary = Summary(self._split.digest, self._chunk.number, slot, stream, decoding=self._run.decoding.streams)
        self._members.append((summary, self._directory / name))
        return self._members[-1]


def _window(chunk: Unit) -> Span | None:
    """Return the span of the source whose frames a chunk encodes; None: all of it."""
    if not isinstance(chunk, VideoUnit):
        return None
    end = Fraction(chunk.end_us, MICROSECONDS) if chunk.end_us else None
    return Span(Fraction(chunk.begin_us, MICROSECONDS), end, from_front=not chunk.begin_us)


def _speed(output: Output) -> float:
    planned = output.plan
    return float(planned.streams[0].speed) if isinstance(planned, TargetPlan) else 1.0
