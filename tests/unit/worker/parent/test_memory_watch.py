"""Which child is stopped, and when."""

import pytest

from reelmill_server.worker.parent import memory_watch
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
        assert error and error.peak_bytes == held[pid] * MIB
        limit = "900 MiB" if used > 800 else "550 MiB"
        assert f"took {held[pid]} MiB" in error.message and limit in error.message
    assert all(watch.verdict(child, killed=False) is None for child in children if child.pid not in stopped)
