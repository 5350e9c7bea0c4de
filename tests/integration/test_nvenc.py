"""FFmpeg's own NVENC encoders in real children, with a driver that encodes and that fails as it is told: tests/drivers."""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import DriverFailed, HardwareUnavailable
from reelmill_server.model.capability import SOFTWARE, Capability, FrameSizes, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import Standing
from reelmill_server.model.needs import Needs
from reelmill_server.model.request import Hardware, SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.report import feature_table
from reelmill_server.worker.parent import capabilities, child_process
from reelmill_server.worker.parent.capabilities import try_family
from tests import judge
from tests.clips import moving_picture
from tests.drivers import Driver, build, child_with
from tests.integration.test_attempt import Bench, FakeClaim
from tests.integration.trials import discover
from tests.media.test_right_by_default import PQ, hdr_clip
from tests.sources import write

pytestmark = pytest.mark.toolchain
ENCODERS = ("h264_nvenc", "hevc_nvenc")


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The driver's libraries."""
    return build(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(built: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The driver, without faults, on this machine."""
    built.fault()
    child_process.preload()
    monkeypatch.setattr(capabilities, "_FAMILY_SECONDS", 120.0)  # on a busy machine, too
    monkeypatch.setattr(child_process, "enter", partial(child_with, str(built.folder)))
    return built


@pytest.fixture(scope="module")
def tried() -> list[Capability]:
    """What a trial of the card without faults gave, once there was one."""
    return []


@pytest.fixture
async def bench(tmp_path: Path, clip: Path, driver: Driver, tried: list[Capability]) -> AsyncIterator[Bench]:
    """A worker with software and the card, as it was when the worker started."""
    made = Bench(tmp_path, clip)
    await discover(made.capabilities)
    tried[:] = tried or await try_family(Limits(), "nvenc", ENCODERS)
    made.capabilities._update(tried)
    yield made


async def look(bench: Bench) -> None:
    """Try the card, as a worker does at its start and after a cool-down."""
    bench.capabilities._update(await try_family(Limits(), "nvenc", ENCODERS))


async def attempt(bench: Bench, *targets: TargetSpec, start_us: int = 0) -> Any:
    """An attempt at these targets, of the clip from `start_us` on."""
    claim, request = FakeClaim(lambda: Standing.OURS), bench.request(*targets)
    request = replace(request, sources=tuple(replace(source, start_us=start_us) for source in request.sources))
    return await bench.attempts.convert(request, bench.reported.append, claim, lane=SOFTWARE, needs=Needs(Cost()))


def known(bench: Bench, name: str = "h264_nvenc") -> Any:
    """What the worker knows of an encoder."""
    return next(capability for capability in bench.capabilities.encoders if capability.name == name)


FORMS: dict[str, dict[str, Any]] = {
    "a file": {},
    "HLS": {"uri": "x.m3u8", "container": "ts", "segment": SegmentSpec(SegmentFormat.HLS, 500_000)},
    "DASH": {"uri": "x.mpd", "segment": SegmentSpec(SegmentFormat.DASH, 500_000)},
}


def target(bench: Bench, form: str = "a file", codec: str = "h264", **video: Any) -> TargetSpec:
    """A target of one of `FORMS`."""
    made = bench.target("out.mp4", **video)
    assert made.video
    changes = dict(FORMS[form])
    if "uri" in changes:
        changes["uri"] = f"{bench.folder.as_uri()}/{changes['uri']}"
    return replace(made, **changes, video=replace(made.video, codec=codec))


def times(path: Path) -> list[tuple[Any, Any]]:
    """The timestamps of a file's frames, in seconds, and where its audio begins."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        first = next(packet.pts * packet.time_base for packet in container.demux(audio) if packet.pts is not None)
        container.seek(0)
        return [(frame.time, first) for frame in container.decode(video)]


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("form", FORMS)
async def test_the_card_encodes(bench: Bench, form: str, codec: str) -> None:
    """With B-frames, whatever the output."""
    artifacts, warnings = await attempt(bench, target(bench, form, codec, b_frames=3))
    video = artifacts[0].streams[0]
    assert video.encoder in ENCODERS and video.packet_count == 50 and not warnings


@pytest.mark.parametrize("start_us", [0, 500_000])
async def test_frames_of_the_card_have_the_times_that_those_of_software_have(bench: Bench, start_us: int) -> None:
    """Reordered frames push nothing: audio lies beside the same frames, though NVENC dates them further back than x264."""
    await attempt(bench, target(bench, b_frames=3), start_us=start_us)
    card = times(bench.folder / "out.mp4")
    await attempt(bench, target(bench, b_frames=3, hardware=Hardware.NEVER), start_us=start_us)
    assert card == times(bench.folder / "out.mp4")


FAULTS: dict[str, tuple[dict[str, int], str, str]] = {
    "no encoder": ({"fail_init": 1}, "the encoder engine does not start", "HLS"),
    "stops": ({"fail_at": 30}, "the encoder engine does not answer", "HLS"),
    "does not finish": ({"fail_flush": 1}, "the encoder engine does not finish", "DASH"),
    "gone": ({"no_device": 1}, "no CUDA-capable device is detected", "DASH"),
    "another driver": ({"old_driver": 1}, "Driver does not support the required nvenc API version", "a file"),
    "damaged": ({"damaged_at": 30}, "what it made is not valid", "a file"),
    "green": ({"green_at": 30}, "unlike the frame that went in", "HLS"),
    "repeated": ({"repeat_at": 30}, "shows a frame that went in before", "a file"),
    "wrong times": ({"times_at": 30}, "gives wrong times", "a file"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_card_that_fails_is_replaced_and_lost(bench: Bench, driver: Driver, fault: str) -> None:
    """The output is whole, a warning has the driver's own words, and others go without the card as well."""
    faults, words, form = FAULTS[fault]
    driver.fault(**faults)
    artifacts, warnings = await attempt(bench, target(bench, form))
    video = artifacts[0].streams[0]
    assert video.encoder == "libx264" and video.packet_count == 50
    assert words in video.reason and any(words in warning for warning in warnings)
    assert not known(bench).available and words in known(bench).reason
    assert "h264_nvenc: h264_nvenc" not in video.reason and str(bench.folder) not in f"{warnings}{video.reason}"
    driver.fault()
    await look(bench)
    artifacts, _ = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == "h264_nvenc"


@pytest.mark.parametrize(("fault", "words"), [("crash_at", "killed by SIGSEGV"), ("hang_at", "nothing moved")])
async def test_a_driver_that_takes_its_process_along_is_named(
    tmp_path: Path, clip: Path, driver: Driver, fault: str, words: str
) -> None:
    """The next attempt goes without it."""
    bench = Bench(tmp_path, clip, stall_seconds=8.0)
    await discover(bench.capabilities)
    await look(bench)
    driver.fault(**{fault: 30})
    with pytest.raises(DriverFailed, match=words) as failure:
        await attempt(bench, target(bench))
    assert failure.value.encoders == ("h264_nvenc",) and failure.value.retryable and not known(bench).available


REFUSED: dict[str, tuple[dict[str, int], dict[str, Any], str]] = {
    "10 bit": ({"no_10bit": 1}, {"codec": "h265", "pixel_format": "yuv420p10le"}, "10 bit encode not supported"),
    "4:4:4": ({"no_444": 1}, {"pixel_format": "yuv444p"}, "YUV444P not supported"),
    "too small": ({"min_width": 250}, {"width": 240, "height": 136}, "Frame Dimension less than the minimum supported value"),
    "too large": ({"max_width": 300}, {}, "Width 320 exceeds 300"),
    "B-frames": ({"b_frames_h264": 4}, {"b_frames": 4}, "Max B-frames 4 exceed 3"),
    "references": ({"no_refs": 1}, {"refs": 8}, "Multiple reference frames are not supported"),
    "lossless": ({"no_lossless": 1}, {"crf": 0.0}, "Lossless encoding not supported"),
}


@pytest.mark.parametrize("refused", REFUSED)
async def test_what_a_task_asks_in_vain_takes_the_card_from_nobody(bench: Bench, driver: Driver, refused: str) -> None:
    """The next task is encoded by it, without a trial between them. The reason has the driver's own words, and no others."""
    faults, video, words = REFUSED[refused]
    driver.fault(**faults)
    artifacts, warnings = await attempt(bench, target(bench, **video))
    made = artifacts[0].streams[0]
    assert made.encoder in ("libx264", "libx265") and words in made.reason and "capable devices" not in made.reason
    assert any(words in warning for warning in warnings)
    driver.fault()
    artifacts, warnings = await attempt(bench, target(bench, codec=video.get("codec", "h264")))
    assert artifacts[0].streams[0].encoder in ENCODERS and not warnings


@pytest.mark.parametrize("size", [1, 2, 3])
async def test_short_groups_have_fewer_b_frames(bench: Bench, size: int) -> None:
    """The driver wants more frames in a group than B-frames in a row and the one that follows them."""
    artifacts, _ = await attempt(bench, target(bench, gop_size=size))
    assert artifacts[0].streams[0].encoder == "h264_nvenc"
    with av.open(str(bench.folder / "out.mp4")) as container:
        keys = [packet.is_keyframe for packet in container.demux(video=0) if packet.size]
    assert keys == [number % size == 0 for number in range(50)]


@pytest.mark.parametrize(("crf", "lossless"), [(0.0, True), (0.5, False)])
async def test_crf_0_is_lossless_and_no_other_is(bench: Bench, clip: Path, crf: float, lossless: bool) -> None:
    """Frame by frame."""
    artifacts, warnings = await attempt(bench, target(bench, crf=crf))
    assert artifacts[0].streams[0].encoder == "h264_nvenc" and not warnings
    with av.open(str(bench.folder / "out.mp4")) as made, av.open(str(clip)) as source:
        assert ("4:4:4" in str(made.streams.video[0].codec_context.profile)) is lossless
        pairs = zip(made.decode(video=0), source.decode(video=0), strict=True)
        assert all(bytes(one.planes[0]) == bytes(other.planes[0]) for one, other in pairs) is lossless


async def test_h264_is_high_with_every_ffmpeg(bench: Bench) -> None:
    """As software's; left to itself, FFmpeg 8 makes Main."""
    await attempt(bench, target(bench))
    with av.open(str(bench.folder / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.profile == "High"


@pytest.mark.parametrize(("client_key", "form"), [(0, "a file"), (1, "DASH")])
async def test_sessions_are_counted_by_the_card(bench: Bench, driver: Driver, client_key: int, form: str) -> None:
    """A ladder of four takes the two that there are, and the card is not lost."""
    driver.fault(sessions=2, client_key=client_key)
    ends = [f"{number}/out.{'mpd' if form == 'DASH' else 'mp4'}" for number in range(4)]
    ladder = [
        replace(target(bench, form), index=number, uri=f"{bench.folder.as_uri()}/{end}") for number, end in enumerate(ends)
    ]
    artifacts, _ = await attempt(bench, *ladder)
    encoders = [artifact.streams[0].encoder for artifact in artifacts]
    assert encoders == ["h264_nvenc"] * 2 + ["libx264"] * 2
    assert known(bench).available and bench.capabilities.max_sessions("nvenc") == 2


OLDER: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "no B-frames": ({"b_frames_hevc": 1}, ("bf",)),
    "neither B-frames nor a choice of references": ({"b_frames_hevc": 1, "no_refs": 1}, ("bf", "refs")),
}


@pytest.mark.parametrize("generation", OLDER)
async def test_older_cards_are_used_for_what_they_can(bench: Bench, driver: Driver, generation: str) -> None:
    """Without B-frames that nobody asked for; what was asked is software's."""
    faults, lacks = OLDER[generation]
    driver.fault(**faults)
    await look(bench)
    assert known(bench, "hevc_nvenc").lacks == lacks
    artifacts, warnings = await attempt(bench, target(bench, codec="h265"))
    assert artifacts[0].streams[0].encoder == "hevc_nvenc" and not warnings
    artifacts, _ = await attempt(bench, target(bench, codec="h265", b_frames=2))
    assert artifacts[0].streams[0].encoder == "libx265" and "has no B-frames" in artifacts[0].streams[0].reason


async def test_hdr_metadata_are_those_of_the_source(bench: Bench) -> None:
    """NVENC is not told of them: its packets are given what software writes, on every keyframe."""
    write(hdr_clip(PQ), bench.folder / "clip.mp4")
    hdr = {"codec": "h265", "pixel_format": "yuv420p10le", "width": 320, "height": 180}
    shown = []
    for hardware in (Hardware.REQUIRED, Hardware.NEVER):
        artifacts, warnings = await attempt(bench, target(bench, hardware=hardware, **hdr))
        assert artifacts[0].streams[0].encoder == ("hevc_nvenc" if hardware is Hardware.REQUIRED else "libx265")
        assert not warnings
        lines = judge.first_picture_side_data(bench.folder / "out.mp4").splitlines()
        told = (line.partition("side data - ")[2] for line in lines)
        shown.append({text for text in told if text.startswith(("Mastering display", "Content light"))})
    assert shown[0] == shown[1] and len(shown[0]) == 2 and "MaxCLL=1000, MaxFALL=400" in str(shown[0])


async def test_the_plan_says_that_a_card_encodes_all_of_it(bench: Bench) -> None:
    """Whatever the parallelism that is asked for: it is what happens."""
    request = replace(bench.request(target(bench)), parallelism=3)
    inspected = await bench.attempts.inspect("plan", request)
    assert inspected.plan and inspected.plan.targets[0].streams[0].encoder == "h264_nvenc"
    assert inspected.split and not inspected.split.units and "an accelerator encodes it whole" in inspected.split.reason


WITHOUT = {"no_10bit": 1, "no_444": 1, "no_lossless": 1, "max_width": 4096, "b_frames_hevc": 1}


async def test_a_card_is_asked_what_it_can(bench: Bench, driver: Driver) -> None:
    """The answers are capabilities, with the driver's own reasons, and `capabilities` prints them as a table."""
    hevc = known(bench, "hevc_nvenc")
    assert hevc.card == "Driver for tests"
    assert {feature.name for feature in hevc.features if not feature.available} == {"128x72"}
    assert (hevc.sizes, hevc.max_b_frames) == (FrameSizes(145, 49, 8192, 8192), 5)
    assert (known(bench).sizes, known(bench).max_b_frames) == (FrameSizes(145, 49, 4096, 4096), 4)
    driver.fault(**WITHOUT)
    await look(bench)
    lacks = {feature.name: feature.reason for feature in known(bench, "hevc_nvenc").features if not feature.available}
    assert lacks.keys() == {"yuv444p", "yuv420p10le", "bf", "lossless", "128x72", "7680x4320"}
    assert "10 bit encode not supported" in lacks["yuv420p10le"] and "Lossless encoding not supported" in lacks["lossless"]
    assert "7680 exceeds 4096" in lacks["7680x4320"] and "minimum supported" in lacks["128x72"] and "B-frames" in lacks["bf"]
    lines = list(feature_table(bench.capabilities.encoders, {"nvenc": 3}))
    assert lines[0] == "accelerator nvenc (Driver for tests), at most 3 sessions:"
    assert "  h265   4096x2160              yes" in lines and "  h265   largest size           4096x4096" in lines
    assert any("10 bit" in line and "no: 10 bit" in line for line in lines)


async def test_what_a_card_is_known_to_lack_is_not_asked_of_it(bench: Bench, driver: Driver) -> None:
    """No encoder has to fail for a task to learn it."""
    driver.fault(**WITHOUT)
    await look(bench)
    for video, reason in (
        ({"crf": 0.0}, "Lossless encoding not supported"),
        ({"b_frames": 5}, "has at most 4 B-frames in a row"),
        ({"width": 128, "height": 72}, "takes no frames below 145x49"),
    ):
        artifacts, warnings = await attempt(bench, target(bench, **video))  # type: ignore[arg-type]
        made = artifacts[0].streams[0]
        assert made.encoder == "libx264" and f"h264_nvenc: {reason}" in made.reason
        assert not warnings


async def test_sizes_beyond_the_card_are_planned_in_software(bench: Bench) -> None:
    """The plan says so before anything is encoded, and refuses what REQUIRES the card."""
    inspected = await bench.attempts.inspect("plan", bench.request(target(bench, width=4098, height=256)))
    assert inspected.plan
    stream = inspected.plan.targets[0].streams[0]
    assert stream.encoder == "libx264" and "h264_nvenc: takes no frames above 4096x4096" in stream.reason
    required = bench.request(target(bench, width=4098, height=256, hardware=Hardware.REQUIRED))
    with pytest.raises(HardwareUnavailable, match="above 4096x4096"):
        await bench.attempts.inspect("plan", required)


async def test_address_space_that_a_context_reserves_is_no_memory(bench: Bench, driver: Driver) -> None:
    """Trials and encodes have it, though it is more than any child has that uses no card."""
    driver.fault(reserve_gib=2 * (Limits().max_address_bytes >> 30))
    await look(bench)
    assert known(bench).available
    artifacts, warnings = await attempt(bench, target(bench, hardware=Hardware.REQUIRED))
    assert artifacts[0].streams[0].encoder == "h264_nvenc" and not warnings
