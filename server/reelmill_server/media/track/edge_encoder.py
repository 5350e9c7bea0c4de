"""Encode the frames at an edge of a cut, so that the packets beside them can go on."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av import VideoFrame
from av.codec.context import Flags
from av.video.frame import PictureType

from reelmill_server.errors import InvalidMedia, ReelmillError, UnsupportedFormat
from reelmill_server.media.libav.avc_bridge import bridge, check_fields
from reelmill_server.media.libav.avc_bridge import options as bridge_options
from reelmill_server.media.libav.codec_names import codec_name
from reelmill_server.media.libav.encoder import configure_video, failure_of_encoder
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.log import captured_log, error_text
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.parameter_sets import Splice, Unspliceable, spare_number, splice
from reelmill_server.media.libav.timestamps import exact, first_tick
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.smart_cut import CutEdges

_NUMBERED = {"libx264": "x264-params"}  # takes the number of its parameter sets as `sps-id` among these


def not_cut(reason: Unspliceable) -> UnsupportedFormat:
    """Return the error of a cut that its plan took for possible."""
    return UnsupportedFormat(f"the video cannot be cut at the frame without encoding all of it: {reason}")


class EdgeCodec:
    """Make encoders of a plan's edges for the source stream `origin`, and decoders of what they encode.

    `splice`: how their packets go among those of the stream. Raises EncoderDown when the encoder does not open, Unspliceable
    when its packets cannot go there.
    """

    def __init__(self, plan: StreamPlan, origin: Any) -> None:
        assert plan.smart_cut is not None
        self._plan, self._cut, self._origin = plan, plan.smart_cut, origin
        self._extradata = bytes(origin.codec_context.extradata or b"")
        options = dict(self._cut.options)
        if name := _NUMBERED.get(self._cut.encoder):
            own = f"sps-id={spare_number(plan.codec, self._extradata)}:{bridge_options(self._extradata)}"
            options[name] = ":".join(filter(None, (options.get(name, ""), own)))
        self._options = options
        described = bytes(self.encoder().extradata or b"")
        self._described = described
        self.splice: Splice = self.splice_of(self._cut.parts[0])

    def splice_of(self, edges: CutEdges) -> Splice:
        """Return the splice of a part, of which only how it leads into a recovery point is its own. Raises Unspliceable."""
        if self._plan.codec == "h264":
            try:
                return bridge(self._extradata, self._described, edges.held, self._cut.continues)
            except Unspliceable:
                check_fields(self._extradata)
                if self._cut.continues:
                    raise
        return splice(self._plan.codec, self._extradata, self._described)

    def encoder(self, base: Fraction | None = None, flags: str = "") -> Any:
        """Return an opened encoder whose parameter sets lie beside its packets, in ticks of `base`; None: those of the plan.
        `flags`: what libav's option of that name has besides.
        """
        cut = self._cut
        try:
            with captured_log():
                context: Any = av.CodecContext.create(cut.encoder, "w")
                configure_video(context, replace(cut.video, time_base=base or cut.video.time_base), cut.encoder)
                context.options = {**self._options, **({"flags": self._options.get("flags", "") + flags} if flags else {})}
                context.flags = int(context.flags) | int(Flags.global_header)
                context.open(strict=False)
        except LIBAV_ERRORS as error:
            raise self.failure(error, "does not open") from error
        return context

    def failure(self, error: Exception, what: str) -> ReelmillError:
        """Classify a failure of the encoder."""
        return failure_of_encoder(error, replace(self._plan, encoder=self._cut.encoder), what)

    def check(self, frame: VideoFrame) -> None:
        """Raise InvalidMedia for a frame that the encoder was not opened for."""
        video = self._cut.video
        shape = (frame.width, frame.height, frame.format.name)
        if shape != (video.width, video.height, video.pixel_format):
            planned = f"{video.width}x{video.height} {video.pixel_format}"
            raise InvalidMedia(f"a frame at an edge of the cut is {shape[0]}x{shape[1]} {shape[2]} instead of {planned}")

    def decoder(self) -> Any:
        """Return a decoder for the packets of the source."""
        context: Any = av.CodecContext.create(codec_name(self._origin.codec_context), "r")
        context.extradata, context.thread_type = self._extradata, "AUTO"
        context.options = dict(self._origin.codec_context.options)
        return context


class Edge:
    """Encode those frames that are `wanted` (by their time, seconds of the source) of packets in the order of decoding.

    Each takes the decode timestamp of one of the source's packets: those are in order, and none is later than its frame.
    """

    def __init__(
        self, codec: EdgeCodec, edges: CutEdges, wanted: Callable[[Fraction], bool], begin: Fraction | None = None
    ) -> None:
        """`edges`: those of its part. `begin`: where the cut begins, whose packets follow the edge, so that it takes the last
        of the free decode timestamps; None: it ends the cut, and takes the first.
        """
        self._codec, self._edges, self._wanted, self._opening = codec, edges, wanted, begin is not None
        self._decoder = codec.decoder()
        self._encoder: Any = None  # opened with the first frame
        self._base = Fraction(1)
        self._is_fed = False
        self._free: list[int] = []
        self._durations: dict[int, int] = {}
        self._encoded: list[AnyPacket] = []
        self._frames = 0
        self._hold_at = begin if edges.holds else None
        self._before: VideoFrame | None = None  # what is on screen then, until a frame that is wanted follows
        self._held: int | None = None  # when it was shown, ticks

    def feed(self, packet: AnyPacket, base: Any, free: bool) -> None:
        """Decode a packet of the source, in ticks of `base`; `free`: it is not copied, and its decode timestamp free."""
        self._base, self._is_fed = exact(base), True
        if free and packet.dts is not None:
            self._free.append(packet.dts)
        if packet.pts is not None:
            self._durations[packet.pts] = packet.duration or 0
        self._decode(twin(packet))

    def finish(self, key: AnyPacket | None = None) -> Sequence[AnyPacket]:
        """Return the packets of the edge; `key`: the keyframe of the source that follows them."""
        if self._is_fed:
            self._decode(None)
            self._hold()
        if self._encoder is not None:
            self._encode(None)
        encoded = [(self._data(number), not number) for number in range(len(self._encoded))]
        try:
            written = self._spliced(encoded, None if key is None else bytes(key))
        except Unspliceable as reason:
            raise not_cut(reason) from None
        return [
            self._packet(packet, data, decoded)
            for packet, data, decoded in zip(self._encoded, written, self._decode_timestamps(), strict=True)
        ]

    def _spliced(self, encoded: Sequence[tuple[bytes, bool]], key: bytes | None) -> Sequence[bytes]:
        """Return encoded packets as `Splice.packets` does. Raises Unspliceable."""
        return self._codec.splice_of(self._edges).packets(encoded, key)

    def _decode_timestamps(self) -> list[int]:
        count = len(self._encoded)
        times = self._free[-count:] if self._opening else self._free[:count]
        missing = count - len(times)
        first = times[0] if times else min((packet.pts or 0 for packet in self._encoded), default=0)
        return [*range(first - missing, first), *times]

    def _decode(self, packet: AnyPacket | None) -> None:
        try:
            frames = self._decoder.decode(packet)
        except av.error.EOFError:
            return
        except LIBAV_ERRORS as error:
            check_memory(error)
            raise InvalidMedia(f"the frames at an edge of the cut cannot be decoded: {error_text(error)}") from error
        for frame in (frame for frame in frames if frame.pts is not None):
            time = frame.pts * self._base
            if self._wanted(time):
                self._hold()
                self._encode(frame)
            elif self._hold_at is not None and time < self._hold_at:
                self._before = frame

    def _hold(self) -> None:
        """Encode the frame that is on screen when the cut begins, before all others."""
        if self._before is not None:
            frame, self._before = self._before, None
            self._held = frame.pts
            self._encode(frame)

    def _open(self) -> Any:
        return self._codec.encoder(self._base)

    def _encode(self, frame: VideoFrame | None) -> None:
        if frame is not None:
            self._codec.check(frame)
            if self._encoder is None:
                self._encoder = self._open()
            intra = 3 if self._edges.continues and self._opening else 1  # as a recovery point needs it
            frame.pict_type = PictureType.I if self._frames < intra else PictureType.NONE
            frame.time_base = self._encoder.time_base
            self._frames += 1
        try:
            packets = self._encoder.encode(frame)
        except LIBAV_ERRORS as error:
            raise self._codec.failure(error, "failed while encoding") from error
        self._encoded += packets

    def _data(self, number: int) -> bytes:
        """Return what the encoder made of a frame."""
        return bytes(self._encoded[number])

    def _begins(self, packet: AnyPacket) -> bool:
        """Return whether decoding can begin with an encoded packet."""
        return packet is self._encoded[0]

    def _packet(self, encoded: AnyPacket, data: bytes, decoded: int) -> AnyPacket:
        packet = AnyPacket(data)
        assert encoded.pts is not None  # those of its frame
        shown = encoded.pts
        if shown == self._held and self._hold_at is not None:
            shown = first_tick(self._hold_at, self._base)
        packet.pts, packet.dts = shown, min(decoded, shown)
        packet.time_base, packet.is_keyframe = self._base, self._begins(encoded)
        packet.duration = max(self._durations.get(encoded.pts, 0) - (shown - encoded.pts), 0)
        return packet
