"""Log what libraries in a child write to its standard output and error."""

import asyncio
import os
from multiprocessing.connection import Connection

import structlog

_MOST_LINES, _MOST_CHARACTERS = 100, 500
_READ_BYTES = 4 << 10
_MOST_BYTES = 64 << 10
# Each thread of x265 asks for memory near its core, which container engines do not allow, and goes on without.
_HARMLESS = "set_mempolicy: Operation not permitted"
_log = structlog.get_logger(__name__)


class ChildOutput:
    """Logs the first lines that a child writes, one event each, with the task of whoever started it.

    After 100 lines, or 64 KiB, the pipe is closed: a child that floods it costs its parent nothing more, and none ever waits
    for its parent to read.
    """

    def __init__(self, pipe: Connection) -> None:
        """`pipe` is the parent's end."""
        self._pipe, self._rest = pipe, b""
        self._bytes = self._lines = 0
        self._loop = asyncio.get_running_loop()
        os.set_blocking(pipe.fileno(), False)
        self._loop.add_reader(pipe.fileno(), self._read)

    def _read(self) -> None:
        try:
            piece = os.read(self._pipe.fileno(), _READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        self._bytes += len(piece)
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._write(line)
        if self._bytes > _MOST_BYTES or self._lines >= _MOST_LINES:
            _log.warning("a child process writes too much", lines=self._lines, bytes=self._bytes)
            piece = b""
        if not piece:
            self._stop()

    def _write(self, line: bytes) -> None:
        text = line.decode(errors="replace").strip()
        if text and text != _HARMLESS and self._lines < _MOST_LINES:
            self._lines += 1
            # Control characters would move the cursor of a terminal that shows the log.
            shown = "".join(character if character.isprintable() else " " for character in text[:_MOST_CHARACTERS])
            _log.info("child output", line=shown)

    def _stop(self) -> None:
        self._write(self._rest)
        self._rest = b""
        self._loop.remove_reader(self._pipe.fileno())
        self._pipe.close()

    def close(self) -> None:
        """Log what is left, and close the pipe."""
        if not self._pipe.closed:
            self._read()
        if not self._pipe.closed:
            self._stop()
