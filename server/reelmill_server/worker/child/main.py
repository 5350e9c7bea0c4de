"""The child's side: everything that touches media happens here, in a process of its own."""

import os
import socket
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection

from reelmill_server.errors import InternalError, MediaLimitExceeded, OutputError, OutputInvalid, ReelmillError
from reelmill_server.media.output.base import Stopped
from reelmill_server.worker import messages
from reelmill_server.worker.child.confinement import confine
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.child.convert import convert, encode_unit
from reelmill_server.worker.child.inspect import plan, probe, try_all

# A disk with less is full: what libav could not write were its buffers, of 32 KiB, or a file of some.
_ROOM_BYTES = 1024**2
_ACTIONS: dict[str, Callable[[Attempt], messages.FromChild]] = {
    "convert": convert,
    "encode_unit": encode_unit,
    "plan": plan,
    "probe": probe,
    "capabilities": try_all,
}


def main(pipe: Connection, assignment_json: bytes, channel: socket.socket | None) -> None:
    """The entry point of a child: carries out one assignment and says how it went."""
    assignment = messages.ASSIGNMENT.validate_json(assignment_json)
    confine(assignment)  # before any thread is started: it holds for those that come after
    attempt = Attempt(pipe, assignment, channel)
    threading.Thread(target=attempt.listen, daemon=True).start()
    attempt.say(messages.Ready())
    try:
        result = _ACTIONS[attempt.assignment.action](attempt)
    except Stopped:
        result = messages.Failed("Canceled", "stopped")
    except ReelmillError as error:
        fields = tuple((violation.field, violation.description) for violation in error.violations)
        result = messages.Failed(error.code, error.message, fields)
    except MemoryError:
        result = messages.Failed(MediaLimitExceeded.code, "the attempt needs more memory than it may have")
    except OSError as error:
        result = messages.Failed(OutputError.code, f"the worker's disk: {error}")
    except Exception as error:
        result = messages.Failed(InternalError.code, f"{type(error).__name__}: {error}")
    attempt.say(_blamed(result, assignment.directory) if isinstance(result, messages.Failed) else result)
    sys.stdout.flush()
    # Threads of libav, or of a driver, must not keep a finished child alive.
    os._exit(0)


def _blamed(failed: messages.Failed, directory: str) -> messages.Failed:
    """The failure, or that of the disk if it has no room: libav's packagers keep it to themselves when they cannot write, and
    what they made is found to be wrong afterwards."""
    if failed.code not in (InternalError.code, OutputInvalid.code) or not directory:
        return failed
    disk = os.statvfs(directory)
    if disk.f_bavail * disk.f_frsize >= _ROOM_BYTES:
        return failed
    return messages.Failed(OutputError.code, f"the worker's disk is full: {failed.message}")
