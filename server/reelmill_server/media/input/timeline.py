"""Follow times that begin again, as in recordings that were put behind each other, or that jump far ahead.

At such a seam all video and audio streams of a file jump. What follows is moved so that it begins where all before it ended;
every stream by the same amount, so that audio stays with its video.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain, islice
from typing import Any

from av.container import InputContainer
from av.stream import Stream

from reelmill_server.media.input.audio_clock import CLOCKLESS_FORMATS, timed_by_length
from reelmill_server.media.input.headers import guesses_times
from reelmill_server.media.input.matroska_clock import reordered
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.video_clock import timed_by_decoding
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket

# The demuxers that read on behind a seam.
_SEAMED_FORMATS = ("mpegts", "mpeg", "ogg", "nut", "flac", "matroska,webm")
# Broadcasts and streams: their clocks may be set anew. Elsewhere a long gap may be what was recorded.
_RESETTING_FORMATS = ("mpegts", "mpeg", "ogg")
_BACK, _AHEAD = Fraction(1, 10), Fraction(10)
# So many packets in a row must follow a jump, else it was a single wrong time.
_CONFIRMED = 3
# A stream that has given nothing for so long before a jump has ended, or is sparse: nothing is expected of it.
_SILENT = Fraction(5)
# Packets of one stream may come after those of another that lie behind a seam.
_STRAGGLING = Fraction(1)
# A stream that follows none that has jumped within this time is not in the recording after the seam.
_ALONE = Fraction(3, 2)
# So many are decoded before the one that is shown first, at most.
_FIRST_PACKETS = 17
# What is held until all streams have jumped.
_HELD_PACKETS, _HELD_BYTES = 4000, 32 << 20


@dataclass
class _Line:
    """The times of one stream, in its ticks.

    `back` and `ahead`: how far its times may go either way. `last`: when the last packet was decoded; `end`: how far all
    packets reach; `shift`: by how much they are moved.
    """

    base: Fraction
    back: int
    ahead: int
    last: int | None = None
    end: int = 0
    shift: int = 0

    @classmethod
    def of(cls, packet: AnyPacket) -> "_Line":
        base = exact(packet.time_base)
        return cls(base, round(_BACK / base), round(_AHEAD / base))

    def note(self, decoded: int, packet: AnyPacket) -> None:
        """Remember an unmoved packet."""
        self.last = decoded
        end = (decoded if packet.pts is None else packet.pts) + (packet.duration or 0)
        if end > self.end:
            self.end = end

    @property
    def reached(self) -> Fraction:
        """Return where the stream ends so far, seconds, moved."""
        return (self.end + self.shift) * self.base


class Timeline:
    """Read a container's packets with times that go on over its seams; `seams` gets the time of each, seconds."""

    def __init__(self, source: InputContainer, streams: Sequence[Stream], seams: list[Fraction]) -> None:
        self._source, self._streams, self._seams = source, streams, seams
        self._resets = source.format.name in _RESETTING_FORMATS
        self._lines: dict[int, _Line] = {}
        self._shift = Fraction(0)
        self._timed = {stream.index for stream in streams if stream.type in ("video", "audio")}
        self._held: list[tuple[AnyPacket, bool]] = []  # packets, and whether they lie after the jump
        self._held_bytes = 0
        self._jumps: dict[int, list[int]] = {}  # decode timestamps after the jump, by stream
        self._marks: dict[int, Fraction] = {}  # how far each stream reached when the first one jumped

    def packets(self) -> Iterator[AnyPacket]:
        """Yield all packets."""
        packets = packets_of(self._source, self._streams)
        if self._source.format.name == "matroska,webm":
            packets = reordered(packets, {stream.index for stream in self._streams if stream.type == "video"})
        for packet in packets:
            if self._held:
                yield from self._hold(packet)
                continue
            line, decoded = self._place(packet)
            if line is not None and self._jumped(line, decoded):
                yield from self._hold(packet)
                continue
            if line is not None:
                line.note(decoded, packet)
            yield self._moved(packet)
        yield from self._settled()

    def _place(self, packet: AnyPacket) -> tuple[_Line | None, int]:
        """Return the line of a packet and when it is decoded; None where its time does not count."""
        index, decoded = packet.stream_index, packet.dts
        if decoded is None or index not in self._timed:
            return None, 0  # frames that are shown out of order, and subtitles, go where the others go
        line = self._lines.get(index)
        if line is None or line.last is None:
            line = self._lines[index] = _Line.of(packet)
            line.shift = round(self._shift / line.base)
            line.end = decoded
        return line, decoded

    def _jumped(self, line: _Line, decoded: int) -> bool:
        if line.last is None:  # a stream that the recording before the seam did not have may come first behind the next one
            return bool(self._shift) and decoded * line.base < self._latest() - _STRAGGLING
        if decoded < line.last - line.back:
            return True
        if not self._resets or decoded <= line.last + line.ahead:
            return False
        # Not where the other streams are already: then only this one has a gap.
        return decoded * line.base > self._latest() + _AHEAD

    def _latest(self) -> Fraction:
        """Return when the last packet of all streams was decoded, unmoved."""
        return max((line.last * line.base for line in self._lines.values() if line.last is not None), default=Fraction(0))

    def _hold(self, packet: AnyPacket) -> Iterator[AnyPacket]:
        """Hold a packet until it is known whether all streams have jumped."""
        if not self._held:
            self._marks = {index: line.reached for index, line in self._lines.items() if line.last is not None}
        if packet.size == 0 and packet.dts is None:
            yield from self._settled()
            yield self._moved(packet)
            return
        line, decoded = self._place(packet)
        if line is None:
            after = self._lies_after(packet)
        elif line.last is None:
            after = True  # a stream that only the recording after the seam has
            if self._jumped(line, decoded):
                self._jumps.setdefault(packet.stream_index, []).append(decoded)
        else:
            jumps = self._jumps.get(packet.stream_index)
            back = jumps is not None and _returns(decoded, jumps, line)
            if jumps is not None and (back or decoded < jumps[-1] - line.back):
                yield from self._second_jump(packet, back)
                return
            if jumps is None and self._jumped(line, decoded):
                jumps = self._jumps[packet.stream_index] = []
            if jumps is None:
                line.note(decoded, packet)
            else:
                jumps.append(decoded)
            after = jumps is not None
        self._held.append((packet, after))
        self._held_bytes += packet.size
        if (
            len(self._held) > _HELD_PACKETS
            or self._held_bytes > _HELD_BYTES
            or self._is_unbroken()
            or self._all_jumped()
            or self._waited()
        ):
            yield from self._settled()

    def _second_jump(self, packet: AnyPacket, back: bool) -> Iterator[AnyPacket]:
        """Take a packet of a stream that jumps a second time: `back` where it came from, or at the next seam."""
        if not back:
            yield from self._settled()
            yield from self._hold(packet)
            return
        self._jumps[packet.stream_index].append(packet.dts)  # type: ignore[arg-type]
        self._held.append((packet, False))  # it was a single wrong time
        yield from self._released()

    def _lies_after(self, packet: AnyPacket) -> bool:
        """Return whether the time of a packet is nearer to what follows the jump than to what precedes it."""
        index, jumps = next(iter(self._jumps.items()))
        line = self._lines[index]
        if packet.pts is None or not packet.time_base or line.last is None:
            return False
        time = packet.pts * exact(packet.time_base) / line.base
        return abs(time - jumps[-1]) < abs(time - line.last)

    def _all_jumped(self) -> bool:
        return not self._awaited() and all(len(jumps) >= _CONFIRMED for jumps in self._jumps.values())

    def _waited(self) -> bool:
        """Return whether enough was read after the jump: a stream that has given nothing since is not in this recording."""
        return any((jumps[-1] - jumps[0]) * self._lines[index].base > _ALONE for index, jumps in self._jumps.items())

    def _awaited(self) -> bool:
        """Return whether a stream has not jumped that was there shortly before those that have."""
        latest = max(self._marks.get(index, Fraction(0)) for index in self._jumps)
        return any(reached > latest - _SILENT for index, reached in self._marks.items() if index not in self._jumps)

    def _is_unbroken(self) -> bool:
        """Return whether a stream goes on as if nothing had happened: there is no seam."""
        others = (index for index in self._marks if index not in self._jumps)
        return any(self._lines[index].reached > self._marks[index] + _STRAGGLING for index in others)

    def _settled(self) -> Iterator[AnyPacket]:
        """Yield what is held, after deciding what the jump was."""
        return self._joined() if self._held and not self._is_unbroken() else self._released()

    def _joined(self) -> Iterator[AnyPacket]:
        """Yield what is held; what was read after the jump begins where all before it ended."""
        ends = [line.reached for line in self._lines.values() if line.last is not None]
        begins = [
            (packet.pts if packet.pts is not None else decoded) * exact(packet.time_base)
            for packet, after in self._held
            if after and (decoded := packet.dts if packet.dts is not None else packet.pts) is not None and packet.time_base
        ]
        seam = max(ends)
        for packet, after in self._held:
            if not after:
                self._moved(packet)
        self._shift = seam - min(begins)
        self._seams.append(seam)
        self._lines = {}
        for packet, after in self._held:
            if after:
                line, decoded = self._place(packet)
                if line is not None:
                    line.note(decoded, packet)
                self._moved(packet)
        waiting, self._held, self._jumps, self._held_bytes = self._held, [], {}, 0
        yield from (packet for packet, _ in waiting)

    def _released(self) -> Iterator[AnyPacket]:
        """Yield what is held; where there was no seam, the streams go on from where they jumped to."""
        waiting, jumps, self._held, self._jumps, self._held_bytes = self._held, self._jumps, [], {}, 0
        for index, jumped in jumps.items():
            self._lines[index].last = jumped[-1]
        for packet, _ in waiting:
            yield self._moved(packet)

    def _moved(self, packet: AnyPacket) -> AnyPacket:
        if self._shift and packet.time_base:
            line = self._lines.get(packet.stream_index)
            shift = line.shift if line is not None else round(self._shift / exact(packet.time_base))
            if packet.pts is not None:
                packet.pts += shift
            if packet.dts is not None:
                packet.dts += shift
        return packet


def _returns(decoded: int, jumps: Sequence[int], line: _Line) -> bool:
    """Return whether a packet after those that jumped is back where the stream came from."""
    assert line.last is not None
    step, distance = abs(decoded - jumps[-1]), abs(decoded - line.last)
    return step > line.back and step > distance and distance * line.base < _STRAGGLING


def _from_zero(packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
    """Yield the packets of a file without times, the first frame of them at 0: libav counts from a time that is in the stream,
    or back from the first one that it is sure of. Where that begins again, the frames follow those before it.
    """
    first = list(islice(packets, _FIRST_PACKETS))
    shift = -min((packet.pts for packet in first if packet.pts is not None), default=0)
    latest: int | None = None  # since the first keyframe: before it, times are guessed
    end = 0
    for packet in chain(first, packets):
        pts, dts, before = packet.pts, packet.dts, shift
        if latest is not None and pts is not None and packet.is_keyframe and pts + shift <= latest:
            shift = end - pts  # all that is decoded before a keyframe is shown before it
        if dts is not None:
            # At a seam, the first packet claims to be decoded when another one before it would be.
            packet.dts = dts + (before if shift != before and dts > (pts or 0) else shift)
        if pts is not None:
            packet.pts = pts + shift
            if latest is not None or packet.is_keyframe:
                latest = packet.pts if latest is None else max(latest, packet.pts)
            end = max(end, packet.pts + (packet.duration or 0))
        yield packet


def continuous(source: InputContainer, streams: Sequence[Stream], seams: list[Fraction] | None = None) -> Iterator[Any]:
    """Return the packets of `streams`, with times that go on over seams; `seams` gets the time of each, seconds."""
    name = source.format.name
    if guesses_times(source):
        return _from_zero(packets_of(source, streams))
    if name in CLOCKLESS_FORMATS:
        return timed_by_length(source, timed_by_decoding(source, streams, packets_of(source, streams)))
    if name not in _SEAMED_FORMATS or (name == "matroska,webm" and not begins_again(source)):
        return packets_of(source, streams)
    return Timeline(source, streams, [] if seams is None else seams).packets()
