"""Stop a child that takes too much memory before the kernel does, which might take the whole container, or too many threads.

A thread looks at all children, ten times a second, and a hundred times where one is near its limit: an event loop that is
busy must not be late. What counts is resident memory that the kernel cannot take back, never address space. Threads have
numbers, of which the machine has some ten thousands for all of its processes.
"""

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import count

import structlog

from reelmill_server import cgroups
from reelmill_server.cgroups import MemoryCgroup
from reelmill_server.errors import MediaLimitExceeded, OutOfMemory, ReelmillError
from reelmill_server.worker.parent.child_usage import MachineMemory, container_cgroup, held_bytes, machine_memory, thread_count

_CALM_SECONDS, _TENSE_SECONDS = 0.1, 0.01
_TENSE_SHARE = 0.75  # of a limit
# What is left for the kernel and the server when a child is stopped for others' sake: a sixteenth, within these bounds.
_RESERVE_SHARE, _LEAST_RESERVE_BYTES, _MOST_RESERVE_BYTES = 16, 48 << 20, 512 << 20
_SLACK_SHARE, _LEAST_SLACK_BYTES = 8, 64 << 20  # of a child's own group over its limit: the watch comes first
_log = structlog.get_logger(__name__)
_names = count()


@dataclass(eq=False)
class WatchedChild:
    """A child that is watched: its process, the most memory it may hold (0: any), what it was estimated to hold, and the most
    threads that it may have.

    `kill` ends it at once; `group` is its own cgroup, if it has one; `peak_bytes` is the most that was seen of it; `stopped`
    says why it was ended, if it was.
    """

    pid: int
    limit_bytes: int
    expected_bytes: int
    kill: Callable[[], None]
    most_threads: int = 1 << 20
    peak_bytes: int = 0
    stopped: str = ""
    too_many_threads: bool = False
    group: MemoryCgroup | None = None
    kills_before: int = 0

    def blame(self, text: str) -> ReelmillError:
        """Return the error of this child; `text` says what was too much."""
        if self.too_many_threads:
            return MediaLimitExceeded(text)
        return OutOfMemory(text, peak_bytes=self.peak_bytes)


class MemoryWatch:
    """Watches the memory of this process's children: each one's, and that of the container or machine."""

    def __init__(self, total: Callable[[], MachineMemory] = machine_memory) -> None:
        """`total` returns what the container or machine has and uses."""
        self._total = total
        self._children: list[WatchedChild] = []
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def add(self, child: WatchedChild) -> None:
        """Watch a child from now on; its cgroup, if it has one, limits it."""
        if child.group is not None and child.limit_bytes:
            child.group.limit(child.limit_bytes + max(child.limit_bytes // _SLACK_SHARE, _LEAST_SLACK_BYTES))
        child.kills_before = self._kills(child)
        with self._changed:
            self._children.append(child)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="memory-watch", daemon=True)
                self._thread.start()
            self._changed.notify()

    def remove(self, child: WatchedChild) -> None:
        """Forget a child that has ended. Blocks shortly where it had a cgroup."""
        with self._changed:
            self._children.remove(child)
        if child.group is not None and not child.group.remove():
            _log.warning("a cgroup of a child could not be removed", directory=str(child.group.directory))

    def verdict(self, child: WatchedChild, killed: bool) -> ReelmillError | None:
        """Return the error of a child that this watch ended, or, if it was `killed`, the kernel for its memory."""
        if child.stopped:
            return child.blame(child.stopped)
        if not killed or self._kills(child) <= child.kills_before:
            return None
        total, most = self._total(), child.group.limit_bytes if child.group and child.limit_bytes else 0
        if most and not _is_short(total):  # its own group was full before the watch looked again
            child.peak_bytes = max(child.peak_bytes, most)
            return child.blame(_above_limit(child))
        return child.blame(f"{_peak(child)}, and the kernel ended it: {total.words()}")

    def _kills(self, child: WatchedChild) -> int:
        group = child.group or container_cgroup()
        return group.kills if group else 0

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: bool(self._children))
                children = list(self._children)
            tense = False
            try:
                tense = self._look(children)
            except Exception:  # without this thread nothing would stand between a child and its neighbors
                _log.exception("looking at the memory of children failed")
            time.sleep(_TENSE_SECONDS if tense else _CALM_SECONDS)

    def _look(self, children: list[WatchedChild]) -> bool:
        """Look at the children once, and stop those that hold too much; return whether one is near a limit."""
        memory = {}
        tense = False
        for child in children:
            memory[child] = now = held_bytes(child.pid, child.limit_bytes)
            child.peak_bytes = max(child.peak_bytes, now)
            if child.limit_bytes:
                tense = tense or now > child.limit_bytes * _TENSE_SHARE
                if now > child.limit_bytes:
                    self._stop(child, _above_limit(child))
            if not child.stopped and (threads := thread_count(child.pid)) > child.most_threads:
                child.too_many_threads = True
                self._stop(child, f"the attempt started {threads} threads, more than the {child.most_threads} that it may")
        total = self._total()
        if not total.limit_bytes:
            return tense
        if _is_short(total) and not any(child.stopped for child in children):
            worst = max(children, key=lambda child: memory[child] - child.expected_bytes)
            self._stop(worst, f"{_peak(worst)}, and more is not left: {total.words()}")
        return tense or total.used_bytes > total.limit_bytes * _TENSE_SHARE

    def _stop(self, child: WatchedChild, why: str) -> None:
        if not child.stopped:
            child.stopped = why
            with suppress(ValueError, OSError):  # it has ended
                child.kill()


_ROUND_UP = (1 << 20) - 1


def _is_short(total: MachineMemory) -> bool:
    """Return whether what is left for the kernel and the server is used up."""
    reserve = min(max(total.limit_bytes // _RESERVE_SHARE, _LEAST_RESERVE_BYTES), _MOST_RESERVE_BYTES)
    return bool(total.limit_bytes) and total.used_bytes > total.limit_bytes - reserve


def _above_limit(child: WatchedChild) -> str:
    return f"{_peak(child)}, more than the {_mib(child.limit_bytes)} that one attempt may take"


def _peak(child: WatchedChild) -> str:
    return f"the attempt took {_mib(child.peak_bytes + _ROUND_UP)} of memory"  # else it may read like the limit


def _mib(size: int) -> str:
    return f"{size >> 20} MiB"


def own_group(pid: int) -> MemoryCgroup | None:
    """Move a process into a cgroup of its own; None where that is not allowed. Blocks for a while."""
    parent = _delegated()
    return parent.own(f"{pid}-{next(_names)}", pid) if parent else None


_group: list[MemoryCgroup | None] = []


def _delegated() -> MemoryCgroup | None:
    """Return the cgroup below which children get their own; it is found once."""
    if not _group:
        _group.append(cgroups.delegated(cgroups.current()))
    return _group[0]


MEMORY_WATCH = MemoryWatch()
"""One for this process, as the limits of memory are its container's."""
