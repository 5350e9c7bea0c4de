"""What is only asked of a card by NVENC, on the driver of tests/drivers; what is asked of every card is in test_cards.py."""

from dataclasses import replace
from pathlib import Path

import av
import pytest

from reelmill_server.errors import HardwareUnavailable
from reelmill_server.model.capability import FrameSizes, Limits
from reelmill_server.model.request import Hardware
from reelmill_server.report import feature_table
from tests.drivers import Driver
from tests.integration.cards import NVENC, Card, attempt, bench, built, clip, driver, known, look, target, tried
from tests.integration.test_attempt import Bench

__all__ = ["bench", "built", "clip", "driver", "tried"]
pytestmark = pytest.mark.toolchain
ENCODER, HEVC = NVENC.encoders


@pytest.fixture(scope="module")
def card() -> Card:
    """The only one of these tests."""
    return NVENC


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
    with av.open(str(bench.folder / "out.mp4")) as result, av.open(str(clip)) as source:
        assert ("4:4:4" in str(result.streams.video[0].codec_context.profile)) is lossless
        pairs = zip(result.decode(video=0), source.decode(video=0), strict=True)
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
    assert known(bench, ENCODER).available and bench.capabilities.max_sessions("nvenc") == 2


OLDER: dict[str, tuple[dict[str, int], tuple[str, ...]]] = {
    "no B-frames": ({"b_frames_hevc": 1}, ("bf",)),
    "neither B-frames nor a choice of references": ({"b_frames_hevc": 1, "no_refs": 1}, ("bf", "refs")),
}


@pytest.mark.parametrize("generation", OLDER)
async def test_older_cards_are_used_for_what_they_can(bench: Bench, driver: Driver, generation: str) -> None:
    """Without B-frames that nobody asked for; what was asked is software's."""
    faults, lacks = OLDER[generation]
    driver.fault(**faults)
    await look(bench, NVENC)
    assert known(bench, HEVC).lacks == lacks
    artifacts, warnings = await attempt(bench, target(bench, codec="h265"))
    assert artifacts[0].streams[0].encoder == "hevc_nvenc" and not warnings
    artifacts, _ = await attempt(bench, target(bench, codec="h265", b_frames=2))
    assert artifacts[0].streams[0].encoder == "libx265" and "has no B-frames" in artifacts[0].streams[0].reason


async def test_the_plan_says_that_a_card_encodes_all_of_it(bench: Bench) -> None:
    """Whatever the parallelism that is asked for: it is what happens."""
    request = replace(bench.request(target(bench)), parallelism=3)
    inspected = await bench.attempts.inspect("plan", request)
    assert inspected.plan and inspected.plan.targets[0].streams[0].encoder == "h264_nvenc"
    assert inspected.split and not inspected.split.units and "an accelerator encodes it whole" in inspected.split.reason


WITHOUT = {"no_10bit": 1, "no_444": 1, "no_lossless": 1, "max_width": 4096, "b_frames_hevc": 1}


async def test_a_card_is_asked_what_it_can(bench: Bench, driver: Driver) -> None:
    """The answers are capabilities, with the driver's own reasons, and `capabilities` prints them as a table."""
    hevc = known(bench, HEVC)
    assert hevc.card == "Driver for tests"
    assert {feature.name for feature in hevc.features if not feature.available} == {"128x72"}
    assert (hevc.sizes, hevc.max_b_frames) == (FrameSizes(145, 49, 8192, 8192), 5)
    assert (known(bench, ENCODER).sizes, known(bench, ENCODER).max_b_frames) == (FrameSizes(145, 49, 4096, 4096), 4)
    driver.fault(**WITHOUT)
    await look(bench, NVENC)
    lacks = {feature.name: feature.reason for feature in known(bench, HEVC).features if not feature.available}
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
    await look(bench, NVENC)
    for video, reason in (
        ({"crf": 0.0}, "Lossless encoding not supported"),
        ({"b_frames": 5}, "has at most 4 B-frames in a row"),
        ({"width": 128, "height": 72}, "takes no frames below 145x49"),
    ):
        artifacts, warnings = await attempt(bench, target(bench, **video))  # type: ignore[arg-type]
        result = artifacts[0].streams[0]
        assert result.encoder == "libx264" and f"h264_nvenc: {reason}" in result.reason
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
    await look(bench, NVENC)
    assert known(bench, ENCODER).available
    artifacts, warnings = await attempt(bench, target(bench, hardware=Hardware.REQUIRED))
    assert artifacts[0].streams[0].encoder == "h264_nvenc" and not warnings
