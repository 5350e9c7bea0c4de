"""Outputs are written to the disk while they are read back."""

import ctypes
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from reelmill_server.worker.child import writing_out as module
from reelmill_server.worker.child.writing_out import writing_out


class _Kernel:
    def __init__(self) -> None:
        self.ranges: list[tuple[int, int]] = []

    def __call__(self, descriptor: int, begin: int, length: int, flags: int) -> int:
        self.ranges.append((begin, length))
        return 0


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> _Kernel:
    result = _Kernel()
    monkeypatch.setattr(ctypes, "CDLL", lambda name: SimpleNamespace(sync_file_range=result))
    monkeypatch.setattr(module, "_LEAST_BYTES", 10)
    monkeypatch.setattr(module, "_RANGE_BYTES", 8)
    return result


def test_all_of_the_files_is_written_but_for_what_is_not_there(kernel: _Kernel, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(20))
    (tmp_path / "b").write_bytes(bytes(5))
    with writing_out([tmp_path / "a", tmp_path / "missing", tmp_path / "b"]):
        while len(kernel.ranges) < 4:
            time.sleep(0.001)
    assert kernel.ranges == [(0, 8), (8, 8), (16, 8), (0, 8)]


def test_small_files_need_no_thread(kernel: _Kernel, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(9))
    with writing_out([tmp_path / "a"]):
        pass
    assert not kernel.ranges


def test_the_end_of_the_block_does_not_wait_for_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_LEAST_BYTES", 1)
    monkeypatch.setattr(module, "_RANGE_BYTES", 1)
    (tmp_path / "a").write_bytes(bytes(1 << 20))
    before = threading.active_count()
    with writing_out([tmp_path / "a"]):
        pass
    assert threading.active_count() == before
