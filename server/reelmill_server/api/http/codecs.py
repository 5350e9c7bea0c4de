"""Messages as protobuf and as JSON, in both directions, and their compression."""

import gzip
import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from reelmill import vendor_json
from reelmill_server.api.http.methods import Method
from reelmill_server.errors import FieldNotSupported, InvalidArgument, LimitExceeded, Violation

MOST_BYTES = 4 * 1024 * 1024
"""Of a request, as gRPC's default is."""
_WORTH_COMPRESSING = 2048
_JSON_OF_STREAMS = 256


@dataclass(frozen=True)
class Codec:
    """A form of messages. `read` raises InvalidArgument; `write` takes the messages of streams serialized."""

    name: str
    read: Callable[[Method, bytes], Message]
    write: Callable[[Method, Any], bytes]


def write_only(name: str, write: Callable[[Method, Any], bytes]) -> Codec:
    """Return a codec for answers of calls whose requests are read elsewhere."""

    def read(method: Method, _: bytes) -> Message:
        raise AssertionError(f"{method.name}: requests have no {name}")

    return Codec(name, read, write)


def _read_proto(method: Method, data: bytes) -> Message:
    try:
        return method.request_type.FromString(data)
    except DecodeError:
        raise InvalidArgument("the request is not a protobuf message of the call's type") from None


def _write_proto(_: Method, message: Any) -> bytes:
    return message if isinstance(message, bytes) else bytes(message.SerializeToString())


def read_object(data: bytes | str) -> dict[str, object]:
    """Read a JSON object; nothing is an empty one. Raises InvalidArgument."""
    try:
        value = json.loads(data or b"{}")
    except (ValueError, RecursionError) as error:
        place = f" (line {error.lineno}, column {error.colno})" if isinstance(error, json.JSONDecodeError) else ""
        raise InvalidArgument(f"the request is not JSON{place}") from None
    if not isinstance(value, dict):
        raise InvalidArgument("the request is not a JSON object")
    return value


def to_message(method: Method, value: dict[str, object], ignore_unknown: bool) -> Message:
    """Return the request that a JSON object describes. Raises InvalidArgument with every problem."""
    try:
        return vendor_json.parse(value, method.request_type, ignore_unknown=ignore_unknown)
    except vendor_json.VendorJsonError as error:
        raise InvalidArgument(violations=[Violation(path, text) for path, text in error.problems]) from None
    except RecursionError:
        raise InvalidArgument("the request is nested too deeply") from None


def _read_json(method: Method, data: bytes) -> Message:
    return to_message(method, read_object(data), ignore_unknown=True)


def _read_plain_json(method: Method, data: bytes) -> Message:
    return to_message(method, read_object(data), ignore_unknown=False)


def _write_json(method: Method, message: Any) -> bytes:
    return _json_of(method, message) if isinstance(message, bytes) else _dump(message)


@lru_cache(_JSON_OF_STREAMS)  # one state has many watchers
def _json_of(method: Method, serialized: bytes) -> bytes:
    return _dump(method.response_type.FromString(serialized))


def _dump(message: Message) -> bytes:
    return json.dumps(json_format.MessageToDict(message), ensure_ascii=False, separators=(",", ":")).encode()


PROTO = Codec("proto", _read_proto, _write_proto)
JSON = Codec("json", _read_json, _write_json)
PLAIN_JSON = Codec("json", _read_plain_json, _write_json)
"""For people: a field that is not known is a mistake, and is named."""


def decompressed(data: bytes, encoding: str) -> bytes:
    """Return what was compressed. Raises FieldNotSupported for an unknown encoding, InvalidArgument, LimitExceeded."""
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise FieldNotSupported(f"unknown compression {encoding[:20]!r}: expected gzip or identity")
    inflate = zlib.decompressobj(wbits=31)
    try:
        plain = inflate.decompress(data, MOST_BYTES + 1)
    except zlib.error:
        plain = b""
    if len(plain) > MOST_BYTES:
        raise too_large()
    if not inflate.eof:
        raise InvalidArgument("the compressed request is broken")
    return plain


def too_large() -> LimitExceeded:
    """Return the error of a request with more bytes than are read."""
    return LimitExceeded(f"the request has more than {MOST_BYTES} bytes")


def compressed(data: bytes, accepted: str) -> tuple[bytes, str]:
    """Return data and its encoding: gzip if the other side accepts it and it is worth it."""
    if len(data) < _WORTH_COMPRESSING or "gzip" not in accepted:
        return data, ""
    return gzip.compress(data, 1, mtime=0), "gzip"
