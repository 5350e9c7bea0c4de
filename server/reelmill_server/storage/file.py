"""`file://`: folders of this machine, below configured roots and nowhere else."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reelmill_server.errors import AccessDenied, InvalidArgument, OutputError, ResourceNotFound
from reelmill_server.storage.base import Fetched, ObjectReader, Upload

_LONGEST_NAME_BYTES = 255


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
    """Files below `roots`. Symbolic links are followed before the roots are checked, so none leads outside."""

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)

    def check_readable(self, uri: str) -> None:
        """As `Storage.check_readable`."""
        self._resolve(uri)

    def check_writable(self, uri: str) -> None:
        """As `Storage.check_writable`."""
        self._destination(uri)

    async def open(self, uri: str) -> ObjectReader:
        """As `Storage.open`."""
        fetched = await self.fetch(uri)
        return _LocalFile(uri, fetched.size_bytes, fetched.modified_us, fetched.path)

    async def fetch(self, uri: str) -> Fetched:
        """As `Storage.fetch`."""
        return await asyncio.to_thread(self._fetch, uri)

    async def publish(self, uploads: Sequence[Upload], owner: str) -> None:
        """As `Storage.publish`: every file is first laid beside its place, then all are renamed."""
        await asyncio.to_thread(self._publish, uploads, owner)

    def _fetch(self, uri: str) -> Fetched:
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
        return Fetched(str(path), status.st_size, status.st_mtime_ns // 1000)

    def _publish(self, uploads: Sequence[Upload], owner: str) -> None:
        destinations = [self._destination(upload.uri) for upload in uploads]
        parts = [destination.parent / f".reelmill-{owner}-{number}.part" for number, destination in enumerate(destinations)]
        placed: list[Path] = []
        try:
            for folder in {part.parent for part in parts}:
                _remove_leftovers(folder, owner)
            for upload, part in zip(uploads, parts, strict=True):
                _lay(upload.path, part)
            for part, destination in zip(parts, destinations, strict=True):
                part.replace(destination)
                placed.append(destination)
        except BaseException as error:
            for path in (*parts, *placed):
                with suppress(OSError):
                    path.unlink()
            if isinstance(error, OSError):
                raise OutputError(f"{error.filename or 'an output'} cannot be written: {error.strerror}") from error
            raise

    def _destination(self, uri: str) -> Path:
        """The path to write: its folder resolved, its own name as it is, so that a link there is replaced and not followed."""
        path = self._parse(uri)
        if uri.endswith("/") or not path.name or len(path.name.encode()) > _LONGEST_NAME_BYTES:
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
        return path

    @staticmethod
    def _parse(uri: str) -> Path:
        try:
            parts = urlsplit(uri)
        except ValueError as error:
            raise InvalidArgument(f"{uri!r} is not a URI: {error}") from error
        path = unquote(parts.path)
        if (
            any(ord(character) < 0x20 for character in uri)
            or parts.netloc not in ("", "localhost")
            or not path.startswith("/")
            or "\0" in path
            or parts.query
            or parts.fragment
        ):
            raise InvalidArgument(f"{uri} is not a file URI: expected file:///absolute/path, other characters percent-encoded")
        return Path(path)


def _remove_leftovers(folder: Path, owner: str) -> None:
    """Removes what an earlier owner of the same task left: one that was killed could not."""
    task, _, attempt = owner.partition(".")
    if attempt and folder.is_dir():
        for part in folder.glob(f".reelmill-{task}.*.part"):
            if not part.name.startswith(f".reelmill-{owner}-"):
                with suppress(OSError):
                    part.unlink()


def _lay(source: Path, part: Path) -> None:
    """Puts a file beside its place, durable but under another name."""
    part.parent.mkdir(parents=True, exist_ok=True)
    try:
        source.rename(part)
    except OSError:  # another file system
        shutil.copyfile(source, part)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
