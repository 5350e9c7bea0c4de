"""Enter a child. Its parent names these functions: nothing is imported here that either must not load, or need not."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from socket import socket

    Entry = Callable[[Connection, bytes, socket | None, socket, Sequence[int], Connection], None]


def attend(entry: "Entry", pipe: "Connection", handover: "socket", crashes: "socket", output: "Connection") -> None:
    """Prepare a child, wait for its assignment, and carry it out with `entry`, which takes what the child's `main` takes."""
    # What the fork server has done when it started. Python ignores it if a module to preload cannot be imported there.
    import reelmill_server.worker.child.fork_server  # noqa: F401
    from reelmill_server.worker.child.confinement import prepare
    from reelmill_server.worker.handover import receive

    prepare([end.fileno() for end in (pipe, handover, crashes, output)])
    if (given := receive(handover)) is not None:
        handover.close()
        entry(pipe, given.assignment_json, given.channel, crashes, given.files, output)


def enter(
    pipe: "Connection",
    assignment_json: bytes,
    channel: "socket | None",
    crashes: "socket",
    files: Sequence[int],
    output: "Connection",
) -> None:
    """Run the child; takes what its `main` takes."""
    from reelmill_server.worker.child.main import main

    main(pipe, assignment_json, channel, crashes, files, output)
