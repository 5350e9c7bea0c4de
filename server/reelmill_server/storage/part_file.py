"""Part files: written beside their destination, and renamed to it when they are published."""

import asyncio
import errno
import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache

from reelmill_server.errors import AccessDenied, OutputError
from reelmill_server.model.publication import PendingFile
from reelmill_server.modes import show_file
from reelmill_server.storage.base import Check, Upload, no_check
from reelmill_server.storage.beneath import Beneath
from reelmill_server.storage.retry import in_thread

# Another attempt would meet the same: access, or something else in the place of a folder or of the file.
_DENIED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG}
_COPY_BYTES = 1 << 20
_MADE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW


@dataclass
class PartFile:
    """A temporary file beside its destination, named `part`, renamed to `name` when it is published."""

    uri: str
    folder: Beneath
    part: str
    name: str
    mark: str = ""
    published: bool = False

    async def publish(self, check: Check = no_check) -> None:
        await check()
        await in_thread(None, self._publish)

    def _publish(self) -> None:
        try:
            with self.folder.opened() as folder:
                os.replace(self.part, self.name, src_dir_fd=folder, dst_dir_fd=folder)
        except OSError as error:
            raise _not_written(self.uri, error) from error
        self.published = True

    async def roll_back(self, published: bool = True) -> None:
        # A file that has replaced this one since is kept: its mark differs.
        with suppress(OSError, OutputError, AccessDenied):
            if not self.published:
                await asyncio.to_thread(self._remove)
            elif published:
                await asyncio.to_thread(withdraw, PendingFile(self.uri, self.mark), self.folder, self.name)

    def _remove(self) -> None:
        with self.folder.opened() as folder:
            os.unlink(self.part, dir_fd=folder)


def write_part(upload: Upload, staged: PartFile, owner: str, shown: bool) -> str:
    """Write a part file durably beside its destination and return its mark. Raises OutputError or AccessDenied."""
    try:
        _remove_leftovers(staged.folder, owner)
        with staged.folder.opened(make=True, shown=shown) as folder:
            with upload.open() as file:
                try:
                    # A link, as the file may still be in use; by its descriptor, so that it is to this file.
                    os.link(f"/proc/self/fd/{file.fileno()}", staged.part, dst_dir_fd=folder, follow_symlinks=True)
                except OSError:  # another file system, or one without hard links
                    with open(os.open(staged.part, _MADE, 0o666, dir_fd=folder), "wb") as copy:
                        shutil.copyfileobj(file, copy, _COPY_BYTES)
            written = os.open(staged.part, os.O_RDWR | os.O_NOFOLLOW, dir_fd=folder)
            try:
                if shown:
                    show_file(written)
                os.fsync(written)
            finally:
                os.close(written)
            return _mark_of(staged.part, folder)
    except OSError as error:
        raise _not_written(upload.uri, error) from error


def _mark_of(name: str, folder: int) -> str:
    """Return the identity of a file on its file system, across machines.

    Inode numbers are reused, hence the modification time.
    """
    status = os.stat(name, dir_fd=folder, follow_symlinks=False)
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def withdraw(file: PendingFile, place: Beneath, name: str) -> None:
    """Remove a file if it has this mark. Raises OutputError."""
    try:
        with place.opened() as folder:
            if _mark_of(name, folder) == file.mark:
                os.unlink(name, dir_fd=folder)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"{file.uri} cannot be removed: {error.strerror}") from error


@lru_cache(maxsize=256)
def _remove_leftovers(place: Beneath, owner: str) -> None:
    """Remove, once, the part files of earlier attempts of the same task, which may have been killed."""
    task, _, attempt = owner.partition(".")
    if not attempt:
        return
    with suppress(OSError), place.opened() as folder:
        for name in _names(folder):
            if name.startswith(f".reelmill-{task}.") and name.endswith(".part") and not name.startswith(f".reelmill-{owner}-"):
                with suppress(OSError):
                    os.unlink(name, dir_fd=folder)


def _names(folder: int) -> list[str]:
    readable = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder)
    try:
        return os.listdir(readable)
    finally:
        os.close(readable)


def _not_written(uri: str, error: OSError) -> AccessDenied | OutputError:
    """Return the error for one of the system's: AccessDenied if another attempt would meet the same, else OutputError."""
    kind = AccessDenied if error.errno in _DENIED else OutputError
    return kind(f"{uri} cannot be written: {error.strerror}")
