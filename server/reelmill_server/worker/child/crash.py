"""Report to the parent what Python cannot catch: a fatal signal, a library that calls exit(), a thread that cannot begin."""

import ctypes
import faulthandler
import os
import socket
import sys
from collections.abc import Callable
from typing import Any

_kept: list[Any] = []  # C holds no references to these


def report_signals(channel: socket.socket) -> None:
    """Write the traceback of every thread to `channel` on a fatal signal.

    faulthandler writes it in many small pieces, of which the channel's buffer holds only a few: the process blocks in the
    handler until the parent reads, and so is still there for the parent to inspect.
    """
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the kernel raises it to its minimum
    faulthandler.enable(channel, all_threads=True)


def on_exit(call: Callable[[], None]) -> None:
    """Run `call` when a library calls C's exit(), as OpenBLAS does when it gets no memory."""

    def ending(_: object) -> None:
        call()

    handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ending)
    _kept.append(handler)
    ctypes.CDLL(None).__cxa_atexit(handler, None, None)


def abort_on_lost_threads() -> None:
    """Abort when a new thread has no memory to begin with: `Thread.start()` waits without end for it to say that it runs."""
    default = sys.unraisablehook

    def ignored(exception: "sys.UnraisableHookArgs") -> None:
        text = exception.err_msg
        # From Python 3.13 the text is formatted before the hook is called; without memory for that, there is neither text nor
        # object. Errors in finalizers, which are ignored as ever, have no text, but an object.
        lost = exception.object is None if text is None else "in thread started by" in text
        if lost and issubclass(exception.exc_type, MemoryError):
            os.abort()
        default(exception)

    sys.unraisablehook = ignored
