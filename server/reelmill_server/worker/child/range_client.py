"""Read objects through the parent: byte ranges over a socket, presented as files."""

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import SEEK_CUR, SEEK_END, SEEK_SET
from typing import Any

from reelmill_server.errors import InternalError, ReelmillError, from_code
from reelmill_server.media.libav.errors import too_little_memory
from reelmill_server.media.output.base import Stopped
from reelmill_server.worker.frames import ANSWER_BYTES, BLOCK_BYTES, MAX_LENGTH, AnswerHead, Request

_POLL_SECONDS = 0.2
_FIRST_BYTES = 4 * BLOCK_BYTES  # the size of libav's reads: a jump costs no more
_MOST_AHEAD_BYTES = 4 << 20
_SMALL_JUMP_BYTES = 4 * BLOCK_BYTES
# Badly interleaved files are read at two or three positions in turn.
_MAX_CURSORS = 4


class RangeClient:
    """Requests ranges from the parent, for any number of threads."""

    def __init__(self, channel: socket.socket, stop: threading.Event) -> None:
        """`stop` ends waiting."""
        self._channel, self._stop = channel, stop
        self._sending = threading.Lock()
        self._asked: dict[int, tuple[int, Future[bytes]]] = {}
        self._broken: ReelmillError | None = None
        self._count = 0

    def listen(self) -> None:
        """Receive answers on a separate thread."""
        threading.Thread(target=self._listen, name="ranges", daemon=True).start()

    def request(self, key: int, offset: int, length: int) -> "Future[bytes]":
        """Request a range without waiting for it."""
        answer: Future[bytes] = Future()
        with self._sending:
            if self._broken:
                answer.set_exception(self._broken)
                return answer
            self._count = (self._count + 1) % 2**32
            self._asked[self._count] = length, answer
            with suppress(OSError):  # the listener meets the same, and says so
                self._channel.sendall(Request(self._count, key, offset, length).packed())
        return answer

    def wait(self, answer: "Future[bytes]") -> bytes:
        """Wait for the bytes of a range. Raises the storage's error, or Stopped."""
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                return answer.result(_POLL_SECONDS)
            except TimeoutError:
                continue

    def _listen(self) -> None:
        try:
            while True:
                head = AnswerHead.unpacked(self._receive(ANSWER_BYTES))
                length, answer = self._asked[head.number]
                if head.length > MAX_LENGTH or (not head.failed and head.length != length):
                    raise ValueError(f"{head.length} bytes where {length} were asked for")
                data = self._receive(head.length)
                failure = from_code(*json.loads(data)) if head.failed else None
                del self._asked[head.number]  # not before: whoever waits for it is told of what fails until then
                if failure:
                    answer.set_exception(failure)
                else:
                    answer.set_result(data)
        except MemoryError:
            self._break(too_little_memory("what the parent gives of the sources"))
        except (OSError, EOFError, ValueError, KeyError, TypeError) as error:
            self._break(InternalError(f"the parent gives no more of the sources: {error}"))

    def _receive(self, length: int) -> bytes:
        data = bytearray(length)
        view = memoryview(data)
        while view:
            count = self._channel.recv_into(view)
            if not count:
                raise EOFError("it closed the connection")
            view = view[count:]
        return bytes(data)

    def _break(self, error: ReelmillError) -> None:
        """Fail all pending and future requests."""
        with self._sending:
            self._broken = error
            for _, answer in self._asked.values():
                answer.set_exception(error)
            self._asked.clear()


@dataclass(frozen=True)
class RemoteObject:
    """An object that the parent reads, by its number in the assignment."""

    ranges: RangeClient
    key: int
    size_bytes: int

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Open the object as a file.

        An error of the storage is raised at the end of the block at the latest, whatever happened inside: libav may take a
        failed read for the end of the file, or for a corrupt one.
        """
        file = RangeFile(self)
        try:
            yield file
        except Stopped:
            raise
        except Exception as error:
            if file.failure is None or file.failure is error:
                raise
            raise file.failure from error
        if file.failure:
            raise file.failure


@dataclass(frozen=True)
class _PendingRange:
    """A requested range."""

    begin: int
    end: int
    answer: "Future[bytes]"


class _Cursor:
    """A position at which a file is read sequentially, and the data read ahead there: more, the longer it is followed."""

    def __init__(self, remote: RemoteObject, position: int) -> None:
        self._remote = remote
        self._ahead = 0
        self._asked = position - position % BLOCK_BYTES
        self._grows_at = self._asked + _FIRST_BYTES
        self._pending: list[_PendingRange] = []

    def leads_to(self, position: int) -> bool:
        """Return whether reading at `position` continues here."""
        begin = self._pending[0].begin if self._pending else self._asked
        return begin <= position <= self._asked + _SMALL_JUMP_BYTES

    def read(self, position: int) -> tuple[int, bytes]:
        """Return a range that contains `position`, as its offset and its bytes."""
        while len(self._pending) > 1 and self._pending[1].end <= position:
            del self._pending[0]  # one passed range is kept for small steps back
        self._look_ahead(position)
        piece = next(piece for piece in self._pending if position < piece.end)
        return piece.begin, self._remote.ranges.wait(piece.answer)

    def _look_ahead(self, position: int) -> None:
        if position >= self._asked + BLOCK_BYTES:
            self._pending.clear()  # jumped over a little: pieces follow each other
            self._asked = position - position % BLOCK_BYTES
        if position >= self._grows_at:
            self._ahead = min(max(2 * self._ahead, _FIRST_BYTES), _MOST_AHEAD_BYTES)
            self._grows_at = position + 2 * self._ahead
        step = min(max(self._ahead // 4, _FIRST_BYTES), MAX_LENGTH)
        while self._asked <= position or self._asked + step <= position + self._ahead:
            end = min(self._asked + step, self._remote.size_bytes)
            if end <= self._asked:
                return
            answer = self._remote.ranges.request(self._remote.key, self._asked, end - self._asked)
            self._pending.append(_PendingRange(self._asked, end, answer))
            self._asked = end


class RangeFile:
    """A remote object as a file, for one thread."""

    def __init__(self, remote: RemoteObject) -> None:
        self.failure: ReelmillError | None = None
        self._remote = remote
        self._position = 0
        self._cursors: list[_Cursor] = []

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes, possibly fewer; all remaining bytes if `size` is negative.

        Raises the storage's error once; after that the file is at its end.
        """
        if size < 0:
            return b"".join(iter(lambda: self.read(MAX_LENGTH), b""))
        if self.failure or not size or self._position >= self._remote.size_bytes:
            return b""
        try:
            begin, data = self._cursor().read(self._position)
        except ReelmillError as error:
            self.failure = error
            raise
        place = self._position - begin
        piece = data[place : place + size]
        self._position += len(piece)
        return piece

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """Set the position, like `io.IOBase.seek`."""
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._remote.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def _cursor(self) -> _Cursor:
        """Return the cursor that reads the current position, and mark it as the last used."""
        known = next((cursor for cursor in self._cursors if cursor.leads_to(self._position)), None)
        if known is None:
            known = _Cursor(self._remote, self._position)
        else:
            self._cursors.remove(known)
        self._cursors = [*self._cursors, known][-_MAX_CURSORS:]
        return known
