"""State shared by all commands: the global options, two consoles, and a client."""

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer
from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text

from reelmill import vendor_json
from reelmill_client.client import Client
from reelmill_client.formatting import printable

# Tables written to a file or a pipe are as wide as they need to be.
_UNBOUNDED_COLUMNS = 10_000


class _Console(Console):
    """A console for texts of others: names of files, titles of media, messages of servers."""

    def render_str(self, text: str, **options: Any) -> Text:
        return super().render_str(printable(text), **options)


def _console(*, stderr: bool) -> Console:
    """Return a console that prints text verbatim: URIs and messages may contain brackets and colons."""
    console = _Console(stderr=stderr, markup=False, highlight=False, emoji=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED_COLUMNS
    return console


@dataclass
class Session:
    """Global options of one run; results go to `out`, progress and messages to `err`."""

    server: str
    project: str
    json: bool
    verbose: bool
    timeout_seconds: float
    tls: bool
    ca_file: Path | None
    cert_file: Path | None = None
    key_file: Path | None = None
    token: str = field(default="", repr=False)
    out: Console = field(default_factory=lambda: _console(stderr=False))
    err: Console = field(default_factory=lambda: _console(stderr=True))

    def client(self) -> Client:
        """Return a new client for the chosen server; the caller closes it."""
        return Client(
            self.server,
            project=self.project,
            timeout_seconds=self.timeout_seconds,
            tls=self.tls,
            root_certificates=_content(self.ca_file),
            certificate=_content(self.cert_file),
            key=_content(self.key_file),
            token=self.token,
        )

    @property
    def interactive(self) -> bool:
        """Whether someone is there to answer a question."""
        return not self.json and self.err.is_terminal and sys.stdin is not None and sys.stdin.isatty()

    def print_json(self, message: Message) -> None:
        """Print a message as one line of JSON in the vendor's form."""
        self.print_json_data(vendor_json.dump(message, zeros=True))

    def print_json_data(self, data: dict[str, Any]) -> None:
        """Print one line of JSON."""
        print(json.dumps(data, ensure_ascii=False), flush=True)


def _content(file: Path | None) -> bytes | None:
    return None if file is None else file.read_bytes()


def session_of(context: typer.Context) -> Session:
    """Return the session that the root command created."""
    session = context.find_root().obj
    assert isinstance(session, Session)  # the root callback runs before every command
    return session
