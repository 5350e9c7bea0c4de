"""What is known of a child that a fatal signal ends."""

import asyncio
import socket

import structlog

from reelmill_server.address_space import peak_bytes

_MAX_BYTES = 64 << 10
_READ_BYTES = 4 << 10
_log = structlog.get_logger(__name__)


class CrashReport:
    """Reads what the child writes when a fatal signal comes (`worker.child.crash`), and looks how much memory it took.

    The child waits until its words are read, so that it is still there to be looked at.
    """

    def __init__(self, channel: socket.socket, pid: int) -> None:
        """`channel` is the parent's end."""
        self.peak_bytes = 0
        """The child's largest address space; 0: no fatal signal came, or the system does not tell."""
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
        """Log what was read, and let go of the channel."""
        self._loop.remove_reader(self._channel)
        self._channel.close()
        if self._text:
            _log.warning("a child process crashed", report=self._text.decode(errors="replace"))
