"""Find where bytes of a file are overwritten or lost, as in a damaged download: demuxers pass over them and say nothing."""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from reelmill_server.media.input.bundle import Bundle
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket

# How many bytes between two packets may be the container's: headers of clusters, pages and packets, and stuffing.
_LEAST: Mapping[str, int] = {
    **dict.fromkeys(("matroska,webm", "flv", "nut", "avi"), 512),
    "ogg": 1024,
    "mxf": 2048,
    "asf": 8192,
    "asf_o": 8192,
    "mpeg": 16384,
}
# Of these, positions say nothing, as packets lie within each other: both audio and video must jump.
_INTERLEAVED = ("mpegts",)
_UNUSUAL = 2  # times the most bytes that lay there before
_HEADER = 8  # bytes of a packet's, at least
# AVI counts frames, so that nothing is missing in its times; but what follows a frame in it is one of these, or a frame.
_CHUNKED, _CHUNKS = "avi", (b"JUNK", b"LIST", b"RIFF", b"idx1", b"ix", b"rec ")
_ODD = b"\0"  # chunks of an odd size are followed by one
_NEAR = 16  # packets between a hole and where times jump: some demuxers give a packet or page at a wrong place first
_TOGETHER = 1  # seconds
_MISSING = Fraction(1, 50)  # seconds; a shorter jump may be one of rounding


_Jump = tuple[int, Fraction, str]  # the number of a packet, when its stream ended before it, seconds, and of which type that is


class Holes:
    """Follow the packets of a source in the order in which they are read. A hole is where bytes belong to no packet, and times
    of a stream jump: either alone is usual.
    """

    def __init__(self, source: InputContainer) -> None:
        self._source, self._chunked = source, source.format.name == _CHUNKED
        media = [stream for stream in (*source.streams.video, *source.streams.audio) if not _is_cover(stream)]
        aside = any("alpha_mode" in stream.metadata for stream in media)  # beside the bytes of packets
        self._least = 0 if aside else _LEAST.get(source.format.name, 0)
        self._interleaved = source.format.name in _INTERLEAVED
        self._media = {stream.index: stream.type for stream in media}
        self._usual = 0
        self._position = self._end = -1  # of the last packet
        self._ends: dict[int, int] = {}
        self._number = 0
        self._gap: tuple[int, int] | None = None  # the number of a packet, and how many bytes before it are no packet's
        self._jump: _Jump | None = None
        self.size = 0
        """How many bytes all holes have."""
        self.first: Fraction | None = None
        """When the first is, seconds of the source; None: there is none."""

    def note_all(self, bundle: Bundle) -> None:
        """Note the next packets: one by one only if there are more bytes among them than containers need."""
        if not bundle.order or not (self._least or self._interleaved):
            return
        runs = {run.index: run for run in bundle.runs}
        last, read = runs[bundle.order[-1]].packets[-1], sum(run.size_bytes for run in bundle.runs)
        if self._least and self._gap is None and last.pos is not None and self._end > 0:
            between = last.pos + last.size - self._end - read
            if 0 <= between <= self._least + _HEADER * len(bundle.order):
                self._position, self._end = last.pos, last.pos + last.size
                self._number += len(bundle.order)
                self._ends |= {index: run.dts[-1] + run.durations[-1] for index, run in runs.items() if run.dts[-1] is not None}
                return
        packets = {index: iter(run.packets) for index, run in runs.items()}
        for index in bundle.order:
            self.note(next(packets[index]))

    def note(self, packet: AnyPacket) -> None:
        """Note the next packet."""
        if not packet.size or not (self._least or self._interleaved):
            return
        self._number += 1
        if self._least:
            self._look_before(packet)
        index, time = packet.stream_index, packet.pts if packet.dts is None else packet.dts
        if time is None or index not in self._media:
            return
        base, end = exact(packet.time_base or 0), self._ends.pop(index, None)
        if packet.duration:
            self._ends[index] = time + packet.duration
        if end is not None and (time - end) * base > _MISSING:
            before, self._jump = self._jump, (self._number, end * base, self._media[index])
            if self._interleaved and before is not None and _are_one(before, self._jump):
                self._found(0, before[1])
        if self._gap is not None and self._jump is not None and abs(self._gap[0] - self._jump[0]) <= _NEAR:
            self._found(self._gap[1], self._jump[1])
        elif self._gap is not None and self._number - self._gap[0] > _NEAR:
            self._usual, self._gap = max(self._usual, self._gap[1]), None

    def _look_before(self, packet: AnyPacket) -> None:
        """Find out whether bytes before a packet belong to no packet."""
        position, size = packet.pos, packet.size
        if position is None or position < 0 or position == self._position:  # in the page of the one before it
            self._end += size
            return
        gap = position - self._end
        if 0 < self._position < position and gap > max(self._least, self._usual * _UNUSUAL):
            if not self._chunked:
                self._gap = self._number, gap
            elif not self._is_chunk():
                self._found(gap, (packet.dts or 0) * exact(packet.time_base or 0))
        self._position, self._end = position, position + size

    def _is_chunk(self) -> bool:
        """Return whether a chunk of AVI follows the packet noted last."""
        file: Any = self._source.file.file
        here = file.tell()
        file.seek(self._end)
        begin: bytes = file.read(5).removeprefix(_ODD)
        file.seek(here)  # libav goes on there
        return begin.startswith(_CHUNKS) or begin[:2].isdigit()

    def _found(self, size: int, time: Fraction) -> None:
        self.size += size
        self.first = time if self.first is None else self.first
        self._gap = self._jump = None


def _is_cover(stream: Any) -> bool:
    return bool(stream.disposition & Disposition.attached_pic)


def _are_one(before: _Jump, jump: _Jump) -> bool:
    """Return whether streams of both types jump at one place."""
    return before[2] != jump[2] and jump[0] - before[0] <= _NEAR and abs(jump[1] - before[1]) < _TOGETHER
