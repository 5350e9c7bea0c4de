"""Read how a stream is configured for Dolby Vision."""

from typing import Any

from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.trial_header import header_of_copy
from reelmill_server.model.media_info import DolbyVision

_CODECS = ("hevc", "h264", "av1")
_BOXES = (b"dvcC", b"dvvC", b"dvwC")
_OPTIONS = {"movflags": "empty_moov", "strict": "unofficial"}


def dolby_vision_of(stream: Any) -> DolbyVision | None:
    """Return the configuration of a video stream; None: it is not Dolby Vision.

    PyAV 18 does not hand out what a container says beside a stream: the header that libav writes for a copy tells it.
    """
    if canonical_name(stream.codec_context) not in _CODECS:
        return None
    header = header_of_copy(stream, "mp4", _OPTIONS)
    places = [header.rfind(box) + len(box) for box in _BOXES if box in header]
    if not places or max(places) + 5 > len(header):
        return None
    _, _, first, second, third = header[max(places) :][:5]
    return DolbyVision(first >> 1, (first & 1) << 5 | second >> 3, third >> 4)
