"""The parent's side of a child process: start it, talk to it, and end it in steps."""

import asyncio
import multiprocessing
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from multiprocessing import forkserver
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess

from reelmill_server.address_space import peak_bytes, was_short
from reelmill_server.errors import EncoderCrashed, MediaLimitExceeded, ReelmillError, Stalled
from reelmill_server.telemetry import tracing
from reelmill_server.worker import messages
from reelmill_server.worker.messages import KEPT_ENVIRONMENT
from reelmill_server.worker.parent.crash_report import CrashReport
from reelmill_server.worker.parent.range_server import Broker

_PRELOADED = ["av", "reelmill_server.worker.child.main"]
_READY_SECONDS = 30.0
_ASK_SECONDS = 1.0
_TERMINATE_SECONDS = 0.5
_KILL_SECONDS = 5.0
_TELL_SECONDS = 5.0
_MAX_MESSAGE_BYTES = 8 << 20  # a plan of a hundred targets has some hundred kilobytes
_MAX_WAITING_MESSAGES = 1000  # a child that talks faster than its parent listens is as good as dead
_End = Connection | socket.socket
_context = multiprocessing.get_context("forkserver")


def preload() -> None:
    """Starts the fork server, which imports libav once, so that a child starts in milliseconds.

    It is started without this process's environment but for a few harmless names: what a child never had, it cannot leak. Call
    this once, before anything else runs; a fork server that dies is started again by Python, with the whole environment, of
    which a child then forgets the rest itself.
    """
    _context.set_forkserver_preload(_PRELOADED)
    saved = dict(os.environ)
    for name in set(saved) - set(KEPT_ENVIRONMENT):
        del os.environ[name]
    try:
        forkserver.ensure_running()
    finally:
        os.environ.update(saved)


def _entry(pipe: Connection, assignment_json: bytes, channel: socket.socket | None, crashes: socket.socket) -> None:
    """Runs in the child. The import is here so that the parent never loads libav."""
    from reelmill_server.worker.child.main import main

    main(pipe, assignment_json, channel, crashes)


class Child:
    """One running child. A thread reads its pipe: a child that stops in the middle of a message must stop nobody else."""

    def __init__(self, process: ForkServerProcess, pipe: Connection, crash: CrashReport, memory_bytes: int) -> None:
        """`crash` tells of a fatal signal; `memory_bytes`: how large the child's address space may be, 0: as it likes."""
        self._process, self._pipe = process, pipe
        self._crash, self._memory_bytes = crash, memory_bytes
        self._inbox: asyncio.Queue[messages.FromChild | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        threading.Thread(target=self._listen, name="child-pipe", daemon=True).start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    async def tell(self, message: messages.ToChild) -> None:
        """Sends a message; a child that is gone, or does not read, is not told."""
        sending = asyncio.to_thread(self._pipe.send_bytes, messages.TO_CHILD.dump_json(message))
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(_TELL_SECONDS):
                await sending

    async def hear(self, timeout: float) -> messages.FromChild | None:
        """The next message, or None when none came in `timeout` seconds. Raises EncoderCrashed when the child is gone, or
        MediaLimitExceeded when it had taken all memory that it may have."""
        try:
            # Not wait_for: before Python 3.12 it loses a cancel that comes together with a message.
            async with asyncio.timeout(timeout):
                message = await self._inbox.get()
                while isinstance(message, messages.StageDone):
                    tracing.past(message.stage, message.begin_us, message.end_us)
                    message = await self._inbox.get()
        except TimeoutError:
            return None
        if message is None:
            await self._gone(_KILL_SECONDS)
            raise self._blamed(EncoderCrashed(f"the child process ended: {self.ending()}"), self._crash.peak_bytes)
        return message

    def stalled(self, error: Stalled) -> ReelmillError:
        """Classify a stall: some encoders wait forever for a thread that could not be started."""
        return self._blamed(error, peak_bytes(self.pid))

    def _blamed(self, error: ReelmillError, peak: int) -> ReelmillError:
        """Return the error, or MediaLimitExceeded if the child's address space was close to its limit."""
        if not was_short(peak, self._memory_bytes):
            return error
        most = f"{self._memory_bytes >> 20} MiB of address space"
        return MediaLimitExceeded(f"the attempt needs more memory than it may have, {most}: {error.message}")

    def ending(self) -> str:
        """How the process ended, in words, for a reason or a metric."""
        code = self._process.exitcode
        if code is None:
            return "it closed its pipe"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def _listen(self) -> None:
        """Reads the pipe until it ends or something comes that is not one of our messages."""
        message: messages.FromChild | None
        while True:
            try:
                message = messages.FROM_CHILD.validate_json(self._pipe.recv_bytes(_MAX_MESSAGE_BYTES))
            except (EOFError, OSError, ValueError, TypeError):
                message = None  # gone, or as good as dead
            if self._inbox.qsize() > _MAX_WAITING_MESSAGES:
                message = None
            try:
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)
            except RuntimeError:
                return  # the loop is closed
            if message is None:
                return

    async def _gone(self, timeout: float) -> bool:
        """Whether the process ended within `timeout` seconds."""
        deadline = self._loop.time() + timeout
        while self._process.exitcode is None and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        return self._process.exitcode is not None

    async def stop(self) -> str:
        """Ends the child in steps and reaps it; says what it took: ended, asked, terminated, killed, unkillable."""
        if await self._gone(0.0):
            return "ended"
        await self.tell(messages.Stop())
        if await self._gone(_ASK_SECONDS):
            return "asked"
        self._process.terminate()
        if await self._gone(_TERMINATE_SECONDS):
            return "terminated"
        self._process.kill()
        return "killed" if await self._gone(_KILL_SECONDS) else "unkillable"

    async def end(self) -> None:
        """Stops the child and releases the pipe and the process handle."""
        try:
            await self.stop()
        finally:
            self._pipe.close()
            self._crash.close()
            with suppress(ValueError):
                self._process.close()


@asynccontextmanager
async def start(assignment: messages.Assignment, broker: Broker | None = None) -> AsyncIterator[Child]:
    """A child that carries out `assignment`, gone at the latest when the block is left; `broker` reads for it.

    Raises EncoderCrashed when it does not say Ready in time. Where the block raises Stalled, and the child had taken all memory
    that it may have, that becomes MediaLimitExceeded.
    """
    ours, theirs = _context.Pipe()
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(_served(broker)) if broker and broker.serves else None
        crashes, told = socket.socketpair()
        arguments = (theirs, messages.ASSIGNMENT.dump_json(assignment), channel, told)
        process = _context.Process(target=_entry, args=arguments, daemon=True)
        await _start(process, (ours, crashes), (theirs, told, *([channel] if channel else [])))
        child = Child(process, ours, CrashReport(crashes, process.pid or 0), assignment.limits.max_memory_bytes)
        try:
            if not isinstance(await child.hear(_READY_SECONDS), messages.Ready):
                raise EncoderCrashed(f"the child process did not get ready in {_READY_SECONDS:.0f} s")
            yield child
        except Stalled as error:
            raise child.stalled(error) from error
        finally:
            # Shielded: whoever cancels the attempt must not leave its process behind.
            await asyncio.shield(child.end())


async def _start(process: ForkServerProcess, ours: Sequence[_End], theirs: Sequence[_End]) -> None:
    """Starts the process and closes its ends here."""
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


@asynccontextmanager
async def _served(broker: Broker) -> AsyncIterator[socket.socket]:
    """The child's end of a connection on which `broker` answers as long as the block lasts."""
    ours, theirs = socket.socketpair()
    serving = asyncio.create_task(broker.serve(ours))
    try:
        yield theirs
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)


def _abandon(process: ForkServerProcess, *pipes: _End) -> None:
    """Ends a child whose caller was canceled while it started."""
    for pipe in pipes:
        pipe.close()
    if process.pid is not None:
        process.kill()
