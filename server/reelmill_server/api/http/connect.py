"""The Connect protocol (connectrpc.com/docs/protocol): a message is a body, several are frames; errors are JSON."""

import base64
import binascii
import json
from collections.abc import Mapping
from math import ceil
from typing import ClassVar

from aiohttp import web
from google.rpc import status_pb2

from reelmill_server.api.http.codecs import JSON, PLAIN_JSON, PROTO, Codec, compressed, decompressed
from reelmill_server.api.http.codes import CODES
from reelmill_server.api.http.envelope import COMPRESSED, frame, only_message
from reelmill_server.api.http.errors import error_json, retry_seconds
from reelmill_server.errors import FieldNotSupported, InvalidArgument

_END = 2
_UNARY: Mapping[str, Codec] = {"application/json": JSON, "application/proto": PROTO}
_STREAM: Mapping[str, Codec] = {"application/connect+json": JSON, "application/connect+proto": PROTO}
_PLAIN = ("application/json", "application/x-www-form-urlencoded", "text/plain", "application/octet-stream")
"""Of what is no client of Connect: curl sends the second one unless told otherwise."""


class ConnectUnary:
    """A call with one answer."""

    def __init__(self, codec: Codec, headers: Mapping[str, str]) -> None:
        self.codec = codec
        self._accepted, self._encoding = headers.get("accept-encoding", ""), headers.get("content-encoding", "")

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""
        return decompressed(body, self._encoding)

    def answer(self, data: bytes) -> web.Response:
        """Return the response with a message."""
        data, encoding = compressed(data, self._accepted)
        headers = {"Content-Encoding": encoding, "Vary": "Accept-Encoding"} if encoding else None
        return web.Response(body=data, content_type=f"application/{self.codec.name}", headers=headers)

    def failure(self, status: status_pb2.Status) -> web.Response:
        """Return the response of a call that failed."""
        seconds = retry_seconds(status)
        return web.Response(
            body=json.dumps(error_json(status), ensure_ascii=False).encode(),
            content_type="application/json",
            status=CODES[status.code].http,
            headers={"Retry-After": str(ceil(seconds))} if seconds else None,
        )


class ConnectStream:
    """A call with several answers."""

    ping: ClassVar[bytes] = b""

    def __init__(self, codec: Codec, headers: Mapping[str, str]) -> None:
        self.codec = codec
        self._encoding = headers.get("connect-content-encoding", "")
        self._accepted = headers.get("connect-accept-encoding", "")
        self.headers = {"Content-Type": f"application/connect+{codec.name}"}
        if "gzip" in self._accepted:
            self.headers["Connect-Content-Encoding"] = "gzip"

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""
        return only_message(body, self._encoding)

    def message(self, data: bytes) -> bytes:
        """Return a message as it is sent."""
        data, encoding = compressed(data, self._accepted)
        return frame(COMPRESSED if encoding else 0, data)

    def end(self, status: status_pb2.Status | None) -> bytes:
        """Return the end of a stream."""
        end = {"error": error_json(status)} if status is not None else {}
        return frame(_END, json.dumps(end, ensure_ascii=False).encode())

    def early(self, _: status_pb2.Status) -> None:
        """Return None: every stream has an end."""


def unary(content_type: str, headers: Mapping[str, str]) -> ConnectUnary | None:
    """Return the form of a unary call; None for a content type of something else."""
    codec = _UNARY.get(content_type)
    if "connect-protocol-version" not in headers and content_type in _PLAIN:
        codec = PLAIN_JSON
    return ConnectUnary(codec, headers) if codec is not None else None


def stream(content_type: str, headers: Mapping[str, str]) -> ConnectStream | None:
    """Return the form of a call that streams; None for a content type of something else."""
    codec = _STREAM.get(content_type)
    return ConnectStream(codec, headers) if codec is not None else None


def is_plain(content_type: str) -> bool:
    """Return whether a request is that of a person with curl, or a program that knows HTTP and JSON only."""
    return content_type in _PLAIN


def codec_of_query(query: Mapping[str, str]) -> Codec:
    """Return the form of the message of a GET, and of its answer."""
    return {"proto": PROTO, "json": JSON}.get(query.get("encoding", ""), PLAIN_JSON)


def message_of_query(query: Mapping[str, str]) -> bytes | None:
    """Return the message of a GET; None if there is none. Raises ReelmillError."""
    if query.get("encoding", "json") not in ("proto", "json"):
        raise FieldNotSupported("unknown encoding: expected json or proto")
    if "message" not in query:
        return None
    data = query["message"].encode()
    if query.get("base64") == "1":
        data = data.rstrip(b"=")
        try:
            data = base64.b64decode(data + b"=" * (-len(data) % 4), altchars=b"-_", validate=True)
        except binascii.Error:
            raise InvalidArgument("the message is not base64") from None
    return decompressed(data, query.get("compression", ""))
