"""What attempts hold of the disk together."""

import errno
import fcntl
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest

from reelmill_server.errors import MediaLimitExceeded, OutputError, OutputInvalid, WorkerBusy
from reelmill_server.worker.frames import BLOCK_BYTES
from reelmill_server.worker.parent import workspace
from reelmill_server.worker.parent.workspace import Scratch

QUOTA = 32 * BLOCK_BYTES


async def test_outputs_that_are_too_large_alone_fail_for_good(tmp_path: Path) -> None:
    """No other worker would have more room."""
    scratch = Scratch(tmp_path, QUOTA)
    async with scratch.attempt("one") as folder:
        (folder / "out.mp4").write_bytes(bytes(QUOTA // 2))
        await scratch.check(folder)
        (folder / "out.mp4").write_bytes(bytes(QUOTA + BLOCK_BYTES))
        with pytest.raises(MediaLimitExceeded, match="scratch"):
            await scratch.check(folder)


async def test_an_attempt_that_finds_no_room_may_try_again(tmp_path: Path) -> None:
    """Others hold it now."""
    scratch = Scratch(tmp_path, QUOTA)
    async with scratch.attempt("one") as first, scratch.attempt("two") as second:
        for folder in (first, second):
            (folder / "out.mp4").write_bytes(bytes(QUOTA * 3 // 4))
        with pytest.raises(OutputError, match="scratch"):
            await scratch.check(second)
    assert OutputError.retryable


def test_what_the_disk_still_takes_is_known(tmp_path: Path) -> None:
    """As `df` says it."""
    scratch = Scratch(tmp_path)
    assert abs(scratch.free_bytes() - shutil.disk_usage(tmp_path).free) < 1 << 28
    shutil.rmtree(tmp_path)
    assert scratch.free_bytes() == 0


async def test_a_disk_that_takes_nothing_returns_tasks_and_gets_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that the kernel has made read-only: it is tried again now and then, and an attempt's own error is not hidden."""
    scratch = Scratch(tmp_path)
    with pytest.raises(OutputError), scratch.cache(), monkeypatch.context() as broken:
        broken.setattr(os, "ftruncate", _read_only)
        raise OutputError("cannot be written")
    monkeypatch.setattr(workspace, "_TRIAL_SECONDS", 0.0)
    with monkeypatch.context() as broken:
        broken.setattr(os, "mkdir", _read_only)
        broken.setattr(tempfile, "mkstemp", _read_only)
        with pytest.raises(WorkerBusy, match="scratch cannot be written: Read-only"):
            async with scratch.attempt("one"):
                pass
        with pytest.raises(WorkerBusy, match="scratch cannot be written: Read-only"), scratch.cache():
            pass
        assert scratch.free_bytes() == 0
    assert scratch.free_bytes() > 0
    async with scratch.attempt("two"):
        pass


def _read_only(*_: object, **__: object) -> None:
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))


async def test_what_is_kept_of_sources_gives_way(tmp_path: Path) -> None:
    """It grows as far as there is room, and is dropped when outputs need it."""
    scratch = Scratch(tmp_path, QUOTA)
    with scratch.cache() as cache:
        async with scratch.attempt("one") as folder:
            blocks = {(0, number): bytes([number]) * BLOCK_BYTES for number in range(40)}
            await cache.put(blocks)
            assert cache.size_bytes == QUOTA and len(await cache.get(list(blocks))) == 32
            (folder / "out.mp4").write_bytes(bytes(QUOTA // 2))
            await scratch.check(folder)
            assert cache.size_bytes == 0 and await cache.get(list(blocks)) == {}
            await cache.put(blocks)
            assert 0 < cache.size_bytes <= QUOTA // 2


@pytest.mark.parametrize(("module", "step"), [(Path, "mkdir"), (Path, "open"), (fcntl, "flock")])
@pytest.mark.parametrize("late", [False, True], ids=["before", "after"])
async def test_workers_that_start_at_once_have_a_folder_each(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any, step: str, late: bool
) -> None:
    """Whenever the second one starts while the first does, just before or after any of its steps."""
    plain = getattr(module, step)
    second: list[Scratch] = []

    def interrupted(*arguments: Any, **named: Any) -> Any:
        monkeypatch.setattr(module, step, plain)
        if not late:
            second.append(Scratch(tmp_path))
        result = plain(*arguments, **named)
        if late:
            second.append(Scratch(tmp_path))
        return result

    monkeypatch.setattr(module, step, interrupted)
    for scratch in (Scratch(tmp_path), *second):
        async with scratch.attempt("one") as folder:
            assert folder.is_dir()
    assert len(second) == 1 and len(list(tmp_path.iterdir())) == 2


async def test_a_killed_worker_s_folder_is_removed_and_no_other(tmp_path: Path) -> None:
    """Also one that was killed before it had a lock, or of which half was removed; what is in use, or no worker's, stays."""
    running = Scratch(tmp_path)
    running_folder = next(tmp_path.iterdir())
    for name in ("1-00000001", "2-00000002", "3-00000003", "http"):
        (tmp_path / name).mkdir()
    (tmp_path / "1-00000001" / workspace._LOCK).touch()
    (tmp_path / "2-00000002" / "attempt").mkdir()
    Scratch(tmp_path).close()
    assert {path.name for path in tmp_path.iterdir()} == {running_folder.name, "http"}
    async with running.attempt("one") as folder:
        assert folder.is_dir()


async def test_scratch_is_removed_whatever_a_child_made_of_it(tmp_path: Path) -> None:
    """Folders deeper than a path may be long, and some that their owner may not even list."""
    scratch = Scratch(tmp_path, QUOTA)
    async with scratch.attempt("one") as folder:
        _nested(folder, 3000)
        for name, mode in (("shut", 0o300), ("fixed", 0o500), ("closed", 0)):
            (folder / name / "below").mkdir(parents=True)
            (folder / name / "below" / "file").write_bytes(b"hidden")
            (folder / name).chmod(mode)
    assert [path.name for path in next(tmp_path.iterdir()).iterdir()] == [workspace._LOCK]


async def test_what_a_child_hides_is_its_own_fault(tmp_path: Path) -> None:
    """What cannot be measured could fill the disk; other attempts go on."""
    scratch = Scratch(tmp_path, QUOTA)
    async with scratch.attempt("one") as hiding, scratch.attempt("two") as innocent:
        _nested(hiding, 3000)
        with pytest.raises(OutputInvalid, match="cannot be measured"):
            await scratch.check(hiding)
        await scratch.check(innocent)


def _nested(folder: Path, depth: int) -> None:
    """Make `depth` folders, one in the other, with a file in the last."""
    at = os.open(folder, os.O_DIRECTORY)
    for _ in range(depth):
        os.mkdir("d", dir_fd=at)
        at, above = os.open("d", os.O_DIRECTORY, dir_fd=at), at
        os.close(above)
    os.close(os.open("hidden", os.O_CREAT, dir_fd=at))
    os.close(at)
