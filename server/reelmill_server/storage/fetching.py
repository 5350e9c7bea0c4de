"""Whole objects as local files."""

import asyncio
import uuid
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.storage.base import ObjectReader, Storage
from reelmill_server.storage.retrying import together

_BLOCK_BYTES = 8 * 1024**2
_BLOCKS_AT_ONCE = 4


@dataclass(frozen=True)
class Fetched:
    """A source that can be read: a local path, bytes, and when it was stored, microseconds since the epoch."""

    path: str
    size_bytes: int
    modified_us: int


async def fetch(storage: Storage, uri: str, folder: Path, max_bytes: int = 0) -> Fetched:
    """Makes an object readable: a local one where it lies, another as a file in `folder`.

    Raises MediaLimitExceeded for one of more than `max_bytes` (0: any), and what `Storage.open` and `ObjectReader.read` raise.
    """
    reader = await storage.open(uri)
    try:
        if max_bytes and reader.size_bytes > max_bytes:
            raise MediaLimitExceeded(f"{uri} has {reader.size_bytes} bytes, more than {max_bytes}")
        path = reader.local_path or str(await _download(reader, folder / f"{uuid.uuid4().hex}.source"))
        return Fetched(path, reader.size_bytes, reader.modified_us)
    finally:
        await reader.close()


async def _download(reader: ObjectReader, path: Path) -> Path:
    limit = asyncio.Semaphore(_BLOCKS_AT_ONCE)
    with path.open("wb", buffering=0) as file:

        async def copy(offset: int) -> None:
            async with limit:
                block = await reader.read(offset, _BLOCK_BYTES)
                file.seek(offset)  # no other block comes between: nothing is awaited until it is written
                file.write(block)

        await together([copy(offset) for offset in range(0, reader.size_bytes, _BLOCK_BYTES)])
    return path
