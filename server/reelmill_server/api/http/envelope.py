"""The frames of streams, in Connect and in gRPC-Web: one byte of flags, four of length, the message."""

import struct

from reelmill_server.api.http.codecs import MOST_BYTES, decompressed, too_large
from reelmill_server.errors import InvalidArgument

_HEAD = struct.Struct(">BI")
COMPRESSED = 1


def frame(flags: int, data: bytes) -> bytes:
    """Return a frame."""
    return _HEAD.pack(flags, len(data)) + data


def only_message(body: bytes, encoding: str) -> bytes:
    """Return the one message of a request. Raises InvalidArgument if there is no such one, and as `decompressed`."""
    if len(body) < _HEAD.size:
        raise InvalidArgument("the request has no message")
    flags, length = _HEAD.unpack_from(body)
    if length > MOST_BYTES:
        raise too_large()
    if flags not in (0, COMPRESSED) or len(body) - _HEAD.size != length:
        raise InvalidArgument("expected one whole message")
    return decompressed(body[_HEAD.size :], encoding if flags == COMPRESSED else "")
