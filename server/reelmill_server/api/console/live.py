"""Streams of fragments of HTML, as events: what pages show, for as long as they are open."""

import re
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from aiohttp import web
from google.rpc import status_pb2

from reelmill_server.api.http.codecs import write_only
from reelmill_server.api.http.codes import CODES
from reelmill_server.api.http.events import TYPE
from reelmill_server.api.http.methods import Method

_RETRY = b"retry: 1000\n\n"
_BREAK = re.compile(r"\r\n|\r|\n")


def event(name: str, html: str) -> bytes:
    """Return an event with a fragment."""
    lines = "".join(f"data: {line}\n" for line in _BREAK.split(html))
    return f"event: {name}\n{lines}\n".encode()


class Fragments:
    """A protocol of streams whose messages are events with HTML; `write` makes them of the messages of a method."""

    ping: ClassVar[bytes] = b":\n\n"
    headers: Mapping[str, str] = {"Content-Type": TYPE, "Cache-Control": "no-store", "X-Accel-Buffering": "no"}

    def __init__(self, write: Callable[[Method, Any], bytes]) -> None:
        self.codec = write_only("html", write)

    def read(self, body: bytes) -> bytes:
        """Return a body as it is."""
        return body

    def message(self, data: bytes) -> bytes:
        """Return events as they are sent, with the time after which a lost connection is made anew."""
        return _RETRY + data

    def end(self, status: status_pb2.Status | None) -> bytes:
        """Return the last event: `close` where nothing more will come. After a failure the page connects again."""
        return event("close", "") if status is None else b":\n\n"

    def early(self, status: status_pb2.Status) -> web.Response:
        """Return a failure with its HTTP status: the page tries again, less and less often."""
        return web.Response(status=CODES[status.code].http)
