"""What belongs to the service itself, and is neither a source nor a target of any task, whatever the file roots say."""

import os
from collections.abc import Iterable
from pathlib import Path

from reelmill_server.errors import AccessDenied


class Reserved:
    """Folders and files of this machine, and names in buckets, that are refused however a URI spells them.

    Paths are compared by what they lead to: a link, a mount or a file system that ignores case is no way around.
    """

    def __init__(self, paths: Iterable[Path] = (), objects: Iterable[tuple[str, str]] = ()) -> None:
        """Reserve `paths` with all below them and, as pairs of bucket and key, objects with all below them."""
        self._paths = tuple(path.absolute() for path in paths)
        self._objects = tuple((bucket, key.rstrip("/")) for bucket, key in objects)

    def check_path(self, path: Path, uri: str) -> None:
        """Raise AccessDenied if `path` is reserved. Links on the way to it must have been followed; it may be one itself."""
        real = Path(os.path.realpath(path))
        ancestry = {path, *path.parents, real, *real.parents}
        identities = {_identity(ancestor) for ancestor in ancestry} - {None}
        names = {_folded(ancestor) for ancestor in ancestry}
        for reserved in self._paths:
            identity = _identity(reserved)
            if identity in identities if identity else _folded(Path(os.path.realpath(reserved))) in names:
                raise _refusal(uri)

    def check_object(self, bucket: str, key: str, uri: str) -> None:
        """Raise AccessDenied if this object is reserved, whatever service is asked for it: one has several names."""
        for reserved, prefix in self._objects:
            if bucket == reserved and (not prefix or f"{key}/".startswith(f"{prefix}/")):
                raise _refusal(uri)


NOTHING_RESERVED = Reserved()


def _identity(path: Path) -> tuple[int, int] | None:
    """Return what tells a file or folder from all others of this machine, whatever it is called; None if there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _folded(path: Path) -> str:
    """Return a name of what does not exist yet: on some file systems it will be found in any case."""
    return str(path).casefold()


def _refusal(uri: str) -> AccessDenied:
    return AccessDenied(f"{uri} belongs to the service itself: its data, its scratch or its keys")
