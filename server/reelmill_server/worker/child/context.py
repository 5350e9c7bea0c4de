"""State of a child's attempt: messages to and from its parent, and where its sources are."""

import os
import queue
import resource
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NoReturn

from reelmill_server.errors import InternalError, ReelmillError
from reelmill_server.media.input.kept import KeptSource
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Stopped
from reelmill_server.model.capability import Sandbox
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.worker import messages
from reelmill_server.worker.child.opened_file import OpenedFile
from reelmill_server.worker.child.range_client import RangeClient, RemoteObject

REPORT_SECONDS = 0.5
_EXIT_PARENT_GONE = 3
_MAXRSS_BYTES = 1 if sys.platform == "darwin" else 1024


class Attempt:
    """An assignment in progress: pipe to the parent, stop flag, answers of the parent, and locations of sources."""

    def __init__(
        self,
        pipe: Connection,
        assignment: messages.Assignment,
        channel: socket.socket | None = None,
        files: Sequence[int] = (),
    ) -> None:
        """`channel`: where the parent serves ranges of objects that are not local files; `files`: descriptors of those that
        are.
        """
        self.assignment, self.sandbox = assignment, Sandbox()
        self.stop = threading.Event()
        self._files = files
        self._ranges = RangeClient(channel, self.stop) if channel else None
        self.locations = tuple(KeptSource(self.locate(ref)) for ref in assignment.sources)
        self.watermark_locations = {uri: self.locate(ref) for uri, ref in assignment.watermarks.items()}
        self.subtitle_locations = tuple(tuple(self.locate(ref) for ref in files) for files in assignment.subtitles)
        self.answers: queue.Queue[messages.ToChild] = queue.Queue()
        self.stages: dict[messages.Stage, float] = {}
        self._pipe = pipe
        self._sending = threading.Lock()

    @property
    def request(self) -> ConvertRequest:
        """The request of the task. Raises InternalError if the assignment has none."""
        if self.assignment.request is None:
            raise InternalError("an assignment without a request")
        return self.assignment.request

    def locate(self, ref: messages.SourceRef) -> Location:
        """Return where an object can be opened."""
        if ref.descriptor >= 0:
            return OpenedFile(self._files[ref.descriptor])
        if self._ranges is None:
            raise InternalError("an assignment with objects that the parent does not serve")
        return RemoteObject(self._ranges, ref.key, ref.size_bytes)

    def receive_answer(self) -> messages.Go | messages.Exclude:
        """Wait for the parent's answer to the plan. Raises Stopped."""
        answer = self.answers.get()
        if isinstance(answer, messages.Stop):
            raise Stopped
        return answer

    def report(self, message: messages.FromChild) -> None:
        """Send a message to the parent; if the parent is gone, the process exits."""
        with self._sending:
            try:
                self._pipe.send_bytes(messages.FROM_CHILD.dump_json(message))
            except (BrokenPipeError, OSError):
                _leave()

    def fail(self, error: ReelmillError) -> NoReturn:
        """Report an error and exit at once, from whatever thread."""
        self.report(messages.Failed(error.code, error.message))
        os._exit(0)

    def listen(self) -> None:
        """Receive messages on separate threads: a stop must arrive whatever else is running."""
        threading.Thread(target=self._listen, daemon=True).start()
        if self._ranges:
            self._ranges.listen()

    def _listen(self) -> None:
        while True:
            try:
                message = messages.TO_CHILD.validate_json(self._pipe.recv_bytes())
            except (EOFError, OSError):
                _leave()
            if isinstance(message, messages.Stop):
                self.stop.set()
            self.answers.put(message)

    @contextmanager
    def stage(self, name: messages.Stage) -> Iterator[None]:
        """Add the time spent in the block to the seconds of stage `name`, and report it for traces if requested."""
        begun, begin_us = time.monotonic(), time.time_ns() // 1000
        try:
            yield
        finally:
            elapsed = time.monotonic() - begun
            self.stages[name] = self.stages.get(name, 0.0) + elapsed
            if self.assignment.traced:
                self.report(messages.StageDone(name, begin_us, begin_us + int(elapsed * MICROSECONDS)))


def _leave() -> NoReturn:
    """Exit at once, without waiting for threads in libav."""
    os._exit(_EXIT_PARENT_GONE)


@contextmanager
def every(seconds: float, call: Callable[[], None]) -> Iterator[None]:
    """Call `call` every `seconds` on a separate thread until the block ends."""
    over = threading.Event()

    def go_on() -> None:
        while not over.wait(seconds):
            with suppress(MemoryError):  # whatever takes the memory fails by itself
                call()

    calling = threading.Thread(target=go_on, daemon=True)
    calling.start()
    try:
        yield
    finally:
        over.set()
        calling.join()


def usage() -> messages.Usage:
    """Return the resources that this process has used so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return messages.Usage(used.ru_utime + used.ru_stime, used.ru_maxrss * _MAXRSS_BYTES)
