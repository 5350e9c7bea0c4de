"""Where a plan is cut, and why not."""

from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import BlurPlan
from reelmill_server.model.overlay_request import DesensitizationSpec
from reelmill_server.model.plan import (
    FrameAccess,
    FramesPlan,
    ImagePlan,
    InputPlan,
    PartPlan,
    Plan,
    StreamPlan,
    StreamType,
    TargetPlan,
    VideoOutput,
)
from reelmill_server.model.units import SplitRule, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import members, split, unit_plan

SECOND = 1_000_000
INFO = MediaInfo(
    "mov,mp4,m4a,3gp,3g2,mj2",
    duration_seconds=600.0,
    video=(VideoStreamInfo(0, "h264", width=1920, height=1080, frame_rate=Fraction(25), average_rate=Fraction(25)),),
    audio=(AudioStreamInfo(1, "aac", sample_rate=48000, channels=2),),
)
OUTPUT = VideoOutput(1280, 720, "yuv420p", Fraction(1, 25), Fraction(25))
FILTERS = ("fps=25:start_time=0", "scale=1280:720", "format=yuv420p")
VIDEO = StreamPlan(StreamType.VIDEO, (PartPlan(0, FILTERS),), "h264", "libx264", "software", {"crf": "23"}, OUTPUT)
SOUND = StreamPlan(StreamType.AUDIO, (PartPlan(1),), "aac", "aac", "")
COPY = StreamPlan(StreamType.AUDIO, (PartPlan(1),), "aac", "copy", "")
INPUT = InputPlan(0, 0, 0, 0, 600 * SECOND)
KEYS = tuple(range(0, 600 * SECOND, 2 * SECOND))
RULE = SplitRule(chunk_seconds=60, least_seconds=60)


def plan(*streams: StreamPlan, **more: object) -> Plan:
    """A plan of one target."""
    target = TargetPlan(0, "file:///out/x.mp4", "mp4", "mp4", 600 * SECOND, streams or (VIDEO, SOUND))
    return replace(Plan((target,), inputs=(INPUT,)), **more)  # type: ignore[arg-type]


def begins(result: object, rule: SplitRule = RULE, keys: tuple[int, ...] = KEYS) -> list[float]:
    """Where the chunks of a plan begin, seconds."""
    assert isinstance(result, Plan)
    units = split(result, (INFO,), keys, rule).units
    return [unit.begin_us / SECOND for unit in units if isinstance(unit, VideoUnit)]


def test_chunks_are_of_the_wanted_length_and_begin_behind_key_frames() -> None:
    """Eight pictures behind: when a key frame is shown is not known to the picture."""
    assert begins(plan()) == [0.0, *(60.0 * number + 0.32 for number in range(1, 10))]
    ends = [unit.end_us for unit in split(plan(), (INFO,), KEYS, RULE).units if isinstance(unit, VideoUnit)]
    assert ends == [*(round(begin * SECOND) for begin in begins(plan())[1:]), 0]


def test_segments_begin_where_chunks_do() -> None:
    """Renditions of several segment lengths are cut where all begin one; played faster, that is elsewhere in the source."""
    six, four = replace(VIDEO, segment_us=6 * SECOND), replace(VIDEO, segment_us=4 * SECOND)
    assert all(begin % 12 == 0 for begin in begins(plan(six, four)))
    assert all(begin % 9 == 0 for begin in begins(plan(replace(six, speed=Fraction(3, 2)))))
    assert len(begins(plan(six, four))) == 10


def test_of_several_borders_the_one_behind_a_key_frame_is_taken() -> None:
    """Else most of a group of pictures would be decoded in vain."""
    keys = (0, 289 * SECOND, 301 * SECOND)
    assert begins(plan(replace(VIDEO, segment_us=4 * SECOND)), SplitRule(parallelism=2), keys) == [0.0, 304.0]


def test_a_span_is_cut_within_itself() -> None:
    """Key frames are told in the source's time, cuts in the span's."""
    span = replace(INPUT, start_us=100 * SECOND, origin_us=10 * SECOND, duration_us=200 * SECOND)
    assert begins(plan(inputs=(span,)), SplitRule(parallelism=2)) == [0.0, 100.32]


def test_as_many_chunks_as_are_asked_for_where_there_are_key_frames() -> None:
    """Not more than key frames."""
    assert len(begins(plan(), SplitRule(parallelism=7))) == 7
    assert len(begins(plan(), SplitRule(parallelism=7), (0, 300 * SECOND))) == 2


def test_filters_that_look_back_are_given_a_lead() -> None:
    """Deinterlacing sees the pictures before."""
    fields = replace(VIDEO, parts=(PartPlan(0, ("bwdif=mode=send_frame", *FILTERS)),))
    leads = [unit.lead_us for unit in split(plan(fields), (INFO,), KEYS, RULE).units if isinstance(unit, VideoUnit)]
    assert leads == [0, *[160_000] * 9]


def test_a_unit_reads_from_the_middle_without_repeating_a_picture_from_the_beginning() -> None:
    """Of the first chunk, the filters are those of the plan."""
    first, second, *_, whole = split(plan(), (INFO,), KEYS, RULE).units
    assert unit_plan(plan(), first).targets[0].streams == (VIDEO,)
    (stream,) = unit_plan(plan(), second).targets[0].streams
    assert stream.parts[0].filters == ("fps=25", *FILTERS[1:])
    assert isinstance(whole, WholeUnit) and members(plan(), whole) == ([(0, 1)], [])


def test_pictures_belong_to_the_chunks_unless_each_depends_on_the_one_before() -> None:
    """Those that are looked up by themselves are made in the end."""
    image = ImagePlan(
        0,
        ImageKind.SNAPSHOT,
        "jpg",
        "x",
        ".jpg",
        True,
        VIDEO,
        FramesPlan(FrameMode.INTERVAL, 0, SECOND),
        64,
        64,
        FrameAccess.SHARED,
        "",
    )
    changes = replace(image, frames=FramesPlan(FrameMode.DHASH))
    sought = replace(image, reading=FrameAccess.SEEK)
    result = plan(VIDEO, COPY, images=(sought, image, changes))
    first, *_, whole = split(result, (INFO,), KEYS, RULE).units
    assert members(result, first) == ([(0, 0)], [1])
    assert isinstance(whole, WholeUnit) and members(result, whole) == ([], [2])
    assert not any(isinstance(unit, WholeUnit) for unit in split(plan(VIDEO, COPY), (INFO,), KEYS, RULE).units)


ATTACHED = replace(INPUT, attached=True)
OBJECTIONS = {
    "no video is encoded": plan(SOUND),
    "an accelerator encodes it whole": plan(
        replace(VIDEO, encoder="h264_nvenc", device="nvenc", options={"cq": "23", "b": "0"})
    ),
    "where each of several": plan(inputs=(INPUT, INPUT)),
    "of several sources": plan(inputs=(INPUT, ATTACHED)),
    "how long it is": plan(inputs=(replace(INPUT, duration_us=0),)),
    "faces and plates": plan(replace(VIDEO, overlays=(BlurPlan(DesensitizationSpec()),))),
    "bits are spread": plan(replace(VIDEO, options={"b": "600000"})),
    "spread over the whole": plan(replace(VIDEO, encoder="libvpx-vp9", options={"crf": "28", "b": "600000"})),
    "copied video": plan(VIDEO, replace(COPY, type="video", parts=(PartPlan(0),)), inputs=(replace(INPUT, start_us=SECOND),)),
    "several video streams": plan(VIDEO, replace(VIDEO, parts=(PartPlan(2),))),
}


@pytest.mark.parametrize("reason", OBJECTIONS)
def test_what_cannot_be_cut_says_why(reason: str) -> None:
    """Whatever is asked for."""
    for rule in (RULE, SplitRule(parallelism=4)):
        result = split(OBJECTIONS[reason], (INFO,), KEYS, rule)
        assert not result.units and reason in result.reason


QUALITIES = {
    "libx264": {"crf": "23", "maxrate": "600000", "bufsize": "600000"},
    "libvpx-vp9": {"crf": "28", "b": "0"},
    "h264_nvenc": {"cq": "23", "b": "0"},
    "h264_vaapi": {"rc_mode": "CQP", "global_quality": "23"},
}


@pytest.mark.parametrize("encoder", QUALITIES)
def test_quality_is_kept_chunk_by_chunk(encoder: str) -> None:
    """Whatever an encoder calls it, and with an upper bound where that is one."""
    assert len(begins(plan(replace(VIDEO, encoder=encoder, options=QUALITIES[encoder])))) == 10


def test_no_index_no_cuts() -> None:
    """As in MPEG-TS."""
    assert "index" in split(plan(), (replace(INFO, format="mpegts"),), (), RULE).reason


def test_an_index_that_ends_early_gives_no_cuts() -> None:
    """As that of a fragmented file, of which only the front is known: one short chunk and one of all the rest help nobody."""
    assert "no key frames where" in split(plan(), (INFO,), KEYS[:10], RULE).reason


def test_little_work_is_not_cut_unless_asked_for() -> None:
    """Neither short films nor easy ones."""
    short = plan(inputs=(replace(INPUT, duration_us=90 * SECOND),))
    assert "two chunks" in split(short, (INFO,), KEYS, RULE).reason
    assert "too little" in split(plan(), (INFO,), KEYS, replace(RULE, least_seconds=1e6)).reason
    assert "parallelism of 1" in split(plan(), (INFO,), KEYS, SplitRule(parallelism=1)).reason
    assert split(short, (INFO,), KEYS, SplitRule(parallelism=3)).units


def test_the_digest_names_plan_cuts_and_libraries() -> None:
    """What differs in any is not joined."""
    digests = {
        split(plan(), (INFO,), KEYS, RULE, "one").digest,
        split(plan(), (INFO,), KEYS, RULE, "two").digest,
        split(plan(), (INFO,), KEYS, SplitRule(parallelism=3), "one").digest,
        split(plan(VIDEO), (INFO,), KEYS, RULE, "one").digest,
    }
    assert len(digests) == 4 and split(plan(), (INFO,), KEYS, RULE, "one").digest in digests
