"""Cards for tests: FFmpeg's own encoders in real children, on drivers that encode, and fail as they are told (tests/drivers).

PyAV's wheels have NVENC and no VAAPI; the images' build has VAAPI: docs/hardware.md says how its tests run there.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.needs import Needs
from reelmill_server.model.request import SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.worker.parent import capabilities, child_process
from reelmill_server.worker.parent.capabilities import try_family
from tests.clips import moving_picture
from tests.drivers import Driver, build, build_va, child_with, va_child
from tests.integration.test_attempt import Bench, FakeClaim
from tests.integration.trials import discover


@dataclass(frozen=True)
class Card:
    """A card of a family: its encoders of H.264 and H.265, how its driver is built, and the entry point of a child that has it.

    `faults`: what the driver is told, what it then says, and the form of the output in which that is seen. `refused`: what it
    is told, what a target asks in vain, and what is said of it.
    """

    family: str
    encoders: tuple[str, str]
    build: Callable[[Path], Driver]
    child: Callable[..., None]
    faults: Mapping[str, tuple[Mapping[str, int], str, str]]
    refused: Mapping[str, tuple[Mapping[str, int], Mapping[str, Any], str]]


def _built_va(folder: Path) -> Driver:
    """Build the driver where this libav can use it, else skip."""
    if "h264_vaapi" not in av.codecs_available:
        pytest.skip("h264_vaapi is not in this build of libav")
    if not list(Path("/dev/dri").glob("renderD*")):
        pytest.skip("no render node")
    return build_va(folder)


_WRONG: Mapping[str, tuple[Mapping[str, int], str, str]] = {
    "damaged": ({"damaged_at": 30}, "what it made is not valid", "a file"),
    "green": ({"green_at": 30}, "unlike the frame that went in", "HLS"),
    "repeated": ({"repeat_at": 30}, "shows a frame that went in before", "a file"),
}
"""What is seen of the output, whichever card made it."""
NVENC = Card(
    "nvenc",
    ("h264_nvenc", "hevc_nvenc"),
    build,
    child_with,
    {
        "no encoder": ({"fail_init": 1}, "the encoder engine does not start", "HLS"),
        "stops": ({"fail_at": 30}, "the encoder engine does not answer", "HLS"),
        "does not finish": ({"fail_flush": 1}, "the encoder engine does not finish", "DASH"),
        "gone": ({"no_device": 1}, "no CUDA-capable device is detected", "DASH"),
        "another driver": ({"old_driver": 1}, "Driver does not support the required nvenc API version", "a file"),
        **_WRONG,
        "wrong times": ({"times_at": 30}, "gives wrong times", "a file"),
    },
    {
        "10 bit": ({"no_10bit": 1}, {"codec": "h265", "pixel_format": "yuv420p10le"}, "10 bit encode not supported"),
        "4:4:4": ({"no_444": 1}, {"pixel_format": "yuv444p"}, "YUV444P not supported"),
        "too small": (
            {"min_width": 250},
            {"width": 240, "height": 136},
            "Frame Dimension less than the minimum supported value",
        ),
        "too large": ({"max_width": 300}, {}, "Width 320 exceeds 300"),
        "B-frames": ({"b_frames_h264": 4}, {"b_frames": 4}, "Max B-frames 4 exceed 3"),
        "references": ({"no_refs": 1}, {"refs": 8}, "Multiple reference frames are not supported"),
        "lossless": ({"no_lossless": 1}, {"crf": 0.0}, "Lossless encoding not supported"),
    },
)
VAAPI = Card(
    "vaapi",
    ("h264_vaapi", "hevc_vaapi"),
    _built_va,
    va_child,
    {
        "no encoder": ({"fail_init": 1}, "Failed to create encode pipeline context", "HLS"),
        "stops": ({"fail_at": 30}, "Failed to end picture encode issue", "HLS"),
        "gone": ({"no_device": 1}, "Failed to initialise VAAPI connection", "DASH"),
        **_WRONG,
    },
    {"too large": ({"max_width": 300}, {}, "width 32-300")},
)
CARDS: Mapping[str, Card] = {card.family: card for card in (NVENC, VAAPI)}
FORMS: Mapping[str, Mapping[str, Any]] = {
    "a file": {},
    "HLS": {"uri": "x.m3u8", "container": "ts", "segment": SegmentSpec(SegmentFormat.HLS, 500_000)},
    "DASH": {"uri": "x.mpd", "segment": SegmentSpec(SegmentFormat.DASH, 500_000)},
}


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


@dataclass
class _Once:
    """What is made once in a process, by family: cases of several cards take turns in it."""

    drivers: dict[str, Driver] = field(default_factory=dict)
    tried: dict[str, list[Capability]] = field(default_factory=dict)


_once = _Once()


@pytest.fixture(scope="module")
def built(card: Card, tmp_path_factory: pytest.TempPathFactory) -> Driver:
    """The driver's libraries."""
    if card.family not in _once.drivers:
        _once.drivers[card.family] = card.build(tmp_path_factory.mktemp("driver"))
    return _once.drivers[card.family]


@pytest.fixture(scope="module")
def tried(card: Card) -> list[Capability]:
    """What a trial of the card without faults gave, once there was one."""
    return _once.tried.setdefault(card.family, [])


@pytest.fixture
def driver(card: Card, built: Driver, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """The driver, without faults, on this machine."""
    built.fault()
    child_process.preload()
    monkeypatch.setattr(capabilities, "_FAMILY_SECONDS", 120.0)  # on a busy machine, too
    monkeypatch.setattr(child_process, "enter", partial(card.child, str(built.folder)))
    return built


@pytest.fixture
async def bench(tmp_path: Path, clip: Path, card: Card, driver: Driver, tried: list[Capability]) -> AsyncIterator[Bench]:
    """A worker with software and the card, as it was when the worker started."""
    result = Bench(tmp_path, clip)
    await discover(result.capabilities)
    tried[:] = tried or await try_family(Limits(), card.family, card.encoders)
    result.capabilities._update(tried)
    yield result


async def look(bench: Bench, card: Card) -> None:
    """Try the card, as a worker does at its start and after a cool-down."""
    bench.capabilities._update(await try_family(Limits(), card.family, card.encoders))


async def attempt(bench: Bench, *targets: TargetSpec, start_us: int = 0) -> Any:
    """An attempt at these targets, of the clip from `start_us` on."""
    claim, request = FakeClaim(lambda: ClaimState.OURS), bench.request(*targets)
    request = replace(request, sources=tuple(replace(source, start_us=start_us) for source in request.sources))
    return await bench.attempts.convert(request, report=bench.reported.append, claim=claim, lane=SOFTWARE, needs=Needs(Cost()))


def known(bench: Bench, name: str) -> Any:
    """What the worker knows of an encoder."""
    return next(capability for capability in bench.capabilities.encoders if capability.name == name)


def target(bench: Bench, form: str = "a file", codec: str = "h264", **video: Any) -> TargetSpec:
    """A target of one of `FORMS`."""
    result = bench.target("out.mp4", **video)
    assert result.video
    changes = dict(FORMS[form])
    if "uri" in changes:
        changes["uri"] = f"{bench.folder.as_uri()}/{changes['uri']}"
    return replace(result, **changes, video=replace(result.video, codec=codec))


def times(path: Path) -> list[tuple[Any, Any]]:
    """The timestamps of a file's frames, in seconds, and where its audio begins."""
    with av.open(str(path)) as container:
        video, audio = container.streams.video[0], container.streams.audio[0]
        first = next(packet.pts * packet.time_base for packet in container.demux(audio) if packet.pts is not None)
        container.seek(0)
        return [(frame.time, first) for frame in container.decode(video)]
