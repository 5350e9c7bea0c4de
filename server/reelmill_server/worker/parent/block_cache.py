"""Cache blocks of sources in scratch, so that nothing is read from storage twice."""

import asyncio
import os
import tempfile
import weakref
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from reelmill_server.worker.frames import BLOCK_BYTES

Block = tuple[int, int]
"""Number of an object, number of a block in it."""


class _Slot:
    """A position in the file; a new object for each block stored there, so that a read during a replacement is noticed."""

    def __init__(self, number: int) -> None:
        self.number = number


class BlockCache:
    """Blocks in an unlinked file, which disappears with its process; the least recently used ones are replaced.

    All methods belong to the event loop; threads read and write the file. The kernel caches in memory what fits.
    """

    def __init__(self, folder: Path, limit_bytes: int, may_grow: Callable[[int], bool]) -> None:
        """Hold at most `limit_bytes`, and grow only when `may_grow`, given the bytes to add, allows it."""
        self._file, name = tempfile.mkstemp(dir=folder)
        os.unlink(name)
        # Not before the last thread is done: the descriptor could belong to another file by then.
        weakref.finalize(self, os.close, self._file)
        self._most, self._may_grow = limit_bytes // BLOCK_BYTES, may_grow
        self._slots: OrderedDict[Block, _Slot] = OrderedDict()
        self._count = 0
        # Where the blocks since it was last emptied begin: a thread may still be writing one from before.
        self._first = 0

    @property
    def size_bytes(self) -> int:
        """Bytes that the file takes on disk."""
        return self._count * BLOCK_BYTES

    def __contains__(self, block: Block) -> bool:
        return block in self._slots

    async def get(self, blocks: Sequence[Block]) -> dict[Block, bytes]:
        """Return those of `blocks` that are cached and can be read."""
        slots = {block: self._slots[block] for block in blocks if block in self._slots}
        if not slots:
            return {}
        for block in slots:
            self._slots.move_to_end(block)
        try:
            data_of = await asyncio.to_thread(self._read, slots)
        except OSError:  # the disk is broken: storage has them, too
            self.clear()
            self._most = 0
            return {}
        return {block: data for block, data in data_of.items() if self._slots.get(block) is slots[block]}

    async def put(self, blocks: Mapping[Block, bytes | memoryview]) -> None:
        """Store `blocks` as far as there is room. A full disk is not an error."""
        first = self._first
        slots = {block: slot for block in blocks if block not in self._slots and (slot := self._take()) is not None}
        try:
            await asyncio.to_thread(self._write, {slot.number: blocks[block] for block, slot in slots.items()})
        except OSError:
            self._most = 0  # it grows no more
            return
        if first == self._first:
            self._slots.update(slots)

    def clear(self) -> int:
        """Release all disk space; return how many bytes that was."""
        freed = self.size_bytes
        self._slots.clear()
        self._first, self._count = self._first + self._count, 0
        with suppress(OSError):  # the disk is broken, which whoever writes there is told
            os.ftruncate(self._file, 0)
        return freed

    def _take(self) -> _Slot | None:
        if self._count < self._most and self._may_grow(BLOCK_BYTES):
            self._count += 1
            return _Slot(self._first + self._count - 1)
        if not self._slots:
            return None
        _, oldest = self._slots.popitem(last=False)
        return _Slot(oldest.number)

    def _read(self, slots: Mapping[Block, _Slot]) -> dict[Block, bytes]:
        return {block: os.pread(self._file, BLOCK_BYTES, slot.number * BLOCK_BYTES) for block, slot in slots.items()}

    def _write(self, blocks: Mapping[int, bytes | memoryview]) -> None:
        for number, data in blocks.items():
            rest, place = memoryview(data), number * BLOCK_BYTES
            while rest:  # a disk that becomes full takes a part, and says so only when it is to take the rest
                written = os.pwrite(self._file, rest, place)
                rest, place = rest[written:], place + written
