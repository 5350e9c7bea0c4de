"""What is asked of every card: whole outputs, the times of software, and an end to whatever its driver does wrong."""

from dataclasses import replace
from pathlib import Path

import pytest

from reelmill_server.errors import DriverFailed
from reelmill_server.model.request import Hardware
from tests import judge
from tests.drivers import Driver
from tests.integration.cards import (
    CARDS,
    FORMS,
    Card,
    attempt,
    bench,
    built,
    clip,
    driver,
    known,
    look,
    target,
    times,
    tried,
)
from tests.integration.test_attempt import Bench
from tests.integration.trials import discover
from tests.media.test_right_by_default import PQ, hdr_clip
from tests.sources import write

__all__ = ["bench", "built", "clip", "driver", "tried"]
pytestmark = pytest.mark.toolchain
CODECS = {"h264": "libx264", "h265": "libx265"}


@pytest.fixture(scope="module", params=CARDS)
def card(request: pytest.FixtureRequest) -> Card:
    """One after the other."""
    return CARDS[request.param]


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("form", FORMS)
async def test_the_card_encodes(bench: Bench, card: Card, form: str, codec: str) -> None:
    """With B-frames, whatever the output."""
    artifacts, warnings = await attempt(bench, target(bench, form, codec, b_frames=3))
    video = artifacts[0].streams[0]
    assert (video.encoder, video.packet_count, warnings) == (card.encoders[codec == "h265"], 50, ())


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("start_us", [0, 500_000])
async def test_frames_of_the_card_have_the_times_that_those_of_software_have(bench: Bench, start_us: int, codec: str) -> None:
    """Reordered frames push nothing: audio lies beside the same frames, though a card may date them further back."""
    await attempt(bench, target(bench, codec=codec, b_frames=3), start_us=start_us)
    of_card = times(bench.folder / "out.mp4")
    await attempt(bench, target(bench, codec=codec, b_frames=3, hardware=Hardware.NEVER), start_us=start_us)
    assert of_card == times(bench.folder / "out.mp4")


async def test_hdr_metadata_are_those_of_the_source(bench: Bench, card: Card) -> None:
    """In the packets, whether the encoder takes them from the frames or they are put there."""
    write(hdr_clip(PQ), bench.folder / "clip.mp4")
    shown = []
    for hardware, encoder in ((Hardware.REQUIRED, card.encoders[1]), (Hardware.NEVER, "libx265")):
        hdr = target(bench, codec="h265", pixel_format="yuv420p10le", width=320, height=180, hardware=hardware)
        artifacts, warnings = await attempt(bench, hdr)
        assert artifacts[0].streams[0].encoder == encoder and not warnings
        lines = judge.first_picture_side_data(bench.folder / "out.mp4").splitlines()
        told = (line.partition("side data - ")[2] for line in lines)
        shown.append({text for text in told if text.startswith(("Mastering display", "Content light"))})
    assert shown[0] == shown[1] and len(shown[0]) == 2 and "MaxCLL=1000, MaxFALL=400" in str(shown[0])


@pytest.mark.parametrize(
    ("card", "fault"), [(name, fault) for name in CARDS for fault in CARDS[name].faults], indirect=["card"]
)
async def test_a_card_that_fails_is_replaced_and_lost(bench: Bench, card: Card, driver: Driver, fault: str) -> None:
    """The output is whole, a warning has the driver's own words, and others go without the card as well."""
    (faults, words, form), encoder = card.faults[fault], card.encoders[0]
    driver.fault(**faults)
    artifacts, warnings = await attempt(bench, target(bench, form))
    video = artifacts[0].streams[0]
    assert video.encoder == "libx264" and video.packet_count == 50
    assert words in video.reason and any(words in warning for warning in warnings)
    assert not known(bench, encoder).available and words in known(bench, encoder).reason
    assert f"{encoder}: {encoder}" not in video.reason and str(bench.folder) not in f"{warnings}{video.reason}"
    driver.fault()
    await look(bench, card)
    artifacts, _ = await attempt(bench, target(bench))
    assert artifacts[0].streams[0].encoder == encoder


@pytest.mark.parametrize(("fault", "words"), [("crash_at", "killed by SIGSEGV"), ("hang_at", "nothing moved")])
async def test_a_driver_that_takes_its_process_along_is_named(
    tmp_path: Path, clip: Path, card: Card, driver: Driver, fault: str, words: str
) -> None:
    """The next attempt goes without it."""
    hasty = Bench(tmp_path, clip, stall_seconds=8.0)
    await discover(hasty.capabilities)
    await look(hasty, card)
    driver.fault(**{fault: 30})
    with pytest.raises(DriverFailed, match=words) as failure:
        await attempt(hasty, target(hasty))
    assert failure.value.encoders == card.encoders[:1] and failure.value.retryable
    assert not known(hasty, card.encoders[0]).available


@pytest.mark.parametrize(
    ("card", "refused"), [(name, what) for name in CARDS for what in CARDS[name].refused], indirect=["card"]
)
async def test_what_a_task_asks_in_vain_takes_the_card_from_nobody(
    bench: Bench, card: Card, driver: Driver, refused: str
) -> None:
    """The next task is encoded by it, without a trial between them. The reason has the driver's own words, and no others."""
    faults, video, words = card.refused[refused]
    driver.fault(**faults)
    artifacts, warnings = await attempt(bench, target(bench, **video))
    stream, codec = artifacts[0].streams[0], video.get("codec", "h264")
    assert stream.encoder == CODECS[codec] and words in stream.reason and "capable devices" not in stream.reason
    assert any(words in warning for warning in warnings)
    driver.fault()
    artifacts, warnings = await attempt(bench, target(bench, codec=codec))
    assert artifacts[0].streams[0].encoder == card.encoders[codec == "h265"] and not warnings


async def test_a_ladder_is_encoded_on_the_card(bench: Bench, card: Card) -> None:
    """Several at once."""
    rungs = [
        replace(target(bench, height=height), index=height, uri=f"{bench.folder.as_uri()}/{height}.mp4") for height in (180, 90)
    ]
    artifacts, warnings = await attempt(bench, *rungs)
    assert [artifact.streams[0].encoder for artifact in artifacts] == [card.encoders[0]] * 2 and not warnings
