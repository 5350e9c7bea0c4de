"""Stands in for the archive of all dates where it is out of reach: a proxy that answers for it with what a mirror has today."""

import re
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen


def reachable(url: str) -> bool:
    """Whether the host of `url` has an address."""
    try:
        socket.getaddrinfo(urlsplit(url).hostname, None)
    except OSError:
        return False
    return True


@contextmanager
def proxy_for(archive: str, mirror: str) -> Iterator[str]:
    """The address of the proxy; what lies below `archive` and a date it takes from `mirror`."""
    dated = re.compile(re.escape(archive) + r"/\d{8}T\d{6}Z")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                with urlopen(dated.sub(mirror, self.path)) as answer:
                    self.send_response(answer.status)
                    self.send_header("Content-Length", answer.headers["Content-Length"])
                    self.end_headers()
                    shutil.copyfileobj(answer, self.wfile)
            except HTTPError as error:  # apt asks for some files that not every archive has
                self.send_error(error.code)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
