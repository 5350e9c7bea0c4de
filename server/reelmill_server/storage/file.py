"""Storage of `file://`: folders of this machine below the configured roots."""

import asyncio
import errno
import os
import re
import shutil
import uuid
from collections.abc import Hashable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from stat import S_ISREG
from typing import Self

from reelmill_server.errors import AccessDenied, InvalidArgument, OutputError, ResourceNotFound
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.request import Credentials
from reelmill_server.settings.reference import SETTINGS
from reelmill_server.storage.base import ObjectReader, StagedFile, Upload, check_folder
from reelmill_server.storage.beneath import Beneath
from reelmill_server.storage.part_file import PartFile, withdraw, write_part
from reelmill_server.storage.reserved import NOTHING_RESERVED, Reserved, identity_of
from reelmill_server.storage.retry import in_thread
from reelmill_server.uris import Resource, encoded, scheme_of

_MAX_NAME_BYTES = 255
_MAX_FOLDERS = 128  # above a file: each is looked up, in the loop that serves all callers, too
_CHANGED = {errno.ELOOP, errno.ENOTDIR}  # a link, or no folder, where none was when the path was resolved
_TRIES = 3  # at a path that changes meanwhile
# A pipe would wait for somebody who writes into it.
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY
_TEMPORARY = re.compile(r"\.reelmill-.*\.part")  # files that are staged but not published


@dataclass(frozen=True)
class _LocalFile:
    """A reader of a local file, which stays the same file whatever its name means later."""

    uri: str
    size_bytes: int
    modified_us: int
    file: FileIO

    @property
    def descriptor(self) -> int:
        return self.file.fileno()

    async def read(self, offset: int, length: int) -> bytes:
        return await asyncio.to_thread(self._read, offset, length)

    def _read(self, offset: int, length: int) -> bytes:
        try:
            return os.pread(self.file.fileno(), length, offset)
        except OSError as error:
            raise AccessDenied(f"{self.uri} cannot be read: {error.strerror}") from error

    async def close(self) -> None:
        self.file.close()


class FileStorage:
    """Files below `roots`, except `reserved` ones. Symbolic links are resolved before both checks, and not followed afterwards.

    `writes_here`: this process is the one that writes, so that folders it may not write to are refused beforehand. `shown`:
    what is written has the mode that the user's other files have.
    """

    def __init__(
        self,
        roots: Sequence[Path],
        reserved: Reserved = NOTHING_RESERVED,
        *,
        writes_here: bool = False,
        shown: bool = True,
    ) -> None:
        self._roots, self._reserved, self._writes_here = tuple(root.resolve() for root in roots), reserved, writes_here
        self._shown = shown

    def acting_as(self, credentials: Credentials) -> Self:
        return self  # local files have no roles: the roots apply to everyone

    def check_readable(self, uri: str) -> None:
        self._resolve(uri)

    def check_writable(self, uri: str) -> None:
        destination = self._destination(uri)
        if self._writes_here:
            _check_access(destination, uri)

    def places(self, uri: str) -> frozenset[Hashable]:
        path = self._parse(uri)
        named = self._real(path.parent, uri) / path.name
        # What it is called, and what is there: a link is replaced when written, and followed when read.
        return frozenset((_place(named), _place(self._real(path, uri)), identity_of(named) or _place(named)))

    async def open(self, uri: str) -> ObjectReader:
        return await asyncio.to_thread(self._open, uri)

    async def stage(self, upload: Upload, owner: str) -> StagedFile:
        destination = self._beneath(self._destination(upload.uri))
        part = f".reelmill-{owner}-{uuid.uuid4().hex[:8]}.part"
        staged = PartFile(upload.uri, destination.folder, part, destination.path.name)
        try:
            staged.mark = await in_thread(None, write_part, upload, staged, owner, self._shown)
        except BaseException:
            await asyncio.shield(staged.roll_back())
            raise
        return staged

    async def withdraw(self, file: PendingFile) -> None:
        destination = self._beneath(self._destination(file.uri))
        await in_thread(None, withdraw, file, destination.folder, destination.path.name)

    async def list_below(self, folder_uri: str) -> list[tuple[str, int]]:
        return await asyncio.to_thread(self._list, folder_uri)

    async def erase(self, folder_uri: str) -> None:
        await in_thread(None, _erase, folder_uri, self._folder_of(folder_uri))

    def _list(self, uri: str) -> list[tuple[str, int]]:
        folder = self._folder_of(uri)
        try:
            files = [path for path in folder.rglob("*") if path.is_file() and not _TEMPORARY.fullmatch(path.name)]
            return [(uri + encoded(str(path.relative_to(folder)), scheme_of(uri)), path.stat().st_size) for path in files]
        except OSError as error:
            raise AccessDenied(f"{uri} cannot be read: {error.strerror}") from error

    def _folder_of(self, uri: str) -> Path:
        """Return the path of a folder below a root."""
        check_folder(uri)
        path = self._resolve(uri)
        if any(root.is_relative_to(path) for root in self._roots):
            raise InvalidArgument(f"{uri} is a whole file root: expected a folder below it")
        return path

    def _open(self, uri: str, tries: int = _TRIES) -> ObjectReader:
        path = self._resolve(uri)
        try:
            descriptor = self._beneath(path).open(_READ)
        except OSError as error:
            if error.errno in _CHANGED and tries > 1:
                return self._open(uri, tries - 1)
            raise _not_read(uri, error) from error
        try:
            status = os.fstat(descriptor)
            self._reserved.check_identity((status.st_dev, status.st_ino), uri)
            if not S_ISREG(status.st_mode):
                raise ResourceNotFound(f"{uri} is not a file")
            return _LocalFile(uri, status.st_size, status.st_mtime_ns // 1000, FileIO(descriptor))
        except BaseException:
            os.close(descriptor)
            raise

    def _beneath(self, path: Path) -> Beneath:
        """Return what `path`, which was resolved, is below a root."""
        root = next(root for root in self._roots if path.is_relative_to(root))
        return Beneath(root, path.relative_to(root))

    def _destination(self, uri: str) -> Path:
        """Return the path to write; its folder is resolved, its name is not: a link there is replaced instead of followed."""
        path = self._parse(uri)
        if uri.endswith("/") or path.name in ("", ".."):
            raise InvalidArgument(f"{uri} is not the URI of a file")
        _check_names(path, uri)
        return self._inside(self._real(path.parent, uri) / path.name, uri)

    def _resolve(self, uri: str) -> Path:
        path = self._parse(uri)
        _check_names(path, uri)
        return self._inside(self._real(path, uri), uri)

    @staticmethod
    def _real(path: Path, uri: str) -> Path:
        if len(path.parts) > _MAX_FOLDERS:
            raise InvalidArgument(f"{uri} is in more than {_MAX_FOLDERS} folders")
        try:
            return path.resolve()
        except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before Python 3.13
            raise InvalidArgument(f"{uri} cannot be resolved: {error}") from error

    def _inside(self, path: Path, uri: str) -> Path:
        if not any(path.is_relative_to(root) for root in self._roots):
            raise AccessDenied(f"{uri} is outside the folders that this server may access{self._folders()}")
        self._reserved.check_path(path, uri)
        return path

    def _folders(self) -> str:
        """Return which folders those are, and how to allow more."""
        setting = SETTINGS["file_root"]
        folders = ", ".join(map(str, self._roots)) or "none"
        return f" ({folders}); the server's flag {setting.flag} or its variable {setting.variable} allows others"

    def _parse(self, uri: str) -> Path:
        return file_path(uri)


class FolderStorage(FileStorage):
    """A folder that replaces a bucket: `scheme://bucket/object` is the file `object` in it."""

    def __init__(self, folder: Path, reserved: Reserved = NOTHING_RESERVED) -> None:
        super().__init__([folder], reserved)
        self._folder = folder

    def _folders(self) -> str:
        return ""  # one folder stands for a bucket: its path is none of the caller's business

    def _parse(self, uri: str) -> Path:
        bucket, _, key = uri.partition("://")[2].partition("/")
        if not bucket or not key or any(ord(character) < 0x20 for character in uri):
            raise InvalidArgument(f"{uri} is not an object URI: expected {uri.partition('://')[0]}://bucket/object")
        return self._folder / key


def file_path(uri: str) -> Path:
    """Return the decoded path of a file URI. Raises InvalidArgument."""
    resource = Resource.of(uri)
    odd = any(character < " " or character in "?#" for character in uri)
    if odd or resource.scheme != "file" or resource.authority or not resource.path or "\0" in resource.path:
        raise InvalidArgument(f"{uri} is not a file URI: expected file:///absolute/path with other characters percent-encoded")
    return Path(resource.path)


def _check_names(path: Path, uri: str) -> None:
    """Raise InvalidArgument for a name that no file can have."""
    if any(len(name.encode()) > _MAX_NAME_BYTES for name in path.parts):
        raise InvalidArgument(f"{uri} has a name of more than {_MAX_NAME_BYTES} bytes: shorten it")


def _not_read(uri: str, error: OSError) -> AccessDenied | ResourceNotFound:
    if isinstance(error, FileNotFoundError | NotADirectoryError) or error.errno == errno.ENAMETOOLONG:
        return ResourceNotFound(f"The specified resource {uri} is not found")
    return AccessDenied(f"{uri} cannot be read: {error.strerror}")


def _check_access(destination: Path, uri: str) -> None:
    """Raise AccessDenied if this process may not make a file there, or the folders that it needs; InvalidArgument where a
    folder is in its place, or a file in that of a folder.
    """
    folder = next(folder for folder in destination.parents if os.path.exists(folder))  # False without access, too
    if not os.path.isdir(folder):
        raise InvalidArgument(f"{uri} is below a file: expected a folder there")
    if os.path.isdir(destination) and not os.path.islink(destination):
        raise InvalidArgument(f"{uri} is a folder: name a file in it")
    if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
        raise AccessDenied(f"{uri} cannot be written: the server's user may not write to {folder}")


def _place(path: Path) -> Hashable:
    """Return the place of a file that need not exist: the identity of the folder above it that does, and the way from there."""
    folder = next(folder for folder in path.parents if identity_of(folder) is not None)
    return identity_of(folder), path.relative_to(folder).as_posix()


def _erase(uri: str, folder: Path) -> None:
    try:
        while folder.is_dir():
            with suppress(FileNotFoundError):  # another process is erasing it too
                shutil.rmtree(folder)
    except OSError as error:
        raise OutputError(f"{uri} cannot be erased: {error.strerror}") from error
