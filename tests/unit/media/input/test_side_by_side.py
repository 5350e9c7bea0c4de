"""The same done to several inputs by two threads."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, get_ident
from typing import Any

import pytest

from reelmill_server.media.input import side_by_side as module
from reelmill_server.media.input.side_by_side import side_by_side


class _NoMemory(ThreadPoolExecutor):
    """An executor whose thread ended when it started."""

    def submit(self, *_: Any) -> Future[Any]:  # type: ignore[override]
        """Return what never begins."""
        return Future()


class _NoThread(ThreadPoolExecutor):
    """An executor that cannot start a thread."""

    def submit(self, *_: Any) -> Future[Any]:  # type: ignore[override]
        """Say so."""
        raise RuntimeError("can't start new thread")


@pytest.mark.timeout(20)
def test_two_threads_work_at_once_and_the_results_are_in_order() -> None:
    """Both wait for each other: neither does all."""
    both, threads = Barrier(2), set()

    def work(item: int) -> int:
        both.wait()
        threads.add(get_ident())
        return item * item

    assert side_by_side(work, range(4)) == [0, 1, 4, 9]
    assert len(threads) == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize("executor", [_NoMemory, _NoThread])
def test_one_thread_does_all_where_there_is_no_other(monkeypatch: pytest.MonkeyPatch, executor: type) -> None:
    """As where memory is short."""
    monkeypatch.setattr(module, "ThreadPoolExecutor", executor)
    assert side_by_side(str, range(3)) == ["0", "1", "2"]


@pytest.mark.timeout(20)
def test_the_first_that_fails_is_told() -> None:
    """Whichever thread meets it, and whatever fails behind it."""

    def work(item: int) -> int:
        if item:
            raise ValueError(item)
        return item

    for _ in range(20):
        with pytest.raises(ValueError, match="1"):
            side_by_side(work, range(5))
