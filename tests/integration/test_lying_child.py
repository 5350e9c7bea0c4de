"""Children that their media subverted: whatever they say, no other file is touched, and metrics and texts stay small."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.errors import OutputInvalid, ReelmillError
from reelmill_server.model.capability import Capability, Limits
from reelmill_server.model.request import Hardware
from reelmill_server.worker.child.main import main
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.clipping import MAX_TEXT_LENGTH
from tests.clips import moving_picture
from tests.integration.test_attempt import Bench, packaged
from tests.integration.trials import discover

Message = dict[str, Any]
_VICTIM = "victim.mp4"


class _LyingPipe:
    """Passes on what the child says after `lie` has changed it."""

    def __init__(self, pipe: Any, lie: Callable[[Message], list[Message]]) -> None:
        self._pipe, self._lie = pipe, lie

    def fileno(self) -> int:
        """The pipe's."""
        number: int = self._pipe.fileno()
        return number

    def send_bytes(self, text: bytes) -> None:
        """Send the lies instead of the message."""
        for message in self._lie(json.loads(text)):
            self._pipe.send_bytes(json.dumps(message).encode())

    def recv_bytes(self) -> bytes:
        """Hear what the parent says."""
        heard: bytes = self._pipe.recv_bytes()
        return heard


def _of_kind(kind: str, change: Callable[[Message], object]) -> Callable[[Message], list[Message]]:
    def lie(message: Message) -> list[Message]:
        if message["kind"] == kind:
            change(message)
        return [message]

    return lie


def _place(uri: Callable[[str], str]) -> Callable[[Message], object]:
    return lambda message: [target.update(uri=uri(target["uri"])) for target in message["plan"]["targets"]]


def _package(**changes: str) -> Callable[[Message], object]:
    return lambda message: [target["package"].update(changes) for target in message["plan"]["targets"]]


def _linked(link: Callable[[Path, Path], None]) -> Callable[[Message], object]:
    def change(message: Message) -> None:
        for result in message["made"]:
            path = Path(result["path"])  # the child works in its folder
            path.unlink()
            link(Path.cwd().parents[2] / _VICTIM, path)

    return change


def _streams(**changes: object) -> Callable[[Message], object]:
    return lambda message: [stream.update(changes) for result in message["made"] for stream in result["artifact"]["streams"]]


def _beside(uri: str) -> str:
    return f"{uri.rpartition('/')[0]}/{_VICTIM}"


def _far(**changes: object) -> Message:
    return {"target_index": 0, "percent": 1, "media_seconds": 1.0, **changes}


def _split(chunks: int) -> Message:
    units = [{"number": number, "begin_us": number, "end_us": number + 1, "kind": "video"} for number in range(chunks)]
    return {"units": units, "reason": "", "digest": "d"}


def _flood(message: Message) -> list[Message]:
    return [message] * (5000 if message["kind"] == "advanced" else 1)


FILES: dict[str, Callable[[Message], list[Message]]] = {
    "a place of its own": _of_kind("planned", _place(_beside)),
    "a place with the right beginning": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "out-victim.mp4"))),
    "a folder above": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "out/../victim.mp4"))),
    "another storage": _of_kind("planned", _place(lambda uri: "s3://other/out.mp4")),
    "the source": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "clip.mp4"))),
    "another result": _of_kind("finished", lambda message: message["made"][0]["artifact"].update(uri="file:///victim.mp4")),
    "not a file of its own": _of_kind("finished", lambda message: message["made"][0].update(path="../victim.mp4")),
    "a segment elsewhere": _of_kind("finished", lambda message: message["made"][0].update(parts=["/etc/passwd"])),
    "a file closed elsewhere": lambda message: [message, {"kind": "closed", "path": "../../victim.mp4"}],
    "a symbolic link": _of_kind("finished", _linked(lambda victim, path: path.symlink_to(victim))),
    "a hard link": _of_kind("finished", _linked(lambda victim, path: path.hardlink_to(victim))),
}
TEXTS: dict[str, Callable[[Message], list[Message]]] = {
    "stages": _of_kind("finished", lambda message: message.update(stage_seconds={f"stage {n}": 1.0 for n in range(20_000)})),
    "seconds that are none": _of_kind("finished", lambda message: message["stage_seconds"].update(convert=float("nan"))),
    "warnings": _of_kind("finished", lambda message: message.update(warnings=["w" * 10_000] * 2_000)),
    "an encoder": _of_kind("finished", _streams(encoder="e" * 100_000)),
    "a codec": _of_kind("finished", _streams(codec="\N{SNOWMAN}")),
    "encoders lost": lambda message: (
        [{"kind": "encoder_lost", "encoder": f"encoder {n}", "device": "nvenc", "reason": "r"} for n in range(500)] + [message]
        if message["kind"] == "planned"
        else [message]
    ),
    "an accelerator is lost": lambda message: (
        [
            {"kind": "encoder_lost", "encoder": "h264_nvenc", "device": "nvenc", "reason": "r", "full": full}
            for full in (False, True)
        ]
        + [message]
        if message["kind"] == "planned"
        else [message]
    ),
    "what only the engine knows": _of_kind(
        "advanced",
        lambda message: message["progress"].update(problem="p" * 9_000, attempt=9, targets=[_far(encoders="e" * 9_000)]),
    ),
    "progress": _of_kind("advanced", lambda message: message["progress"].update(percent=10**9)),
    "targets": _of_kind("advanced", lambda message: message["progress"].update(targets=[{"target_index": 0}] * 100_000)),
    "a flood": _flood,
    "previews": lambda message: (
        [{"kind": "previewed", "seconds": 1e9, "jpeg": text} for text in ("", "/9j/" * 4_000, "<svg/>", "\N{SNOWMAN}")]
        + [message]
    ),
    "a large preview": lambda message: [{"kind": "previewed", "seconds": 0, "jpeg": "/9j/" * 20_000}, message],
    "an error": lambda message: (
        [{"kind": "failed", "code": "c" * 10_000, "message": "m" * 1_000_000, "fields": []}]
        if message["kind"] == "planned"
        else [message]
    ),
}
NUMBERS: dict[str, Callable[[Message], list[Message]]] = {
    "a width": _of_kind("finished", _streams(width=1 << 40)),
    "packets": _of_kind("finished", _streams(packet_count=1 << 70)),
    "a duration that is none": _of_kind("finished", _streams(duration_seconds=float("nan"))),
    "a target": _of_kind("finished", lambda message: message["made"][0]["artifact"].update(target_index=1 << 40)),
    "memory": _of_kind("finished", lambda message: message["usage"].update(memory_bytes=10**30)),
    "a level": _of_kind("planned", lambda message: [info["video"][0].update(level=1 << 40) for info in message["infos"]]),
    "a speed that is none": _of_kind(
        "advanced", lambda message: message["progress"].update(targets=[_far(speed=float("inf"))])
    ),
    "a target that advances": _of_kind(
        "advanced", lambda message: message["progress"].update(targets=[_far(target_index=1 << 40)])
    ),
    "a worker without room": lambda message: [{"kind": "failed", "code": "WorkerBusy", "message": "no room"}],
    "a caller without a name": lambda message: [{"kind": "failed", "code": "NotAuthenticated", "message": "who is it?"}],
    "a driver": lambda message: [{"kind": "failed", "code": "DriverFailed", "message": "it is broken"}],
    "an error that nobody has": lambda message: [{"kind": "failed", "code": "Imagined", "message": "it is"}],
}
"""And errors: none of them is a message of a child."""
PLANS: dict[str, Callable[[Message], list[Message]]] = {
    "an accelerator": _of_kind(
        "planned",
        lambda message: [
            stream.update(device="nvenc") for target in message["plan"]["targets"] for stream in target["streams"]
        ],
    ),
    "20,000 chunks": _of_kind("planned", lambda message: message.update(split=_split(20_000))),
    "chunks that nobody asked for": _of_kind("planned", lambda message: message.update(split=_split(2))),
}
PACKAGES = {
    "segments beside": _of_kind("planned", _package(prefix="file:///victim-")),
    "an ending": _of_kind("planned", _package(suffix="/../../victim.mp4")),
    "no name": _of_kind("planned", _package(prefix="")),
}


def _lie(name: str, pipe: Any, *rest: Any) -> None:
    main(_LyingPipe(pipe, {**FILES, **TEXTS, **NUMBERS, **PLANS, **PACKAGES}[name]), *rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 1)


@pytest.fixture
async def bench(tmp_path: Path, clip: Path) -> AsyncIterator[Bench]:
    """Another task's file lies beside."""
    child_process.preload()
    # The sandbox would keep it from making links: here, the parent stands alone.
    result = Bench(tmp_path, clip, limits=Limits(sandbox="off"))
    await discover(result.capabilities)
    (tmp_path / _VICTIM).write_text("the file of another task")
    yield result


async def _told(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch, segments: bool = False) -> list[str]:
    """Run an attempt whose child lies; return the texts that a user would see, the error's first if there is one."""
    monkeypatch.setattr(child_process, "enter", partial(_lie, name))
    try:
        artifacts, warnings = await bench.convert(
            bench.request(packaged(bench) if segments else bench.target("out.mp4", hardware=Hardware.NEVER))
        )
    except ReelmillError as error:
        return [f"{error.code}: {error.message}"]
    finally:
        assert (bench.folder / _VICTIM).read_text() == "the file of another task"
        assert (bench.folder / "clip.mp4").stat().st_size > 10_000
        assert set(bench.left()) <= {_VICTIM, "out.mp4", "film"}
    streams = [stream for artifact in artifacts for stream in artifact.streams]
    return [*warnings, *(text for stream in streams for text in (stream.codec, stream.encoder, stream.reason))]


@pytest.mark.sample(every=11)
@pytest.mark.parametrize("name", FILES)
async def test_no_other_file_is_replaced_or_published(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The places are those of the request, the files those of the child."""
    told = await _told(bench, name, monkeypatch)
    if name != "a file closed elsewhere":  # that alone is no reason to fail
        assert told[0].startswith(OutputInvalid.code) or "would replace a source" in told[0]
        assert bench.left() == [_VICTIM]


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", PACKAGES)
async def test_no_segment_goes_elsewhere(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Their names follow from the request, too."""
    told = await _told(bench, name, monkeypatch, segments=True)
    assert told[0].startswith(OutputInvalid.code) and bench.left() == [_VICTIM]


@pytest.mark.parametrize("name", NUMBERS)
async def test_numbers_and_errors_that_no_child_has_end_it(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A number that no response can hold would break the list of all tasks; a busy worker's task is tried without end."""
    assert await _told(bench, name, monkeypatch) == ["EncoderCrashed: the child process ended: what it sent was not a message"]
    assert not bench.left()[1:]


@pytest.mark.parametrize("name", PLANS)
async def test_plans_for_more_than_was_asked_for_are_refused(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Sessions of an accelerator, and activities of the engine, are there for all."""
    (told,) = await _told(bench, name, monkeypatch)
    assert told.startswith(OutputInvalid.code) and bench.left() == [_VICTIM]


async def test_an_encoder_that_the_child_may_not_use_is_not_lost(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others go on using it."""
    nvenc = Capability("h264_nvenc", "h264", "nvenc", True)
    monkeypatch.setitem(bench.capabilities._encoders, nvenc.name, nvenc)
    await _told(bench, "an accelerator is lost", monkeypatch)
    assert bench.capabilities.works(nvenc.name) and not bench.capabilities.max_sessions("nvenc")


@pytest.mark.sample(every=13)
@pytest.mark.parametrize("name", TEXTS)
async def test_what_a_child_says_stays_small(bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """In metrics, which keep every label, in errors, and in progress."""
    told = await _told(bench, name, monkeypatch)
    assert len(bench.metrics.render()) < 100_000
    assert not bench.shown
    if name in ("warnings", "targets", "an error", "a large preview"):  # too long: the child is killed at once
        assert told == ["EncoderCrashed: the child process ended: what it sent was not a message"]
    assert len(told) <= 1100 and max(map(len, told), default=0) <= MAX_TEXT_LENGTH + 200
    assert all(0 <= progress.percent <= 100 for progress in bench.reported)
    assert not any(progress.problem or progress.wait or progress.attempt for progress in bench.reported)
    encoders = [target.encoders for progress in bench.reported for target in progress.targets]
    assert max(map(len, encoders), default=0) <= MAX_TEXT_LENGTH
    assert max((len(progress.targets) for progress in bench.reported), default=0) <= 1000
