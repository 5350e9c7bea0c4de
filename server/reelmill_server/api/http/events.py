"""Server-Sent Events: streams for EventSource in browsers, and for curl."""

import json
from collections.abc import Mapping
from typing import ClassVar

from aiohttp import web
from google.rpc import status_pb2

from reelmill_server.api.http.codecs import PLAIN_JSON, decompressed
from reelmill_server.api.http.connect import ConnectUnary
from reelmill_server.api.http.errors import error_json

TYPE = "text/event-stream"


class Events:
    """A stream: each message is an event; `end` is the last one, or `error`, which holds why."""

    codec = PLAIN_JSON
    ping: ClassVar[bytes] = b":\n\n"
    # A proxy that buffers would hold events back.
    headers: Mapping[str, str] = {"Content-Type": TYPE, "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}

    def __init__(self, headers: Mapping[str, str]) -> None:
        self._encoding = headers.get("content-encoding", "")

    def read(self, body: bytes) -> bytes:
        """Return the message of a request. Raises ReelmillError."""
        return decompressed(body, self._encoding)

    def message(self, data: bytes) -> bytes:
        """Return a message as it is sent: its JSON has no line breaks."""
        return b"data: " + data + b"\n\n"

    def end(self, status: status_pb2.Status | None) -> bytes:
        """Return the last event."""
        if status is None:
            return b"event: end\ndata: {}\n\n"
        return b"event: error\ndata: " + json.dumps(error_json(status), ensure_ascii=False).encode() + b"\n\n"

    def early(self, status: status_pb2.Status) -> web.Response:
        """Return an error with its HTTP status, as for a call with one answer."""
        return ConnectUnary(PLAIN_JSON, {}).failure(status)
