"""Stands in for the dated archive where it cannot be reached: sends readers of any date on to a mirror of today."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def reachable(url: str) -> bool:
    """Whether the host of `url` has an address."""
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except OSError:
        return False
    return True


@contextmanager
def archive_for(mirror: str) -> Iterator[str]:
    """The address of an archive that knows every date; `mirror` is what it has."""

    class Redirect(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            _, _, path = self.path.lstrip("/").partition("/")
            self.send_response(302)
            self.send_header("Location", f"{mirror}/{path}")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Redirect)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
