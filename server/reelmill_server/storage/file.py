"""`file://`: folders of this machine, below configured roots and nowhere else."""

import asyncio
import os
import re
import shutil
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Self

from reelmill_server.errors import AccessDenied, InvalidArgument, OutputError, ResourceNotFound
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.storage.base import Check, ObjectReader, Staged, Upload, always, check_folder
from reelmill_server.storage.reserved import NOTHING_RESERVED, Reserved
from reelmill_server.storage.retrying import in_thread
from reelmill_server.uris import Resource, scheme_of, written

_LONGEST_NAME_BYTES = 255
_TEMPORARY = re.compile(r"\.reelmill-.*\.part")  # what was staged and not placed


@dataclass(frozen=True)
class _LocalFile:
    """A file that is read where it lies."""

    uri: str
    size_bytes: int
    modified_us: int
    local_path: str | None

    async def read(self, offset: int, length: int) -> bytes:
        """As `ObjectReader.read`."""
        return await asyncio.to_thread(self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        assert self.local_path
        try:
            with Path(self.local_path).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError as error:
            raise AccessDenied(f"{self.uri} cannot be read: {error.strerror}") from error

    async def close(self) -> None:
        """Nothing is held."""


class FileStorage:
    """Files below `roots`, except `reserved` ones. Symbolic links are followed before either is checked."""

    def __init__(self, roots: Sequence[Path], reserved: Reserved = NOTHING_RESERVED) -> None:
        self._roots, self._reserved = tuple(root.resolve() for root in roots), reserved

    def acting_as(self, credentials: Credentials) -> Self:
        """The same: roles are of other storages, the server's roots hold for everybody."""
        return self

    def check_readable(self, uri: str) -> None:
        """As `Backend.check_readable`."""
        self._resolve(uri)

    def check_writable(self, uri: str) -> None:
        """As `Backend.check_writable`."""
        self._destination(uri)

    async def open(self, uri: str) -> ObjectReader:
        """As `Backend.open`."""
        return await asyncio.to_thread(self._open, uri)

    async def stage(self, upload: Upload, owner: str) -> Staged:
        """As `Backend.stage`: the file is laid beside its place."""
        destination = self._destination(upload.uri)
        part = destination.parent / f".reelmill-{owner}-{uuid.uuid4().hex[:8]}.part"
        staged = _LaidFile(upload.uri, part, destination)
        try:
            staged.mark = await in_thread(None, _lay, upload, part, owner)
        except BaseException:
            await asyncio.shield(staged.undo())
            raise
        return staged

    async def withdraw(self, file: PendingFile) -> None:
        """As `Backend.withdraw`."""
        await in_thread(None, _withdraw, file, self._destination(file.uri))

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        """As `Backend.list_below`."""
        return await asyncio.to_thread(self._list, folder_uri)

    async def erase(self, folder_uri: str) -> None:
        """As `Backend.erase`: the folder goes, too. Links are removed, not followed."""
        await in_thread(None, _erase, folder_uri, self._folder_of(folder_uri))

    def _list(self, uri: str) -> list[tuple[str, int]]:
        folder = self._folder_of(uri)
        try:
            files = [path for path in folder.rglob("*") if path.is_file() and not _TEMPORARY.fullmatch(path.name)]
            return [(uri + written(str(path.relative_to(folder)), scheme_of(uri)), path.stat().st_size) for path in files]
        except OSError as error:
            raise AccessDenied(f"{uri} cannot be read: {error.strerror}") from error

    def _folder_of(self, uri: str) -> Path:
        """The folder below a root."""
        check_folder(uri)
        path = self._resolve(uri)
        if any(root.is_relative_to(path) for root in self._roots):
            raise InvalidArgument(f"{uri} names all that this server may use: expected a folder in it")
        return path

    def _open(self, uri: str) -> ObjectReader:
        path = self._resolve(uri)
        try:
            status = path.stat()
            if not path.is_file():
                raise ResourceNotFound(f"{uri} is not a file")
            with path.open("rb"):
                pass
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ResourceNotFound(f"The specified resource {uri} is not found") from error
        except OSError as error:
            raise AccessDenied(f"{uri} cannot be read: {error.strerror}") from error
        return _LocalFile(uri, status.st_size, status.st_mtime_ns // 1000, str(path))

    def _destination(self, uri: str) -> Path:
        """The path to write: its folder resolved, its own name as it is, so that a link there is replaced and not followed."""
        path = self._parse(uri)
        if uri.endswith("/") or path.name in ("", "..") or len(path.name.encode()) > _LONGEST_NAME_BYTES:
            raise InvalidArgument(f"{uri} does not name a file")
        return self._inside(self._real(path.parent, uri) / path.name, uri)

    def _resolve(self, uri: str) -> Path:
        return self._inside(self._real(self._parse(uri), uri), uri)

    @staticmethod
    def _real(path: Path, uri: str) -> Path:
        try:
            return path.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: links that go round, before Python 3.13
            raise InvalidArgument(f"{uri} cannot be followed: {error}") from error

    def _inside(self, path: Path, uri: str) -> Path:
        if not any(path.is_relative_to(root) for root in self._roots):
            raise AccessDenied(f"{uri} lies outside the folders that this server may use")
        self._reserved.check_path(path, uri)
        return path

    def _parse(self, uri: str) -> Path:
        return file_path(uri)


class FolderStorage(FileStorage):
    """A folder that stands in for a bucket: `scheme://bucket/object` is the file `object` in it."""

    def __init__(self, folder: Path, reserved: Reserved = NOTHING_RESERVED) -> None:
        super().__init__([folder], reserved)
        self._folder = folder

    def _parse(self, uri: str) -> Path:
        bucket, _, key = uri.partition("://")[2].partition("/")
        if not bucket or not key or any(ord(character) < 0x20 for character in uri):
            raise InvalidArgument(f"{uri} does not name an object: expected {uri.partition('://')[0]}://bucket/object")
        return self._folder / key


def file_path(uri: str) -> Path:
    """Return the path that a file URI names, as it is written but decoded. Raises InvalidArgument."""
    resource = Resource.of(uri)
    odd = any(character < " " or character in "?#" for character in uri)
    if odd or resource.scheme != "file" or resource.authority or not resource.path or "\0" in resource.path:
        raise InvalidArgument(f"{uri} is not a file URI: expected file:///absolute/path, other characters percent-encoded")
    return Path(resource.path)


@dataclass
class _LaidFile:
    """A file beside its place, or in it: then it is `placed`."""

    uri: str
    part: Path
    destination: Path
    mark: str = ""
    placed: bool = False

    async def place(self, check: Check = always) -> None:
        """As `Staged.place`."""
        await check()
        await in_thread(None, self._place)

    def _place(self) -> None:
        try:
            self.part.replace(self.destination)
        except OSError as error:
            raise OutputError(f"{self.uri} cannot be written: {error.strerror}") from error
        self.placed = True

    async def undo(self, placed: bool = True) -> None:
        """As `Staged.undo`; a file that took its place since stays."""
        with suppress(OSError, OutputError):
            if not self.placed:
                await asyncio.to_thread(self.part.unlink)
            elif placed:
                await asyncio.to_thread(_withdraw, PendingFile(self.uri, self.mark), self.destination)


def _mark_of(path: Path) -> str:
    """What tells a file from all others of its file system, on all machines; a number that is free is given again, hence the
    time."""
    status = path.lstat()
    return f"{status.st_ino}-{status.st_mtime_ns}-{status.st_size}"


def _withdraw(file: PendingFile, path: Path) -> None:
    """Raises OutputError."""
    try:
        if _mark_of(path) == file.mark:
            path.unlink()
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        raise OutputError(f"{file.uri} cannot be taken away: {error.strerror}") from error


@lru_cache(maxsize=256)
def _remove_leftovers(folder: Path, owner: str) -> None:
    """Removes, once, what an earlier owner of the same task left: one that was killed could not."""
    task, _, attempt = owner.partition(".")
    if attempt and folder.is_dir():
        for part in folder.glob(f".reelmill-{task}.*.part"):
            if not part.name.startswith(f".reelmill-{owner}-"):
                with suppress(OSError):
                    part.unlink()


def _erase(uri: str, folder: Path) -> None:
    try:
        while folder.is_dir():
            with suppress(FileNotFoundError):  # somebody else erases it, too
                shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"{uri} cannot be erased: {error.strerror}") from error


def _lay(upload: Upload, part: Path, owner: str) -> str:
    """Puts a file beside its place, durable but under another name; gives its mark. Raises OutputError."""
    try:
        _remove_leftovers(part.parent, owner)
        part.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(upload.path, part)  # the file may still be read where it is
        except OSError:  # another file system, or one without links
            shutil.copyfile(upload.path, part)
        with part.open("rb+") as file:
            os.fsync(file.fileno())
        return _mark_of(part)
    except OSError as error:
        raise OutputError(f"{upload.uri} cannot be written: {error.strerror}") from error
