"""Tracks: what one output does with one stream of its own.

A track is given the parts of its stream one after the other, each in the order of its source. Times are exact: timestamps are
compared and moved as rational numbers, seconds counted from the source's own zero.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from av.container import InputContainer
from av.stream import Disposition

from reelmill_server.media.input.part import Part, Span, own_parts
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamPlan

_DROPPED_METADATA = ("encoder", "duration", "major_brand", "minor_version", "compatible_brands", "language")


@dataclass
class Written:
    """What went into one stream of an output: packets, their bytes, how far they reach, and the mean VMAF where it was
    measured."""

    packets: int = 0
    size_bytes: int = 0
    extent: Extent = field(default_factory=Extent)
    vmaf: float | None = None

    def count(self, packet: AnyPacket) -> None:
        """Adds one packet that is about to be written."""
        self.packets += 1
        self.size_bytes += packet.size
        base = packet.time_base
        if packet.pts is not None and base:
            self.extent.add(packet.pts, packet.duration or 0, base)


class Track(Protocol):
    """What an output does with one of its streams.

    `frames` were to be encoded; `unordered` of them had a timestamp that is not after the one before, and were left out.
    """

    plan: StreamPlan
    wants_frames: bool
    unordered: int

    @property
    def written(self) -> Written:
        """What went into the stream."""

    @property
    def frames(self) -> int:
        """How many frames were to be encoded."""

    def begin(self, part: Part, span: Span) -> None:
        """A part begins, where the one before it ended; all methods after it speak of it until it ends."""

    def feed(self, part: Part, stream: int, item: Any) -> Iterator[AnyPacket]:
        """Gives the packets to write once `item` (a frame or a packet, as `wants_frames` says) of `stream` went in."""

    def shorten(self, part: Part, span: Span) -> None:
        """The part, which has begun, turns out to end earlier."""

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        """The part lasts at least `seconds`; what is made rather than read goes on until there.

        A padded part hears this only when all of it was read.
        """

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        """The part is over after `length` seconds; nothing follows the `last` one."""

    def finish(self) -> Iterator[AnyPacket]:
        """Gives the packets that were held back."""


class Clock:
    """Where a track stands on the output's clock: parts follow each other, and all is slowed down by `speed`."""

    def __init__(self, plan: StreamPlan) -> None:
        self.speed = plan.speed
        self.offset = Fraction(0)

    def at(self, seconds: Fraction) -> Fraction:
        """The output's time of `seconds` into the part."""
        return (self.offset + seconds) / self.speed

    def advance(self, length: Fraction) -> None:
        """The part is over after `length` seconds."""
        self.offset += length


def nearest(value: Fraction) -> int:
    """The nearest whole number, halves always up: equal distances stay equal."""
    return int((value + Fraction(1, 2)) // 1)


def copy_metadata(source: Mapping[str, str]) -> dict[str, str]:
    """Titles and the like, without what describes the old file itself."""
    return {key: value for key, value in source.items() if key not in _DROPPED_METADATA}


def template_of(plan: StreamPlan, sources: Sequence[InputContainer]) -> Any:
    """The stream that lends the output's its description: that of the first part that is read; `sources` by input."""
    part = own_parts(plan)[0]
    return sources[part.input].streams[part.stream]


def describe(stream: Any, plan: StreamPlan, sources: Sequence[InputContainer], keep_metadata: bool) -> None:
    """Carries a stream's description over: language and disposition always, the rest if it is to be kept."""
    source = template_of(plan, sources)
    if keep_metadata:
        stream.metadata.update(copy_metadata(source.metadata))
    if source.language and source.language != "und":
        stream.metadata["language"] = source.language
    stream.disposition = Disposition(int(source.disposition) & ~int(Disposition.attached_pic))
