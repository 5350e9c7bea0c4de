"""`file://`: folders of this machine, below configured roots and nowhere else."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reelmill_server.errors import AccessDenied, InvalidArgument, OutputError, ResourceNotFound
from reelmill_server.storage.base import Fetched, Upload

_LONGEST_NAME_BYTES = 255


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
        placed: list[Path] = []
        staged: list[tuple[Path, Path]] = []
        try:
            for number, upload in enumerate(uploads):
                staged.append(_stage(upload.path, self._destination(upload.uri), f"{owner}-{number}"))
            for part, destination in staged:
                part.replace(destination)
                placed.append(destination)
        except OSError as error:
            for path in (*(part for part, _ in staged), *placed):
                with suppress(OSError):
                    path.unlink()
            raise OutputError(f"{error.filename or 'an output'} cannot be written: {error.strerror}") from error

    def _destination(self, uri: str) -> Path:
        """The path to write: its folder resolved, its own name as it is, so that a link there is replaced and not followed."""
        path = self._parse(uri)
        if uri.endswith("/") or not path.name or len(path.name.encode()) > _LONGEST_NAME_BYTES:
            raise InvalidArgument(f"{uri} does not name a file")
        return self._inside(path.parent.resolve() / path.name, uri)

    def _resolve(self, uri: str) -> Path:
        return self._inside(self._parse(uri).resolve(), uri)

    def _inside(self, path: Path, uri: str) -> Path:
        if not any(path.is_relative_to(root) for root in self._roots):
            raise AccessDenied(f"{uri} lies outside the folders that this server may use")
        return path

    @staticmethod
    def _parse(uri: str) -> Path:
        parts = urlsplit(uri)
        path = unquote(parts.path)
        if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path or parts.query or parts.fragment:
            raise InvalidArgument(f"{uri} is not a file URI: expected file:///absolute/path, other characters percent-encoded")
        return Path(path)


def _stage(source: Path, destination: Path, mark: str) -> tuple[Path, Path]:
    """Lays a file beside its place, durable but under another name."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    part = destination.parent / f".reelmill-{mark}.part"
    try:
        source.rename(part)
    except OSError:  # another file system
        shutil.copyfile(source, part)
    with part.open("rb+") as file:
        os.fsync(file.fileno())
    return part, destination
