"""How much of a file its header says is missing."""

import io
import struct

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
