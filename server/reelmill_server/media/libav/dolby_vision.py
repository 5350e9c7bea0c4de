"""Read how a stream is configured for Dolby Vision."""

import io
from typing import Any

import av

from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.model.media_info import DolbyVision

_CODECS = ("hevc", "h264", "av1")
_BOXES = (b"dvcC", b"dvvC", b"dvwC")
_OPTIONS = {"movflags": "empty_moov", "strict": "unofficial"}


def dolby_vision_of(stream: Any) -> DolbyVision | None:
    """Return the configuration of a video stream; None: it is not Dolby Vision.

    PyAV 18 does not hand out what a container says beside a stream: the header that libav writes for a copy tells it.
    """
    if not stream.codec_context or stream.codec_context.codec.canonical_name not in _CODECS:
        return None
    file = io.BytesIO()
    try:
        with av.open(file, "w", format="mp4", options=_OPTIONS) as trial:
            trial.add_stream_from_template(stream, opaque=True)
            trial.start_encoding()
    except LIBAV_ERRORS as error:
        check_memory(error)
        return None
    header = file.getvalue()
    places = [header.rfind(box) + len(box) for box in _BOXES if box in header]
    if not places or max(places) + 5 > len(header):
        return None
    _, _, first, second, third = header[max(places) :][:5]
    return DolbyVision(first >> 1, (first & 1) << 5 | second >> 3, third >> 4)
