"""Binary frames in which a child requests byte ranges from its parent and receives them.

Their form is fixed, so that nothing needs parsing; numbers are in network byte order.
"""

import struct
from dataclasses import dataclass

BLOCK_BYTES = 64 * 1024
"""Size of the blocks that are fetched and cached: so small that a jump wastes little."""

MAX_LENGTH = 1 << 20
"""Longest range of one request: so large that the latency of an object storage matters little."""

_REQUEST = struct.Struct("!IIQI")
_ANSWER = struct.Struct("!I?I")
REQUEST_BYTES, ANSWER_BYTES = _REQUEST.size, _ANSWER.size


@dataclass(frozen=True)
class Request:
    """Request for `length` bytes at `offset` of object `key`; the answer carries the same `number`."""

    number: int
    key: int
    offset: int
    length: int

    def packed(self) -> bytes:
        """Return the frame."""
        return _REQUEST.pack(self.number, self.key, self.offset, self.length)

    @classmethod
    def unpacked(cls, frame: bytes) -> "Request":
        """Parse a frame of `REQUEST_BYTES` bytes."""
        return cls(*_REQUEST.unpack(frame))


@dataclass(frozen=True)
class AnswerHead:
    """Head of an answer of `length` bytes: those requested, or if `failed` the code and message of an error as a JSON array."""

    number: int
    failed: bool
    length: int

    def packed(self) -> bytes:
        """Return the frame."""
        return _ANSWER.pack(self.number, self.failed, self.length)

    @classmethod
    def unpacked(cls, frame: bytes) -> "AnswerHead":
        """Parse a frame of `ANSWER_BYTES` bytes."""
        return cls(*_ANSWER.unpack(frame))
