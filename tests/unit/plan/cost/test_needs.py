"""What tasks need of a worker."""

from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.model.cost import Cost
from reelmill_server.model.ladder import LadderSpec
from reelmill_server.model.plan import COPY, PartPlan, Plan, StreamPlan, StreamType, TargetPlan, VideoOutput
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import ConvertRequest, Hardware, TargetSpec, VideoSpec
from reelmill_server.plan.cost.needs import is_small, lanes_of, needs_of, unplanned

ORDER = ("nvenc", "vaapi", "qsv", "software")


def request(*videos: VideoSpec) -> ConvertRequest:
    """A request with these videos."""
    targets = tuple(TargetSpec(index, f"file:///{index}.mp4", "mp4", video) for index, video in enumerate(videos))
    return ConvertRequest("task", "default", (), targets)


def plan(encoder: str) -> Plan:
    """A plan with one stream of video."""
    video = None if encoder == COPY else VideoOutput(1920, 1080, "yuv420p", Fraction(1, 25), Fraction(25))
    stream = StreamPlan(StreamType.VIDEO, (PartPlan(0),), "h264", encoder, "", video=video)
    return Plan((TargetPlan(0, "file:///0.mp4", "mp4", "mp4", 60_000_000, (stream,)),))


@pytest.mark.parametrize(
    ("videos", "lanes"),
    [
        ([VideoSpec("h264")], ("nvenc", "vaapi", "qsv", "software")),
        ([VideoSpec("h264", hardware=Hardware.NEVER)], ("software",)),
        ([VideoSpec("h264", hardware=Hardware.REQUIRED)], ("nvenc", "vaapi", "qsv")),
        ([VideoSpec("vp9")], ("vaapi", "qsv", "software")),
        ([VideoSpec("vp9"), VideoSpec("h264")], ("nvenc", "vaapi", "qsv", "software")),
        ([VideoSpec("h264"), VideoSpec("h265", hardware=Hardware.REQUIRED)], ("nvenc", "vaapi", "qsv")),
        ([VideoSpec(COPY, hardware=Hardware.REQUIRED)], ("software",)),
        ([VideoSpec("h264", quality=QualityTarget(Metric.XPSNR, 38.0))], ("software",)),
        ([VideoSpec("h264", passes=2, bitrate=1)], ("software",)),
        ([VideoSpec("h264", passes=2, bitrate=1), VideoSpec("vp9")], ("vaapi", "qsv", "software")),
        ([VideoSpec("h264", pixel_format="yuv422p")], ("software",)),
        ([VideoSpec("h265", crf=0.0)], ("nvenc", "software")),
    ],
)
def test_the_lanes_of_a_request(videos: list[VideoSpec], lanes: tuple[str, ...]) -> None:
    """The preferred family first; software last unless an accelerator is required."""
    assert lanes_of(request(*videos), ORDER) == lanes


def test_families_that_the_worker_never_uses_are_no_lanes() -> None:
    """The order of the settings counts, software included."""
    assert lanes_of(request(VideoSpec("h264")), ("qsv",)) == ("qsv",)


def test_only_what_may_use_a_card_waits_for_its_sessions() -> None:
    """Rungs of a ladder that is made for its video are encoded in software, and so is what says NEVER."""
    spec = VideoSpec("h264")
    asked = request(spec, replace(spec, hardware=Hardware.NEVER), spec)
    ladder = replace(asked.targets[2], ladder=LadderSpec(6))
    result = plan("libx264")
    targets = tuple(replace(result.targets[0], index=index) for index in (0, 1, 2, 2, 2))
    result = replace(result, targets=targets)
    assert needs_of(replace(asked, targets=(*asked.targets[:2], ladder)), result, (), ORDER).sessions == 1
    alone = needs_of(replace(asked, targets=(ladder,)), replace(result, targets=targets[2:]), (), ORDER)
    assert (alone.lanes, alone.sessions, alone.saved_seconds) == (("software",), 0, 0.0)


def test_a_copy_waits_for_no_accelerator() -> None:
    """Nothing is encoded: the request's word does not count."""
    needs = needs_of(request(VideoSpec("h264")), plan(COPY), (), ORDER)
    assert (needs.lanes, needs.sessions) == (("software",), 0)


def test_the_cores_of_the_machine_count_for_memory() -> None:
    """Encoders start threads for each, which hold pictures."""
    few, many = (needs_of(request(VideoSpec("h264")), plan("libx264"), (), ORDER, threads) for threads in (2, 32))
    assert many.cost.memory_bytes > few.cost.memory_bytes + 100_000_000


def test_what_must_have_an_accelerator_says_why_it_was_not_done_here() -> None:
    """The reason stays with the task, for the case that no worker has one."""
    needs = unplanned(request(VideoSpec("h264", hardware=Hardware.REQUIRED)), ORDER, "no device")
    assert (needs.lanes, needs.sessions, needs.objection) == (("nvenc", "vaapi", "qsv"), 1, "no device")
    assert needs.cost.cores > 1


def test_small_is_what_takes_little_work_or_encodes_nothing() -> None:
    """A remux is small however large it is."""
    assert is_small(plan("libx264"), Cost(core_seconds=9.9), 10)
    assert not is_small(plan("libx264"), Cost(core_seconds=10.1), 10)
    assert is_small(plan(COPY), Cost(core_seconds=1000), 10)
