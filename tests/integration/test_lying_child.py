"""Children that their media subverted: whatever they say, no other file is touched, and metrics and texts stay small."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.errors import OutputInvalid, ReelmillError
from reelmill_server.model.capability import Limits
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
        for made in message["made"]:
            path = Path(made["path"])  # the child works in its folder
            path.unlink()
            link(Path.cwd().parents[2] / _VICTIM, path)

    return change


def _streams(**changes: object) -> Callable[[Message], object]:
    return lambda message: [stream.update(changes) for made in message["made"] for stream in made["artifact"]["streams"]]


def _beside(uri: str) -> str:
    return f"{uri.rpartition('/')[0]}/{_VICTIM}"


def _flood(message: Message) -> list[Message]:
    return [message] * (5000 if message["kind"] == "advanced" else 1)


FILES: dict[str, Callable[[Message], list[Message]]] = {
    "a place of its own": _of_kind("planned", _place(_beside)),
    "a place with the right beginning": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "out-victim.mp4"))),
    "a folder above": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "out/../victim.mp4"))),
    "another storage": _of_kind("planned", _place(lambda uri: "s3://other/out.mp4")),
    "the source": _of_kind("planned", _place(lambda uri: uri.replace("out.mp4", "clip.mp4"))),
    "another result": _of_kind("finished", lambda message: message["made"][0]["artifact"].update(uri="file:///victim.mp4")),
    "no file of its own": _of_kind("finished", lambda message: message["made"][0].update(path="../victim.mp4")),
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
PACKAGES = {
    "segments beside": _of_kind("planned", _package(prefix="file:///victim-")),
    "an ending": _of_kind("planned", _package(suffix="/../../victim.mp4")),
    "no name": _of_kind("planned", _package(prefix="")),
}


def _lie(name: str, pipe: Any, *rest: Any) -> None:
    main(_LyingPipe(pipe, {**FILES, **TEXTS, **PACKAGES}[name]), *rest)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One second."""
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 1)


@pytest.fixture
async def bench(tmp_path: Path, clip: Path) -> AsyncIterator[Bench]:
    """Another task's file lies beside."""
    child_process.preload()
    # The sandbox would keep it from making links: here, the parent stands alone.
    made = Bench(tmp_path, clip, limits=Limits(sandbox="off"))
    await discover(made.capabilities)
    (tmp_path / _VICTIM).write_text("the file of another task")
    yield made


async def _told(bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch, segments: bool = False) -> list[str]:
    """Run an attempt whose child lies; return the texts that a user would see, the error's first if there is one."""
    monkeypatch.setattr(child_process, "enter", partial(_lie, name))
    try:
        artifacts, warnings = await bench.convert(bench.request(packaged(bench) if segments else bench.target("out.mp4")))
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
    assert max((len(progress.targets) for progress in bench.reported), default=0) <= 1000
