"""The frames in which a child asks its parent for ranges of objects, and the parent answers: of fixed form, so that nothing in
them needs parsing. Numbers are in network order.
"""

import struct
from dataclasses import dataclass

BLOCK_BYTES = 64 * 1024
"""Ranges are fetched and kept in blocks of this size: small enough for a jump to waste little."""

MAX_LENGTH = 1 << 20
"""Longest range of one request: large enough for the time that an object storage takes to answer to matter little."""

_REQUEST = struct.Struct("!IIQI")
_ANSWER = struct.Struct("!I?I")
REQUEST_BYTES, ANSWER_BYTES = _REQUEST.size, _ANSWER.size


@dataclass(frozen=True)
class Request:
    """Asks for `length` bytes from `offset` on of the object `key`; `number` is what the answer refers to."""

    number: int
    key: int
    offset: int
    length: int

    def packed(self) -> bytes:
        """The frame."""
        return _REQUEST.pack(self.number, self.key, self.offset, self.length)

    @classmethod
    def unpacked(cls, frame: bytes) -> "Request":
        """What `REQUEST_BYTES` bytes say."""
        return cls(*_REQUEST.unpack(frame))


@dataclass(frozen=True)
class AnswerHead:
    """Begins an answer of `length` bytes: those that were asked for, or, if `failed`, an error's code and message as a list in
    JSON."""

    number: int
    failed: bool
    length: int

    def packed(self) -> bytes:
        """The frame."""
        return _ANSWER.pack(self.number, self.failed, self.length)

    @classmethod
    def unpacked(cls, frame: bytes) -> "AnswerHead":
        """What `ANSWER_BYTES` bytes say."""
        return cls(*_ANSWER.unpack(frame))
