"""Scratch: a folder per worker, and in it one per attempt.

A worker holds a lock on its folder as long as it lives. Whoever starts later removes the folders whose lock is free: what a
killed worker left behind.
"""

import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_LOCK = "lock"


class Scratch:
    """This worker's scratch below `root`, locked until the process ends or `close` is called."""

    def __init__(self, root: Path) -> None:
        self._folder = root / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        self._folder.mkdir(parents=True)
        self._lock = (self._folder / _LOCK).open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        sweep(root, keep=self._folder)

    @contextmanager
    def attempt(self, name: str) -> Iterator[Path]:
        """An empty folder for one attempt, removed with all that is in it afterwards."""
        folder = self._folder / f"{name}-{uuid.uuid4().hex[:8]}"
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Removes the worker's folder."""
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()


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
