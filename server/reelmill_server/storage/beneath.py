"""Open files below a folder whatever others do meanwhile to the folders on the way: no link is followed.

A path that was checked and is then opened by its name may lead elsewhere by then.
"""

import ctypes
import errno
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.modes import show_folder

_OPENAT2 = 437  # on every architecture
_NO_MAGIC_LINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_LACKING = {errno.ENOSYS, errno.EPERM}  # a kernel before 5.6, or a container whose seccomp filter is older
_MAX_CHANGES = 100  # of the folders meanwhile, until the last error counts
_FOLDER = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


@dataclass(frozen=True)
class Beneath:
    """A file or folder `root`/`path`, which contains neither links nor `..`; on the way to `root` links are followed."""

    root: Path
    path: Path

    @property
    def folder(self) -> "Beneath":
        """The folder that it is in."""
        return Beneath(self.root, self.path.parent)

    def open(self, flags: int) -> int:
        """Return a descriptor of it.

        Raises OSError: ELOOP or NotADirectoryError if it, or a folder on the way, is a link meanwhile.
        """
        root = os.open(self.root, _FOLDER)
        try:
            return _open(root, self.path, flags | os.O_NOFOLLOW | os.O_CLOEXEC)
        finally:
            os.close(root)

    @contextmanager
    def opened(self, *, make: bool = False, shown: bool = False) -> Iterator[int]:
        """Open the folder for the block, as the `dir_fd` of calls that name what is in it; `make`: with those that are missing,
        `shown` to others as the user's own folders are.

        Raises OSError.
        """
        try:
            descriptor = self.open(_FOLDER)
        except FileNotFoundError:
            if not make:
                raise
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = self._open_or_make(shown)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _open_or_make(self, shown: bool) -> int:
        """Return a descriptor of the folder, after making it and those on the way."""
        folder = os.open(self.root, _FOLDER)
        for name in self.path.parts:
            try:
                new = _make(name, folder)
                below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=folder)
                if new and shown:
                    show_folder(below)
            finally:
                os.close(folder)
            folder = below
        return folder


def _make(name: str, folder: int) -> bool:
    """Make a folder in another; return whether it was not there."""
    try:
        os.mkdir(name, dir_fd=folder)
    except FileExistsError:
        return False
    return True


def _open(folder: int, path: Path, flags: int) -> int:
    if sys.platform != "linux":
        return _walk(folder, path, flags)
    how = _OpenHow(flags, 0, _BENEATH | _NO_SYMLINKS | _NO_MAGIC_LINKS)
    for _ in range(_MAX_CHANGES):
        descriptor = _libc.syscall(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        code = ctypes.get_errno()
        if code in _LACKING:
            return _walk(folder, path, flags)
        if code != errno.EAGAIN:  # that: something was renamed meanwhile
            break
    raise OSError(code, os.strerror(code), str(path))


def _walk(folder: int, path: Path, flags: int) -> int:
    """Open `path` folder by folder: without openat2."""
    at = os.dup(folder)
    try:
        for name in path.parts[:-1]:
            below = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(path.name or ".", flags, dir_fd=at)
    finally:
        os.close(at)


_libc = ctypes.CDLL(None, use_errno=True)
