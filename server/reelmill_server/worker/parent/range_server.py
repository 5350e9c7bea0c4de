"""Open the objects of an assignment and serve byte ranges of them to its child.

A child has neither network nor credentials and is not trusted: it reads the objects of its assignment and nothing else, and
its requests are bounded.
"""

import asyncio
import json
import socket
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any

import structlog

from reelmill_server.errors import InternalError, MediaLimitExceeded, ReelmillError, ServiceUnavailable
from reelmill_server.storage.base import ObjectReader, Storage
from reelmill_server.worker.frames import BLOCK_BYTES, MAX_LENGTH, REQUEST_BYTES, AnswerHead, Request
from reelmill_server.worker.handover import MOST_FILES
from reelmill_server.worker.messages import SourceRef
from reelmill_server.worker.parent.block_cache import Block, BlockCache
from reelmill_server.worker.parent.pace import Pace

# With the longest ranges, each held twice for a moment, these are 32 MiB of memory for each child.
_AT_ONCE = 16
_log = structlog.get_logger(__name__)


class RangeServer:
    """The objects of one assignment. Each block is read from storage once, as long as the cache holds it."""

    def __init__(self, storage: Storage, cache: BlockCache, max_bytes: int) -> None:
        """`max_bytes`: size of the largest object that may be opened; 0: any."""
        self.fetched_bytes = 0
        self.hits = self.misses = 0
        """Requested blocks that had been read already or were being read, and those that had not."""
        self._storage, self._cache, self._max_bytes = storage, cache, max_bytes
        self.pace = Pace()
        self.descriptors: list[int] = []
        """Descriptors of local files, which the child gets."""
        self._opened: dict[str, tuple[SourceRef, int]] = {}
        self._readers: list[ObjectReader] = []
        self._remote: list[ObjectReader] = []
        self._coming: dict[Block, asyncio.Task[dict[Block, memoryview]]] = {}

    async def open(self, uri: str) -> tuple[SourceRef, int]:
        """Open an object, once; return its reference for the child, and its modification time in microseconds since the epoch.

        Raises the storage's errors, and MediaLimitExceeded for an object that is too large.
        """
        if uri not in self._opened:
            reader = await self._storage.open(uri)
            self._readers.append(reader)
            if self._max_bytes and reader.size_bytes > self._max_bytes:
                raise MediaLimitExceeded(f"{uri} has {reader.size_bytes} bytes, more than {self._max_bytes}")
            self._opened[uri] = self._reference(reader), reader.modified_us
        return self._opened[uri]

    async def adopt(self, reader: ObjectReader) -> SourceRef:
        """Take over an object that was opened elsewhere; return its reference for the child."""
        self._readers.append(reader)
        return self._reference(reader)

    def _reference(self, reader: ObjectReader) -> SourceRef:
        if reader.descriptor is not None and len(self.descriptors) < MOST_FILES:  # those beyond are served, too
            self.descriptors.append(reader.descriptor)
            return SourceRef(descriptor=len(self.descriptors) - 1, size_bytes=reader.size_bytes)
        self._remote.append(reader)
        return SourceRef(key=len(self._remote) - 1, size_bytes=reader.size_bytes)

    @property
    def size_bytes(self) -> int:
        """The size of all objects together."""
        return sum(reader.size_bytes for reader in self._readers)

    @property
    def serves(self) -> bool:
        """Whether there is an object that a child cannot read by itself."""
        return bool(self._remote)

    async def close(self) -> None:
        """Stop reading, and close the objects."""
        await _end([*self._coming.values()])
        for reader in self._readers:
            try:
                await reader.close()
            except Exception as error:
                _log.warning("closing an object failed", uri=reader.uri, reason=type(error).__name__)

    async def serve(self, channel: socket.socket) -> None:
        """Answer a child until it closes its end, or requests what it may not read."""
        incoming, outgoing = await asyncio.open_unix_connection(sock=channel)
        room, writing = asyncio.Semaphore(_AT_ONCE), asyncio.Lock()
        answering: set[asyncio.Task[None]] = set()
        try:
            while True:
                await room.acquire()
                request = Request.unpacked(await incoming.readexactly(REQUEST_BYTES))
                if not self._allows(request):
                    _log.warning("a child requested what it may not read", request=request)
                    return
                task = asyncio.create_task(self._answer(request, outgoing, writing))
                answering.add(task)
                task.add_done_callback(answering.discard)
                task.add_done_callback(lambda _: room.release())
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            await _end([*answering])
            outgoing.close()

    def _allows(self, request: Request) -> bool:
        return (
            request.key < len(self._remote)
            and 0 < request.length <= MAX_LENGTH
            and request.offset + request.length <= self._remote[request.key].size_bytes
        )

    async def _answer(self, request: Request, outgoing: asyncio.StreamWriter, writing: asyncio.Lock) -> None:
        failed, data = False, b""
        try:
            data = await self._range(request)
        except Exception as error:  # whatever it is, the child waits for an answer
            known = error if isinstance(error, ReelmillError) else InternalError(f"reading failed: {type(error).__name__}")
            failed, data = True, json.dumps([known.code, known.message]).encode()[:MAX_LENGTH]
        with suppress(ConnectionError):
            async with writing:
                outgoing.write(AnswerHead(request.number, failed, len(data)).packed())
                outgoing.write(data)
                await outgoing.drain()

    async def _range(self, request: Request) -> bytes:
        """Return the requested bytes, from the cache or from storage."""
        first, last = request.offset // BLOCK_BYTES, (request.offset + request.length - 1) // BLOCK_BYTES
        blocks = [(request.key, number) for number in range(first, last + 1)]
        data_of: dict[Block, bytes | memoryview] = {}
        self.hits += len(blocks)
        while missing := [block for block in blocks if block not in data_of]:  # again, if some gave way while others were read
            coming = {self._coming[block] for block in missing if block in self._coming}
            absent = [block for block in missing if block not in self._coming and block not in self._cache]
            coming |= {self._fetch(run) for run in _runs(absent)}
            data_of.update(await self._cache.get(missing))
            for blocks_read in await asyncio.gather(*coming):
                data_of.update(blocks_read)
        whole = b"".join(data_of[block] for block in blocks)
        begin = request.offset - first * BLOCK_BYTES
        return whole[begin : begin + request.length]

    def _fetch(self, blocks: Sequence[Block]) -> "asyncio.Task[dict[Block, memoryview]]":
        """Start to read consecutive blocks from storage."""
        self.hits, self.misses = self.hits - len(blocks), self.misses + len(blocks)
        task = asyncio.create_task(self._read(blocks))
        self._coming.update(dict.fromkeys(blocks, task))
        return task

    async def _read(self, blocks: Sequence[Block]) -> dict[Block, memoryview]:
        try:
            (key, first), last = blocks[0], blocks[-1][1]
            reader = self._remote[key]
            offset = first * BLOCK_BYTES
            length = min((last + 1) * BLOCK_BYTES, reader.size_bytes) - offset
            with self.pace.waiting(reader.uri):
                data = memoryview(await _read_whole(reader, offset, length))
            self.pace.received(length)
            self.fetched_bytes += length
            data_of = {block: data[at * BLOCK_BYTES : (at + 1) * BLOCK_BYTES] for at, block in enumerate(blocks)}
            await self._cache.put(data_of)
            return data_of
        finally:
            for block in blocks:
                del self._coming[block]


async def _read_whole(reader: ObjectReader, offset: int, length: int) -> bytes:
    """Read exactly `length` bytes. Unexpected errors lose their message, which could contain secrets."""
    try:
        data = await reader.read(offset, length)
    except ReelmillError:
        raise
    except Exception as error:
        raise InternalError(f"{reader.uri} cannot be read: {type(error).__name__}") from error
    if len(data) != length:
        raise ServiceUnavailable(f"{reader.uri}: {len(data)} bytes came where {length} were asked for")
    return data


def _runs(blocks: Sequence[Block]) -> list[list[Block]]:
    """Group `blocks`, which are sorted and of one object, into consecutive runs."""
    runs: list[list[Block]] = []
    for block in blocks:
        if runs and runs[-1][-1][1] + 1 == block[1]:
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


async def _end(tasks: Collection[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
