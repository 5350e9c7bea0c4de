"""Outputs are read back: encodes two at once, in any order, and copies one after the other."""

import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.output.base import Stopped
from reelmill_server.worker import messages
from reelmill_server.worker.child import read_back as module
from reelmill_server.worker.child.read_back import read_back


class _Attempt(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(stop=threading.Event(), assignment=SimpleNamespace(directory="/attempt", limits=None))
        self.locations: list[str] = []
        self.reports: list[Any] = []
        self.report = self.reports.append


def _files(count: int, encoded: bool) -> list[Any]:
    stream = SimpleNamespace(video=object() if encoded else None, device="")
    plan = SimpleNamespace(streams=(stream,), package=None)
    return [SimpleNamespace(path=f"/attempt/{number}.mp4", plan=plan) for number in range(count)]


def _read(attempt: _Attempt, files: list[Any]) -> list[Any]:
    meter: Any = SimpleNamespace(verified=sorted)
    return read_back(attempt, SimpleNamespace(), files, meter, lambda: None)  # type: ignore[arg-type]


@pytest.mark.parametrize("encoded", [False, True])
def test_outputs_are_returned_in_their_order_and_reported_as_they_end(monkeypatch: Any, encoded: bool) -> None:
    threads, both = set[int](), threading.Barrier(2, timeout=10)

    def verify(file: Any, moved: Any) -> str:
        if encoded and Path(file.path).name in ("0.mp4", "2.mp4"):  # the first of either thread
            both.wait()
        threads.add(threading.get_ident())
        return f"verified {file.path}"

    monkeypatch.setattr(module, "verify", verify)
    attempt = _Attempt()
    assert _read(attempt, _files(3, encoded)) == [f"verified /attempt/{number}.mp4" for number in range(3)]
    assert len(threads) == 1 + encoded
    told = [report for report in attempt.reports if isinstance(report, list)]
    assert sorted(map(len, told)) == [1, 2, 3]
    closed = {report.path for report in attempt.reports if isinstance(report, messages.Closed)}
    assert closed == {"0.mp4", "1.mp4", "2.mp4"}


def test_the_first_wrong_output_is_told_whoever_reads_it(monkeypatch: Any) -> None:
    def verify(file: Any, moved: Any) -> None:
        raise OutputInvalid(f"{file.path} is wrong")

    monkeypatch.setattr(module, "verify", verify)
    monkeypatch.setattr(module, "check_copied", lambda *_: None)
    with pytest.raises(OutputInvalid, match="/attempt/0"):
        _read(_Attempt(), _files(2, True))


@pytest.mark.parametrize("encoded", [False, True])
@pytest.mark.parametrize("at", [0, 1, 3])
def test_nothing_more_is_read_once_stopped(monkeypatch: Any, encoded: bool, at: int) -> None:
    """Of two outputs that are read at once, the other one is read to its end."""
    attempt, read = _Attempt(), list[Any]()

    def verify(file: Any, moved: Any) -> Any:
        read.append(file)
        if len(read) >= at:
            attempt.stop.set()
        return file

    monkeypatch.setattr(module, "verify", verify)
    if not at:
        attempt.stop.set()
    with pytest.raises(Stopped):
        _read(attempt, _files(3, encoded))
    assert at <= len(read) <= min(3, at + (encoded and at > 0))
