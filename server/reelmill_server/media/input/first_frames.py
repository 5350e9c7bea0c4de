"""Learn what the first frames of a file tell. Frames may be huge: none is kept."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from math import isqrt
from typing import Any

import av
from av import Packet, VideoFrame
from av.container import InputContainer
from av.stream import Disposition

from reelmill_server.media.input.decoders import may_decode
from reelmill_server.media.input.decoding import Decoders
from reelmill_server.media.input.hdr_metadata import hdr_metadata_of
from reelmill_server.media.input.scanning import brings_sets
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.hevc_layers import layer_above
from reelmill_server.media.libav.side_data import orientation, projection
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.plan.stream.alpha import has_alpha

_PACKETS = 2000
# Enough frames to see an interlaced one in a stream that mixes both kinds, few enough to be cheap.
_FRAMES = 8
# Of all streams together: four frames of 8K, and at least one of any size that is allowed.
_MOST_PIXELS = 4 * 7680 * 4320
_OPAQUE = 255
# Larger frames are decoded by one thread, and averaged before their alpha is looked at, so that few copies are made.
_LARGE_PIXELS = 1 << 24


@dataclass
class FirstFrames:
    """The first frames of a stream, which is in `codec`: their `count` and times, what some of them are, and what the first
    one says. `begin`: when the first packet is decoded, in ticks of the stream; `dts`: the packet's of the first frame;
    `hidden`: how many ticks before 0 an edit list hides what later frames need; `layer`: as `layer_above` returns it;
    `described`: the first packet has no parameter sets, so that the header's hold.
    """

    codec: str
    begin: int | None = None
    count: int = 0
    dts: int | None = None
    hidden: int = 0
    layer: str = ""
    described: bool = True
    times: list[int] = field(default_factory=list)
    interlaced: bool = False
    transparent: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)

    def add(self, frame: VideoFrame) -> None:
        """Note what a frame shows."""
        if not self.count:
            self.dts, self.facts = frame.dts, _facts_of(frame, self.codec)
        self.count += 1
        self.times += [] if frame.pts is None else [frame.pts]
        self.interlaced = self.interlaced or bool(frame.interlaced_frame)
        self.transparent = self.transparent or (has_alpha(frame.format.name) and _transparent(frame))


def first_frames(
    container: InputContainer, alone: Collection[int] = (), read: list[AnyPacket] | None = None
) -> dict[int, FirstFrames]:
    """Return what the first frames tell that each video stream decodes to, by index; streams that yield none soon have none.

    Only decoded frames tell the rotation, and headers may be wrong about the pixel format. `alone`: the streams of which a
    single frame tells all that is asked, unless it may be transparent, or frames before it are hidden. `read` takes all packets
    that are read, of whatever stream, and an empty one where nothing follows.
    """
    streams = [stream for stream in container.streams.video if may_decode(stream)]
    by_stream = {stream.index: FirstFrames(canonical_name(stream.codec_context)) for stream in streams}
    # A cover picture has one frame only.
    wanted = {stream.index for stream in streams if not stream.disposition & Disposition.attached_pic}
    for stream in streams:
        context = stream.codec_context
        # Each thread more holds frames of its own, and takes longer to start than one small frame to decode.
        if stream.index in alone or context.width * context.height > _LARGE_PIXELS:
            context.thread_count = 1
    left = _MOST_PIXELS
    packets = _video_packets(container, read) if by_stream else iter(())
    try:
        decoders = Decoders()
        for packet in islice(packets, _PACKETS):
            if frames := by_stream.get(packet.stream.index):
                if frames.begin is None:
                    frames.begin, frames.layer = packet.dts, layer_above(packet, frames.codec)
                    frames.described = not brings_sets(packet)
                if packet.pts is not None:
                    frames.hidden = _hidden(frames.hidden, packet)
                left -= _note(frames, decoders, packet)
            if left <= 0 or all(_tell_all(by_stream[index], index in alone) for index in wanted):
                break
    except av.error.FFmpegError as error:
        check_memory(error)  # else keep what the headers say
        if read is not None:
            read.append(Packet())
    return by_stream


def _video_packets(container: InputContainer, read: list[AnyPacket] | None) -> Iterator[AnyPacket]:
    if read is None:
        yield from packets_of(container, container.streams.video)
        return
    for packet in packets_of(container, list(container.streams)):
        read.append(packet)
        if packet.stream.type == "video":
            yield packet


def _hidden(before: int, packet: Any) -> int:
    """Return how many ticks before 0 hidden frames begin that later ones need: a keyframe at 0 or before it needs none."""
    if packet.is_keyframe and packet.pts <= 0:
        before = 0
    return max(before, -packet.pts) if packet.is_discard else before


def _tell_all(frames: FirstFrames, alone: bool) -> bool:
    """Return whether enough frames of a stream were seen; `alone`: a plain one tells all."""
    plain = frames.count > 0 and frames.described and not frames.hidden and not has_alpha(frames.facts["pixel_format"])
    return frames.count >= _FRAMES or (alone and plain)


def _note(seen: FirstFrames, decoders: Decoders, packet: Any) -> int:
    """Note the frames that a packet gives, and return how many pixels they have."""
    try:
        frames = [frame for frame in decoders.decode(packet) if isinstance(frame, VideoFrame)]
    except LIBAV_ERRORS as error:
        check_memory(error)
        return 0  # a broken start: later frames may be whole
    for frame in frames:
        seen.add(frame)
    return sum(frame.width * frame.height for frame in frames)


def _transparent(frame: VideoFrame) -> bool:
    """Return whether a part of a frame with an alpha channel is not opaque."""
    shrink = isqrt(frame.width * frame.height // _LARGE_PIXELS) + 1
    small = frame.reformat(-(-frame.width // shrink), -(-frame.height // shrink), "rgba", interpolation="AREA")
    return bool(small.to_ndarray()[..., 3].min() < _OPAQUE)


def _facts_of(frame: Any, codec: str) -> Mapping[str, Any]:
    mastering, light = hdr_metadata_of(frame, codec)
    return {
        **orientation(frame, codec)._asdict(),
        "mastering_display": mastering,
        "content_light": light,
        "projection": projection(frame, codec),
        "pixel_format": frame.format.name,
        "color_space": int(frame.colorspace),
        "color_range": int(frame.color_range),
        "color_transfer": int(frame.color_trc),
        "color_primaries": int(frame.color_primaries),
        "rgb": frame.format.is_rgb or not frame.format.is_planar,
    }
