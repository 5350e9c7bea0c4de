"""How the frames of pictures are found: whatever decodes the fewest."""

from fractions import Fraction

import pytest

from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.media_info import MediaInfo, VideoStreamInfo
from reelmill_server.model.plan import FrameAccess, FramesPlan, ImagePlan, PartPlan, StreamPlan, StreamType
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Inputs
from reelmill_server.plan.output.frame_access import choose_access, with_shared_reading

SECOND = 1_000_000
SHARED, THROUGH, SEEK, KEYFRAMES = FrameAccess


def way(frames: FramesPlan, seconds: float = 300, key_seconds: float = 6) -> FrameAccess:
    """What is chosen for a source at 25 frames a second."""
    video = VideoStreamInfo(0, "h264", width=1280, height=720, key_seconds=key_seconds)
    info = MediaInfo("matroska,webm", duration_seconds=seconds, video=(video,))
    inputs = Inputs.of(ConvertRequest("t", "p", (SourceSpec("file:///a"),), ()), PlanFacts((info,), {}))
    return choose_access(frames, inputs, 0, Fraction(25)).way


@pytest.mark.parametrize(
    ("frames", "expected"),
    [
        (FramesPlan(FrameMode.INTERVAL, interval_us=15 * SECOND), SEEK),
        (FramesPlan(FrameMode.INTERVAL, interval_us=15 * SECOND, number=2), SEEK),
        (FramesPlan(FrameMode.INTERVAL, interval_us=SECOND), THROUGH),
        (FramesPlan(FrameMode.INTERVAL), THROUGH),
        (FramesPlan(FrameMode.INTERVAL, start_us=200 * SECOND), SEEK),
        (FramesPlan(FrameMode.INTERVAL, start_us=200 * SECOND, number=1), SEEK),
        (FramesPlan(FrameMode.INTERVAL, number=10), THROUGH),
        (FramesPlan(FrameMode.KEYFRAME), KEYFRAMES),
        (FramesPlan(FrameMode.AVERAGE, times_us=(10 * SECOND, 150 * SECOND, 290 * SECOND), number=3), SEEK),
        (FramesPlan(FrameMode.DHASH, threshold=10), THROUGH),
        (FramesPlan(FrameMode.DHASH, interval_us=20 * SECOND, number=3), SEEK),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_way_that_decodes_the_fewest_frames(frames: FramesPlan, expected: FrameAccess) -> None:
    """Of a source of five minutes with a key frame every six seconds."""
    assert way(frames) == expected


def test_dense_key_frames_make_seeking_cheap() -> None:
    """The index decides: of intra-only video every frame can be sought, of one group none."""
    frames = FramesPlan(FrameMode.INTERVAL, interval_us=2 * SECOND)
    assert way(frames, key_seconds=0.04) == SEEK
    assert way(frames, key_seconds=300) == THROUGH


def test_a_source_that_does_not_tell_its_length_is_read_through() -> None:
    """Unless a number bounds the pictures."""
    assert way(FramesPlan(FrameMode.INTERVAL, interval_us=15 * SECOND), seconds=0) == THROUGH
    assert way(FramesPlan(FrameMode.INTERVAL, interval_us=15 * SECOND, number=5), seconds=0) == SEEK


def entry(reading: FrameAccess, frames: FramesPlan, stream: int = 0) -> ImagePlan:
    """Pictures of a stream of the only source."""
    made_of = StreamPlan(StreamType.VIDEO, (PartPlan(stream, ()),), "png", "png", "pictures")
    return ImagePlan(0, ImageKind.SNAPSHOT, "png", "file:///out/a", "", False, made_of, frames, 96, 64, reading, "")


EVERY, FIRST, FAR = (
    FramesPlan(FrameMode.INTERVAL),
    FramesPlan(FrameMode.INTERVAL, number=1),
    FramesPlan(FrameMode.INTERVAL, interval_us=60 * SECOND),
)


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        (
            [(SEEK, FAR, 0), (THROUGH, EVERY, 0), (THROUGH, FIRST, 0)],
            [SHARED, THROUGH, SHARED],
        ),
        (
            [(THROUGH, FIRST, 0), (SEEK, FAR, 0), (KEYFRAMES, FAR, 0)],
            [THROUGH, SEEK, KEYFRAMES],
        ),
        (
            [(THROUGH, FIRST, 0), (THROUGH, EVERY, 0), (SEEK, FAR, 0)],
            [SHARED, THROUGH, SHARED],
        ),
        (
            [(THROUGH, EVERY, 0), (THROUGH, EVERY, 1), (SEEK, FAR, 1)],
            [THROUGH, THROUGH, SHARED],
        ),
        ([(THROUGH, EVERY, 0), (SEEK, FAR, 1)], [THROUGH, SEEK]),
    ],
    ids=["all of it", "a beginning", "both", "two streams", "another stream"],
)
def test_pictures_share_what_another_entry_decodes_all_of(
    entries: list[tuple[FrameAccess, FramesPlan, int]], expected: list[FrameAccess]
) -> None:
    """One that ends early decodes little: others that are sought would have to decode all instead."""
    assert [image.reading for image in with_shared_reading([entry(*given) for given in entries])] == expected
