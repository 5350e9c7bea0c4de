"""MXF, whose streams have no times: all begin together, and frames without audio are lost."""

from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.errors import UnsupportedFormat
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

PICTURES = Video("mpeg2video", size=(64, 48), seconds=1.2, gop=12)
SOUND = Audio("pcm_s16le", seconds=1.2, clicks=(0.5,))
LATE, SHORT, LONG = (
    replace(SOUND, **changes) for changes in ({"seconds": 0.9, "start": 0.3}, {"seconds": 0.9}, {"seconds": 1.5})
)


@pytest.mark.parametrize("encoding", [False, True], ids=["copy", "encode"])
@pytest.mark.parametrize(("sound", "told"), [(LATE, "0.300 s of silence before"), (SHORT, "0.300 s of silence behind")])
def test_audio_that_is_shorter_gets_silence(convert: Converter, sound: Audio, told: str, encoding: bool) -> None:
    """All frames are there, and the audio is at its time."""
    source = Clip("matroska", (PICTURES,), (sound,))
    converted = convert(source, target("mxf", encoded()) if encoding else target("mxf"))
    assert judge.numbers(converted.path) == [*range(30)]
    assert judge.clicks(converted.path) == pytest.approx([0.5], abs=0.001)
    assert any(told in text for text in converted.warnings)


LATER = Video(size=(64, 48), b_frames=0, times=tuple(Fraction(number + 8, 25) for number in range(10)))
VIDEO_LATE = Clip("matroska", (LATER,), (SOUND,))
SAME = Clip("matroska", (PICTURES,), (SOUND,))


@pytest.mark.parametrize(
    ("clip", "cut", "words"),
    [
        (VIDEO_LATE, {}, "the video begins 0.320 s after the audio"),
        (Clip("matroska", (PICTURES,), (LONG,)), {}, r"the audio goes on for 0\.\d+ s"),
        (SAME, {"start": 0.5}, "lacks those that refer to frames before it"),
        (SAME, {"duration": 0.56}, "ends among B-frames"),
    ],
    ids=["late video", "long audio", "open GOP", "B-frames"],
)
def test_what_cannot_be_copied_is_refused_by_name(convert: Converter, clip: Clip, cut: dict[str, float], words: str) -> None:
    """Not as a fault of verification."""
    with pytest.raises(UnsupportedFormat, match=words):
        convert(clip, target("mxf"), **cut)


@pytest.mark.parametrize("seconds", [0.5, 0.6, 0.64])
def test_a_copy_ends_where_no_frame_is_missing(convert: Converter, seconds: float) -> None:
    """All that it has is shown."""
    converted = convert(SAME, target("mxf"), duration=seconds)
    assert len(judge.numbers(converted.path)) in range(round(seconds * 25), round(seconds * 25) + 3)
