"""Small JPEGs of frames."""

from fractions import Fraction
from typing import Any

import av
from av import VideoFrame

from reelmill_server.model.preview import MAX_BYTES, WIDTH

_QUALITIES = (4, 10, 31)  # quantizers of the encoder, the best first


def thumbnail(frame: VideoFrame, aspect: Fraction = Fraction(1)) -> bytes:
    """Return a JPEG of a frame whose pixels have an `aspect`, at most `WIDTH` pixels wide and high; empty if it is too large.

    The frame is left as it is. Raises FFmpegError and ValueError for one that cannot be scaled.
    """
    ratio = Fraction(frame.width, frame.height) * (aspect or 1)
    width, height = (WIDTH, WIDTH / ratio) if ratio >= 1 else (WIDTH * ratio, WIDTH)
    small = frame.reformat(max(2, round(width)), max(2, round(height)), "yuvj420p")
    if small is frame:
        return b""  # whoever has it would see its times change
    for quality in _QUALITIES:
        encoder: Any = av.CodecContext.create("mjpeg", "w")
        encoder.width, encoder.height, encoder.pix_fmt = small.width, small.height, small.format.name
        encoder.time_base, encoder.thread_count = Fraction(1, 25), 1
        encoder.options = {"qmin": str(quality), "qmax": str(quality)}
        jpeg = b"".join(bytes(packet) for packet in [*encoder.encode(small), *encoder.encode(None)])
        if len(jpeg) <= MAX_BYTES:
            return jpeg
    return b""
