"""Video without a container has no times: pictures follow each other at the rate that the stream tells."""

import re
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Clip, Video

pytestmark = pytest.mark.media


def clip(codec: str, fps: int = 30, b_frames: int = 2) -> Clip:
    """Two seconds of an elementary stream."""
    form = {"libx264": "h264", "libx265": "hevc", "mpeg4": "m4v", "mpeg2video": "mpeg2video"}[codec]
    return Clip(form, (Video(codec, fps=Fraction(fps), b_frames=b_frames),), ())


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("fps", [25, 30])
@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4", "mpeg2video"])
def test_pictures_follow_each_other(convert: Converter, codec: str, fps: int) -> None:
    """Each picture once, in order, at the stream's own rate."""
    converted = convert(clip(codec, fps), target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == [*range(2 * fps)]
    times = judge.times(converted.path)
    assert [float(time - times[0]) for time in times] == pytest.approx([number / fps for number in range(2 * fps)], abs=1e-4)


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize("first", [1, 9])
def test_a_stream_that_was_cut_between_keyframes_is_whole(
    convert: Converter, tmp_path: Path, first: int, b_frames: int
) -> None:
    """libav says that it begins with the first keyframe, and counts from times in the stream."""
    whole = convert.shelf.get(clip("mpeg4", 25, b_frames)).read_bytes()
    frames = [result.start() for result in re.finditer(rb"\x00\x00\x01\xb6", whole)]  # MPEG-4 part 2: each begins so
    cut = tmp_path / "cut.m4v"
    cut.write_bytes(whole[frames[first] :])
    converted = convert(cut, target("mp4", encoded(frame_rate=Fraction(25)), None))
    assert judge.times(converted.path)[0] == 0 and abs(len(judge.times(converted.path)) - len(frames[first:])) <= 1


@pytest.mark.parametrize("codec", ["libx264", "libx265", "mpeg4"])
def test_a_cut_counts_pictures(convert: Converter, codec: str) -> None:
    """Nothing can be looked up: it is read from the front."""
    converted = convert(clip(codec), target("mp4", encoded(), None), start=0.4, duration=0.4)
    assert judge.numbers(converted.path) == [*range(12, 24)]


@pytest.mark.parametrize(("b_frames", "start"), [(2, 2.2), (0, 0.0)])
def test_streams_behind_each_other_follow_each_other(convert: Converter, b_frames: int, start: float) -> None:
    """The times that MPEG-4 has in its frames begin again with the second."""
    path = convert.shelf.get(clip("mpeg4", 25, b_frames))
    converted = convert(convert.shelf.join("again.m4v", path, path), target("mp4", encoded(), None), start=start)
    assert judge.numbers(converted.path) == [*range(50), *range(50)][round(start * 25) :]
    assert float(judge.times(converted.path)[-1]) == pytest.approx(4 - start - 0.04, abs=0.001)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_a_copy_is_given_times(convert: Converter, codec: str, container: str) -> None:
    """Where the order of decoding is that of showing."""
    converted = convert(clip(codec, b_frames=0), target(container, audio=None))
    assert judge.numbers(converted.path) == [*range(60)]
    times = judge.times(converted.path)
    assert [float(time - times[0]) for time in times] == pytest.approx([number / 30 for number in range(60)], abs=0.001)


def test_a_copy_that_would_need_decoding_is_refused(convert: Converter) -> None:
    """With B-frames, and from a start on."""
    with pytest.raises(UnsupportedFormat, match="with its B-frames"):
        convert(clip("libx264"), target("mkv", audio=None))
    with pytest.raises(UnsupportedFormat, match="from a start on"):
        convert(clip("libx264", b_frames=0), target("mkv", audio=None), start=0.5)


@pytest.mark.parametrize(
    ("mode", "numbers"), [(FrameMode.KEYFRAME, [0, 12, 24, 36, 48]), (FrameMode.INTERVAL, [0, 15, 30, 45])]
)
def test_pictures_are_found_by_counting(convert: Converter, mode: FrameMode, numbers: list[int]) -> None:
    """Snapshots read it through."""
    entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", FramesSpec(mode=mode, interval_us=500_000))
    converted = convert(clip("libx264"), TargetSpec(0, "", "", images=(entry,), subtitle="none"))
    results = [converted.published / artifact.uri.removeprefix("file:///out/") for artifact in converted.artifacts]
    assert [judge.numbers(path)[0] for path in results] == numbers
