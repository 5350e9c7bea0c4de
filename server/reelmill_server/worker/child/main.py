"""Entry point of the child process, the only one that touches media."""

import mmap
import os
import socket
import sys
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from typing import NoReturn

from reelmill_server.errors import (
    EncoderCrashed,
    EncoderFailed,
    HardwareUnavailable,
    InternalError,
    InvalidMedia,
    OutputError,
    OutputInvalid,
    ReelmillError,
    ServiceUnavailable,
    UnsupportedFormat,
)
from reelmill_server.media.libav.errors import asks_too_much, is_memory, meaning_of_writing, too_little_memory
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.output.base import Stopped
from reelmill_server.worker import messages
from reelmill_server.worker.child.confinement import confine
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.child.convert import convert, encode_unit
from reelmill_server.worker.child.crash import abort_on_lost_threads, on_exit, report_signals
from reelmill_server.worker.child.inspect import plan, probe, run_trials
from reelmill_server.worker.child.samples import try_samples

_STANDARD_OUTPUT, _STANDARD_ERROR = 1, 2
# A disk with less is full: what libav could not write were its buffers, of 32 KiB, or a file of some.
_ROOM_BYTES = 1024**2
# Released when an attempt fails, so that there is memory left to report it.
_SPARE_BYTES = 2 << 20
# libav's packagers do not report that they cannot write: their output is found to be invalid afterwards.
_OF_THE_DISK = frozenset({InternalError.code, OutputInvalid.code})
# What a lack of memory may show as: libraries report it as another failure, or treat what is missing as broken.
_AMBIGUOUS = frozenset(
    kind.code
    for kind in (
        EncoderCrashed,
        EncoderFailed,
        HardwareUnavailable,
        InternalError,
        InvalidMedia,
        OutputInvalid,
        UnsupportedFormat,
    )
)
_ACTIONS: dict[str, Callable[[Attempt], messages.FromChild]] = {
    "convert": convert,
    "encode_unit": encode_unit,
    "try_samples": try_samples,
    "plan": plan,
    "probe": probe,
    "capabilities": run_trials,
}


def main(
    pipe: Connection,
    assignment_json: bytes,
    channel: socket.socket | None,
    crashes: socket.socket,
    files: Sequence[int],
    output: Connection,
) -> None:
    """Carry out one assignment and report the outcome: the entry point of a child. `crashes` takes reports of fatal signals;
    `files` are descriptors of the local files of the assignment; `output` takes what libraries print.
    """
    for standard in (_STANDARD_OUTPUT, _STANDARD_ERROR):
        os.dup2(output.fileno(), standard)
    output.close()
    assignment = messages.ASSIGNMENT.validate_json(assignment_json)
    attempt = Attempt(pipe, assignment, channel, files)
    try:  # before any thread starts, so that all inherit it
        attempt.sandbox = confine(assignment, [*files, *(end.fileno() for end in (pipe, crashes, channel) if end)])
    except ServiceUnavailable as error:
        _leave(attempt, _failed(error, ""))
    report_signals(crashes)
    abort_on_lost_threads()
    attempt.report(messages.Ready())
    spare = mmap.mmap(-1, _SPARE_BYTES, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)

    def failed(error: Exception) -> messages.Failed:
        spare.close()
        return _failed(error, assignment.directory)

    on_exit(lambda: _leave(attempt, failed(EncoderCrashed("a library ended the process"))))
    try:
        attempt.listen()
        result = _ACTIONS[attempt.assignment.action](attempt)
    except Stopped:
        result = messages.Failed("Canceled", "stopped")
    except Exception as error:
        result = failed(error)
    _leave(attempt, result)


def _leave(attempt: Attempt, result: messages.FromChild) -> NoReturn:
    attempt.report(result)
    sys.stdout.flush()
    # Threads of libav, or of a driver, must not keep a finished child alive.
    os._exit(0)


def _failed(error: Exception, directory: str) -> messages.Failed:
    """Classify a failure of the attempt: a lack of memory and a full disk may show as anything."""
    if isinstance(error, ReelmillError):
        known = error
    elif isinstance(error, OSError):
        known = meaning_of_writing(error, "a file on the worker's disk", OutputError(f"the worker's disk: {error_text(error)}"))
    else:
        known = InternalError(f"{type(error).__name__}: {error_text(error)}")
    blamed = known.code == InvalidMedia.code and asks_too_much(error)
    if known.code in _AMBIGUOUS and is_memory(error) and not blamed:
        known = too_little_memory(known.message)
    elif known.code in _OF_THE_DISK and _is_full(directory):
        known = OutputError(f"the worker's disk is full: {known.message}")
    return messages.Failed(
        known.code, known.message, tuple((violation.field, violation.description) for violation in known.violations)
    )


def _is_full(directory: str) -> bool:
    if not directory:
        return False
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize < _ROOM_BYTES
