"""The parent's side of a child process: start it, talk to it, and end it in steps."""

import asyncio
import multiprocessing
import signal
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerProcess
from typing import Any

from reelmill_server.errors import EncoderCrashed
from reelmill_server.worker import messages

_PRELOADED = ["av", "reelmill_server.worker.run"]
_READY_SECONDS = 30.0
_ASK_SECONDS = 1.0
_TERMINATE_SECONDS = 0.5
_KILL_SECONDS = 5.0
_context = multiprocessing.get_context("forkserver")


def preload() -> None:
    """Makes the fork server import libav once, so that a child starts in milliseconds. Call before the first child."""
    _context.set_forkserver_preload(_PRELOADED)


def _entry(pipe: Connection, assignment_json: bytes) -> None:
    """Runs in the child. The import is here so that the parent never loads libav."""
    from reelmill_server.worker.run import main

    main(pipe, assignment_json)


class Child:
    """One running child."""

    def __init__(self, process: ForkServerProcess, pipe: Connection) -> None:
        self._process = process
        self._pipe = pipe
        self._inbox: asyncio.Queue[messages.FromChild | None] = asyncio.Queue()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(pipe.fileno(), self._receive)

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid or 0

    def tell(self, message: messages.ToChild) -> None:
        """Sends a message; one that is gone is not told."""
        with suppress(OSError):
            self._pipe.send_bytes(messages.TO_CHILD.dump_json(message))

    async def hear(self, timeout: float) -> messages.FromChild | None:
        """The next message, or None when none came in `timeout` seconds. Raises EncoderCrashed when the child is gone."""
        try:
            message = await asyncio.wait_for(self._inbox.get(), timeout)
        except TimeoutError:
            return None
        if message is None:
            await self._gone(_KILL_SECONDS)
            raise EncoderCrashed(f"the child process ended: {self.ending()}")
        return message

    def ending(self) -> str:
        """How the process ended, in words, for a reason or a metric."""
        code = self._process.exitcode
        if code is None:
            return "it closed its pipe"
        if code < 0:
            with suppress(ValueError):
                return f"killed by {signal.Signals(-code).name}"
        return f"exit status {code}"

    def _receive(self) -> None:
        """Called by the loop when the pipe has something."""
        try:
            while self._pipe.poll():
                self._inbox.put_nowait(messages.FROM_CHILD.validate_json(self._pipe.recv_bytes()))
        except (EOFError, OSError, ValueError):
            # ValueError: not one of our messages. A child that talks nonsense is as good as dead.
            self._loop.remove_reader(self._pipe.fileno())
            self._inbox.put_nowait(None)

    async def _gone(self, timeout: float) -> bool:
        """Whether the process ended within `timeout` seconds."""
        deadline = self._loop.time() + timeout
        while self._process.exitcode is None and self._loop.time() < deadline:
            await asyncio.sleep(0.01)
        return self._process.exitcode is not None

    async def stop(self) -> str:
        """Ends the child in steps and reaps it; says what it took: ended, asked, terminated, killed, unkillable."""
        steps: tuple[tuple[str, Callable[[], Any], float], ...] = (
            ("ended", lambda: None, 0.0),
            ("asked", lambda: self.tell(messages.Stop()), _ASK_SECONDS),
            ("terminated", self._process.terminate, _TERMINATE_SECONDS),
            ("killed", self._process.kill, _KILL_SECONDS),
        )
        for name, step, seconds in steps:
            step()
            if await self._gone(seconds):
                return name
        return "unkillable"

    def close(self) -> None:
        """Releases the pipe and the process handle."""
        with suppress(OSError, ValueError):
            self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()
        with suppress(ValueError):
            self._process.close()


@asynccontextmanager
async def start(assignment: messages.Assignment) -> AsyncIterator[Child]:
    """A child that carries out `assignment`, gone at the latest when the block is left.

    Raises EncoderCrashed when it does not say Ready in time.
    """
    ours, theirs = _context.Pipe()
    process = _context.Process(target=_entry, args=(theirs, messages.ASSIGNMENT.dump_json(assignment)), daemon=True)
    try:
        await asyncio.to_thread(process.start)
    except (EOFError, OSError) as error:
        ours.close()
        raise EncoderCrashed(f"no child process could be started: {error}") from error
    finally:
        theirs.close()
    child = Child(process, ours)
    try:
        if not isinstance(await child.hear(_READY_SECONDS), messages.Ready):
            raise EncoderCrashed(f"the child process did not get ready in {_READY_SECONDS:.0f} s")
        yield child
    finally:
        # Shielded: whoever cancels the attempt must not leave its process behind.
        await asyncio.shield(child.stop())
        child.close()
