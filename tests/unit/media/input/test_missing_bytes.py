"""How much of a file its header says is missing."""

import io
import struct

import av
import pytest

from reelmill_server.media.input.missing_bytes import missing_bytes
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.worker import messages
from reelmill_server.worker.parent.credible import check_message


def w64(name: bytes, size: int) -> io.BytesIO:
    """A Sony Wave64 file of one chunk."""
    return io.BytesIO(bytes(40) + name.ljust(16, b"\0") + struct.pack("<q", size) + bytes(1000))


@pytest.mark.parametrize(
    ("file", "missing"),
    [
        (w64(b"data", 1024), 0),
        (w64(b"data", 5 << 30), (5 << 30) - 1024),
        (w64(b"data", (1 << 63) - 1), 0),
        (w64(b"fact", (1 << 63) - 1), 0),
    ],
    ids=["whole", "truncated", "longer than any file", "a place that no file has"],
)
def test_what_no_file_has_is_not_missing(file: io.BytesIO, missing: int) -> None:
    """And what is missing may be more than two gigabytes: the parent believes that of a child."""
    result = missing_bytes(file, "w64")
    assert result == missing
    check_message(messages.Probed((MediaInfo("w64", "Sony Wave64", 1064, 0, missing_bytes=result),)))


@pytest.mark.parametrize(("form", "muxer"), [("matroska,webm", "matroska"), ("avi", "avi"), ("asf", "asf")])
def test_a_file_that_says_how_long_it_is_misses_what_was_cut_off(form: str, muxer: str) -> None:
    """To the byte; a streamed one says nothing."""
    file = io.BytesIO()
    with av.open(file, "w", format=muxer) as output:
        stream = output.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(3):
            frame = av.VideoFrame(64, 48, "yuv420p")
            frame.pts = number
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    whole = file.getvalue()
    assert missing_bytes(io.BytesIO(whole), form) == missing_bytes(io.BytesIO(whole + bytes(500)), form) == 0
    assert missing_bytes(io.BytesIO(whole[:-200]), form) == 200
