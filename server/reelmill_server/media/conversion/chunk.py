"""Runs one unit of a plan that was cut: the same reading, decoding and filtering, into files for the unit that joins all."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from av.container import InputContainer

from reelmill_server.media.chunk_file import Summary
from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.chunk_output import ChunkImageOutput, ChunkStreamOutput
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import Split, Unit, UnitFile, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import members, read_streams, unit_plan


class ChunkConversion:
    """The conversion of one unit of `whole`, as `split` cut it."""

    def __init__(
        self,
        whole: Plan,
        split: Split,
        unit: Unit,
        places: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        watermark_locations: Mapping[str, Location] | None = None,
    ) -> None:
        """Places as for Conversion."""
        self._plan, self._split, self._unit = unit_plan(whole, unit), split, unit
        self._directory, self._limits, self._watermarks = directory, limits, watermark_locations or {}
        self._streams, self._images = members(whole, unit)
        (entry,) = self._plan.inputs
        self._entry, self._window = entry, _window(unit)
        self._made: list[tuple[Summary, Path]] = []
        self._run = Run(self._plan, [places[entry.source]], limits, stop, self._scope(whole))

    def _scope(self, whole: Plan) -> Scope:
        streams, unit, window = read_streams(whole), self._unit, self._window
        if window is None or not isinstance(unit, VideoUnit):
            return Scope(streams, whole=isinstance(unit, WholeUnit))
        origin = Fraction(self._entry.origin_us + self._entry.start_us, MICROSECONDS)
        end = None if window.end is None else origin + window.end
        lead_in = max(Fraction(0), window.begin - Fraction(unit.lead_us, MICROSECONDS)) if unit.begin_us else None
        return Scope(streams, lead_in, Span(origin + window.begin, end, window.from_front))

    @property
    def share(self) -> float:
        """How much of the unit is done, 0 to 1, by the output that is least far."""
        begin = float(self._window.begin) if self._window else 0.0
        end = float(self._window.end) if self._window and self._window.end else self._entry.duration_us / MICROSECONDS
        reached = min((float(output.position) * _speed(output) for output in self._run.outputs), default=end)
        return min(max((reached - begin) / max(end - begin, 1e-3), 0.0), 1.0)

    @property
    def moved(self) -> float:
        """A number that grows as long as media moves, also before the window."""
        return float(self._run.decoded) + sum(float(output.position) for output in self._run.outputs)

    @property
    def decoded(self) -> int:
        """How many packets were given to decoders."""
        return self._run.decoded

    @property
    def outputs(self) -> Sequence[Output]:
        """What is written now, for progress."""
        return self._run.outputs

    def make(self) -> tuple[list[UnitFile], list[str]]:
        """Write the unit's files below the directory; return them, and what the user should know. Raises as `Run.write`."""
        warnings = self._run.write(self._open_outputs)  # what was left out is judged when all chunks are joined
        files = [
            UnitFile(said.unit, said.slot, said.stream, path.name, path.stat().st_size, said.count) for said, path in self._made
        ]
        return files, warnings

    def _open_outputs(self, sources: Sequence[InputContainer]) -> Iterator[Output]:
        stop = self._run.stop
        for (place, number), plan in zip(self._streams, self._plan.targets, strict=True):
            said, path = self._member(place, number, f"{place}-{number}.unit")
            yield ChunkStreamOutput(plan, self._plan, path, sources, self._watermarks, self._limits, stop, self._window, said)
        for place, image in zip(self._images, self._plan.images, strict=True):
            said, path = self._member(place, -1, f"images-{place}.unit")
            yield ChunkImageOutput(image, self._plan, path, stop, self._window, said)

    def _member(self, slot: int, stream: int, name: str) -> tuple[Summary, Path]:
        said = Summary(self._split.digest, self._unit.number, slot, stream, decoding=self._run.decoding.streams)
        self._made.append((said, self._directory / name))
        return self._made[-1]


def _window(unit: Unit) -> Span | None:
    """The span of the source whose frames a unit encodes; None: all."""
    if not isinstance(unit, VideoUnit):
        return None
    end = Fraction(unit.end_us, MICROSECONDS) if unit.end_us else None
    return Span(Fraction(unit.begin_us, MICROSECONDS), end, from_front=not unit.begin_us)


def _speed(output: Output) -> float:
    planned = output.plan
    return float(planned.streams[0].speed) if isinstance(planned, TargetPlan) else 1.0
