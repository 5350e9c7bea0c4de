"""Numbers of strangers with thousands of digits: Python reads no int of them, and no float has room for hundreds."""

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import pytest

from reelmill_server.media.track.ass_text import Styles, placed
from reelmill_server.model.media_info import AudioStreamInfo
from reelmill_server.model.plan import Plan
from reelmill_server.plan import clock
from reelmill_server.plan.output.image_files import image_uri
from reelmill_server.plan.output.package_files import part_uri

_FORMAT = b"[V4+ Styles]\nFormat: Name, Fontname, Alignment\nStyle: Default,Sans,"
_EVENT = b"0,0,Default,,0,0,0,,"
_PLAN = Plan((), ())
READERS: dict[str, tuple[Callable[[str], Any], object]] = {
    "a tag of Matroska": (
        lambda digits: clock._end_seconds(
            AudioStreamInfo(index=0, codec="aac", time_base=Fraction(1), metadata={"DURATION": f"{digits}:00:00.000"})
        ),
        None,
    ),
    "an alignment of ASS": (lambda digits: Styles.of(_FORMAT + digits.encode()).alignments, {}),
    "a line of WebVTT": (lambda digits: placed(_EVENT + b"x", f"line:{digits}".encode()).endswith(b"x"), True),
    "a segment": (lambda digits: part_uri(_PLAN, f"{digits}/{digits}.m4s"), None),
    "an image": (lambda digits: image_uri(_PLAN, f"image-{digits}/{digits}.jpg"), None),
}


@pytest.mark.parametrize("count", [400, 5000])
@pytest.mark.parametrize("name", READERS)
def test_long_numbers_are_none(name: str, count: int) -> None:
    """And no errors of ours."""
    read, expected = READERS[name]
    assert read("9" * count) == expected
