"""Children that wait for an assignment, so that a small task need not wait for a child."""

import asyncio
import multiprocessing
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

from reelmill_server.errors import EncoderCrashed
from reelmill_server.worker.child.entry import attend, enter
from reelmill_server.worker.forked import ForkedProcess
from reelmill_server.worker.handover import Handover, send_descriptors

if TYPE_CHECKING:
    from reelmill_server.worker.child.entry import Entry

CONTEXT = multiprocessing.get_context("forkserver")
_REFILL_SECONDS = 1.0  # after a child was taken, unless it has ended before: a new one would compete with a small task

_End = Connection | socket.socket


@dataclass(frozen=True)
class WaitingChild:
    """A child that has been forked and prepared, and waits for an assignment: the process, and this side's ends."""

    process: ForkedProcess
    pipe: Connection
    handover: socket.socket
    crashes: socket.socket
    output: Connection

    @classmethod
    async def spawn(cls, entry: "Entry" = enter) -> "WaitingChild":
        """Start one that will run `entry`. Raises EncoderCrashed."""
        pipe, its_pipe = CONTEXT.Pipe()
        output, its_output = CONTEXT.Pipe(duplex=False)
        (handover, its_handover), (crashes, its_crashes) = socket.socketpair(), socket.socketpair()
        handover.setblocking(False)
        its_ends = its_pipe, its_handover, its_crashes, its_output
        process = ForkedProcess(target=attend, args=(entry, *its_ends), daemon=True)
        await _start(process, (pipe, handover, crashes, output), its_ends)
        return cls(process, pipe, handover, crashes, output)

    @property
    def waits(self) -> bool:
        """Whether it still runs."""
        return self.process.exitcode is None

    async def hand_over(self, given: Handover) -> None:
        """Hand it its assignment. Raises OSError if it has ended."""
        send_descriptors(self.handover, given)
        await asyncio.get_running_loop().sock_sendall(self.handover, given.assignment_json)

    def dismiss(self) -> None:
        """End it without an assignment."""
        self.process.kill()
        for end in (self.handover, self.pipe, self.crashes, self.output):
            end.close()


class Reserve:
    """Keeps one child waiting. Each carries out one assignment, and ends."""

    def __init__(self) -> None:
        self._coming: asyncio.Task[WaitingChild] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._closed = False

    def fill(self) -> None:
        """Start a child, unless one waits or is about to."""
        if not self._closed and (self._coming is None or (self._coming.done() and not self._ready)):
            self._coming = asyncio.ensure_future(WaitingChild.spawn())

    def take(self) -> WaitingChild | None:
        """Return the child that waits, if any. Another one is started when `fill` is called, or soon."""
        self._stop_timer()
        self._timer = asyncio.get_running_loop().call_later(_REFILL_SECONDS, self.fill)
        ready = self._ready
        if ready:
            self._coming = None
        return ready

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
                ready.dismiss()
            self._coming = None


async def _start(process: ForkedProcess, ours: Sequence[_End], theirs: Sequence[_End]) -> None:
    """Start the process, and close its ends here."""
    starting = asyncio.ensure_future(asyncio.to_thread(process.start))
    try:
        # Shielded: the pipe's end must stay open until the fork server has it.
        await asyncio.shield(starting)
    except asyncio.CancelledError:
        starting.add_done_callback(lambda _: _abandon(process, *ours, *theirs))
        raise
    except (EOFError, OSError) as error:
        for end in (*ours, *theirs):
            end.close()
        raise EncoderCrashed(f"no child process could be started: {error}") from error
    for end in theirs:
        end.close()


def _abandon(process: ForkedProcess, *pipes: _End) -> None:
    """End a child whose caller was canceled while it started."""
    for pipe in pipes:
        pipe.close()
    if process.pid is not None:
        process.kill()
