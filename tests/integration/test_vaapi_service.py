"""FFmpeg's own h264_vaapi and hevc_vaapi in real children, with a driver that fails as it is told: tests/drivers.

PyAV's wheels have no VAAPI; the images' build has: docs/hardware.md says how these run there.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import DriverFailed, HardwareUnavailable
from reelmill_server.model.capability import FrameSizes, Limits
from reelmill_server.model.request import Hardware
from reelmill_server.worker.parent import capabilities, child_process
from reelmill_server.worker.parent.capabilities import try_family
from tests import judge
from tests.clips import moving_picture
from tests.drivers import Driver, build_va, va_child
from tests.integration.test_attempt import Bench
from tests.integration.test_nvenc import FORMS, attempt, known, target, times
from tests.integration.trials import discover
from tests.media.test_right_by_default import PQ, hdr_clip
from tests.sources import write

pytestmark = pytest.mark.toolchain
ENCODER, HEVC = "h264_vaapi", "hevc_vaapi"


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The driver's libraries, where this libav can use them."""
    if ENCODER not in av.codecs_available:
        pytest.skip(f"{ENCODER} is not in this build of libav")
    if not list(Path("/dev/dri").glob("renderD*")):
        pytest.skip("no render node")
    return build_va(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def driver(built: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The driver, without faults, on this machine."""
    built.fault()
    child_process.preload()
    monkeypatch.setattr(capabilities, "_FAMILY_SECONDS", 120.0)  # on a busy machine, too
    monkeypatch.setattr(child_process, "enter", partial(va_child, str(built.folder)))
    return built


@pytest.fixture
async def bench(tmp_path: Path, clip: Path, driver: Driver) -> AsyncIterator[Bench]:
    """A worker with software and the card, as it was when the worker started."""
    made = Bench(tmp_path, clip)
    await discover(made.capabilities)
    await look(made)
    yield made


async def look(bench: Bench) -> None:
    """Try the card, as a worker does at its start and after a cool-down."""
    bench.capabilities._update(await try_family(Limits(), "vaapi", (ENCODER, HEVC)))


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("form", FORMS)
async def test_the_card_encodes(bench: Bench, form: str, codec: str) -> None:
    """With B-frames, whatever the output."""
    artifacts, warnings = await attempt(bench, target(bench, form, codec, b_frames=3))
    video = artifacts[0].streams[0]
    assert video.encoder in (ENCODER, HEVC) and (video.packet_count, warnings) == (50, ())


async def test_frames_are_those_that_went_in(bench: Bench, clip: Path) -> None:
    """This driver loses nothing."""
    await attempt(bench, target(bench))
    frames = zip(judge.pictures(bench.folder / "out.mp4"), judge.pictures(clip), strict=True)
    assert all(judge.psnr(frame, was) > 50 for frame, was in frames)


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
async def test_frames_of_h265_are_near_those_that_went_in(bench: Bench, clip: Path, pixel_format: str, b_frames: int) -> None:
    """In 8 and in 10 bits, in the order in which they are shown, whichever is coded first."""
    made = target(bench, codec="h265", pixel_format=pixel_format, crf=10.0, b_frames=b_frames)
    artifacts, warnings = await attempt(bench, made)
    video = artifacts[0].streams[0]
    assert (video.encoder, video.packet_count, list(warnings)) == (HEVC, 50, [])
    path = bench.folder / "out.mp4"
    frames = zip(judge.pictures(path), judge.pictures(clip), strict=True)
    assert min(judge.psnr(frame, was) for frame, was in frames) > 35
    with av.open(path) as file:
        packets = [packet.pts or 0 for packet in file.demux(video=0) if packet.size]
    assert (packets == sorted(packets)) is (b_frames == 0)


async def test_hdr_metadata_are_those_of_the_source(bench: Bench) -> None:
    """FFmpeg takes them from the frames."""
    write(hdr_clip(PQ), bench.folder / "clip.mp4")
    shown = []
    for hardware in (Hardware.REQUIRED, Hardware.NEVER):
        made = target(bench, codec="h265", pixel_format="yuv420p10le", width=320, height=180, hardware=hardware)
        artifacts, warnings = await attempt(bench, made)
        assert artifacts[0].streams[0].encoder == (HEVC if hardware is Hardware.REQUIRED else "libx265") and not warnings
        lines = judge.first_picture_side_data(bench.folder / "out.mp4").splitlines()
        told = (line.partition("side data - ")[2] for line in lines)
        shown.append({text for text in told if text.startswith(("Mastering display", "Content light"))})
    assert shown[0] == shown[1] and len(shown[0]) == 2


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("start_us", [0, 500_000])
async def test_frames_of_the_card_have_the_times_that_those_of_software_have(bench: Bench, start_us: int, codec: str) -> None:
    """Reordered frames push nothing."""
    await attempt(bench, target(bench, codec=codec, b_frames=3), start_us=start_us)
    card = times(bench.folder / "out.mp4")
    await attempt(bench, target(bench, codec=codec, b_frames=3, hardware=Hardware.NEVER), start_us=start_us)
    assert card == times(bench.folder / "out.mp4")


FAULTS: dict[str, tuple[dict[str, int], str, str]] = {
    "no encoder": ({"fail_init": 1}, "Failed to create encode pipeline context", "HLS"),
    "stops": ({"fail_at": 30}, "Failed to end picture encode issue", "HLS"),
    "gone": ({"no_device": 1}, "Failed to initialise VAAPI connection", "DASH"),
    "damaged": ({"damaged_at": 30}, "what it made is not valid", "a file"),
    "green": ({"green_at": 30}, "unlike the frame that went in", "HLS"),
    "repeated": ({"repeat_at": 30}, "shows a frame that went in before", "a file"),
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
    assert not known(bench, ENCODER).available and words in known(bench, ENCODER).reason
    driver.fault()
    await look(bench)
    artifacts, _ = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER


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
    assert failure.value.encoders == (ENCODER,) and failure.value.retryable and not known(bench, ENCODER).available


async def test_what_a_task_asks_in_vain_takes_the_card_from_nobody(bench: Bench, driver: Driver) -> None:
    """The next task is encoded by it, without a trial between them."""
    driver.fault(max_width=300)
    artifacts, _ = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == "libx264" and "width 32-300" in artifacts[0].streams[0].reason
    driver.fault()
    artifacts, warnings = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER and not warnings


async def test_a_card_is_asked_what_it_can(bench: Bench) -> None:
    """The limits are its own."""
    card = known(bench, ENCODER)
    assert card.card == "Driver for tests" and card.sizes == FrameSizes(32, 32, 4096, 4096)
    assert [feature.name for feature in card.features if not feature.available] == ["7680x4320"]
    with pytest.raises(HardwareUnavailable, match="above 4096x4096"):
        required = target(bench, width=4098, height=256, hardware=Hardware.REQUIRED)
        await bench.attempts.inspect("plan", bench.request(required))


async def test_a_ladder_is_encoded_on_the_card(bench: Bench) -> None:
    """Several at once."""
    rungs = [
        replace(target(bench, height=height), index=height, uri=f"{bench.folder.as_uri()}/{height}.mp4") for height in (180, 90)
    ]
    artifacts, warnings = await attempt(bench, *rungs)
    assert [artifact.streams[0].encoder for artifact in artifacts] == [ENCODER] * 2 and not warnings


RATES: dict[str, dict[str, Any]] = {"mean": {"bitrate": 300_000}, "capped": {"max_bitrate": 300_000, "buffer_size": 600_000}}
LIMITED: dict[str, dict[str, int]] = {"all": {}, "no QVBR": {"no_qvbr": 1}, "only CQP": {"only_cqp": 1}}


@pytest.mark.parametrize("limited", LIMITED)
@pytest.mark.parametrize("rate", RATES)
async def test_a_rate_that_the_driver_does_not_control_is_softwares(
    bench: Bench, driver: Driver, rate: str, limited: str
) -> None:
    """The plan knows, so nothing has to fail, and the card stays."""
    driver.fault(**LIMITED[limited])
    await look(bench)
    artifacts, warnings = await attempt(bench, target(bench, **RATES[rate]))
    takes = not LIMITED[limited] or (rate == "mean" and "only_cqp" not in LIMITED[limited])
    stream = artifacts[0].streams[0]
    assert (stream.encoder == ENCODER) is takes and known(bench, ENCODER).available and not warnings
    assert takes or "h264_vaapi: does not control" in stream.reason


async def test_of_several_cards_one_with_a_driver_is_used(bench: Bench, driver: Driver) -> None:
    """FFmpeg takes the first, such as that of a server's console."""
    if len(list(Path("/dev/dri").glob("renderD*"))) < 2:
        pytest.skip("one render node")
    driver.fault(bad_node=128)
    await look(bench)
    artifacts, warnings = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER and not warnings


async def test_low_power_alone_is_used(bench: Bench, driver: Driver) -> None:
    """Newer cards of Intel have no other entry point."""
    driver.fault(low_power_only=1)
    await look(bench)
    artifacts, warnings = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER and not warnings
