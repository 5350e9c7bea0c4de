"""Runs one unit of a plan that was cut: the same reading, decoding and filtering, into files for the unit that joins all."""

import threading
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from av.container import InputContainer

from reelmill_server.media.chunk_file import Summary
from reelmill_server.media.conversion.base import Conversion
from reelmill_server.media.conversion.chunk_output import UnitImageOutput, UnitOutput
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.reader import Lane, Reader, lanes_of
from reelmill_server.media.input.source import Place
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Output
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, TargetPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.model.units import Split, Unit, UnitFile, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import members, read_streams, unit_plan


class UnitConversion(Conversion):
    """One unit of `whole`, as `split` cut it. `decoded`: how many packets were given to decoders."""

    decoded = 0

    def __init__(
        self,
        whole: Plan,
        split: Split,
        unit: Unit,
        places: Sequence[Place],
        directory: Path,
        limits: Limits,
        stop: threading.Event,
        watermark_places: Mapping[str, Place] | None = None,
    ) -> None:
        """As for Conversion."""
        super().__init__(unit_plan(whole, unit), places, directory, limits, stop, (), watermark_places)
        self._whole, self._split, self._unit = whole, split, unit
        self._streams, self._images = members(whole, unit)
        self._window: Span | None = None
        self._lead_in: Fraction | None = None
        if isinstance(unit, VideoUnit):
            begin, end = Fraction(unit.begin_us, MICROSECONDS), Fraction(unit.end_us, MICROSECONDS)
            self._window = Span(begin, end if unit.end_us else None, from_front=not unit.begin_us)
            if unit.begin_us:
                self._lead_in = max(Fraction(0), begin - Fraction(unit.lead_us, MICROSECONDS))

    @property
    def share(self) -> float:
        """How much of the unit is done, 0 to 1, by the output that is least far."""
        begin = float(self._window.begin) if self._window else 0.0
        (entry,) = self._plan.inputs
        end = float(self._window.end) if self._window and self._window.end else entry.duration_us / MICROSECONDS
        reached = min((float(output.position) * _speed(output) for output in self.outputs), default=end)
        return min(max((reached - begin) / max(end - begin, 1e-3), 0.0), 1.0)

    @property
    def moved(self) -> float:
        """A number that grows as long as media moves, also before the window."""
        return float(self.decoded) + sum(float(output.position) for output in self.outputs)

    def make(self) -> tuple[list[UnitFile], list[str]]:
        """Writes the unit's files below the directory; gives them, and what a user should know. Raises as `run` does."""
        self._make_all()
        files = []
        for output in self.outputs:
            assert isinstance(output, UnitOutput | UnitImageOutput)
            said, path = output.summary, Path(output.path)
            files.append(UnitFile(said.unit, said.slot, said.stream, path.name, path.stat().st_size, said.count))
        return files, self._notes()  # the join counts what all units have decoded

    def _file_output(self, slot: int, plan: TargetPlan, sources: Sequence[InputContainer]) -> Output:
        place, number = self._streams[slot]
        path = self._directory / f"{place}-{number}.unit"
        summary = Summary(self._split.digest, self._unit.number, place, number, decoding=self._decoding.streams)
        return UnitOutput(plan, self._plan, path, sources, self._beside, self._limits, self._stop, self._window, summary)

    def _image_output(self, slot: int, plan: ImagePlan, places: Sequence[Place]) -> Output:
        place = self._images[slot]
        summary = Summary(self._split.digest, self._unit.number, place, -1, decoding=self._decoding.streams)
        path = self._directory / f"images-{place}.unit"
        return UnitImageOutput(plan, self._plan, path, self._stop, self._window, summary)

    def _lanes(self, sources: Sequence[InputContainer]) -> tuple[Lane, list[Lane]]:
        return lanes_of(self._plan.inputs, sources, read_streams(self._whole), self._lead_in)

    def _enough(self, reader: Reader) -> bool:
        """What is made whole may depend on where the input ends, which all of its streams tell."""
        return super()._enough(reader) and (not isinstance(self._unit, WholeUnit) or reader.over)

    def _decode(self, part: Part, packet: AnyPacket) -> Sequence[Any]:
        self.decoded += 1
        return super()._decode(part, packet)

    def _counts(self, packet: AnyPacket) -> bool:
        """What lies outside the window is counted by the units beside this one."""
        if self._window is None or packet.pts is None or not packet.time_base:
            return True
        (entry,) = self._plan.inputs
        time = packet.pts * packet.time_base - Fraction(entry.origin_us + entry.start_us, MICROSECONDS)
        return not self._window.before(time) and not self._window.after(time)


def _speed(output: Output) -> float:
    planned = output.plan
    return float(planned.streams[0].speed) if isinstance(planned, TargetPlan) else 1.0
