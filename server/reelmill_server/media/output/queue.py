"""A queue of events from one thread to another, in order."""

import queue
import time
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
# Enough to keep the encoder busy while the decoder works on a complex frame, few enough to hold only tens of frames.
_QUEUE_ITEMS = 24
# Waking another thread takes longer than copying a packet, so small items travel in bundles.
_BUNDLE_ITEMS = 16
_BUNDLE_BYTES = 256 * 1024
_POLL_SECONDS = 0.2
_SETTLE_SECONDS = 0.0005


class EventQueue(Generic[T]):
    """Hand events from one thread to another, which iterates over them until there are no more.

    Both threads call `check` while they wait; it raises when they are to end.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        self._check = check
        self._queue = _Bundles[T](_QUEUE_ITEMS)
        self._bundle: list[T] = []
        self._bytes = 0

    def give(self, item: T, size_bytes: int = _BUNDLE_BYTES) -> None:
        """Add an event; small ones wait for others. Blocks while the queue is full. Raises what `check` raises."""
        self._bundle.append(item)
        self._bytes += size_bytes
        if len(self._bundle) >= _BUNDLE_ITEMS or self._bytes >= _BUNDLE_BYTES:
            self._flush()

    def finish(self) -> None:
        """Tell that nothing more comes."""
        self._flush()
        self._put([])

    def settle(self) -> None:
        """Wait until the other thread has processed everything. Raises what `check` raises."""
        self._flush()
        while self._queue.unfinished_tasks:
            self._check()
            time.sleep(_SETTLE_SECONDS)

    def __iter__(self) -> Iterator[T]:
        """Yield the events. Raises what `check` raises."""
        while bundle := self._get():
            yield from bundle
            self._queue.task_done()

    def _flush(self) -> None:
        bundle, self._bundle, self._bytes = self._bundle, [], 0
        if bundle:
            self._put(bundle)

    def _put(self, bundle: list[T]) -> None:
        while True:
            self._check()
            try:
                self._queue.put(bundle, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def _get(self) -> list[T]:
        while True:
            self._check()
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue


class _Bundles(queue.Queue[list[T]]):
    """A queue of lists of events (an empty list: the end), full when the lists hold `maxsize` events together."""

    def _init(self, maxsize: int) -> None:
        super()._init(maxsize)
        self._items = 0

    def _qsize(self) -> int:
        return self._items

    def _put(self, item: list[T]) -> None:
        super()._put(item)
        self._items += max(1, len(item))

    def _get(self) -> list[T]:
        item: list[T] = super()._get()
        self._items -= max(1, len(item))
        return item
