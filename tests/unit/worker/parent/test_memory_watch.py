"""Which child is stopped, and when."""

import os
import threading

import pytest

from reelmill_server.errors import MediaLimitExceeded, OutOfMemory
from reelmill_server.worker.parent import child_usage, memory_watch
from reelmill_server.worker.parent.child_usage import MachineMemory
from reelmill_server.worker.parent.memory_watch import MemoryWatch, WatchedChild

MIB = 1 << 20


@pytest.mark.parametrize(
    ("used", "held", "expected", "stopped"),
    [
        (700, [300, 300], [100, 400], []),
        (860, [300, 400], [100, 400], [0]),  # the larger one was expected
        (860, [300, 500], [100, 100], [1]),
        (860, [300, 400], [400, 450], [1]),  # nobody exceeds its estimate: whoever has least left
        (100, [300, 600], [900, 900], [1]),  # there is room, but one attempt may not take as much
    ],
)
def test_who_is_stopped(
    monkeypatch: pytest.MonkeyPatch, used: int, held: list[int], expected: list[int], stopped: list[int]
) -> None:
    """One at a time, with what it took and what there is in words."""
    killed: list[int] = []
    sizes = dict(enumerate(held))
    monkeypatch.setattr(memory_watch, "held_bytes", lambda pid, _: sizes[pid] * MIB)
    watch = MemoryWatch(lambda: MachineMemory(900 * MIB, used * MIB, True))
    children = [
        WatchedChild(pid, 550 * MIB, size * MIB, lambda pid=pid: killed.append(pid))  # type: ignore[misc]
        for pid, size in enumerate(expected)
    ]
    for _ in range(2):
        watch._look(children)
    assert killed == stopped
    for pid in stopped:
        error = watch.verdict(children[pid], killed=True)
        assert isinstance(error, OutOfMemory) and error.peak_bytes == held[pid] * MIB
        limit = "900 MiB" if used > 800 else "550 MiB"
        assert f"took {held[pid]} MiB" in error.message and limit in error.message
    assert all(watch.verdict(child, killed=False) is None for child in children if child.pid not in stopped)


def test_a_child_with_too_many_threads_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others keep theirs: the machine has numbers for so many only."""
    killed: list[int] = []
    threads = {4_000_001: 600, 4_000_002: 500}
    monkeypatch.setattr(memory_watch, "thread_count", lambda pid: threads[pid])
    watch = MemoryWatch(MachineMemory)
    children = [WatchedChild(pid, 0, 0, lambda pid=pid: killed.append(pid), 544) for pid in threads]  # type: ignore[misc]
    watch._look(children)
    assert killed == [4_000_001]
    error = watch.verdict(children[0], killed=True)
    assert isinstance(error, MediaLimitExceeded) and "600 threads, more than the 544" in error.message
    assert watch.verdict(children[1], killed=False) is None


def test_threads_are_counted() -> None:
    """As the system counts them, whatever a process calls itself."""
    before, done = child_usage.thread_count(os.getpid()), threading.Event()
    for _ in range(5):
        threading.Thread(target=done.wait, daemon=True).start()
    assert child_usage.thread_count(os.getpid()) == before + 5
    done.set()


def test_what_was_taken_never_reads_like_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """By a page too much: "took 550 MiB, more than the 550 MiB" would be no reason."""
    monkeypatch.setattr(memory_watch, "held_bytes", lambda pid, _: 550 * MIB + 4096)
    watch, child = MemoryWatch(MachineMemory), WatchedChild(1, 550 * MIB, 0, lambda: None)
    watch._look([child])
    assert "took 551 MiB of memory, more than the 550 MiB" in child.stopped


def test_a_look_that_fails_is_not_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the reason: without the watch nobody would be stopped."""
    looks = iter([OSError("no descriptors")])

    def held(pid: int, _: int) -> int:
        for error in looks:
            raise error
        return 600 * MIB

    monkeypatch.setattr(memory_watch, "held_bytes", held)
    monkeypatch.setattr(memory_watch, "_delegated", lambda: None)
    killed = threading.Event()
    watch, child = MemoryWatch(MachineMemory), WatchedChild(os.getpid(), 550 * MIB, 0, killed.set)
    watch.add(child)
    assert killed.wait(20)
    watch.remove(child)
