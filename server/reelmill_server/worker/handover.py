"""Hand an assignment over to a child that waits for one: its text, and the descriptors of what it may read."""

import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass

_HEAD = struct.Struct("!I?")  # length of the text; whether the first descriptor is that of a channel
MOST_FILES = 64
"""Most files of an assignment: a child has few descriptors, and a message takes 253."""


@dataclass(frozen=True)
class Handover:
    """An assignment as JSON, the channel to whoever serves ranges, if any, and descriptors of local files."""

    assignment_json: bytes
    channel: socket.socket | None
    files: Sequence[int]


def send_descriptors(handover: socket.socket, given: Handover) -> None:
    """Send the descriptors of an assignment, which may be closed afterwards; its text must follow. Raises OSError.

    It does not block: it is the first message of a connection.
    """
    descriptors = [*([given.channel.fileno()] if given.channel else []), *given.files]
    socket.send_fds(handover, [_HEAD.pack(len(given.assignment_json), given.channel is not None)], descriptors)


def receive(handover: socket.socket) -> Handover | None:
    """Wait for an assignment and return it; None if none will come."""
    head, descriptors, _, _ = socket.recv_fds(handover, _HEAD.size, MOST_FILES + 1)
    if not head:
        return None
    length, has_channel = _HEAD.unpack(head)
    text = bytearray()
    while len(text) < length:
        piece = handover.recv(length - len(text))
        if not piece:
            return None
        text += piece
    channel = socket.socket(fileno=descriptors.pop(0)) if has_channel else None
    return Handover(bytes(text), channel, descriptors)
