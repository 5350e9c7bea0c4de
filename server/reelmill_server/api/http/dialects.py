"""Read a call, and write its answer or answers, in any protocol of the front."""

import re
from collections.abc import Mapping
from typing import ClassVar, Protocol

from aiohttp import web
from google.rpc import status_pb2

from reelmill_server.api.http.codecs import Codec
from reelmill_server.errors import InvalidArgument

_UNITS = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}
_TIMEOUTS = (("connect-timeout-ms", re.compile(r"(\d{1,10})()")), ("grpc-timeout", re.compile(r"(\d{1,8})([HMSmun])")))


class Single(Protocol):
    """A protocol in which a response is one message."""

    @property
    def codec(self) -> Codec:
        """Return the form of its messages."""

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""

    def answer(self, data: bytes) -> web.Response:
        """Return the response with a message."""

    def failure(self, status: status_pb2.Status) -> web.Response:
        """Return the response of a call that failed."""


class Framed(Protocol):
    """A protocol in which a response is a sequence of messages and an end. `ping` is sent while there is nothing to say."""

    ping: ClassVar[bytes]

    @property
    def codec(self) -> Codec:
        """Return the form of its messages."""

    @property
    def headers(self) -> Mapping[str, str]:
        """Return the headers of a response."""

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""

    def message(self, data: bytes) -> bytes:
        """Return a message as it is sent."""

    def end(self, status: status_pb2.Status | None) -> bytes:
        """Return the end; `status`: why the call failed."""

    def early(self, status: status_pb2.Status) -> web.Response | None:
        """Return the response of a call that failed before its first message; None: one with an end only."""


def deadline(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds a call may take; None: as long as it likes. Raises InvalidArgument."""
    for name, form in _TIMEOUTS:
        text = headers.get(name)
        if text is not None:
            match = form.fullmatch(text)
            if match is None:
                raise InvalidArgument(f"{name} is malformed")
            return int(match[1]) * _UNITS[match[2] or "m"]
    return None
