"""What is only asked of a card by VAAPI, on the driver of tests/drivers; what is asked of every card is in test_cards.py."""

from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import HardwareUnavailable
from reelmill_server.model.capability import FrameSizes
from reelmill_server.model.request import Hardware
from tests import judge
from tests.drivers import Driver
from tests.integration.cards import VAAPI, Card, attempt, bench, built, clip, driver, known, look, target, tried
from tests.integration.test_attempt import Bench

__all__ = ["bench", "built", "clip", "driver", "tried"]
pytestmark = pytest.mark.toolchain
ENCODER, HEVC = VAAPI.encoders


@pytest.fixture(scope="module")
def card() -> Card:
    """The only one of these tests."""
    return VAAPI


async def test_frames_are_those_that_went_in(bench: Bench, clip: Path) -> None:
    """This driver loses nothing."""
    await attempt(bench, target(bench))
    frames = zip(judge.pictures(bench.folder / "out.mp4"), judge.pictures(clip), strict=True)
    assert all(judge.psnr(frame, was) > 50 for frame, was in frames)


@pytest.mark.parametrize("b_frames", [0, 3])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
async def test_frames_of_h265_are_near_those_that_went_in(bench: Bench, clip: Path, pixel_format: str, b_frames: int) -> None:
    """In 8 and in 10 bits, in the order in which they are shown, whichever is coded first."""
    result = target(bench, codec="h265", pixel_format=pixel_format, crf=10.0, b_frames=b_frames)
    artifacts, warnings = await attempt(bench, result)
    video = artifacts[0].streams[0]
    assert (video.encoder, video.packet_count, list(warnings)) == (HEVC, 50, [])
    path = bench.folder / "out.mp4"
    frames = zip(judge.pictures(path), judge.pictures(clip), strict=True)
    assert min(judge.psnr(frame, was) for frame, was in frames) > 35
    with av.open(path) as file:
        packets = [packet.pts or 0 for packet in file.demux(video=0) if packet.size]
    assert (packets == sorted(packets)) is (b_frames == 0)


async def test_a_card_is_asked_what_it_can(bench: Bench) -> None:
    """The limits are its own."""
    card = known(bench, ENCODER)
    assert card.card == "Driver for tests" and card.sizes == FrameSizes(32, 32, 4096, 4096)
    assert [feature.name for feature in card.features if not feature.available] == ["7680x4320"]
    with pytest.raises(HardwareUnavailable, match="above 4096x4096"):
        required = target(bench, width=4098, height=256, hardware=Hardware.REQUIRED)
        await bench.attempts.inspect("plan", bench.request(required))


RATES: dict[str, dict[str, Any]] = {"mean": {"bitrate": 300_000}, "capped": {"max_bitrate": 300_000, "buffer_size": 600_000}}
LIMITED: dict[str, dict[str, int]] = {"all": {}, "no QVBR": {"no_qvbr": 1}, "only CQP": {"only_cqp": 1}}


@pytest.mark.parametrize("limited", LIMITED)
@pytest.mark.parametrize("rate", RATES)
async def test_a_rate_that_the_driver_does_not_control_is_softwares(
    bench: Bench, driver: Driver, rate: str, limited: str
) -> None:
    """The plan knows, so nothing has to fail, and the card stays."""
    driver.fault(**LIMITED[limited])
    await look(bench, VAAPI)
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
    await look(bench, VAAPI)
    artifacts, warnings = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER and not warnings


async def test_low_power_alone_is_used(bench: Bench, driver: Driver) -> None:
    """Newer cards of Intel have no other entry point."""
    driver.fault(low_power_only=1)
    await look(bench, VAAPI)
    artifacts, warnings = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == ENCODER and not warnings
