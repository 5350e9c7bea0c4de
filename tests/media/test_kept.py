"""Sources of copies are opened once, and read as if they had been opened twice."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input import kept, probe
from reelmill_server.media.input.kept import KeptSource
from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.demuxing import packets_of
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import ConvertRequest, SourceSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.media.converter import target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

MOVING = (Video(pattern="ramp", seconds=1, gop=10),), (Audio(seconds=1),)


def copied(location: Location, container: str, folder: Path, start_us: int = 0) -> list[tuple[Any, ...]]:
    """Copies what is at a location as an attempt does, and returns the packets of the output."""
    folder.mkdir()
    spec = SourceSpec("file:///in/clip", start_us=start_us)
    request = ConvertRequest("task", "default", (spec,), (target(container),))
    plan = make_plan(request, PlanFacts([probe.probe_file(location, Limits(), copied=True)], {}))
    produced, _ = Conversion(plan, [location], folder, limits=Limits(), stop=threading.Event()).run()
    verify(produced[0])
    with av.open(produced[0].path) as result:
        return [(packet.stream_index, packet.pts, packet.dts, packet.duration, bytes(packet)) for packet in result.demux()]


@pytest.fixture
def openings(monkeypatch: pytest.MonkeyPatch) -> list[Location]:
    """Where sources were opened."""
    opened: list[Location] = []

    @contextmanager
    def noted(location: Location, limits: Limits) -> Iterator[Any]:
        opened.append(location)
        with open_source(location, limits) as container:
            yield container

    monkeypatch.setattr(probe, "open_source", noted)
    monkeypatch.setattr(kept, "open_source", noted)
    return opened


@pytest.mark.parametrize("start_us", [0, 500_000], ids=["whole", "cut"])
@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
def test_a_copy_opens_its_source_once(form: str, start_us: int, shelf: Shelf, tmp_path: Path, openings: list[Location]) -> None:
    """What is made is the same as when it is opened again, from the front and from a keyframe."""
    path = str(shelf.get(Clip(form, *MOVING)))
    anew = copied(path, "mp4", tmp_path / "anew", start_us)
    assert len(openings) == 2
    assert copied(KeptSource(path), "mp4", tmp_path / "kept", start_us) == anew
    assert len(openings) == 3


def test_other_formats_are_opened_again(shelf: Shelf, tmp_path: Path, openings: list[Location]) -> None:
    """Reading these may change what is known of their streams."""
    copied(KeptSource(str(shelf.get(Clip("flv", *MOVING)))), "mkv", tmp_path / "made")
    assert len(openings) == 2


def test_a_source_that_ends_at_once_is_opened_again(shelf: Shelf, tmp_path: Path, openings: list[Location]) -> None:
    """All of it was read while it was looked at: then reading it on would end its streams twice."""
    path = str(shelf.get(Clip("matroska", (Video(pattern="ramp", seconds=0.04),))))
    copied(KeptSource(path), "mp4", tmp_path / "made")
    assert len(openings) in (2, 3)


def test_a_kept_source_is_taken_once(shelf: Shelf, openings: list[Location]) -> None:
    """An attempt that converts again opens it anew."""
    location = KeptSource(str(shelf.get(Clip("mp4", *MOVING))))
    probe.probe_file(location, Limits(), copied=True)
    read = []
    for _ in range(2):
        with kept.open_kept(location, Limits()) as container:
            read.append(
                [(packet.stream_index, packet.dts) for packet in packets_of(container, list(container.streams)) if packet.size]
            )
    assert len(openings) == 2
    assert read[0] == read[1] != []
