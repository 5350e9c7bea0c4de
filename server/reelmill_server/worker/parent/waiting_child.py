"""Children that wait for an assignment, so that a small task need not wait for a child."""

import asyncio
import multiprocessing
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from reelmill_server.cgroups import MemoryCgroup
from reelmill_server.errors import EncoderCrashed
from reelmill_server.worker.child.entry import attend, enter
from reelmill_server.worker.forked import ForkedProcess
from reelmill_server.worker.handover import Handover, send_descriptors
from reelmill_server.worker.parent.memory_watch import own_group

if TYPE_CHECKING:
    from reelmill_server.worker.child.entry import Entry

CONTEXT = multiprocessing.get_context("forkserver")
_REFILL_SECONDS = 1.0  # after a child was taken, unless it has ended before: a new one would compete with a small task

_End = Connection | socket.socket


@dataclass(frozen=True)
class WaitingChild:
    """A child that has been forked and prepared, and waits for an assignment: the process, this side's ends, and its cgroup,
    if it has one.
    """

    process: ForkedProcess
    pipe: Connection
    handover: socket.socket
    crashes: socket.socket
    output: Connection
    group: MemoryCgroup | None

    @classmethod
    async def spawn(cls, entry: "Entry" = enter) -> "WaitingChild":
        """Start one that will run `entry`. Raises EncoderCrashed."""
        pipe, its_pipe = CONTEXT.Pipe()
        output, its_output = CONTEXT.Pipe(duplex=False)
        (handover, its_handover), (crashes, its_crashes) = socket.socketpair(), socket.socketpair()
        handover.setblocking(False)
        its_ends = its_pipe, its_handover, its_crashes, its_output
        process = ForkedProcess(target=attend, args=(entry, *its_ends), daemon=True)
        group = await _start(process, (pipe, handover, crashes, output), its_ends)
        return cls(process, pipe, handover, crashes, output, group)

    @property
    def waits(self) -> bool:
        """Whether it still runs."""
        return self.process.exitcode is None

    async def hand_over(self, given: Handover) -> None:
        """Hand it its assignment. Raises OSError if it has ended."""
        send_descriptors(self.handover, given)
        await asyncio.get_running_loop().sock_sendall(self.handover, given.assignment_json)

    async def dismiss(self) -> None:
        """End it without an assignment."""
        self.process.kill()
        for end in (self.handover, self.pipe, self.crashes, self.output):
            end.close()
        if self.group is not None:
            await asyncio.to_thread(self.group.remove)


class Reserve:
    """Keeps one child waiting. Each carries out one assignment, and ends."""

    def __init__(self) -> None:
        self._coming: asyncio.Task[WaitingChild] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def fill(self) -> None:
        """Start a child, unless one waits or is about to."""
        if not self._closed and (self._coming is None or (self._coming.done() and not self._ready)):
            self._coming = asyncio.ensure_future(self._next(self._coming))

    def take(self) -> WaitingChild | None:
        """Return the child that waits, if any. Another one is started when `fill` is called, or soon."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(_REFILL_SECONDS, self.fill)
        ready = self._ready
        if ready:
            self._coming = None
        return ready

    async def _next(self, before: asyncio.Task[WaitingChild] | None) -> WaitingChild:
        """Start a child, in place of one that ended while it waited, or did not start."""
        if before is not None and not before.cancelled() and before.exception() is None:
            await before.result().dismiss()
        return await WaitingChild.spawn()

    @property
    def _ready(self) -> WaitingChild | None:
        coming = self._coming
        if coming is None or not coming.done() or coming.cancelled() or coming.exception() is not None:
            return None
        return coming.result() if coming.result().waits else None

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

    async def close(self) -> None:
        """End the child that waits; no other one is started."""
        self._closed = True
        self._stop_timer()
        if self._coming is not None:
            await asyncio.gather(self._coming, return_exceptions=True)
            if ready := self._ready:
                await ready.dismiss()
            self._coming = None


async def _start(process: ForkedProcess, ours: Sequence[_End], theirs: Sequence[_End]) -> MemoryCgroup | None:
    """Start the process in a cgroup of its own, if that is allowed, and close its ends here; return the cgroup."""
    starting = asyncio.ensure_future(asyncio.to_thread(_started, process))
    try:
        # Shielded: the pipe's end must stay open until the fork server has it.
        group = await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(lambda _: _abandon(process, *ours, *theirs))
        raise
    except (EOFError, OSError) as error:
        for end in (*ours, *theirs):
            end.close()
        raise EncoderCrashed(f"no child process could be started: {error}") from error
    for end in theirs:
        end.close()
    return group


def _started(process: ForkedProcess) -> MemoryCgroup | None:
    process.start()
    return own_group(process.pid or 0)  # now, as moving a process takes long: what it will do is waited for


def _abandon(process: ForkedProcess, *pipes: _End) -> None:
    """End a child whose caller was canceled while it started. Its cgroup is removed by the next server."""
    for pipe in pipes:
        pipe.close()
    if process.pid is not None:
        process.kill()
