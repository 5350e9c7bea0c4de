"""Where images end."""

import io

import pytest
from PIL import Image

from reelmill_server.media.libav.image_ends import is_whole_jpeg


def jpeg() -> bytes:
    file = io.BytesIO()
    Image.effect_noise((64, 48), 50).save(file, "JPEG")
    return file.getvalue()


@pytest.mark.timeout(30)
def test_bytes_that_fill_up_to_a_marker_are_read_once() -> None:
    """A million of them: read anew from each, they would take hours."""
    assert is_whole_jpeg(jpeg()[:-2] + b"\xff" * 1_000_000 + b"\xd9")
    assert not is_whole_jpeg(jpeg()[:-2] + b"\xff" * 1_000_000)


def test_what_lies_behind_an_image_does_not_matter() -> None:
    """As where a camera adds to it."""
    assert is_whole_jpeg(jpeg() + b"\xff\xd8\0more")
    assert not is_whole_jpeg(jpeg()[:-2])
