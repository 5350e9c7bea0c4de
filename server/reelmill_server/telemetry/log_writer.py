"""Write the log to a stream that may block, such as standard error that nobody reads, without ever stopping the process."""

import logging
import queue
import sys
import threading
import time
from collections.abc import Callable
from typing import TextIO

_WAITING_LINES = 10_000
_FLUSH_SECONDS = 2.0


class LogWriter(logging.Handler):
    """A handler whose lines a thread writes. While that waits, so many lines are kept; further ones are dropped and counted."""

    def __init__(self, stream: TextIO, waiting_lines: int = _WAITING_LINES) -> None:
        """Write to `stream`."""
        super().__init__()
        self._stream = stream
        self._lines: queue.Queue[str] = queue.Queue(waiting_lines)
        self._on_drop: Callable[[], object] = lambda: None
        threading.Thread(target=self._write, name="log", daemon=True).start()

    def on_drop(self, count: Callable[[], object]) -> None:
        """Call `count` for each line that is dropped."""
        self._on_drop = count

    def emit(self, record: logging.LogRecord) -> None:
        """Format a record here, where its context is, and have it written."""
        try:
            self._lines.put_nowait(self.format(record))
        except queue.Full:
            self._on_drop()
        except Exception:
            self.handleError(record)

    def flush(self) -> None:
        """Wait until all lines are written, for two seconds at most."""
        end = time.monotonic() + _FLUSH_SECONDS
        while self._lines.unfinished_tasks and time.monotonic() < end:
            time.sleep(0.005)

    def _write(self) -> None:
        while True:
            line = self._lines.get()
            try:
                self._stream.write(line + "\n")
                self._stream.flush()
            except (OSError, ValueError):  # nobody will read it: the pipe or the stream is closed
                pass
            finally:
                self._lines.task_done()


def count_dropped(count: Callable[[], object]) -> None:
    """Call `count` for each line of the log that this process drops from now on."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, LogWriter):
            handler.on_drop(count)


def standard_error() -> LogWriter:
    """Return a writer to standard error."""
    return LogWriter(sys.stderr)
