"""Measure and erase folders that a child wrote: it may have nested them thousands deep, and made some that nobody may list.

Folders are never walked by recursion, nor by paths that grow with their depth.
"""

import itertools
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_MOST_DEPTH = 32  # of outputs: a package has a folder for each of its streams
STAT_BLOCK_BYTES = 512  # of POSIX, whatever the file system's


class Unmeasurable(Exception):
    """A folder cannot be listed, or is nested deeper than outputs are."""


def taken_bytes(folder: Path) -> int:
    """Return how much of the disk the files below `folder` take; what is gone meanwhile does not count.

    Raises Unmeasurable for a folder in which files would be hidden.
    """
    total, below = 0, [(str(folder), 0)]
    while below:
        path, depth = below.pop()
        if depth > _MOST_DEPTH:
            raise Unmeasurable
        for entry in _entries(path):
            with suppress(FileNotFoundError):
                if entry.is_dir(follow_symlinks=False):
                    below.append((entry.path, depth + 1))
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * STAT_BLOCK_BYTES
    return total


def _entries(path: str) -> Iterator[os.DirEntry[str]]:
    try:
        with os.scandir(path) as entries:
            yield from entries
    except FileNotFoundError:
        return
    except PermissionError as error:
        raise Unmeasurable from error


def erase(folder: Path) -> bool:
    """Remove `folder` and all below it, whose writers have ended; return whether it is gone."""
    names = itertools.count()
    advanced = _opened(folder)
    while advanced:
        with suppress(OSError):
            folder.rmdir()
            break
        erased = [_erase_entry(folder, name, names) for name in os.listdir(folder)]
        advanced = any(erased)  # else nothing can be removed any more
    return not os.path.lexists(folder)


def _erase_entry(top: Path, name: str, names: Iterator[int]) -> bool:
    """Remove a file or a folder in `top`, whose own folders are moved to `top` before; return whether it is gone."""
    path = top / name
    try:
        if not _opened(path):
            path.unlink()
            return True
        for below in os.listdir(path):
            if _opened(path / below):
                os.rename(path / below, _free_name(top, names))
            else:
                os.unlink(path / below)
        path.rmdir()
    except OSError:
        return False
    return True


def _free_name(top: Path, names: Iterator[int]) -> Path:
    paths = (top / f"erased-{number}" for number in names)
    return next(path for path in paths if not os.path.lexists(path))


def _opened(path: Path) -> bool:
    """Make a folder one that its owner may change; return whether it is one."""
    try:
        mode = path.lstat().st_mode
    except OSError:
        return False
    if not stat.S_ISDIR(mode):
        return False
    if mode & stat.S_IRWXU != stat.S_IRWXU:
        with suppress(OSError):
            path.chmod(stat.S_IRWXU)
    return True
