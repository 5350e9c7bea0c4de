"""Check that an accelerator's pictures are those that went in: a few are decoded while it encodes.

Those of the first and the last group are compared when an output is read back.
"""

from collections.abc import Mapping
from typing import Any

import av
from av import VideoFrame

from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.likeness import GivenFrames
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.time import FALLBACK_RATE

_EVERY = 400
"""Packets, at least, from one look to the next. Two in so many are decoded: half a percent of what decoding all takes."""
_LOOKS = 2  # a keyframe, and the frame that is coded next
_LEAST_BITS = 0.05
"""Bits for a pixel. With fewer, an encoder may leave out what moves."""


class PictureCheck:
    """Decode the first frames of groups, and compare them with those that went in."""

    def __init__(self, plan: StreamPlan, encoder: Any) -> None:
        """`encoder` is the open codec context."""
        self.given = GivenFrames()
        self._plan, self._encoder = plan, encoder
        self._waiting: dict[int, bytes] = {}
        self._looked: dict[int | None, bytes] = {}
        self._since, self._left = _EVERY, 0
        self._decoder: Any = None

    def give(self, ticks: int, frame: VideoFrame) -> None:
        """Note that the encoder is given a frame that is shown at `ticks`."""
        self._waiting[ticks] = self.given.add(frame)

    def check(self, packet: AnyPacket) -> None:
        """Raise EncoderDown if a packet does not decode to the frame that went in."""
        given = self._waiting.pop(packet.pts or 0, None)
        self._since += 1
        if packet.is_keyframe and self._since > _EVERY:
            self._since, self._left = 0, _LOOKS
            self._decoder = av.CodecContext.create(self._plan.codec, "r")
            self._decoder.extradata, self._decoder.thread_count = self._encoder.extradata, 1
        if not self._left or given is None:
            return
        self._left -= 1
        self._looked[packet.pts] = given
        for shown in self._decoded(packet):
            given = self._looked.pop(shown.pts, None)
            if given and (text := self.given.mistaken_now(shown, given)):
                raise EncoderDown(self._plan.encoder, self._plan.device, f"gives wrong pictures: {text}")

    def _decoded(self, packet: AnyPacket) -> list[VideoFrame]:
        """Return the frames that are ready: after the last look, all. A decoder keeps some where the stream says that it is
        reordered, whatever it contains.
        """
        copy = av.Packet(bytes(packet))
        copy.pts = packet.pts
        try:
            frames: list[VideoFrame] = self._decoder.decode(copy)
            if not self._left:
                frames += self._decoder.decode(None)
        except LIBAV_ERRORS as error:  # what does not decode is found when the output is read back
            check_memory(error)
            return []
        return frames


def checks_pictures(plan: StreamPlan) -> bool:
    """Return whether the pictures of an accelerator are checked: not of one that may have too few bits for them."""
    video, options = plan.video, dict(plan.options)
    if video is None or plan.codec not in ("h264", "hevc", "vp9"):
        return False
    rate = _rate_of(options)
    pixels = video.width * video.height * (video.frame_rate or FALLBACK_RATE)
    return not rate or rate >= _LEAST_BITS * pixels


def _rate_of(options: Mapping[str, str]) -> int:
    """Return the least bit rate that the options of an encoder demand; 0: none."""
    return min((int(options[name]) for name in ("b", "maxrate") if int(options.get(name, 0))), default=0)
