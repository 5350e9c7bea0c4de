"""Scratch: a folder per worker, and in it one per attempt.

A worker holds a lock on its folder as long as it lives. Whoever starts later removes the folders whose lock is free: what a
killed worker left behind. What all attempts hold together can be bounded; what is kept of sources gives way first.
"""

import asyncio
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from reelmill_server.errors import MediaLimitExceeded, OutputError
from reelmill_server.worker.parent.block_cache import BlockCache

_LOCK = "lock"
_STAT_BLOCK_BYTES = 512  # of POSIX, whatever the file system's


class Scratch:
    """This worker's scratch below `root`, locked until the process ends or `close` is called."""

    def __init__(self, root: Path, quota_bytes: int = 0, cache_bytes: int = 1 << 30) -> None:
        """`quota_bytes`: most of the disk that attempts hold together, 0: any; `cache_bytes`: most that one keeps of sources"""
        self._folder = root / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._folder.mkdir(parents=True)
        self._lock = (self._folder / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sweep(root, keep=self._folder)
        self._quota, self._cache_bytes = quota_bytes, cache_bytes
        self._caches: list[BlockCache] = []
        self._written = 0  # by all attempts, when it was last looked at

    def free_bytes(self) -> int:
        """How much more the disk takes; nothing when the folder is gone."""
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    @contextmanager
    def attempt(self, name: str) -> Iterator[Path]:
        """An empty folder for one attempt, removed with all that is in it afterwards."""
        folder = self._folder / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    @contextmanager
    def cache(self) -> Iterator[BlockCache]:
        """What one attempt keeps of its sources."""
        cache = BlockCache(self._folder, self._cache_bytes, self._has_room)
        self._caches.append(cache)
        try:
            yield cache
        finally:
            self._caches.remove(cache)
            cache.clear()

    async def check(self, folder: Path) -> None:
        """Makes room if all attempts together hold more than they may.

        Raises MediaLimitExceeded when what lies in an attempt's own `folder` is too much alone, OutputError when there is
        too much because of others.
        """
        if not self._quota:
            return
        own, self._written = await asyncio.to_thread(lambda: (_size(folder), _size(self._folder)))
        for cache in sorted(self._caches, key=lambda cache: cache.size_bytes, reverse=True):
            if self._has_room(0):
                return
            cache.clear()
        if own > self._quota:
            raise MediaLimitExceeded(f"the outputs need more than the {self._quota} bytes of scratch that a worker may use")
        if not self._has_room(0):
            raise OutputError(f"the worker's attempts need more than the {self._quota} bytes of scratch that they may use")

    def _has_room(self, more: int) -> bool:
        kept = sum(cache.size_bytes for cache in self._caches)
        return not self._quota or self._written + kept + more <= self._quota

    def close(self) -> None:
        """Removes the worker's folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()


def _size(folder: Path) -> int:
    """How much of the disk the files below `folder` take."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # it is gone meanwhile
                total += os.lstat(os.path.join(parent, name)).st_blocks * _STAT_BLOCK_BYTES
    return total


def sweep(root: Path, keep: Path) -> None:
    """Removes the folders of workers that are gone."""
    for folder in root.iterdir():
        if folder != keep and folder.is_dir() and _abandoned(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _abandoned(folder: Path) -> bool:
    try:
        with (folder / _LOCK).open("r+") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False  # its worker is just starting
    except OSError:
        return False  # held
    return True
