"""Report to the parent what Python cannot catch: a fatal signal, and a library that calls exit()."""

import ctypes
import faulthandler
import socket
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
