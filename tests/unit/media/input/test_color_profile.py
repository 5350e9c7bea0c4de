"""Names of color profiles."""

import io
import struct
import tracemalloc

import pytest
from PIL import ImageCms

from reelmill_server.media.input.color_profile import color_profile, profile_name

DISPLAY_P3 = ((0.5151, 0.2412, -0.0011), (0.292, 0.6922, 0.0419), (0.1571, 0.0666, 0.7841))


def profile(*, name: bytes, primaries: tuple[tuple[float, ...], ...] = DISPLAY_P3, space: bytes = b"RGB ") -> bytes:
    """A profile of nothing but its name (a tag as it is) and primaries."""
    tags = {b"desc": name, **dict(zip((b"rXYZ", b"gXYZ", b"bXYZ"), map(xyz, primaries), strict=False))}
    head, body, begin = b"", b"", 132 + 12 * len(tags)
    for signature, data in tags.items():
        head += struct.pack(">4sII", signature, begin + len(body), len(data))
        body += data
    return bytes(16) + space + bytes(108) + struct.pack(">I", len(tags)) + head + body


def xyz(color: tuple[float, ...]) -> bytes:
    """A tag of a color."""
    return b"XYZ " + bytes(4) + struct.pack(">3i", *(round(value * 65536) for value in color))


PLAIN = b"desc" + bytes(4) + struct.pack(">I", 11) + b"Display P3\0"
SEVERAL = b"mluc" + bytes(4) + struct.pack(">II4sII", 1, 12, b"enUS", 20, 28) + "Display P3".encode("utf-16-be")


@pytest.mark.parametrize("name", [PLAIN, SEVERAL])
def test_a_profile_says_its_name(name: bytes) -> None:
    """In both versions of the format."""
    assert profile_name(profile(name=name)) == "Display P3"


def test_a_profile_without_a_name_or_primaries_is_another_than_srgb() -> None:
    """As those of printers have no primaries."""
    assert profile_name(profile(name=b"", primaries=(), space=b"CMYK")) == "unnamed"
    assert profile_name(profile(name=b"desc" + bytes(4) + struct.pack(">I", 3) + b"A\nB")) == "AB"


def test_srgb_and_gray_are_no_other_profile() -> None:
    """By its primaries, whatever it is called; nor is what is no profile."""
    assert profile_name(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()) == ""
    assert profile_name(profile(name=PLAIN, primaries=(), space=b"GRAY")) == ""
    assert profile_name(b"short") == ""
    assert color_profile(io.BytesIO(b"no image")) == ""


def test_tags_that_each_claim_the_whole_profile_take_little_memory() -> None:
    """A megabyte that would be a hundred."""
    tags = b"".join(struct.pack(">III", number, 1, 1 << 20) for number in range(100))
    tracemalloc.start()
    assert profile_name((bytes(128) + struct.pack(">I", 100) + tags).ljust(1 << 20, b"\0")) == "unnamed"
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 16 << 20
