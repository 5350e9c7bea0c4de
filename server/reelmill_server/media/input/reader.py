"""Reads the inputs of a plan: those that follow each other, and those that run beside them."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.part import Part, own_parts
from reelmill_server.media.input.seek import packets_from
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import InputPlan, StreamPlan
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import OVERRUN, UNTIMED_FORMATS

# What a container promises for a whole file is no more exact than this.
_CLAIM_SECONDS, _CLAIM_SHARE = Fraction(1), Fraction(2, 100)
# A promise that is further off what the bytes read so far tell than this factor is not believed while the source is read.
_DOUBT = 2
_LASTING = ("video", "audio")  # a line of subtitles may be shown long after the last picture
_INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)  # packets lie in the file in any order


class _Extent(Extent):
    """How far the packets of one stream reach. `kind` is that of the stream; empty: how long the input lasts does not depend on
    it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind


class Reader:
    """One input while it is read once. `part` is what outputs know it by; times are the source's own seconds."""

    def __init__(
        self, number: int, plan: InputPlan, source: InputContainer, used: frozenset[int], lead_in: Fraction | None = None
    ) -> None:
        """`used`: the numbers of the streams that are wanted. `lead_in`: reading begins at the key frame before this many
        seconds of the span, None: before all of it."""
        self.plan = plan
        self._source, self._size = source, source.size
        self._used = used
        self._begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        self._stop = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        self._extents: dict[int, _Extent] = {}
        self.latest = float("-inf")
        """When the last packet begins, about, seconds of the source."""
        self._bytes = 0
        self._first_place: int | None = None
        self._share = 0.0  # of the source's bytes from where reading began
        streams = [stream for stream in source.streams if stream.index in used]
        for stream in streams:
            if stream.type == "video" and not stream.codec_context.is_open:  # it is, when the input is repeated
                stream.thread_type = "AUTO"  # type: ignore[attr-defined]
        # Read, not decoded: their timestamps tell how far the source reaches.
        others = [stream for stream in source.streams if stream.type in ("video", "audio") and stream.index not in used]
        found = packets_from(source, streams, others, self._begin + (lead_in or 0))
        self.packets = _timed(found.packets) if source.format.name in UNTIMED_FORMATS else found.packets
        self.part = Part(number, source, found.key, plan.align == "pad")

    def note(self, packet: AnyPacket) -> None:
        """Remembers how far the packet reaches."""
        self._count_bytes(packet)
        ticks, base = packet.pts if packet.pts is not None else packet.dts, packet.time_base
        if ticks is None or not base:
            return
        extent = self._extents.get(packet.stream_index)
        if extent is None:
            kind = self._source.streams[packet.stream_index].type
            # Data is seldom, and lasts long.
            counts = packet.stream_index in self._used and kind != "data"
            extent = self._extents[packet.stream_index] = _Extent(kind if counts else "")
        # Not every container says how long a packet lasts: then as long as the one before.
        extent.add(ticks, packet.duration or extent.since(ticks), base)
        self.latest = max(self.latest, ticks * float(base))

    def _ends(self) -> dict[str, Fraction]:
        """How far each kind of stream reaches; another thread may ask while packets are noted."""
        ends: dict[str, Fraction] = {}
        for extent in [*self._extents.values()]:
            if extent.kind:
                ends[extent.kind] = max(ends.get(extent.kind, Fraction(0)), extent.last)
        return ends

    def _reached(self) -> Fraction:
        return max((extent.last for extent in self._extents.values()), default=Fraction(0))

    def _count_bytes(self, packet: AnyPacket) -> None:
        size, place = self._size, packet.pos
        self._bytes += packet.size
        if size <= 0 or not packet.size:
            return
        if self._source.format.name in _INDEXED_FORMATS or place is None or place < 0:
            self._share = self._bytes / size
            return
        if self._first_place is None:
            self._first_place = place
        read = place + packet.size - self._first_place
        self._share = max(self._share, read / max(size - self._first_place, 1))

    def expected(self) -> Fraction:
        """How long the span will be, seconds, as far as it can be told now; 0: not at all.

        What the container promises, unless there is no promise or the bytes read so far belie it: then as long as the whole
        would be if the rest had as many bytes a second.
        """
        promised, asked = self.plan.duration_us, max(self.plan.end_us - self.plan.start_us, 0)
        claim, limit = Fraction(promised, MICROSECONDS), Fraction(asked, MICROSECONDS)
        told = self.position / Fraction(self._share).limit_denominator(MICROSECONDS) if self._share else Fraction(0)
        if not told:
            return claim or limit
        shorter, longer = told * _DOUBT < claim, told > claim * _DOUBT and not limit
        if claim and not shorter and not longer and (limit or self.position <= claim):
            return claim
        return min(told, limit) if limit else told

    @property
    def pace(self) -> Fraction:
        """Seconds for each byte that was read."""
        return self.position / self._bytes if self._bytes else Fraction(0)

    @property
    def position(self) -> Fraction:
        """Seconds of the span that were read."""
        ends = self._ends()
        heard = max((ends[kind] for kind in _LASTING if kind in ends), default=max(ends.values(), default=self._begin))
        return max(Fraction(0), (heard if self._stop is None else min(heard, self._stop)) - self._begin)

    def end(self) -> Fraction:
        """Where the input ends: with its pictures, unless its sound goes on for long."""
        ends = self._ends()
        video, audio = ends.get("video"), ends.get("audio")
        # Where only subtitles are taken, they belong to what is beside them.
        end = max((end for end in (video, audio) if end is not None), default=self._reached())
        if video is not None and (audio is None or audio - video <= OVERRUN):
            end = video
        return end if self._stop is None else min(end, self._stop)

    @property
    def over(self) -> bool:
        """Whether all of the span was read of every kind of stream that is wanted."""
        ends = self._ends()
        kinds = {self._source.streams[index].type for index in self._used} & {*_LASTING}
        return self._stop is not None and all(ends.get(kind, Fraction(0)) >= self._stop for kind in kinds)

    def length(self) -> Fraction:
        """How long the span is in the end, seconds."""
        return max(self.end() - self._begin, Fraction(0))

    def check_end(self) -> None:
        """Raises InvalidMedia when the source ended clearly before the end it promises."""
        claimed = Fraction(self.plan.duration_us, MICROSECONDS)
        got = max(self._reached() - self._begin, Fraction(0))
        if claimed and got + max(_CLAIM_SECONDS, claimed * _CLAIM_SHARE) < claimed:
            raise InvalidMedia(
                f"the source promises {float(claimed):.3f} s in the span, but only {float(got):.3f} s could be read: "
                "it is truncated or broken"
            )


class ConcatReader:
    """Inputs that are read one after the other; `loops`: again and again. `lead_in` as for Reader."""

    def __init__(
        self,
        numbers: Sequence[int],
        inputs: Sequence[InputPlan],
        sources: Sequence[InputContainer],
        streams: Sequence[StreamPlan],
        lead_in: Fraction | None = None,
    ) -> None:
        self.plan = inputs[numbers[0]]
        self.loops, self.aligned = self.plan.align == "loop", self.plan.align != "false"
        self._inputs, self._sources, self._streams, self._lead_in = inputs, sources, streams, lead_in
        self._todo = list(numbers)
        self._numbers = numbers
        self._before = Fraction(0)
        self.reader: Reader | None = None
        self.exhausted = False

    @property
    def position(self) -> Fraction:
        """Seconds from the beginning of the first input that were read."""
        return self._before + (self.reader.position if self.reader else 0)

    @property
    def last(self) -> bool:
        """Whether nothing follows the input that is read now."""
        return not self._todo

    def expected(self) -> Fraction:
        """How long all inputs together will be, seconds, as far as it can be told now; 0: not at all."""
        reader = self.reader
        parts = [reader.expected()] if reader else []
        for number in list(self._todo):
            promised = Fraction(self._inputs[number].duration_us, MICROSECONDS)
            # Without a promise: as many bytes a second as what is read now.
            parts.append(promised or (reader.pace * max(self._sources[number].size, 0) if reader else Fraction(0)))
        return self._before + sum(parts) if all(parts) else Fraction(0)

    def next(self) -> Reader | None:
        """Begins the next input; None when there is none."""
        if self.reader is not None:
            self._before += self.reader.length()
        if self.loops and not self._todo and self.reader is not None:
            if not self.reader.position:
                raise InvalidMedia(f"sources[{self.plan.source}]: gave nothing that could be repeated")
            self._todo = list(self._numbers)
            source = self._sources[self._numbers[0]]
            source.seek(source.start_time or 0)
        if not self._todo:
            self.reader, self.exhausted = None, True
            return None
        number = self._todo.pop(0)
        used = frozenset(part.stream for stream in self._streams for part in own_parts(stream) if part.input == number)
        self.reader = Reader(number, self._inputs[number], self._sources[number], used, self._lead_in)
        return self.reader


def concat_readers(
    inputs: Sequence[InputPlan],
    sources: Sequence[InputContainer],
    streams: Sequence[StreamPlan],
    lead_in: Fraction | None = None,
) -> tuple[ConcatReader, list[ConcatReader]]:
    """The lane of the inputs that follow each other, and one for each that runs beside them and is wanted by one of
    `streams`."""
    main = [number for number, plan in enumerate(inputs) if not plan.attached]
    wanted = {part.input for stream in streams for part in stream.parts}
    beside = [number for number, plan in enumerate(inputs) if plan.attached and number in wanted]
    return ConcatReader(main, inputs, sources, streams, lead_in), [
        ConcatReader([number], inputs, sources, streams) for number in beside
    ]


def _timed(packets: Iterator[Any]) -> Iterator[Any]:
    """The packets of a video that has no times, each decoded when the one before it is over."""
    ticks = 0
    for packet in packets:
        if packet.size:
            packet.dts = ticks
            ticks += packet.duration or 0
        yield packet


def assign_timestamps(frames: Sequence[Any], stream: Any, shown: int) -> None:
    """Gives pictures of a video that has no times theirs: `shown` were shown before them, at the stream's rate."""
    rate = average_rate(stream) or FALLBACK_RATE
    for number, frame in enumerate(frames, shown):
        frame.time_base = stream.time_base
        frame.pts = round(number / rate / stream.time_base)
