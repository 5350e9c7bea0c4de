"""Modes of files: what the service keeps is for its own user; outputs have the mode that this user's other files have."""

import os
from pathlib import Path

_PRIVATE = 0o077
_FILE, _FOLDER = 0o666, 0o777


class _Umask:
    """The umask that the process was started with; None: it still has it."""

    ordinary: int | None = None


def keep_private() -> None:
    """Make all files of this process and its children 0600 and all folders 0700, from now on."""
    before = os.umask(_PRIVATE)
    if _Umask.ordinary is None:
        _Umask.ordinary = before


def make_private(folder: Path) -> None:
    """Make a folder of the service, or close one that is there to others. One that belongs to somebody else stays as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    try:
        folder.chmod(0o700)
    except PermissionError:
        pass  # a volume, perhaps, of which this user's group may use everything


def show_file(descriptor: int) -> None:
    """Give an open output the mode that it would have without `keep_private`."""
    if _Umask.ordinary is not None:
        os.fchmod(descriptor, _FILE & ~_Umask.ordinary)


def show_folder(descriptor: int) -> None:
    """Give an open folder, just made for outputs, the mode that it would have without `keep_private`."""
    if _Umask.ordinary is None:
        return
    inherited = os.fstat(descriptor).st_mode & 0o7000
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)  # the one we have may be for looking up names only
    try:
        os.fchmod(folder, inherited | (_FOLDER & ~_Umask.ordinary))
    finally:
        os.close(folder)
