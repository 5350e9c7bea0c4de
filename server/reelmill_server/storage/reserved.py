"""Paths and objects reserved for the service, which no task may read or write, whatever the file roots are."""

import os
from collections.abc import Iterable
from pathlib import Path

from reelmill_server.errors import AccessDenied


class Reserved:
    """Reserved folders and files of this machine, and objects in buckets, refused however a URI spells them.

    Paths are compared by identity, so that links, mounts and case-insensitive file systems are no way around.
    """

    def __init__(self, paths: Iterable[Path] = (), objects: Iterable[tuple[str, str]] = ()) -> None:
        """Reserve `paths` and everything below them, and objects, as pairs of bucket and key, with everything below them."""
        self._paths = tuple(path.absolute() for path in paths)
        self._objects = tuple((bucket, key.rstrip("/")) for bucket, key in objects)

    def check_path(self, path: Path, uri: str) -> None:
        """Raise AccessDenied if `path` is reserved. Links on the way to it must be resolved; it may be a link itself."""
        try:
            real = Path(os.path.realpath(path)) if os.path.islink(path) else path
        except OSError as error:  # a link that is none any more
            raise AccessDenied(f"{uri} changed while it was checked") from error
        ancestry = {path, *path.parents, real, *real.parents}
        identities = {identity_of(ancestor) for ancestor in ancestry} - {None}
        for reserved in self._paths:
            identity = identity_of(reserved)
            if identity in identities if identity else _is_among(reserved, ancestry):
                raise _refusal(uri)

    def check_identity(self, identity: tuple[int, int], uri: str) -> None:
        """Raise AccessDenied if this is the identity of a reserved path: of what was opened, whatever its name was."""
        if any(identity_of(reserved) == identity for reserved in self._paths):
            raise _refusal(uri)

    def check_object(self, bucket: str, key: str, uri: str) -> None:
        """Raise AccessDenied if this object is reserved, on any service, as a service may have several names."""
        for reserved, prefix in self._objects:
            if bucket == reserved and (not prefix or f"{key}/".startswith(f"{prefix}/")):
                raise _refusal(uri)


NOTHING_RESERVED = Reserved()


def identity_of(path: Path) -> tuple[int, int] | None:
    """Return the identity of a file or folder on this machine, independent of its name, or None if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _is_among(missing: Path, paths: Iterable[Path]) -> bool:
    """Return whether a path that does not exist yet is one of these; some file systems ignore case."""
    return os.path.realpath(missing).casefold() in {str(path).casefold() for path in paths}


def _refusal(uri: str) -> AccessDenied:
    return AccessDenied(f"{uri} is reserved for the service's own data, scratch files or keys")
