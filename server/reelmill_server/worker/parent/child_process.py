"""Start a child process, exchange messages with it, and end it in steps."""

import asyncio
import os
import signal
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from multiprocessing import forkserver

from reelmill_server.address_space import peak_bytes, was_short
from reelmill_server.errors import EncoderCrashed, OutOfMemory, ReelmillError, Stalled, Timeout, from_code
from reelmill_server.telemetry import tracing
from reelmill_server.worker import messages
from reelmill_server.worker.child.entry import enter
from reelmill_server.worker.handover import Handover
from reelmill_server.worker.messages import KEPT_ENVIRONMENT
from reelmill_server.worker.parent.child_bounds import MOST_SMALL_BYTES, most_bytes, most_threads
from reelmill_server.worker.parent.child_output import ChildOutput
from reelmill_server.worker.parent.clipping import clipped
from reelmill_server.worker.parent.concealment import Concealment
from reelmill_server.worker.parent.crash_report import CrashReport
from reelmill_server.worker.parent.credible import check_message
from reelmill_server.worker.parent.memory_watch import MEMORY_WATCH, WatchedChild
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.waiting_child import CONTEXT, Reserve, WaitingChild

_PRELOADED = [
    "reelmill_server.worker.child.fork_server",
    "av",
    "reelmill_server.worker.child.entry",
    "reelmill_server.worker.child.main",
    "reelmill_server.worker.forked",
    "reelmill_server.worker.handover",
    "reelmill_server.worker.child.warm",
]
_READY_SECONDS = 30.0
_LEAVE_SECONDS = 0.1
_ASK_SECONDS = 1.0
_TERMINATE_SECONDS = 0.5
_KILL_SECONDS = 5.0
_SEND_SECONDS = 5.0
_RESULTS = (messages.Finished, messages.ChunkEncoded, messages.Probed, messages.SamplesTried, messages.TrialResults)
_LARGE = (messages.Planned, *_RESULTS)
_LAST = (*_RESULTS, messages.Failed)
_MAX_WAITING_MESSAGES = 1000  # a child that floods its parent is as good as dead


def preload() -> None:
    """Start the fork server, which imports libav once, so that a child starts within milliseconds.

    It starts with only a few harmless variables of this process's environment: a child cannot leak what it never had. Call
    this once, before anything else runs. Python restarts a fork server that died, with the whole environment, of which a
    child then deletes the rest itself.
    """
    main = sys.modules["__main__"]
    if main.__spec__ is None:
        # Else each child would run the script that started this process, to have what it defines: all of the server.
        vars(main).pop("__file__", None)
    CONTEXT.set_forkserver_preload(_PRELOADED)
    saved = dict(os.environ)
    for name in set(saved) - set(KEPT_ENVIRONMENT):
        del os.environ[name]
    try:
        forkserver.ensure_running()
    finally:
        os.environ.update(saved)


class Child:
    """A running child. A thread reads its pipe, so that a child that stops in the middle of a message blocks nobody else."""

    def __init__(self, waiting: WaitingChild, assignment: messages.Assignment) -> None:
        """Give `assignment` to a child that waits, by `hand_over`."""
        self._concealment = Concealment(assignment)
        self._process, self._pipe = waiting.process, waiting.pipe
        self._crash, self._address_bytes = CrashReport(waiting.crashes, self.pid), assignment.max_address_bytes
        most, threads = assignment.limits.max_memory_bytes, most_threads(assignment)
        kill = self._process.kill
        self._memory = WatchedChild(self.pid, most, assignment.held_bytes, kill, threads, group=waiting.group)
        MEMORY_WATCH.add(self._memory)
        self._subverted = self._leaves = False
        self._most_bytes = most_bytes(assignment)
        self._inbox: asyncio.Queue[messages.FromChild | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._sending: set[asyncio.Task[None]] = set()
        self._listening = threading.Thread(target=self._listen, name="child-pipe", daemon=True)
        self._listening.start()

    @property
    def assignment(self) -> messages.Assignment:
        """Its assignment, without what is concealed from it (`Concealment`)."""
        return self._concealment.assignment

    @property
    def pid(self) -> int:
        """The process ID."""
        return self._process.pid or 0

    async def send(self, message: messages.ToChild) -> None:
        """Send a message; dropped if the child has exited or does not read."""
        sending = asyncio.create_task(asyncio.to_thread(self._pipe.send_bytes, messages.TO_CHILD.dump_json(message)))
        self._sending.add(sending)
        sending.add_done_callback(self._forget_sending)
        await asyncio.wait({sending}, timeout=_SEND_SECONDS)

    def _forget_sending(self, sending: asyncio.Task[None]) -> None:
        self._sending.discard(sending)
        if not sending.cancelled():
            sending.exception()  # looked at: a child that has exited shows in what it sends

    async def receive(self, timeout: float) -> messages.FromChild | None:
        """Return the next message, or None on timeout (seconds).

        Raises EncoderCrashed if the child is gone, OutOfMemory if it took too much memory, or Timeout if its CPU time.
        """
        try:
            # Not wait_for: before Python 3.12 it loses a cancel that comes together with a message.
            async with asyncio.timeout(timeout):
                message = await self._inbox.get()
                while isinstance(message, messages.StageDone):
                    tracing.past(message.stage, message.begin_us, message.end_us)
                    message = await self._inbox.get()
        except TimeoutError:
            return None
        self._leaves = isinstance(message, _LAST)
        if message is None:
            await self._exits_within(_KILL_SECONDS)
            if self._process.exitcode == -signal.SIGXCPU:
                raise Timeout("the attempt needs more CPU time than it may have")
            if stopped := MEMORY_WATCH.verdict(self._memory, self._process.exitcode == -signal.SIGKILL):
                raise stopped
            raise self._blamed(EncoderCrashed(f"the child process ended: {self.ending()}"), self._crash.peak_bytes)
        return self._concealment.revealed(message)

    def stalled(self, error: Stalled) -> ReelmillError:
        """Classify a stall: some encoders wait forever for a thread that could not be started."""
        return self._blamed(error, peak_bytes(self.pid))

    def _blamed(self, error: ReelmillError, peak: int) -> ReelmillError:
        """Return the error, or OutOfMemory if the child's address space was close to its limit."""
        if not was_short(peak, self._address_bytes):
            return error
        most = f"{self._address_bytes >> 20} MiB of address space"
        text = f"the attempt needs more memory than it may have, {most}: {error.message}"
        return OutOfMemory(text, peak_bytes=self._memory.peak_bytes)

    def ending(self) -> str:
        """Return in words how the process ended, for an error or a metric."""
        code = self._process.exitcode
        if self._subverted:
            return "what it sent was not a message"
        if code is None:
            return "it closed its pipe"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def _listen(self) -> None:
        """Read the pipe until it ends, or until something arrives that is not one of our messages: then the child is killed."""
        message: messages.FromChild | None
        while True:
            try:
                message = _read(self._pipe.recv_bytes(self._most_bytes))
                self._subverted = self._inbox.qsize() > _MAX_WAITING_MESSAGES
            except (EOFError, OSError, ValueError, TypeError) as error:
                message = None
                # Of a pipe that broke, the operating system's number is known; of a length beyond the bound, none.
                self._subverted = not isinstance(error, EOFError) and getattr(error, "errno", None) is None
            if self._subverted:
                message = None
                with suppress(ValueError):  # closed meanwhile
                    self._process.kill()
            try:
                self._loop.call_soon_threadsafe(self._inbox.put_nowait, message)
            except RuntimeError:
                return  # the loop is closed
            if message is None:
                return

    async def _exits_within(self, timeout: float) -> bool:
        """Return whether the process exits within `timeout` seconds."""
        if self._process.exitcode is None:
            ended = asyncio.Event()
            self._loop.add_reader(self._process.sentinel, ended.set)
            try:
                async with asyncio.timeout(timeout):
                    await ended.wait()
            except TimeoutError:
                return False
            finally:
                self._loop.remove_reader(self._process.sentinel)
        return self._process.exitcode is not None

    async def stop(self) -> str:
        """End the child in steps and reap it; return what it took: ended, asked, terminated, killed, unkillable."""
        if await self._exits_within(_LEAVE_SECONDS if self._leaves else 0.0):
            return "ended"
        await self.send(messages.Stop())
        if await self._exits_within(_ASK_SECONDS):
            return "asked"
        self._process.terminate()
        if await self._exits_within(_TERMINATE_SECONDS):
            return "terminated"
        self._process.kill()
        return "killed" if await self._exits_within(_KILL_SECONDS) else "unkillable"

    async def end(self) -> None:
        """Stop the child, and release the pipe and the process handle."""
        try:
            await self.stop()
        finally:
            await asyncio.to_thread(MEMORY_WATCH.remove, self._memory)
            await self._close_pipe()
            self._crash.close()
            with suppress(ValueError):
                self._process.close()

    async def _close_pipe(self) -> None:
        """Close the pipe when no thread uses it any more: its number may be another child's pipe at once."""
        end = socket.socket(fileno=self._pipe.fileno())  # not a duplicate: there may be no more descriptors
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)  # whoever waits for the pipe is told that it ended
        end.detach()
        await asyncio.gather(asyncio.to_thread(self._listening.join), *self._sending, return_exceptions=True)
        self._pipe.close()


def _read(text: bytes) -> messages.FromChild:
    """Return a child's message, its texts cut to a length fit for records and logs. Raises ValueError."""
    message = messages.FROM_CHILD.validate_json(text)
    if len(text) > MOST_SMALL_BYTES and not isinstance(message, _LARGE):
        raise ValueError(f"a message of {len(text)} bytes")
    check_message(message)
    return clipped(message)


@asynccontextmanager
async def start(
    assignment: messages.Assignment, range_server: RangeServer | None = None, reserve: Reserve | None = None
) -> AsyncIterator[Child]:
    """Run a child that carries out `assignment` during the block, the one in `reserve` if one waits there; `range_server` reads
    for it.

    Raises EncoderCrashed if it is not ready in time, ServiceUnavailable if it cannot be confined as it must be. If the block
    raises Stalled and the child had used up its address space, that becomes OutOfMemory.
    """
    async with AsyncExitStack() as stack:
        channel = await stack.enter_async_context(_served(range_server)) if range_server and range_server.serves else None
        waiting = (reserve.take() if reserve else None) or await WaitingChild.spawn(enter)
        stack.callback(ChildOutput(waiting.output).close)
        child = Child(waiting, assignment)
        try:
            files = range_server.descriptors if range_server else []
            with suppress(OSError):  # it has ended, or reads nothing: that shows when it should be ready
                async with asyncio.timeout(_READY_SECONDS):
                    await waiting.hand_over(Handover(messages.ASSIGNMENT.dump_json(child.assignment), channel, files))
            waiting.handover.close()
            if channel:
                channel.close()
            _check_ready(await child.receive(_READY_SECONDS))
            yield child
        except Stalled as error:
            raise child.stalled(error) from error
        finally:
            # Shielded: a cancel must not leave the process behind.
            await asyncio.shield(child.end())
            if reserve:
                reserve.fill()


def _check_ready(message: messages.FromChild | None) -> None:
    """Raise the error of a child that cannot do its work, and EncoderCrashed for one that does not say that it can."""
    if isinstance(message, messages.Failed):
        raise from_code(message.code, message.message)
    if not isinstance(message, messages.Ready):
        raise EncoderCrashed(f"the child process did not get ready in {_READY_SECONDS:.0f} s")


@asynccontextmanager
async def _served(range_server: RangeServer) -> AsyncIterator[socket.socket]:
    """Yield the child's end of a connection that `range_server` serves during the block."""
    ours, theirs = socket.socketpair()
    serving = asyncio.create_task(range_server.serve(ours))
    try:
        yield theirs
    finally:
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
