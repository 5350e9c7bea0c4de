"""What a parent names to a child that starts: nothing is imported here that either of them must not load, or need not."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.connection import Connection
    from socket import socket


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


def detached(copy: Any) -> int:
    """Return the number of a descriptor that was sent along."""
    return copy.detach()  # type: ignore[no-any-return]
