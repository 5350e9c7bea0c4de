"""Pictures of an accelerator are compared with what went in, whatever order its stream says that they have."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
import pytest
from av import VideoFrame

from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.media.track.picture_check import PictureCheck
from reelmill_server.model.plan import StreamPlan, StreamType, VideoOutput
from tests.unit.media.libav.test_likeness import striped

STEP = 512


def encoded(encoder: str, options: dict[str, str], wrong: bool) -> None:
    """Encode twelve frames, and check them; what goes in is green if `wrong`."""
    video = VideoOutput(320, 180, "yuv420p", time_base=Fraction(1, 12800), frame_rate=Fraction(25))
    codec = "h264" if encoder == "libx264" else "hevc"
    plan = StreamPlan(StreamType.VIDEO, (), codec, encoder, "", options, video)
    context: Any = av.CodecContext.create(encoder, "w")
    context.width, context.height, context.pix_fmt = video.width, video.height, video.pixel_format
    context.time_base, context.framerate, context.options = video.time_base, video.frame_rate, options
    context.flags |= av.codec.context.Flags.global_header
    context.open(strict=False)
    check = PictureCheck(replace(plan, device="vaapi"), context)
    packets = []
    for number in range(12):
        frame = striped(number)
        frame.pts, frame.time_base = number * STEP, video.time_base
        check.give(frame.pts, frame)
        if wrong:
            frame = VideoFrame(video.width, video.height, "yuv420p")
            frame.pts, frame.time_base = number * STEP, video.time_base
            for plane in frame.planes:
                plane.update(bytes(plane.buffer_size))
        packets += context.encode(frame)
    for packet in (*packets, *context.encode(None)):
        check.check(packet)


CODED: dict[str, tuple[str, dict[str, str]]] = {
    "H.264 that says it is reordered": ("libx264", {"bf": "3", "preset": "veryfast"}),
    "H.264 in order": ("libx264", {"bf": "0", "preset": "veryfast"}),
    "H.265 that says it is reordered": ("libx265", {"bf": "3", "preset": "ultrafast", "x265-params": "log-level=none"}),
}


@pytest.mark.parametrize("coded", CODED)
def test_honest_pictures_pass_and_wrong_ones_do_not(coded: str) -> None:
    """A decoder keeps a frame of a reordered stream until the next, however it is asked: it is told by its time."""
    encoder, options = CODED[coded]
    encoded(encoder, options, wrong=False)
    with pytest.raises(EncoderDown, match="unlike the frame that went in"):
        encoded(encoder, options, wrong=True)
