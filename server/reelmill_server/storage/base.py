"""Interfaces of storage."""

import os
import re
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Protocol, Self

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.beneath import Beneath

LEAST_RATE = 64 << 10
"""Bytes a second that a source must give while it is opened and probed, after PATIENCE_SECONDS of waiting."""
PATIENCE_SECONDS = 20.0


class ObjectReader(Protocol):
    """An object that several callers may read in ranges concurrently.

    An object that changes while being read raises an error; versions are never mixed.
    """

    @property
    def uri(self) -> str:
        """URI of the object."""

    @property
    def size_bytes(self) -> int:
        """Size in bytes."""

    @property
    def modified_us(self) -> int:
        """Modification time in microseconds since the epoch."""

    @property
    def descriptor(self) -> int | None:
        """Descriptor of the open file, if it lies on this machine. It is closed with the reader."""

    async def read(self, offset: int, length: int) -> bytes:
        """Return up to `length` bytes from `offset`; fewer only at the end of the object.

        Raises ResourceNotFound, AccessDenied, SourceChanged or StorageUnavailable, naming the URI.
        """

    async def close(self) -> None:
        """Release the reader's resources."""


@dataclass(frozen=True)
class Upload:
    """A finished local file and the URI under which to publish it. `folder`: the file is below it, and a child may still write
    there.
    """

    path: Path
    uri: str
    folder: Path | None = None

    def open(self) -> BinaryIO:
        """Open the file: itself, whatever a child puts in its place or in its way. Raises OSError."""
        beneath = Beneath(self.folder or self.path.parent, self.path.relative_to(self.folder or self.path.parent))
        return open(beneath.open(os.O_RDONLY | os.O_NONBLOCK), "rb")


_PARTS = re.compile(r"((?:[^/?#]*:)?//)?([^/?#]*)([^?#]*)")
_PLAIN = ("file://", "s3://", "gs://", "oss://")


def redacted(uri: str) -> str:
    """Return a URI for messages, without parts that may be secret, such as the query of a signed one.

    Names of files and objects may have a ? themselves; whatever else was sent may be a URI of the web, however it is spelled.
    """
    if uri.startswith(_PLAIN):
        return uri
    scheme, head, path = _PARTS.match(uri).groups("")  # type: ignore[union-attr]  # each part may be empty
    return f"{scheme}{head.rpartition('@')[2]}{path}"


def check_folder(uri: str) -> None:
    """Raise InvalidArgument unless `uri` ends with /, so that it is a prefix of files in one folder only."""
    if not uri.endswith("/"):
        raise InvalidArgument(f"{redacted(uri)} is not a folder URI: it must end with /")


Check = Callable[[], Awaitable[None]]
"""Raises an error if an operation must no longer be carried out."""


async def no_check() -> None:
    """Check nothing."""


class StagedFile(Protocol):
    """A file that is uploaded but not yet published."""

    @property
    def mark(self) -> str:
        """Identifier that distinguishes the file from all others under its URI; the storage keeps it with the file."""

    async def publish(self, check: Check = no_check) -> None:
        """Make the file visible under its URI; `check` runs before each try.

        Raises the errors of `check` and of `Backend.stage`.
        """

    async def roll_back(self, published: bool = True) -> None:
        """Remove the uploaded data and, if `published`, the published file. Raises nothing."""


class Guard(Protocol):
    """Guard of a publication: knows whether other attempts use the same names."""

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """Record the files before the first one is published, so that files published by a killed process can be found."""

    def check(self) -> Awaitable[None]:
        """Raise an error if nothing more may be published; runs before each file."""

    async def may_remove(self) -> bool:
        """Return whether published files may be removed after a failure."""


class Backend(Protocol):
    """Storage of one family of URIs."""

    def acting_as(self, credentials: Credentials) -> Self:
        """Return this storage with the credentials of these roles."""

    def check_readable(self, uri: str) -> None:
        """Raise InvalidArgument for a malformed URI and AccessDenied for one that may not be read, without any I/O."""

    def check_writable(self, uri: str) -> None:
        """Raise InvalidArgument for a malformed URI and AccessDenied for one that may not be written."""

    def places(self, uri: str) -> frozenset[Hashable]:
        """Return what `uri`, which may be read or written, resolves to: URIs of one object, in whatever spelling, share a
        place. May block for the file system.
        """

    async def open(self, uri: str) -> ObjectReader:
        """Open an object to read it in ranges.

        Raises ResourceNotFound, BucketNotFound, AccessDenied or StorageUnavailable, naming the URI.
        """

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        """Upload a finished file without making it visible.

        `owner` (`task.attempt`) marks unpublished data where a storage has names for it, so that attempts never mix and a later
        attempt of the task removes what an earlier one left. Raises OutputError, BucketNotFound, AccessDenied or
        StorageUnavailable; then nothing is left.
        """

    async def withdraw(self, file: PendingFile) -> None:
        """Remove the file at a URI if it has this mark; do nothing if there is no file or another one.

        Raises InvalidArgument, AccessDenied, OutputError or StorageUnavailable.
        """

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """Return the URIs that begin with `folder_uri`, which ends with /, and the size of each.

        Raises InvalidArgument, BucketNotFound, AccessDenied or StorageUnavailable.
        """

    async def erase(self, folder_uri: str) -> None:
        """Remove everything below `folder_uri`, which ends with /, including unpublished uploads that the storage lists.

        An empty folder is no error; a whole bucket or root is refused. Raises InvalidArgument, BucketNotFound, AccessDenied,
        OutputError or StorageUnavailable; calling again removes the rest.
        """


class Storage(Backend, Protocol):
    """Storage of all URIs that may be used."""

    async def publish(self, uploads: Sequence[Upload], owner: str, guard: Guard | None = None) -> None:
        """Publish all files under their URIs, or none.

        Nothing becomes visible before all files are uploaded; then they appear in order, playlists and manifests last. Raises
        the errors of `stage` and `guard`; then nothing of this call is visible, unless `guard` keeps it.
        """
