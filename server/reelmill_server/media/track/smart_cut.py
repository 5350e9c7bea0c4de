"""Copy video that is cut at the frame: what lies between the edges is copied, the frames at them are encoded."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.parameter_sets import Unspliceable, broken_link
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.avc_edge import AvcEdge
from reelmill_server.media.track.base import Track
from reelmill_server.media.track.copied_stream import CopiedStream
from reelmill_server.media.track.copy import CopyTrack
from reelmill_server.media.track.edge_encoder import Edge, EdgeCodec, not_cut
from reelmill_server.media.track.mpeg2_edge import Mpeg2Edge
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.time import MICROSECONDS

_EDGES: Mapping[str, type[Edge]] = {"h264": AvcEdge, "mpeg2video": Mpeg2Edge}


class SmartCutTrack(CopyTrack):
    """Copy the packets between the edges of a cut, and encode the frames before and after them.

    Encoded packets take the places of those that they replace, in the source's ticks; from there on all are treated alike.
    """

    def __init__(self, plan: StreamPlan, copied: CopiedStream) -> None:
        """Raises EncoderDown when the encoder does not open, UnsupportedFormat when its packets cannot go into the stream."""
        super().__init__(plan, copied)
        assert plan.smart_cut is not None
        self._edge_kind = _EDGES.get(plan.codec, Edge)
        self._edges = plan.smart_cut.parts[0]
        self._seam = False  # what is copied next follows another part
        self._opening: Edge | None = None
        self._closing: Edge | None = None
        self._key: AnyPacket | None = None  # the first packet that is copied, until the frames shown before it are encoded
        self._late_packets: list[AnyPacket] = []  # behind it, of which the frames are shown after those that are copied
        self._codec: EdgeCodec | None = None
        self._extradata = bytes(copied.origin.codec_context.extradata or b"")
        if plan.smart_cut.encoded_frames:
            try:
                self._codec = EdgeCodec(plan, copied.origin)
            except Unspliceable as reason:
                raise not_cut(reason) from None
            self._stream.codec_context.extradata = self._codec.splice.extradata

    def begin(self, part: Part, span: Span) -> None:
        super().begin(part, span)
        assert self.plan.smart_cut
        place = next(place for place, own in enumerate(self.plan.parts) if own.input == part.number)
        self._edges, self._seam = self.plan.smart_cut.parts[place], self.frames > 0
        if self._codec is not None and self._edges.start_frames:
            self._opening = self._edge_kind(
                self._codec, self._edges, lambda time: not span.before(time) and self._is_early(time), span.begin
            )
            self.written.held += self._edges.holds

    def feed(self, part: Part, stream: int, item: AnyPacket) -> Iterator[AnyPacket]:
        base = part.bases.of(item, stream)
        if item.pts is None or base is None:
            yield from super().feed(part, stream, item)
            return
        time = item.pts * exact(base)
        if self._is_late(time):
            if self._key is not None:
                self._late_packets.append(item)
            elif self._closing is not None:
                self._closing.feed(item, base, free=True)
            if item.dts is not None and self._span.after(item.dts * exact(base)):
                part.close(self, stream)
        elif self._is_early(time):
            if self._opening is not None:
                self._opening.feed(item, base, free=self._key is None)
        elif self._opening is not None and self._key is None:
            self._key = item
            self._opening.feed(item, base, free=False)  # frames shown before it may be decoded after it
        else:
            yield from self._opened(part, stream)
            yield from self._copied(part, stream, item)

    def feed_all(self, part: Part, run: Run) -> Sequence[Sequence[AnyPacket]]:
        if self._opening is None and self._closing is None and not self._seam and run.timed and not self._is_edge(run):
            if self._rewrites:
                run.packets = [*map(self._rewritten, run.packets)]
            return super().feed_all(part, run)
        return Track.feed_all(self, part, run)

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        stream = next(own.stream for own in self.plan.parts if own.input == part.number)
        yield from self._opened(part, stream)
        if self._closing is not None:
            yield from self._encoded(part, stream, self._closing.finish())
            self._closing = None
        yield from super().end(part, length, last)

    def _is_edge(self, run: Run) -> bool:
        """Return whether packets of a run are decoded, or not copied."""
        first, last = min(run.pts) * exact(run.base), max(run.pts) * exact(run.base)
        closing = self._edges.decode_from_us
        return self._is_early(first) or self._is_late(last) or (closing is not None and _us(last) >= closing)

    def _is_early(self, time: Fraction) -> bool:
        """Return whether a frame is shown before those that are copied."""
        return self._edges.copy_from_us is not None and _us(time) < self._edges.copy_from_us

    def _is_late(self, time: Fraction) -> bool:
        """Return whether a frame is shown after those that are copied."""
        return self._edges.copy_until_us is not None and _us(time) >= self._edges.copy_until_us

    def _opened(self, part: Part, stream: int) -> Iterator[AnyPacket]:
        """Encode what is shown before the packets that are copied, of which the first has waited for it."""
        if self._opening is None:
            return
        key, late = self._key, self._late_packets
        encoded = self._opening.finish(key)
        self._opening, self._key, self._late_packets = None, None, []
        yield from self._encoded(part, stream, encoded)
        if key is not None:
            yield from self._copied(part, stream, key)
        if self._closing is not None:
            for packet in late:
                self._closing.feed(packet, part.bases.of(packet, stream), free=True)

    def _encoded(self, part: Part, stream: int, packets: Sequence[AnyPacket]) -> Iterator[AnyPacket]:
        self.written.encoded += len(packets)
        self._seam = self._seam and not packets
        for packet in packets:
            yield from super().feed(part, stream, packet)

    def _copied(self, part: Part, stream: int, packet: AnyPacket) -> Iterator[AnyPacket]:
        base: Any = part.bases.of(packet, stream)
        if self._seam and packet.is_keyframe:
            packet, self._seam = self._begun_anew(packet), False
        if self._rewrites:
            packet = self._rewritten(packet)
        begins = packet.is_keyframe and _us((packet.pts or 0) * exact(base)) == self._edges.decode_from_us
        if begins and self._codec is not None and self._edges.end_frames:
            span = self._span
            self._closing = self._edge_kind(self._codec, self._edges, lambda time: self._is_late(time) and not span.after(time))
        if self._closing is not None:
            self._closing.feed(packet, base, free=False)
        yield from super().feed(part, stream, packet)

    @property
    def _rewrites(self) -> bool:
        return self._codec is not None and self.plan.smart_cut is not None and self.plan.smart_cut.continues

    def _rewritten(self, packet: AnyPacket) -> AnyPacket:
        """Return a copied packet as it must be beside encoded ones: other parameter sets may be in a keyframe."""
        changed = self._codec.splice.copied(bytes(packet)) if self._codec and packet.is_keyframe else b""
        return twin(packet, AnyPacket(changed)) if changed else packet

    def _begun_anew(self, key: AnyPacket) -> AnyPacket:
        """Return a keyframe that follows another part, so that decoders take it for a beginning."""
        changed = broken_link(self.plan.codec, self._extradata, bytes(key))
        return twin(key, AnyPacket(changed)) if changed else key


def _us(time: Fraction) -> int:
    return round(time * MICROSECONDS)
