"""A process of the fork server whose exit code several threads may ask for."""

import os
import threading
from multiprocessing import popen_forkserver
from multiprocessing.context import ForkServerProcess
from multiprocessing.process import BaseProcess


class _Popen(popen_forkserver.Popen):
    """Reads the exit code once.

    It comes through a pipe, and `Process.start` asks all processes that run for theirs: of two threads that saw it come, the
    second would read the end of the pipe, and take that for exit code 255.
    """

    def __init__(self, process_obj: BaseProcess) -> None:
        self._reading = threading.Lock()
        super().__init__(process_obj)

    def poll(self, flag: int = os.WNOHANG) -> int | None:
        """Return the exit code, None while the process runs; wait for it with flag 0."""
        with self._reading:
            return super().poll(flag)


class ForkedProcess(ForkServerProcess):
    """A process of the fork server; the child imports this module, too."""

    @staticmethod
    def _Popen(process_obj: BaseProcess) -> _Popen:
        return _Popen(process_obj)
