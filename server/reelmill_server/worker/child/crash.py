"""Tells the parent of ends that Python does not see: a fatal signal, and a library that ends the process."""

import ctypes
import faulthandler
import socket
from collections.abc import Callable
from typing import Any

_kept: list[Any] = []  # what C refers to


def report_signals(channel: socket.socket) -> None:
    """Write where each thread was to `channel` when a fatal signal comes.

    The channel holds a few of the many small pieces in which that is written: the process waits for its parent to read, which
    meanwhile can look at it.
    """
    channel.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the system makes it the least that it supports
    faulthandler.enable(channel, all_threads=True)


def on_exit(call: Callable[[], None]) -> None:
    """Have `call` called when a library calls C's exit(), as OpenBLAS does for want of memory."""

    def ending(_: object) -> None:
        call()

    handler = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(ending)
    _kept.append(handler)
    ctypes.CDLL(None).__cxa_atexit(handler, None, None)
