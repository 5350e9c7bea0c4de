"""Blocks in a file on a disk that is slow, full or broken: what is given back is what was stored, or nothing."""

import asyncio
import errno
import os
import threading
from pathlib import Path

import pytest

from reelmill_server.worker.frames import BLOCK_BYTES
from reelmill_server.worker.parent.block_cache import Block, BlockCache

FIRST, SECOND = (0, 0), (0, 1)
CONTENT: dict[Block, bytes] = {FIRST: b"a" * BLOCK_BYTES, SECOND: b"b" * BLOCK_BYTES}


@pytest.fixture
def cache(tmp_path: Path) -> BlockCache:
    """An empty one that may grow."""
    return BlockCache(tmp_path, 1 << 30, lambda _: True)


async def test_a_disk_that_takes_a_part_of_a_block_loses_none_of_it(cache: BlockCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write at the end of a disk, or under a quota, is short before the next one fails: zeros came back as the source's."""
    write = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda file, data, place: write(file, data[:1000], place))
    await cache.put(CONTENT)
    assert await cache.get([FIRST, SECOND]) == CONTENT


async def test_a_disk_that_becomes_full_in_a_block_keeps_nothing(cache: BlockCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the block nor an error: it is read from storage again."""
    write, taken = os.pwrite, 0

    def filling(file: int, data: bytes, place: int) -> int:
        nonlocal taken
        if taken:
            raise OSError(errno.ENOSPC, "full")
        taken = write(file, data[:1000], place)
        return taken

    monkeypatch.setattr(os, "pwrite", filling)
    await cache.put({FIRST: CONTENT[FIRST]})
    assert FIRST not in cache and await cache.get([FIRST]) == {}


async def test_a_write_from_before_the_cache_was_emptied_harms_no_later_block(
    cache: BlockCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is emptied while others fill the disk; a thread may still be writing then, to where the next block is stored."""
    write, begun, goes_on = os.pwrite, threading.Event(), threading.Event()

    def late(file: int, data: bytes, place: int) -> int:
        if bytes(data[:1]) == b"a":
            begun.set()
            goes_on.wait(30)
        return write(file, data, place)

    monkeypatch.setattr(os, "pwrite", late)
    storing = asyncio.create_task(cache.put({FIRST: CONTENT[FIRST]}))
    await asyncio.to_thread(begun.wait, 30)
    cache.clear()
    await cache.put({SECOND: CONTENT[SECOND]})
    goes_on.set()
    await storing
    assert await cache.get([FIRST, SECOND]) == {SECOND: CONTENT[SECOND]}


async def test_a_disk_that_cannot_be_read_is_no_error(cache: BlockCache, monkeypatch: pytest.MonkeyPatch) -> None:
    """Storage has the blocks, too; the error was lost, and the child waited until it had stalled."""
    await cache.put(CONTENT)

    def broken(*_: object) -> bytes:
        raise OSError(errno.EIO, "broken")

    monkeypatch.setattr(os, "pread", broken)
    assert await cache.get([FIRST]) == {}
    assert FIRST not in cache and cache.size_bytes == 0
