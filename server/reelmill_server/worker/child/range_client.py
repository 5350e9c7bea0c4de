"""The child's side of reading: objects of which the parent gives ranges, as files."""

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
_FIRST_BYTES = 4 * BLOCK_BYTES  # what libav reads at once: a jump costs no more
_MOST_AHEAD_BYTES = 4 << 20
_SMALL_JUMP_BYTES = 4 * BLOCK_BYTES
# Badly interleaved files are read in two or three locations in turn.
_PLACES = 4


class Ranges:
    """Asks the parent, for any number of threads at once."""

    def __init__(self, channel: socket.socket, stop: threading.Event) -> None:
        """`stop` ends waiting."""
        self._channel, self._stop = channel, stop
        self._sending = threading.Lock()
        self._asked: dict[int, tuple[int, Future[bytes]]] = {}
        self._broken: ReelmillError | None = None
        self._count = 0

    def listen(self) -> None:
        """Begin to receive answers, on a thread of its own."""
        threading.Thread(target=self._listen, name="ranges", daemon=True).start()

    def ask(self, key: int, offset: int, length: int) -> "Future[bytes]":
        """Asks for a range and does not wait."""
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
        """The bytes. Raises what the storage raised, or Stopped."""
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
                length, answer = self._asked.pop(head.number)
                if head.length > MAX_LENGTH or (not head.failed and head.length != length):
                    raise ValueError(f"{head.length} bytes where {length} were asked for")
                data = self._receive(head.length)
                if head.failed:
                    answer.set_exception(from_code(*json.loads(data)))
                else:
                    answer.set_result(data)
        except MemoryError:
            self._break(too_little_memory("what the parent gives of the sources"))
        except (OSError, EOFError, ValueError, KeyError) as error:
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
        """Fails all that is asked, now and later."""
        with self._sending:
            self._broken = error
            for _, answer in self._asked.values():
                answer.set_exception(error)
            self._asked.clear()


@dataclass(frozen=True)
class RemoteObject:
    """An object that the parent reads, by its number in the assignment."""

    ranges: Ranges
    key: int
    size_bytes: int

    @contextmanager
    def open(self) -> Iterator[Any]:
        """Opens the object as a file.

        What its storage failed with is raised at the end of the block at the latest, whatever became of it inside: libav may
        take a failed read for the end of the file, or for a broken one.
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
class _Piece:
    """A range that was asked for."""

    begin: int
    end: int
    answer: "Future[bytes]"


class _Place:
    """One of the locations at which a file is read, and what is read ahead there: the further it is followed, the more."""

    def __init__(self, remote: RemoteObject, position: int) -> None:
        self._remote = remote
        self._ahead = 0
        self._asked = position - position % BLOCK_BYTES
        self._grows_at = self._asked + _FIRST_BYTES
        self._pieces: list[_Piece] = []

    def leads_to(self, position: int) -> bool:
        """Whether to read at `position` is to go on here."""
        begin = self._pieces[0].begin if self._pieces else self._asked
        return begin <= position <= self._asked + _SMALL_JUMP_BYTES

    def read(self, position: int) -> tuple[int, bytes]:
        """A range that contains `position`, and where it begins."""
        while len(self._pieces) > 1 and self._pieces[1].end <= position:
            del self._pieces[0]  # of what was passed one is kept, for small steps back
        self._look_ahead(position)
        piece = next(piece for piece in self._pieces if position < piece.end)
        return piece.begin, self._remote.ranges.wait(piece.answer)

    def _look_ahead(self, position: int) -> None:
        if position >= self._asked + BLOCK_BYTES:
            self._pieces.clear()  # jumped over a little: pieces follow each other
            self._asked = position - position % BLOCK_BYTES
        if position >= self._grows_at:
            self._ahead = min(max(2 * self._ahead, _FIRST_BYTES), _MOST_AHEAD_BYTES)
            self._grows_at = position + 2 * self._ahead
        step = min(max(self._ahead // 4, _FIRST_BYTES), MAX_LENGTH)
        while self._asked <= position or self._asked + step <= position + self._ahead:
            end = min(self._asked + step, self._remote.size_bytes)
            if end <= self._asked:
                return
            answer = self._remote.ranges.ask(self._remote.key, self._asked, end - self._asked)
            self._pieces.append(_Piece(self._asked, end, answer))
            self._asked = end


class RangeFile:
    """A remote object as a file for one thread."""

    def __init__(self, remote: RemoteObject) -> None:
        self.failure: ReelmillError | None = None
        self._remote = remote
        self._position = 0
        self._locations: list[_Place] = []

    def read(self, size: int = -1) -> bytes:
        """At most `size` bytes, fewer only where it is cheaper; all that are left if it is negative. Raises what the storage
        failed with, once: after that the file is at its end."""
        if size < 0:
            return b"".join(iter(lambda: self.read(MAX_LENGTH), b""))
        if self.failure or not size or self._position >= self._remote.size_bytes:
            return b""
        try:
            begin, data = self._place().read(self._position)
        except ReelmillError as error:
            self.failure = error
            raise
        place = self._position - begin
        found = data[place : place + size]
        self._position += len(found)
        return found

    def seek(self, offset: int, whence: int = SEEK_SET) -> int:
        """As a file's."""
        base = {SEEK_SET: 0, SEEK_CUR: self._position, SEEK_END: self._remote.size_bytes}[whence]
        self._position = max(0, base + offset)
        return self._position

    def tell(self) -> int:
        """As a file's."""
        return self._position

    def _place(self) -> _Place:
        """Where reading goes on, the one used last at the end."""
        known = next((place for place in self._locations if place.leads_to(self._position)), None)
        if known is None:
            known = _Place(self._remote, self._position)
        else:
            self._locations.remove(known)
        self._locations = [*self._locations, known][-_PLACES:]
        return known
