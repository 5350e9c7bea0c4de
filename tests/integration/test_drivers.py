"""Accelerators whose drivers crash, hang or give nonsense: libx264 stands for h264_nvenc, in real children."""

import os
import signal
import threading
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import DriverFailed, HardwareUnavailable, WorkerBusy
from reelmill_server.media import capabilities as trials
from reelmill_server.media.libav import encoder
from reelmill_server.media.libav.encoder import EncoderDown
from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.cost import Cost
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.needs import Needs
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.request import Hardware, SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.worker.child import main
from reelmill_server.worker.parent import child_process
from tests.clips import moving_picture
from tests.integration.test_attempt import Bench, FakeClaim
from tests.integration.trials import discover

_FAULTY_FROM = 30  # frames


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2)


class Faulty:
    """A stream whose encoder does as it is told by the name of a fault from some frame on."""

    def __init__(self, stream: Any, fault: str) -> None:
        self._stream, self._fault, self._frames = stream, fault, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def encode(self, frame: Any) -> Any:
        """Encode, or not."""
        self._frames += 1
        if frame is not None and self._fault in ("green", "repeated"):
            frame = self._spoiled(frame)
        late = self._frames > _FAULTY_FROM and hasattr(self, f"_{self._fault}")
        packets = self._stream.encode(frame)
        return [getattr(self, f"_{self._fault}")(packet) for packet in packets] if late else packets

    def _spoiled(self, frame: Any) -> Any:
        """As a card that has lost its memory, or reads what it was given before."""
        if self._frames <= _FAULTY_FROM:
            self._held = frame.to_ndarray()
            return frame
        samples = self._held if self._fault == "repeated" else 0 * self._held
        other = av.VideoFrame.from_ndarray(samples, format=frame.format.name)
        other.pts, other.time_base, other.pict_type = frame.pts, frame.time_base, frame.pict_type
        return other

    def _crash(self, _: Any) -> Any:
        os.kill(os.getpid(), signal.SIGSEGV)

    def _hang(self, _: Any) -> Any:
        threading.Event().wait()

    def _times(self, packet: Any) -> Any:
        packet.pts += 7
        return packet

    def _order(self, packet: Any) -> Any:
        packet.dts = packet.pts + 1
        return packet

    def _damaged(self, packet: Any) -> Any:
        other = av.Packet(bytes(packet)[:4] + b"\xff" * (packet.size - 4))
        other.pts, other.dts, other.time_base, other.stream = packet.pts, packet.dts, packet.time_base, packet.stream
        other.is_keyframe = packet.is_keyframe
        return other


def _driver(fault: str, *arguments: Any) -> None:
    """The entry point of a child on a machine with such an encoder."""
    open_real = encoder._open
    trials.try_video = lambda codec, device, name, budget=None: Capability(name, codec, device, True)
    sessions = []

    def opened(plan: StreamPlan, *rest: Any) -> Any:
        if plan.encoder != "h264_nvenc":
            return open_real(plan, *rest)
        assert plan.video
        if fault == "large frames only" and plan.video.width < 200:
            raise EncoderDown(plan.encoder, plan.device, "does not open: too small", opening=True)
        if fault == "one session":
            sessions.append(plan)
            if len(sessions) != 1:
                sessions.clear()
                text = "does not open: OpenEncodeSessionEx failed: out of memory (10): (no details)"
                raise EncoderDown(plan.encoder, plan.device, text, opening=True)
        return Faulty(open_real(replace(plan, encoder="libx264", options={"preset": "ultrafast", "g": "10"}), *rest), fault)

    encoder._open = opened
    main.main(*arguments)


@pytest.fixture
async def bench(tmp_path: Path, clip: Path) -> AsyncIterator[Bench]:
    """A worker with software, and an encoder that passed its trial."""
    child_process.preload()
    result = Bench(tmp_path, clip)
    await discover(result.capabilities)
    result.claim("h264_nvenc", "h264", "nvenc")
    yield result


async def attempt(bench: Bench, *targets: TargetSpec, avoided: tuple[str, ...] = ()) -> Any:
    """An attempt at these targets."""
    claim = FakeClaim(lambda: ClaimState.OURS)
    work = bench.attempts.convert(
        bench.request(*targets), report=bench.reported.append, claim=claim, lane=SOFTWARE, needs=Needs(Cost()), avoided=avoided
    )
    return await work


def known(bench: Bench, name: str = "h264_nvenc") -> Any:
    """What the worker knows of an encoder."""
    return next(capability for capability in bench.capabilities.encoders if capability.name == name)


@pytest.mark.slow
async def test_a_driver_that_crashes_is_not_met_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next attempt, on whatever worker, goes without the encoder; it is suspect for others here, too."""
    monkeypatch.setattr(child_process, "enter", partial(_driver, "crash"))
    with pytest.raises(DriverFailed, match="h264_nvenc: the child process ended: killed by SIGSEGV") as failure:
        await attempt(bench, bench.target("out.mp4"))
    assert failure.value.retryable and failure.value.encoders == ("h264_nvenc",)
    assert not known(bench).available and "SIGSEGV" in known(bench).reason
    bench.claim("h264_nvenc", "h264", "nvenc")  # as on another worker
    artifacts, _ = await attempt(bench, bench.target("out.mp4"), avoided=failure.value.encoders)
    video = artifacts[0].streams[0]
    assert video.encoder == "libx264" and "h264_nvenc: its driver failed in an earlier attempt" in video.reason


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("fault", ["crash", "hang"])
async def test_required_hardware_fails_at_once_and_names_the_driver(
    tmp_path: Path, clip: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    """There is nothing to go on with."""
    child_process.preload()
    bench = Bench(tmp_path, clip, stall_seconds=8.0)
    await discover(bench.capabilities)
    bench.claim("h264_nvenc", "h264", "nvenc")
    monkeypatch.setattr(child_process, "enter", partial(_driver, fault))
    with pytest.raises(DriverFailed, match=r"h264_nvenc: (nothing moved|the child process ended)") as failure:
        await attempt(bench, bench.target("out.mp4", hardware=Hardware.REQUIRED))
    assert not failure.value.retryable and bench.left() == []


FORMS = {
    "a file": {},
    "HLS": {"uri": "x.m3u8", "container": "ts", "segment": SegmentSpec(SegmentFormat.HLS, 500_000)},
    "DASH": {"uri": "x.mpd", "segment": SegmentSpec(SegmentFormat.DASH, 500_000)},
}


@pytest.mark.sample(every=23)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("fault", ["times", "order", "damaged", "green", "repeated", "not at all"])
async def test_nonsense_of_a_card_is_made_again_in_software(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, fault: str, form: str
) -> None:
    """With a warning that names the encoder, which is out for all. The output is whole, and no text has a path."""
    if fault != "not at all":  # else it does not open, as there is no card
        monkeypatch.setattr(child_process, "enter", partial(_driver, fault))
    target = bench.target("out.mp4")
    changes = dict(FORMS[form])
    if "uri" in changes:
        changes["uri"] = f"{bench.folder.as_uri()}/{changes['uri']}"
    artifacts, warnings = await attempt(bench, replace(target, **changes))  # type: ignore[arg-type]
    video = artifacts[0].streams[0]
    assert video.encoder == "libx264" and video.packet_count == 50
    assert any("h264_nvenc" in warning and "another encoder was used" in warning for warning in warnings)
    assert not known(bench).available
    assert str(bench.folder) not in f"{warnings}{video.reason}{known(bench).reason}"


@pytest.mark.slow
async def test_required_hardware_that_gives_nonsense_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It says which encoder, and what was wrong."""
    monkeypatch.setattr(child_process, "enter", partial(_driver, "times"))
    with pytest.raises(HardwareUnavailable, match=r"h264_nvenc.*gives wrong times"):
        await attempt(bench, bench.target("out.mp4", hardware=Hardware.REQUIRED))
    assert bench.left() == []


@pytest.mark.slow
async def test_what_one_target_asks_in_vain_takes_the_card_from_nobody(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only that target is encoded in software, and the encoder is not lost."""
    monkeypatch.setattr(child_process, "enter", partial(_driver, "large frames only"))
    small = bench.target("small.mp4", 1, width=160, height=90)
    artifacts, warnings = await attempt(bench, bench.target("out.mp4"), small)
    encoders = [artifact.streams[0].encoder for artifact in artifacts]
    assert encoders == ["h264_nvenc", "libx264"] and "too small" in artifacts[1].streams[0].reason
    assert any("too small" in warning for warning in warnings) and known(bench).available
    assert b'reelmill_encoder_fallback_total{from="h264_nvenc",reason="refused",to="libx264"} 1.0' in bench.metrics.render()


@pytest.mark.slow
async def test_a_ladder_takes_the_sessions_that_are_free(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are is learned from the card's refusal, which NVENC calls a lack of memory."""
    monkeypatch.setattr(child_process, "enter", partial(_driver, "one session"))
    ladder = [bench.target(f"{number}.mp4", number, width=320 - 80 * number, height=180 - 46 * number) for number in range(3)]
    artifacts, _ = await attempt(bench, *ladder)
    assert [artifact.streams[0].encoder for artifact in artifacts] == ["h264_nvenc", "libx264", "libx264"]
    assert known(bench).available and bench.capabilities.max_sessions("nvenc") == 1


async def test_a_task_that_requires_hardware_waits_for_a_session(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is handed back, and the worker takes none for the card before one is free."""
    monkeypatch.setattr(child_process, "enter", partial(_driver, "one session"))
    bench.capabilities._in_use["nvenc"] = 1  # another attempt's
    two = [bench.target(f"{number}.mp4", number, hardware=Hardware.REQUIRED) for number in range(2)]
    with pytest.raises(WorkerBusy, match="sessions of nvenc are in use"):
        await attempt(bench, *two)
    assert known(bench).available and bench.capabilities.sessions_in_use("nvenc") == 1
    assert not bench.capabilities.has_sessions("nvenc", 2)
