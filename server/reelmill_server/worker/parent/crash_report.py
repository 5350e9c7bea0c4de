"""Inspect a child that is about to die from a fatal signal."""

import asyncio
import socket

import structlog

from reelmill_server.address_space import peak_bytes

_MAX_BYTES = 64 << 10
_READ_BYTES = 4 << 10
_log = structlog.get_logger(__name__)


class CrashReport:
    """The tracebacks that a child writes on a fatal signal, and its peak address space at that time.

    The child blocks until they are read (`worker.child.crash`): its memory is looked at before the first byte is.
    """

    def __init__(self, channel: socket.socket, pid: int) -> None:
        """`channel` is the parent's end."""
        self.peak_bytes = 0
        """The child's peak address space; 0: it received no fatal signal, or the system does not report it."""
        self._channel, self._pid = channel, pid
        self._text = bytearray()
        self._loop = asyncio.get_running_loop()
        channel.setblocking(False)
        self._loop.add_reader(channel, self._read)

    def _read(self) -> None:
        self.peak_bytes = self.peak_bytes or peak_bytes(self._pid)
        try:
            piece = self._channel.recv(_READ_BYTES)
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if not piece:
            self._loop.remove_reader(self._channel)
        elif len(self._text) < _MAX_BYTES:
            self._text += piece

    def close(self) -> None:
        """Log the tracebacks, if any, and close the channel."""
        self._loop.remove_reader(self._channel)
        self._channel.close()
        if self._text:
            _log.warning("a child process crashed", report=self._text.decode(errors="replace"))
