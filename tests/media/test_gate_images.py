"""Images are compared with the frames of their source: each fault of what makes them is refused."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from av import VideoFrame

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.image import animations, stills
from reelmill_server.media.image.animations import _Animation
from reelmill_server.media.image.frame_track import _Shaper
from reelmill_server.media.image.webp import WebpFile
from reelmill_server.model.image_request import ImageSpec
from reelmill_server.plan.stream import geometry
from tests.media.converter import Converter
from tests.media.test_animations import animation
from tests.media.test_snapshots import alone, snapshots
from tests.sources import Clip, Video

pytestmark = pytest.mark.media

UNEVEN = tuple(Fraction(number, 10) for number in (0, 1, 5, 6))
SCREEN = Clip("matroska", (Video(size=(64, 48), times=UNEVEN, last=Fraction(3, 10), b_frames=0),), ())

CORNERS = Clip("mp4", (Video(size=(64, 48), seconds=0.2, b_frames=0, pattern="quarters"),), ())
Patch = Callable[[pytest.MonkeyPatch], None]


def evenly(patch: pytest.MonkeyPatch) -> None:
    """Each frame is shown for the mean time."""
    patch.setattr(_Animation, "_begin", lambda self, time: Fraction(self._count * 225, 1000))


def the_first_stays(patch: pytest.MonkeyPatch) -> None:
    """Frames of WebP that come later are not shown."""
    original, kept = WebpFile.add, []

    def add(self: WebpFile, frame: VideoFrame, begin: int) -> None:
        kept.append(frame)
        original(self, kept[0], begin)

    patch.setattr(WebpFile, "add", add)


def one_is_lost(patch: pytest.MonkeyPatch) -> None:
    """The third frame is thrown away, and the one before it stays."""
    original = animations._Muxed.write

    def write(self: Any, frame: VideoFrame | None) -> None:
        if frame is None or frame.pts != 50:
            original(self, frame)

    patch.setattr(animations._Muxed, "write", write)


def inverted(patch: pytest.MonkeyPatch) -> None:
    """An encoder takes white for black."""
    original = stills.to_pillow
    patch.setattr(stills, "to_pillow", lambda frame: original(frame).point(lambda value: 255 - value))


def mirrored(patch: pytest.MonkeyPatch) -> None:
    """Frames are mirrored on the way."""
    original = _Shaper.__init__
    patch.setattr(_Shaper, "__init__", lambda self, filters, stream: original(self, ("hflip", *filters), stream))


def turned_around(patch: pytest.MonkeyPatch) -> None:
    """What is to be mirrored is turned by 180 degrees."""
    patch.setitem(geometry._TURNS, (0, True), ("hflip", "vflip"))


def moving(form: str) -> ImageSpec:
    """Every frame, as long as in the source."""
    return animation(form)


SNAPSHOT = snapshots(number=1)
TO_MIRROR = replace(CORNERS, video=(replace(CORNERS.video[0], mirrored=True),))
FAULTS: dict[str, tuple[Clip, ImageSpec, Patch, str]] = {
    "mean delays of WebP": (SCREEN, moving("webp"), evenly, "next picture at|plays for"),
    "mean delays of GIF": (SCREEN, moving("gif"), evenly, "next picture at|plays for"),
    "mean delays of AVIF": (SCREEN, moving("avif"), evenly, "next picture at|plays for"),
    "earlier frames stay": (SCREEN, moving("webp"), the_first_stays, "not the frame that went in"),
    "a frame of GIF is lost": (SCREEN, moving("gif"), one_is_lost, "not the frame that went in"),
    "a snapshot is inverted": (CORNERS, replace(SNAPSHOT, format="avif"), inverted, "not the frame that went in"),
    "a snapshot is mirrored": (CORNERS, SNAPSHOT, mirrored, "turned or mirrored"),
    "a mirrored source is turned": (TO_MIRROR, SNAPSHOT, turned_around, "turned or mirrored"),
    "an animation is mirrored": (CORNERS, moving("webp"), mirrored, "turned or mirrored"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_refused(convert: Converter, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes the image does not notice."""
    clip, entry, path, words = FAULTS[name]
    path(monkeypatch)
    with pytest.raises(OutputInvalid, match=words):
        convert(clip, alone(replace(entry, uri=f"file:///out/{len(name)}")))


@pytest.mark.parametrize("clip", [SCREEN, CORNERS, TO_MIRROR], ids=["uneven", "corners", "mirrored"])
@pytest.mark.parametrize("form", ["webp", "gif", "apng", "avif"])
def test_a_sound_path_passes(convert: Converter, clip: Clip, form: str) -> None:
    """The same without a fault."""
    assert convert(clip, alone(moving(form))).artifacts
