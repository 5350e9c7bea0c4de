"""What every kind of storage does."""

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials


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

        Raises ResourceNotFound, AccessDenied, SourceChanged or StorageUnavailable, naming the URI.
        """

    async def close(self) -> None:
        """Releases what was held."""


@dataclass(frozen=True)
class Upload:
    """A finished local file and the URI under which it is to appear."""

    path: Path
    uri: str


def shown(uri: str) -> str:
    """A URI as messages name it: without what may be secret in it, the query of a signed one."""
    if not uri.startswith(("http://", "https://")):
        return uri
    scheme, _, rest = uri.partition("://")
    head, slash, path = re.split(r"[?#]", rest, maxsplit=1)[0].partition("/")
    return f"{scheme}://{head.rpartition('@')[2]}{slash}{path}"


def check_folder(uri: str) -> None:
    """Raises InvalidArgument unless `uri` is the beginning of other URIs that ends in /, and so of nothing beside them."""
    if not uri.endswith("/"):
        raise InvalidArgument(f"{shown(uri)} does not name a folder: expected a / at its end")


Check = Callable[[], Awaitable[None]]
"""Raises when something must not be done any more."""


async def always() -> None:
    """A check that nothing fails."""


class Staged(Protocol):
    """A file that is about to appear."""

    @property
    def mark(self) -> str:
        """Tells the file from all others that lie, or will lie, under its URI; the storage keeps it with the file."""

    async def place(self, check: Check = always) -> None:
        """Makes it appear under its URI, whole; `check` is asked before each try. Raises what it and `Backend.stage` raise."""

    async def undo(self, placed: bool = True) -> None:
        """Takes back what was only sent and, if `placed`, what was placed. Raises nothing."""


class Guard(Protocol):
    """Knows whether others have a say in the names that are published."""

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """Told before the first file is placed, so that what a process that is killed has placed can be found."""

    def check(self) -> Awaitable[None]:
        """Asked before each file is placed: raises when it must not be any more."""

    async def may_remove(self) -> bool:
        """Asked after a failure: whether what was placed may be taken away again."""


class Backend(Protocol):
    """One family of URIs."""

    def acting_as(self, credentials: Credentials) -> Self:
        """The same in the name of these roles."""

    def check_readable(self, uri: str) -> None:
        """Raises InvalidArgument for a malformed URI and AccessDenied for one outside what may be read; does no I/O on the
        object itself."""

    def check_writable(self, uri: str) -> None:
        """The same for an output's URI."""

    async def open(self, uri: str) -> ObjectReader:
        """The object, to be read in ranges.

        Raises ResourceNotFound, BucketNotFound, AccessDenied or StorageUnavailable, naming the URI.
        """

    async def stage(self, upload: Upload, owner: str) -> Staged:
        """Brings a finished file so far that it only needs to be placed; nothing is visible yet.

        `owner` (`task.attempt`) marks what is not yet in place, where a storage has names for such things, so that attempts
        never mix and a later one of the same task removes what an earlier one left. Raises OutputError, BucketNotFound,
        AccessDenied or StorageUnavailable; then nothing is left.
        """

    async def withdraw(self, file: PendingFile) -> None:
        """Takes away what lies there if it bears the file's mark; that there is nothing, or another file, is no error.

        Raises InvalidArgument, AccessDenied, OutputError or StorageUnavailable.
        """

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """The URIs that begin with `folder_uri`, which ends in /, and the bytes of each.

        Raises InvalidArgument, BucketNotFound, AccessDenied or StorageUnavailable.
        """

    async def erase(self, folder_uri: str) -> None:
        """Takes away all whose URI begins with `folder_uri`, which ends in /, and what was staged there and never placed, as
        far as the storage tells; that there is nothing is no error. A whole bucket or root is not erased.

        Raises InvalidArgument, BucketNotFound, AccessDenied, OutputError or StorageUnavailable; what is left then goes when it
        is called again.
        """


class Storage(Backend, Protocol):
    """All URIs that may be used."""

    async def publish(self, uploads: Sequence[Upload], owner: str, guard: Guard | None = None) -> None:
        """Makes all files appear under their URIs, each only when all are whole, or none.

        They appear in the order given, lists after everything else. Raises what `stage` and `guard` raise; then nothing of this
        call is visible, unless `guard` keeps it.
        """
