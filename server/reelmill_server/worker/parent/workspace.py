"""Manage scratch: a folder per worker, and in it one per attempt.

A worker locks its folder as long as it lives. One that starts later removes folders that are not locked: leftovers of killed
workers. The total of all attempts can be limited; cached blocks of sources are evicted first.
"""

import asyncio
import fcntl
import os
import re
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TextIO

import structlog

from reelmill_server.descriptors import lacking
from reelmill_server.errors import MediaLimitExceeded, OutputError, OutputInvalid, WorkerBusy
from reelmill_server.worker.parent.block_cache import BlockCache
from reelmill_server.worker.parent.folders import STAT_BLOCK_BYTES, Unmeasurable, erase, taken_bytes

_LOCK = "lock"
_TRIAL_SECONDS = 10.0
_FOLDER = re.compile(r"\d+-[0-9a-f]{8}")  # of a worker; there may be other folders beside them
_log = structlog.get_logger(__name__)


class Scratch:
    """This worker's scratch below `root`, locked until the process ends or `close` is called."""

    def __init__(self, root: Path, quota_bytes: int = 0, cache_bytes: int = 1 << 30) -> None:
        """`quota_bytes`: limit of all attempts together, 0: none; `cache_bytes`: limit of the source blocks cached per
        attempt.
        """
        self._folder, self._lock = _own_folder(root)
        _sweep(root)
        self._quota, self._cache_bytes = quota_bytes, cache_bytes
        self._caches: list[BlockCache] = []
        self._written = 0  # by all attempts, when it was last looked at
        self._refused_at = 0.0  # when the disk took nothing; 0: it takes what it has room for

    def free_bytes(self) -> int:
        """Return the free space of the disk; 0 if the folder is gone, or cannot be written."""
        if self._refused_at and not self._takes_again():
            return 0
        try:
            disk = os.statvfs(self._folder)
        except OSError:
            return 0
        return disk.f_bavail * disk.f_frsize

    @asynccontextmanager
    async def attempt(self, name: str) -> AsyncIterator[Path]:
        """Create an empty folder for one attempt; it is removed with its contents at the end of the block."""
        folder = self._folder / f"{name}-{uuid.uuid4().hex[:8]}"
        with self._written_to():
            folder.mkdir()
        try:
            yield folder
        finally:
            # In a thread: a child may leave a million files. Shielded: a cancel must not leave them behind.
            await asyncio.shield(asyncio.to_thread(_erase, folder))

    @contextmanager
    def cache(self) -> Iterator[BlockCache]:
        """Create the cache of one attempt's sources."""
        with self._written_to():
            cache = BlockCache(self._folder, self._cache_bytes, self._has_room)
        self._caches.append(cache)
        try:
            yield cache
        finally:
            self._caches.remove(cache)
            cache.clear()

    @contextmanager
    def _written_to(self) -> Iterator[None]:
        """Raise WorkerBusy where the disk takes nothing, as it is broken or read-only: other workers have other disks.

        Until a trial succeeds there is no space on it, so that this worker does not take, and return, all that waits.
        """
        try:
            yield
        except OSError as error:
            if lacking(error):
                raise
            self._refused_at = time.monotonic()
            _log.error("scratch cannot be written", folder=str(self._folder), reason=error.strerror)
            raise WorkerBusy(f"the worker's scratch cannot be written: {error.strerror}") from error

    def _takes_again(self) -> bool:
        if time.monotonic() < self._refused_at + _TRIAL_SECONDS:
            return False
        trial = self._folder / f"trial-{uuid.uuid4().hex[:8]}"
        try:
            trial.mkdir()
            trial.rmdir()
        except OSError:
            self._refused_at = time.monotonic()
            return False
        self._refused_at = 0.0
        return True

    async def check(self, folder: Path) -> None:
        """Evict cached blocks if all attempts together exceed the quota.

        Raises MediaLimitExceeded if an attempt's own `folder` exceeds it alone, OutputError if others contribute, OutputInvalid
        if it hides files.
        """
        if not self._quota:
            return
        own, self._written = await asyncio.to_thread(self._disk_usage, folder)
        for cache in sorted(self._caches, key=lambda cache: cache.size_bytes, reverse=True):
            if self._has_room(0):
                return
            cache.clear()
        if own > self._quota:
            raise MediaLimitExceeded(f"the outputs need more than the {self._quota} bytes of scratch that a worker may use")
        if not self._has_room(0):
            raise OutputError(f"the worker's attempts need more than the {self._quota} bytes of scratch that they may use")

    def _disk_usage(self, folder: Path) -> tuple[int, int]:
        """Return what an attempt takes of the disk, and what all do. Raises OutputInvalid for a folder that hides files."""
        sizes = {path: _disk_usage_bytes(path) for path in (folder, *self._folder.iterdir())}
        own = sizes[folder]
        if own is None:
            raise OutputInvalid("the child made folders that cannot be measured")
        return own, sum(size or 0 for size in sizes.values())

    def _has_room(self, extra: int) -> bool:
        in_caches = sum(cache.size_bytes for cache in self._caches)
        return not self._quota or self._written + in_caches + extra <= self._quota

    def close(self) -> None:
        """Remove the worker's folder."""
        _erase(self._folder)
        self._lock.close()


def _disk_usage_bytes(path: Path) -> int | None:
    """Return what a file or folder takes of the disk; None for a folder that hides files."""
    try:
        return taken_bytes(path) if path.is_dir() else path.lstat().st_blocks * STAT_BLOCK_BYTES
    except FileNotFoundError:
        return 0
    except Unmeasurable:
        return None


def _erase(folder: Path) -> None:
    if not erase(folder):
        _log.warning("scratch could not be removed", folder=str(folder))


def _own_folder(root: Path) -> tuple[Path, TextIO]:
    """Make a worker's folder and lock it."""
    while True:  # until no other worker that starts has taken it for abandoned: each looks once
        folder = root / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        folder.mkdir(parents=True)
        lock = _locked(folder)
        if lock:
            return folder, lock


def _locked(folder: Path) -> TextIO | None:
    """Lock a worker's folder until the returned file is closed; None if another process holds it, or it is gone."""
    path = folder / _LOCK
    try:
        lock = path.open("a")
    except OSError:
        return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock.fileno()), path.stat()):  # else it was removed before it was locked
            return lock
    except OSError:
        pass
    lock.close()
    return None


def _sweep(root: Path) -> None:
    """Remove the folders of workers that are gone, each under its lock: a worker that is starting must see that."""
    for folder in root.iterdir():
        lock = _locked(folder) if _FOLDER.fullmatch(folder.name) else None
        if lock:
            with lock:
                _erase(folder)
