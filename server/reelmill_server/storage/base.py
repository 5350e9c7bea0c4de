"""What every kind of storage does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


@dataclass(frozen=True)
class Fetched:
    """A source that can be read: a local path, bytes, and when it was stored, microseconds since the epoch."""

    path: str
    size_bytes: int
    modified_us: int


class ObjectReader(Protocol):
    """An object of which ranges can be read, by several callers at once.

    One that changes while it is read gives an error, never a mixture of two versions.
    """

    @property
    def uri(self) -> str:
        """Its name."""

    @property
    def size_bytes(self) -> int:
        """How long it is."""

    @property
    def modified_us(self) -> int:
        """When it was stored, microseconds since the epoch."""

    @property
    def local_path(self) -> str | None:
        """Where it lies on this machine, if it does."""

    async def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`, as many as `length` unless the object ends before.

        Raises ResourceNotFound, AccessDenied or ServiceUnavailable, naming the URI.
        """

    async def close(self) -> None:
        """Releases what was held."""


@dataclass(frozen=True)
class Upload:
    """A finished local file and the URI under which it is to appear."""

    path: Path
    uri: str


class Storage(Protocol):
    """One family of URI schemes."""

    def check_readable(self, uri: str) -> None:
        """Raises InvalidArgument for a malformed URI and AccessDenied for one outside what may be read; does no I/O on the
        object itself."""

    def check_writable(self, uri: str) -> None:
        """The same for an output's URI."""

    async def open(self, uri: str) -> ObjectReader:
        """The object, to be read in ranges. Raises ResourceNotFound, AccessDenied or ServiceUnavailable, naming the URI."""

    async def fetch(self, uri: str) -> Fetched:
        """Makes the object readable. Raises ResourceNotFound, AccessDenied or ServiceUnavailable, naming the URI."""

    async def publish(self, uploads: Sequence[Upload], owner: str) -> None:
        """Makes all files appear under their URIs, each only when it is whole, or none.

        `owner` (`task.attempt`) marks what is not yet in place, so that attempts never mix and a later one of the same task
        removes what an earlier one left. Raises OutputError or
        AccessDenied; then nothing of this call is visible.
        """
