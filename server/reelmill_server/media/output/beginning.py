"""Let files begin so that no muxer moves their streams: one without times before 0 moves all of them by what comes first."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import chain, takewhile

from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamType, TargetPlan

# Frames that are seconds apart need no more time for being reordered than others, but encoders count it in frames.
_LONGEST_DELAY = Fraction(1, 2)
_MOST_UNTIMED = 64
_MOST_LEADING = 16  # frames that are decoded before the one that is shown first
_HELD_BYTES = 32 << 20
_INTERLEAVED = (StreamType.VIDEO, StreamType.AUDIO)


def begun_together(plan: TargetPlan, bundles: Iterator[Sequence[AnyPacket]]) -> Iterator[Sequence[AnyPacket]]:
    """Yield the packets of all streams, the first ones decoded in time and the first of each stream before all others."""
    packets = _OneByOne(bundles)
    timed = _decoded_in_time(plan, packets)
    for packet in chain(_first_ones_first(plan, chain(timed, packets)), timed):
        yield (packet,)
    yield from packets.bundles()


class _OneByOne:
    """Yield packets that come in bundles, and then the bundles that are left."""

    def __init__(self, bundles: Iterator[Sequence[AnyPacket]]) -> None:
        self._bundles = bundles
        self._current: Iterator[AnyPacket] = iter(())

    def __iter__(self) -> Iterator[AnyPacket]:
        return self

    def __next__(self) -> AnyPacket:
        while (packet := next(self._current, None)) is None:
            self._current = iter(next(self._bundles))
        return packet

    def bundles(self) -> Iterator[Sequence[AnyPacket]]:
        """Yield what is left."""
        yield list(self._current)
        yield from self._bundles


def _first_ones_first(plan: TargetPlan, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
    """Yield the first packets, and before the others the first one of each stream of video and audio.

    Encoders may give their first one late, and muxers wait for no more than 10 s of the other streams.
    """
    missing = {number for number, stream in enumerate(plan.streams) if stream.type in _INTERLEAVED}
    first: list[AnyPacket] = []
    others: list[AnyPacket] = []
    size = 0
    for packet in packets:
        size += packet.size
        (first if packet.stream_index in missing else others).append(packet)
        missing.discard(packet.stream_index)
        if not missing or size > _HELD_BYTES:
            break
    yield from first
    yield from others


def _decoded_in_time(plan: TargetPlan, packets: Iterator[AnyPacket]) -> Iterator[AnyPacket]:
    """Yield the first packets. Move the decode timestamps of video that lie longer before its first frame than need be.

    A muxer would move one rendition apart from its siblings by as much; players that ignore edit lists would show it late.
    """
    early = {number: _Early() for number, stream in enumerate(plan.streams) if stream.type == StreamType.VIDEO}
    for packet in packets if early else ():
        stream = early.get(packet.stream_index)
        if stream is None:
            yield packet
            continue
        yield from stream.push(packet)
        if stream.over:
            del early[packet.stream_index]
            if not early:
                break
    for stream in early.values():
        yield from stream.rest()


class _Early:
    """The packets of one stream that are decoded before its first frame is shown.

    `held`: those without a decode timestamp, as of containers with one time per frame, and those until it is known which
    frame is shown first: it may lead the first keyframe, and be decoded after it. `over`: all were seen.
    """

    def __init__(self) -> None:
        self.held: list[AnyPacket] = []
        self.over = False
        self._shown: int | None = None
        self._share = Fraction(1)
        self._last: int | None = None

    def push(self, packet: AnyPacket) -> list[AnyPacket]:
        """Return the packets to write once `packet` came."""
        before = self.held
        ready = [*before, packet]
        if packet.dts is None and packet.pts is not None and len(ready) < _MOST_UNTIMED:
            self.held.append(packet)
            return []
        self.held = []
        if packet.pts is None or packet.dts is None or not packet.time_base:
            self.over = True
            return ready
        most = int(_LONGEST_DELAY / exact(packet.time_base))
        if len(ready) > 1:
            step = max(min(packet.duration or most, most // len(ready)), 1)
            following = packet.dts
            for untimed in takewhile(lambda earlier: earlier.dts is None, reversed(before)):
                assert untimed.pts is not None
                untimed.dts = following = min(following - step, untimed.pts)  # frames may be further apart
        early = self._shown is None and (ready[0].pts or 0) - (ready[0].dts or 0) > most
        if early and packet.dts < min(earlier.pts or 0 for earlier in ready) and len(ready) < _MOST_LEADING:
            self.held = ready
            return []
        return self._bounded(ready, most)

    def rest(self) -> list[AnyPacket]:
        """Return the packets that are left when none follows."""
        held = self.held
        if not held or any(packet.dts is None for packet in held):
            return held
        return self._bounded(held, int(_LONGEST_DELAY / exact(held[0].time_base)))

    def _bounded(self, packets: list[AnyPacket], most: int) -> list[AnyPacket]:
        """Move packets so that none is decoded more than `most` ticks before the first frame is shown."""
        if self._shown is None:
            self._shown = min(packet.pts or 0 for packet in packets)
            self._share = min(Fraction(most, max(self._shown - (packets[0].dts or 0), 1)), Fraction(1))
        for packet in packets:
            self._bound(packet)
        return packets

    def _bound(self, packet: AnyPacket) -> None:
        assert packet.pts is not None and packet.dts is not None and self._shown is not None
        if packet.dts >= self._shown or self._share == 1:
            self.over = True
            return
        moved = min(self._shown - int((self._shown - packet.dts) * self._share), packet.pts)
        packet.dts = self._last = moved if self._last is None else max(moved, self._last + 1)
        packet.pts = max(packet.pts, packet.dts)
