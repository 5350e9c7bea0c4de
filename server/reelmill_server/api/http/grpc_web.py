"""gRPC-Web: gRPC's frames in HTTP/1.1, with trailers as the last frame; as text, all of it in base64."""

import base64
import binascii
from collections.abc import Mapping
from typing import ClassVar
from urllib.parse import quote

from google.rpc import status_pb2

from reelmill_server.api.http.codecs import PROTO, compressed
from reelmill_server.api.http.envelope import COMPRESSED, frame, only_message
from reelmill_server.errors import InvalidArgument

_TYPES = ("application/grpc-web", "application/grpc-web-text")
_TRAILERS = 0x80
# What stands in a percent-encoded message as it is; quote never encodes letters, digits and _.-~.
_PLAIN = " !\"#$&'()*+,/:;<=>?@[\\]^`{|}"


class GrpcWeb:
    """A call, with one answer or several."""

    ping: ClassVar[bytes] = b""
    codec = PROTO

    def __init__(self, content_type: str, text: bool, headers: Mapping[str, str]) -> None:
        self._text = text
        self._encoding, self._accepted = headers.get("grpc-encoding", ""), headers.get("grpc-accept-encoding", "")
        self.headers = {"Content-Type": content_type}
        if "gzip" in self._accepted:
            self.headers["grpc-encoding"] = "gzip"

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""
        if self._text:
            try:
                body = base64.b64decode(body, validate=True)
            except binascii.Error:
                raise InvalidArgument("the request is not base64") from None
        return only_message(body, self._encoding)

    def message(self, data: bytes) -> bytes:
        """Return a message as it is sent."""
        data, encoding = compressed(data, self._accepted)
        return self._encoded(frame(COMPRESSED if encoding else 0, data))

    def end(self, status: status_pb2.Status | None) -> bytes:
        """Return the trailers."""
        lines = [f"grpc-status: {status.code if status is not None else 0}"]
        if status is not None:
            lines.append(f"grpc-message: {quote(status.message, safe=_PLAIN)}")
            details = base64.b64encode(status.SerializeToString()).rstrip(b"=").decode()
            lines.append(f"grpc-status-details-bin: {details}")
        return self._encoded(frame(_TRAILERS, "".join(f"{line}\r\n" for line in lines).encode()))

    def early(self, _: status_pb2.Status) -> None:
        """Return None: every answer has trailers."""

    def _encoded(self, data: bytes) -> bytes:
        return base64.b64encode(data) if self._text else data


def grpc_web(content_type: str, headers: Mapping[str, str]) -> GrpcWeb | None:
    """Return the form of a call; None for a content type of something else."""
    kind, _, form = content_type.partition("+")
    if kind not in _TYPES or form not in ("", "proto"):
        return None
    return GrpcWeb(f"{kind}+proto", kind == _TYPES[1], headers)
