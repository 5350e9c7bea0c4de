"""Files as libav reads them."""

from errno import EINVAL
from io import BytesIO
from pathlib import Path

import pytest

from reelmill_server.media.libav.demuxing import ReadFile


@pytest.mark.parametrize("position", [-1, 1 << 62], ids=["before the front", "where no file reaches"])
def test_a_position_that_no_file_has_ends_nothing(tmp_path: Path, position: int) -> None:
    """Broken sizes of CAF lead there: a demuxer reads on, where an exception would refuse the file."""
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as file:
        read = ReadFile(file)
        assert read.seek(3) == 3 and read.seek(position) in (-EINVAL, position)
        assert read.seek(0) == 0 and read.read(7) == b"content"


def test_a_position_before_the_front_of_memory_ends_nothing() -> None:
    assert ReadFile(BytesIO(b"content")).seek(-1) == -EINVAL
