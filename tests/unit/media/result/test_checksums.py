"""Checksums that are taken while something else writes or looks at the files."""

import time
from concurrent.futures import Future, wait
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.checksums import Checksum, checksum
from reelmill_server.media.result import checksums
from reelmill_server.media.result.checksums import Checksums
from reelmill_server.model.request import SegmentFormat

SEGMENTS = ("0-init.mp4", "0-1.m4s", "0-2.m4s", "0-3.m4s", "0-4.m4s")


class _NoMemory:
    """An executor whose thread ended when it started."""

    def __init__(self, *_: object) -> None:
        """Take what ThreadPoolExecutor takes."""

    def submit(self, *_: object) -> Future[Any]:
        """Return what never begins."""
        return Future()


def media(path: Path) -> Any:
    """A file that was written."""
    return SimpleNamespace(path=str(path), plan=SimpleNamespace(package=None))


@pytest.mark.timeout(20)
@pytest.mark.parametrize("memory", [True, False])
def test_a_checksum_is_waited_for_only_if_it_has_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memory: bool) -> None:
    """Where memory is short, threads end without a word."""
    path = tmp_path / "x.mp4"
    path.write_bytes(b"media")
    if not memory:
        monkeypatch.setattr(checksums, "ThreadPoolExecutor", _NoMemory)
    taken = Checksums()
    taken.begin([media(path)])
    assert taken.of([path]) == (5, sha256(b"media").hexdigest())


@pytest.mark.timeout(20)
@pytest.mark.parametrize("changed", ["", "0-init.mp4", "0-2.m4s", "0-4.m4s"])
def test_segments_are_taken_in_while_the_next_ones_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str
) -> None:
    """One that is written to afterwards is read again, and so are all."""
    read: list[str] = []
    original = Checksum.add
    monkeypatch.setattr(Checksum, "add", lambda self, path: (read.append(path.name), original(self, path))[1])
    paths = [tmp_path / "0" / name for name in SEGMENTS]
    monkeypatch.setattr(checksums, "written_files", lambda _: tuple(paths))
    package = SimpleNamespace(format=SegmentFormat.DASH, rendition=None)
    plan: Any = SimpleNamespace(targets=[SimpleNamespace(package=package, container="mp4", muxer="dash")])
    taken, file = Checksums(), media(tmp_path)
    with taken.following(plan, tmp_path):
        paths[0].parent.mkdir()
        for path in paths:
            path.write_bytes(path.name.encode())
        while len(read) < 3:
            time.sleep(0.005)
    if changed:
        with (tmp_path / "0" / changed).open("ab") as more:
            more.write(b"more")
    taken.begin([file])
    wait(taken._begun.values())
    data = b"".join(path.read_bytes() for path in paths)
    assert taken.of(paths) == (len(data), sha256(data).hexdigest())
    assert read[:3] == [*SEGMENTS[:3]]
    assert len(read) == len(SEGMENTS) + 3 * (changed in SEGMENTS[:3]), read


@pytest.mark.timeout(20)
def test_a_segment_that_is_read_in_part_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where memory or the disk fails in the midst of it."""
    paths = [tmp_path / name for name in SEGMENTS]
    for path in paths:
        path.write_bytes(path.name.encode())
    original = Checksum.add

    def add(self: Checksum, path: Path) -> None:
        original(self, path)
        raise OSError(path.name)

    package = SimpleNamespace(format=SegmentFormat.DASH, rendition=None)
    growing = checksums._Growing(SimpleNamespace(package=package, container="mp4"), tmp_path)  # type: ignore[arg-type]
    growing.go_on()  # finds the first number
    monkeypatch.setattr(Checksum, "add", add)
    growing.go_on()
    monkeypatch.setattr(Checksum, "add", original)
    assert not growing.fits(paths)
    growing.go_on()
    assert not growing.fits(paths)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("after", ["", "changed", "left"])
def test_a_file_is_taken_in_while_its_end_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, after: str) -> None:
    """One that is changed afterwards is read again, and so is one that was left unfinished."""
    again: list[Path] = []
    monkeypatch.setattr(checksums, "checksum", lambda paths: (again.extend(paths), checksum(paths))[1])
    path, taken = tmp_path / "x.mp4", Checksums()
    plan: Any = SimpleNamespace(targets=[])
    with taken.following(plan, tmp_path), path.open("wb", buffering=0) as file:
        for number in range(10):
            file.write(b"media")
            if number < 9 or after != "left":
                taken.final(str(path), 5 * (number + 1), 50)
    if after == "changed":
        path.write_bytes(b"other" * 11)
    taken.begin([media(path)])
    data = path.read_bytes()
    assert taken.of([path]) == (len(data), sha256(data).hexdigest())
    assert again == [path] * bool(after)
