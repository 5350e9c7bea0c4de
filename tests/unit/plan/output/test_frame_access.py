"""How the frames of pictures are found: whatever decodes the fewest."""

from fractions import Fraction

import pytest

from reelmill_server.model.media_info import MediaInfo, VideoStreamInfo
from reelmill_server.model.plan import FramesPlan, ImagePlan, PartPlan, StreamPlan
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.plan.context import Situation
from reelmill_server.plan.inputs import Inputs
from reelmill_server.plan.output.frame_access import choose_reading, with_shared_reading

SECOND = 1_000_000


def way(frames: FramesPlan, seconds: float = 300, key_seconds: float = 6) -> str:
    """What is chosen for a source at 25 frames a second."""
    video = VideoStreamInfo(0, "h264", width=1280, height=720, key_seconds=key_seconds)
    info = MediaInfo("matroska,webm", duration_seconds=seconds, video=(video,))
    inputs = Inputs.of(ConvertRequest("t", "p", (SourceSpec("file:///a"),), ()), Situation((info,), {}))
    return choose_reading(frames, inputs, 0, Fraction(25)).way


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (FramesPlan("interval", interval_us=15 * SECOND), "seek"),
        (FramesPlan("interval", interval_us=15 * SECOND, number=2), "seek"),
        (FramesPlan("interval", interval_us=SECOND), "through"),
        (FramesPlan("interval"), "through"),
        (FramesPlan("interval", start_us=200 * SECOND), "seek"),
        (FramesPlan("interval", start_us=200 * SECOND, number=1), "seek"),
        (FramesPlan("interval", number=10), "through"),
        (FramesPlan("keyframe"), "keyframes"),
        (FramesPlan("average", times_us=(10 * SECOND, 150 * SECOND, 290 * SECOND), number=3), "seek"),
        (FramesPlan("dhash", threshold=10), "through"),
        (FramesPlan("dhash", interval_us=20 * SECOND, number=3), "seek"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_way_that_decodes_the_fewest_frames(frames: FramesPlan, expected: str) -> None:
    """Of a source of five minutes with a key frame every six seconds."""
    assert way(frames) == expected


def test_dense_key_frames_make_seeking_cheap() -> None:
    """The index decides: of intra-only video every frame can be sought, of one group none."""
    frames = FramesPlan("interval", interval_us=2 * SECOND)
    assert way(frames, key_seconds=0.04) == "seek"
    assert way(frames, key_seconds=300) == "through"


def test_a_source_that_does_not_tell_its_length_is_read_through() -> None:
    """Unless a number bounds the pictures."""
    assert way(FramesPlan("interval", interval_us=15 * SECOND), seconds=0) == "through"
    assert way(FramesPlan("interval", interval_us=15 * SECOND, number=5), seconds=0) == "seek"


def entry(reading: str, frames: FramesPlan, stream: int = 0) -> ImagePlan:
    """Pictures of a stream of the only source."""
    made_of = StreamPlan("video", (PartPlan(stream, ()),), "png", "png", "pictures")
    return ImagePlan(0, "snapshot", "png", "file:///out/a", "", False, made_of, frames, 96, 64, reading, "")


EVERY, FIRST, FAR = FramesPlan("interval"), FramesPlan("interval", number=1), FramesPlan("interval", interval_us=60 * SECOND)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([("seek", FAR, 0), ("through", EVERY, 0), ("through", FIRST, 0)], ["shared", "through", "shared"]),
        ([("through", FIRST, 0), ("seek", FAR, 0), ("keyframes", FAR, 0)], ["through", "seek", "keyframes"]),
        ([("through", FIRST, 0), ("through", EVERY, 0), ("seek", FAR, 0)], ["shared", "through", "shared"]),
        ([("through", EVERY, 0), ("through", EVERY, 1), ("seek", FAR, 1)], ["through", "through", "shared"]),
        ([("through", EVERY, 0), ("seek", FAR, 1)], ["through", "seek"]),
    ],
    ids=["all of it", "a beginning", "both", "two streams", "another stream"],
)
def test_pictures_share_what_another_entry_decodes_all_of(
    entries: list[tuple[str, FramesPlan, int]], expected: list[str]
) -> None:
    """One that ends early decodes little: others that are sought would have to decode all instead."""
    assert [image.reading for image in with_shared_reading([entry(*given) for given in entries])] == expected
