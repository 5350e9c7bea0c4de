"""What an attempt is estimated to take: sane for real plans, never an error, and never less for more."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelmill_server.model.cost import Cost
from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import BlurPlan, Box, DelogoPlan
from reelmill_server.model.overlay_request import DesensitizationRule, DesensitizationSpec
from reelmill_server.model.plain import adapter
from reelmill_server.model.plan import (
    COPY,
    AudioOutput,
    FrameAccess,
    FramesPlan,
    ImagePlan,
    InputPlan,
    PartPlan,
    Plan,
    SheetPlan,
    SmartCutPlan,
    StreamPlan,
    StreamType,
    TargetPlan,
    VideoOutput,
)
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import AlignMode, VideoSpec
from reelmill_server.model.smart_cut import CutEdges
from reelmill_server.plan.codec.encoder_options import PRESETS, options
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS, EncoderChoice
from reelmill_server.plan.cost import steps, tables
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.cost.tables import ENCODERS, STILLS
from reelmill_server.plan.output.images import ANIMATIONS
from reelmill_server.plan.output.images import STILLS as STILL_FORMATS

_GOLDEN = Path(__file__).parents[3] / "golden"
_PLANS = {path.stem: adapter(Plan).validate_json(path.read_text()) for path in (_GOLDEN / "plans").glob("*.json")}
_INFOS = {path.stem: adapter(MediaInfo).validate_json(path.read_text()) for path in (_GOLDEN / "infos").glob("*.json")}
_SECOND = 1_000_000


def _source(width: int = 1920, height: int = 1080, seconds: float = 60.0, size_bytes: int = 60_000_000) -> MediaInfo:
    video = VideoStreamInfo(0, "h264", width=width, height=height, pixel_format="yuv420p", average_rate=Fraction(25))
    audio = AudioStreamInfo(1, "aac", bitrate=128_000, sample_rate=48_000, channels=2, layout="stereo")
    return MediaInfo("mov,mp4", size_bytes=size_bytes, duration_seconds=seconds, video=(video,), audio=(audio,))


def _video(encoder: str = "libx264", width: int = 1920, height: int = 1080, **more: object) -> StreamPlan:
    codec = {"libx265": "hevc", "libsvtav1": "av1", "libvpx-vp9": "vp9"}.get(encoder, "h264")
    output = VideoOutput(width, height, "yuv420p", Fraction(1, 25), Fraction(25))
    settings = {"preset": "medium", "crf": "23"}
    plan = StreamPlan(StreamType.VIDEO, (PartPlan(0, ("format=yuv420p",)),), codec, encoder, "", settings, output)
    return replace(plan, **more)  # type: ignore[arg-type]


_COPIED = (
    StreamPlan(StreamType.VIDEO, (PartPlan(0),), "h264", COPY, ""),
    StreamPlan(StreamType.AUDIO, (PartPlan(1),), "aac", COPY, ""),
)
_AAC = StreamPlan(
    StreamType.AUDIO, (PartPlan(1),), "aac", "aac", "", {"b": "128000"}, audio=AudioOutput(48_000, "stereo", "fltp")
)


def _plan(*streams: StreamPlan, seconds: float = 60.0, images: Sequence[ImagePlan] = ()) -> Plan:
    length = round(seconds * _SECOND)
    targets = (TargetPlan(0, "file:///x", "mp4", "mp4", length, streams),) if streams else ()
    return Plan(targets, inputs=(InputPlan(0, 0, 0, 0, length),), images=tuple(images))


def _pictures(**more: object) -> ImagePlan:
    frames = FramesPlan(FrameMode.INTERVAL, interval_us=10 * _SECOND)
    stream = StreamPlan(StreamType.VIDEO, (PartPlan(0),), "mjpeg", "mjpeg", "")
    plan = ImagePlan(
        0, ImageKind.SNAPSHOT, "jpg", "x", "", True, stream, frames, 1920, 1080, FrameAccess.SEEK, "", key_us=2 * _SECOND
    )
    return replace(plan, **more)  # type: ignore[arg-type]


def test_a_copy_is_small() -> None:
    cost = estimate(_plan(*_COPIED), [_source()])
    assert cost.core_seconds < 10
    assert cost.memory_bytes < 200 << 20
    assert 0.95 * 60_000_000 < cost.scratch_bytes < 1.2 * 60_000_000


def test_a_few_pictures_are_small_and_a_long_encode_is_not() -> None:
    assert estimate(_plan(images=[_pictures()]), [_source()]).core_seconds < 10
    encode = estimate(_plan(_video(), _AAC), [_source()])
    assert encode.core_seconds > 30
    assert encode.memory_bytes > 300 << 20
    assert encode.cores > 2


def test_a_bit_rate_that_is_asked_for_is_what_lies_on_disk() -> None:
    cost = estimate(_plan(_video(options={"preset": "medium", "b": "4000000"}), _AAC), [_source()])
    assert 30_000_000 <= cost.scratch_bytes < 1.1 * 31_000_000


def test_an_upper_bound_of_the_bit_rate_bounds_what_lies_on_disk() -> None:
    free, bound = (
        estimate(_plan(_video(options={"preset": "medium", "crf": "23", **more})), [_source()]).scratch_bytes
        for more in ({}, {"maxrate": "1000000"})
    )
    assert bound == pytest.approx(7_500_000, rel=0.05) and free > bound
    assert estimate(_plan(_video(options={"crf": "51", "maxrate": "90000000"})), [_source()]).scratch_bytes < free


def test_one_decode_is_counted_once() -> None:
    one, two = (estimate(_plan(*[_video(width=640, height=360)] * count), [_source()]) for count in (1, 2))
    assert two.core_seconds < 2 * one.core_seconds


def test_a_short_video_that_is_alone_is_scouted() -> None:
    """Its search costs less than its encode; beside another, it is tried on samples."""

    def searching(count: int) -> float:
        """Of each of so many videos of 40 s, times its encode."""
        open_, known = (_video(quality=QualityTarget(Metric.VMAF, 93.0, crf=crf)) for crf in (None, 23.0))
        with_search, without = (estimate(_plan(*[one] * count, seconds=40), [_source(seconds=40)]) for one in (open_, known))
        return (with_search.core_seconds - without.core_seconds) / without.core_seconds

    assert 0.4 < searching(1) < 1 and 1.2 < searching(2) < 2


_MEASURED = (
    ("libx264", "ultrafast", 1920, 1080, 75, 320_000, 1.05, 311),
    ("libx264", "medium", 1920, 1080, 75, 320_000, 2.97, 633),
    ("libx264", "ultrafast", 1920, 1080, 75, 9_900_000, 3.62, 277),
    ("libx264", "medium", 1920, 1080, 75, 9_900_000, 12.81, 637),
    ("libx264", "medium", 3840, 2160, 60, 610_000, 12.36, 2247),
    ("libx265", "medium", 640, 360, 200, 290_000, 2.09, 160),
    ("libx265", "medium", 1920, 1080, 75, 9_900_000, 14.52, 583),
    ("libx265", "slow", 1920, 1080, 75, 320_000, 13.4, 630),
    ("libsvtav1", "10", 1280, 720, 120, 340_000, 1.67, 351),
    ("libsvtav1", "7", 1920, 1080, 75, 320_000, 4.38, 941),
    ("libsvtav1", "7", 3840, 2160, 60, 610_000, 17.1, 3105),
    ("libvpx-vp9", "4", 640, 360, 200, 290_000, 5.94, 127),
    ("libvpx-vp9", "4", 3840, 2160, 60, 610_000, 30.79, 1586),
)
"""What `bench.capacity` measured: encoder, its own preset, size, frames, bytes of the source, core seconds, megabytes."""


@pytest.mark.parametrize(
    ("encoder", "preset", "width", "height", "frames", "size_bytes", "core_seconds", "megabytes"), _MEASURED
)
def test_estimates_are_near_what_was_measured(
    encoder: str, preset: str, width: int, height: int, frames: int, size_bytes: int, core_seconds: float, megabytes: int
) -> None:
    settings = {ENCODERS[encoder].option: preset, "crf": "23", "g": "150"}
    stream = _video(encoder, width, height, options=settings)
    cost = estimate(_plan(stream, seconds=frames / 25), [_source(width, height, frames / 25, size_bytes)])
    assert core_seconds / 2 < cost.core_seconds < core_seconds * 2
    assert megabytes / 1.3 < cost.memory_bytes / 1e6 < megabytes * 1.6


def test_more_threads_hold_more_pictures() -> None:
    plan, source = _plan(_video("libsvtav1", options={"preset": "7"})), _source()
    few, many = (estimate(plan, [source], threads).memory_bytes for threads in (2, 32))
    assert many > few + 500_000_000


def test_presets_encoders_and_formats_that_exist_have_costs() -> None:
    for codec, by_device in VIDEO_ENCODERS.items():
        encoder = by_device["software"]
        costs = ENCODERS[encoder]
        works = []
        for preset in PRESETS:
            chosen = options(EncoderChoice(encoder, "software", "yuv420p", ""), VideoSpec(codec, preset=preset))
            works.append(costs.presets[chosen[costs.option]].work)
        assert works == sorted(works), encoder
    assert {*STILL_FORMATS, *ANIMATIONS} == set(STILLS)


def test_hardware_leaves_the_cpu_alone() -> None:
    software, hardware = (
        estimate(_plan(_video(encoder, device=device)), [_source()])
        for encoder, device in (("libx264", "software"), ("h264_nvenc", "nvenc"))
    )
    assert hardware.core_seconds < software.core_seconds / 2
    assert hardware.core_seconds > 1


def test_crf_is_read_on_the_scale_of_each_encoder() -> None:
    for encoder, text in (("libx264", "23"), ("libvpx-vp9", "28"), ("libsvtav1", "28"), ("h264_nvenc", "")):
        settings = {"crf": text} if text else {"cq": "23"}
        assert steps.crf(_video(encoder, options=settings)) == pytest.approx(23, abs=0.5)


@pytest.mark.parametrize(
    ("text", "count"), [("mono", 1), ("stereo", 2), ("5.1", 6), ("5.1(side)", 6), ("7.1", 8), ("quad", 4), ("", 2), ("odd", 2)]
)
def test_channels(text: str, count: int) -> None:
    assert steps.channels(text) == count


@pytest.mark.parametrize(
    ("name", "size"),
    [("yuv420p", 1.5), ("yuv422p", 2), ("yuv444p10le", 6), ("yuva420p", 2.5), ("yuv420p10le", 3), ("nv12", 1.5), ("p010le", 3)],
)
def test_bytes_of_a_pixel(name: str, size: float) -> None:
    assert steps.pixel_bytes(name) == size


def test_sources_of_unknown_length_are_taken_for_ten_minutes_or_for_what_their_bytes_last() -> None:
    def seconds(source: MediaInfo) -> float:
        return estimate(_plan(_video(), seconds=0), [source]).core_seconds

    assert seconds(_source(seconds=0, size_bytes=0)) == pytest.approx(seconds(_source(seconds=600, size_bytes=0)), rel=0.1)
    assert seconds(_source(seconds=0)) == pytest.approx(seconds(_source(seconds=240)), rel=0.1)


@pytest.mark.parametrize("name", _PLANS)
def test_real_plans_have_sane_costs_whatever_is_known_of_their_sources(name: str) -> None:
    for infos in ((), *((info,) for info in _INFOS.values())):
        cost = estimate(_PLANS[name], infos)
        assert 1 <= cost.cores < 100
        assert 50 << 20 < cost.memory_bytes < 16 << 30
        assert cost.scratch_bytes > 0
        assert 0 < cost.core_seconds < 100_000


_TEXTS = st.sampled_from(("", "25/1", "30000/1001", "1/0", "odd", "nan", "90000/1"))
_RATES = st.sampled_from((0, 25, Fraction(30000, 1001), -1, 90_000, 10**400, Fraction(1, 10**400))).map(Fraction)
_SIDES = st.integers(0, 8192)
_TIMES = st.integers(0, 10**10)
_PARTS = st.lists(st.builds(PartPlan, st.integers(-1, 3), st.just(("scale=1:1", "lut3d=x")), st.integers(0, 4)), max_size=3)
_PARTS = _PARTS.map(tuple)  # type: ignore[assignment]
_OUTPUTS = st.builds(VideoOutput, _SIDES, _SIDES, st.sampled_from(("yuv420p", "yuv444p10le", "nv12", "")), _RATES, _RATES)
_OVERLAYS = st.sampled_from(
    (
        (),
        (DelogoPlan(Box(-5, 0, 900, 90)),),
        (BlurPlan(DesensitizationSpec(face=DesensitizationRule())),),
    )
)
_CUTS = st.builds(
    SmartCutPlan,
    st.builds(CutEdges, start_frames=st.integers(0, 10**9), end_frames=st.integers(0, 10**9)),
    st.sampled_from(("libx264", "odd")),
    st.just({}),
    _OUTPUTS,
)
_STREAMS = st.builds(
    StreamPlan,
    st.sampled_from(StreamType),
    _PARTS,
    st.sampled_from(("h264", "vp9", "odd")),
    st.sampled_from((COPY, "libx264", "libvpx-vp9", "aac", "odd")),
    st.just(""),
    st.dictionaries(st.sampled_from(("preset", "crf", "b", "g", "cpu-used")), _TEXTS | st.sampled_from(("medium", "20"))),
    st.none() | _OUTPUTS,
    st.none() | st.builds(AudioOutput, st.integers(0, 192_000), st.sampled_from(("stereo", "5.1", "")), st.just("fltp")),
    overlays=_OVERLAYS,
    measured=st.booleans(),
    passes=st.integers(0, 3),
    quality=st.none() | st.builds(QualityTarget, st.sampled_from(Metric), st.floats(0, 100)),
    smart_cut=st.none() | _CUTS,
)
_IMAGES = st.builds(
    ImagePlan,
    st.just(0),
    st.sampled_from(ImageKind),
    st.sampled_from(("jpg", "gif", "avif", "odd")),
    st.just("x"),
    st.just(""),
    st.booleans(),
    _STREAMS,
    st.builds(
        FramesPlan,
        st.sampled_from(FrameMode),
        _TIMES,
        _TIMES,
        st.integers(0, 100),
        times_us=st.lists(_TIMES, max_size=3).map(tuple),
    ),
    _SIDES,
    _SIDES,
    st.sampled_from(FrameAccess),
    st.just(""),
    key_us=_TIMES,
    sheet=st.none() | st.just(SheetPlan(5, 5, 2, 2)),
)
_INPUTS = st.builds(InputPlan, st.integers(0, 3), _TIMES, _TIMES, st.just(0), _TIMES, st.booleans(), st.sampled_from(AlignMode))
_VIDEOS = st.builds(
    VideoStreamInfo,
    st.integers(0, 3),
    st.sampled_from(("h264", "odd")),
    width=_SIDES,
    height=_SIDES,
    average_rate=_RATES,
    pixel_format=st.sampled_from(("yuv420p", "rgb24", "")),
    bitrate=st.integers(0, 10**8),
)
_MEDIA = st.builds(
    MediaInfo,
    st.just("mov"),
    size_bytes=st.integers(0, 10**12),
    bitrate=st.integers(0, 10**8),
    duration_seconds=st.floats(0, 1e6),
    video=st.lists(_VIDEOS, max_size=2).map(tuple),
)
_TARGETS = st.builds(
    TargetPlan,
    st.just(0),
    *[st.just("x")] * 3,
    duration_us=_TIMES,
    streams=st.lists(_STREAMS, max_size=3).map(tuple),
)
_ANY_PLANS = st.builds(
    Plan,
    st.lists(_TARGETS, max_size=3).map(tuple),
    inputs=st.lists(_INPUTS, max_size=3).map(tuple),
    images=st.lists(_IMAGES, max_size=2).map(tuple),
)


@pytest.mark.slow
@given(_ANY_PLANS, st.lists(_MEDIA, max_size=3))
def test_no_plan_is_too_odd(plan: Plan, infos: Sequence[MediaInfo]) -> None:
    cost = estimate(plan, infos)
    assert cost.cores >= 1
    assert cost.memory_bytes > 0
    assert cost.scratch_bytes >= 0
    assert 0 < cost.core_seconds < float("inf")


def _no_less(large: Cost, small: Cost) -> None:
    assert large.core_seconds >= small.core_seconds
    assert large.memory_bytes >= small.memory_bytes
    assert large.scratch_bytes >= small.scratch_bytes


def _enlarged(plan: Plan, times: int) -> Plan:
    def stream(of: StreamPlan) -> StreamPlan:
        video = of.video and replace(of.video, width=of.video.width * times, height=of.video.height * times)
        return replace(of, video=video)

    targets = tuple(replace(target, streams=tuple(map(stream, target.streams))) for target in plan.targets)
    images = tuple(replace(image, width=image.width * times, height=image.height * times) for image in plan.images)
    return replace(plan, targets=targets, images=images)


def _lengthened(plan: Plan, times: int) -> Plan:
    inputs = tuple(replace(item, duration_us=item.duration_us * times, end_us=0) for item in plan.inputs)
    targets = tuple(replace(target, duration_us=target.duration_us * times) for target in plan.targets)
    return replace(plan, inputs=inputs, targets=targets)


def test_a_rate_that_is_no_rate_is_not_believed() -> None:
    """A file may claim a frame in more years than a float can count."""
    stream = VideoStreamInfo(0, "h264", average_rate=Fraction(1, 10**400), frame_rate=Fraction(0))
    assert steps.rate(stream) == tables.ASSUMED_RATE


@given(_ANY_PLANS | st.sampled_from(list(_PLANS.values())), st.lists(_MEDIA, min_size=3, max_size=3), st.integers(1, 4))
def test_larger_pictures_never_cost_less(plan: Plan, infos: Sequence[MediaInfo], times: int) -> None:
    _no_less(estimate(_enlarged(plan, times), infos), estimate(plan, infos))


@pytest.mark.slow
@given(_ANY_PLANS | st.sampled_from(list(_PLANS.values())), st.lists(_MEDIA, min_size=3, max_size=3), st.integers(1, 4))
def test_longer_media_never_cost_less(plan: Plan, infos: Sequence[MediaInfo], times: int) -> None:
    _no_less(estimate(_lengthened(plan, times), infos), estimate(_lengthened(plan, 1), infos))


@given(st.sampled_from(list(_PLANS.values())), st.sampled_from(list(_INFOS.values())), st.integers(1, 4))
def test_larger_and_longer_sources_never_cost_less(plan: Plan, info: MediaInfo, times: int) -> None:
    videos = tuple(replace(stream, width=stream.width * times, height=stream.height * times) for stream in info.video)
    larger = replace(info, video=videos, size_bytes=info.size_bytes * times, duration_seconds=info.duration_seconds * times)
    _no_less(estimate(plan, [larger]), estimate(plan, [info]))
