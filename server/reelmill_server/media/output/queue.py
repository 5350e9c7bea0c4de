"""A queue of events from one thread to another, in order."""

import queue
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
# Enough to keep the encoder busy while the decoder works on a complex frame, few enough to hold only tens of frames.
_QUEUE_ITEMS = 24
# Waking another thread takes longer than copying a packet, so small items travel in bundles. Threads that both touch packets
# wait for the interpreter's lock at each of them: after many small items, the other thread works alone.
_BUNDLE_ITEMS = 256
_BUNDLE_BYTES = 1 << 20
_MANY_ITEMS = 16
WORKING_BYTES = _BUNDLE_BYTES // _MANY_ITEMS
"""The least size of an item that takes work of its own: no more of them travel together than both threads work on at once."""
_POLL_SECONDS = 0.2


class EventQueue(Generic[T]):
    """Hand events from one thread to another, which iterates over them until there are no more.

    Both threads call `check` while they wait; it raises when they are to end. `idle`: an event for the other thread while it
    waits for long.
    """

    def __init__(self, check: Callable[[], None], idle: T | None = None) -> None:
        self._check, self._idle = check, idle
        self._queue = _Bundles[T](_QUEUE_ITEMS)
        self._bundle: list[T] = []
        self._items = self._bytes = 0

    def give(self, event: T, size_bytes: int = _BUNDLE_BYTES, items: int = 1) -> None:
        """Add an event of so many items; small ones wait for others.

        Blocks while the queue is full. Raises what `check` raises.
        """
        self._bundle.append(event)
        self._items += items
        self._bytes += size_bytes
        if self._items >= _BUNDLE_ITEMS or self._bytes >= _BUNDLE_BYTES:
            self._flush()

    def finish(self) -> None:
        """Tell that nothing more comes."""
        self._flush()
        self._put([])

    def settle(self) -> None:
        """Wait until the other thread has processed everything. Raises what `check` raises."""
        self._flush()
        self._wait()

    def __iter__(self) -> Iterator[T]:
        """Yield the events. Raises what `check` raises."""
        while True:
            bundle = self._get()
            if bundle is None:
                yield from () if self._idle is None else (self._idle,)
                continue
            if not bundle:
                return
            yield from bundle
            self._queue.task_done()

    def _flush(self) -> None:
        bundle, items, self._bundle, self._items, self._bytes = self._bundle, self._items, [], 0, 0
        if bundle:
            self._put(bundle)
        if items > _MANY_ITEMS:
            self._wait()

    def _wait(self) -> None:
        """Wait until the other thread has processed what it was given. Raises what `check` raises."""
        with self._queue.all_tasks_done:
            while self._queue.unfinished_tasks:
                self._check()
                self._queue.all_tasks_done.wait(_POLL_SECONDS)

    def _put(self, bundle: list[T]) -> None:
        while True:
            self._check()
            try:
                self._queue.put(bundle, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def _get(self) -> list[T] | None:
        self._check()
        try:
            return self._queue.get(timeout=_POLL_SECONDS)
        except queue.Empty:
            return None


class OwnEvents(EventQueue[T]):
    """Hand events to the thread that makes them: it takes the next of `steps` when all events before it are processed.

    `failure`: what a step failed with.
    """

    def __init__(self, check: Callable[[], None], steps: Iterator[None]) -> None:
        super().__init__(check)
        self.failure: BaseException | None = None
        self._steps, self._ready = steps, deque[T]()

    def give(self, event: T, size_bytes: int = _BUNDLE_BYTES, items: int = 1) -> None:
        self._ready.append(event)

    def finish(self) -> None:
        """Tell that nothing more comes: the steps say so by ending."""

    def settle(self) -> None:
        """Do nothing: what the steps before have given is processed, and what this one gives is when it has ended."""

    def __iter__(self) -> Iterator[T]:
        while True:
            while self._ready:
                yield self._ready.popleft()
            try:
                next(self._steps)
            except StopIteration:
                break
            except BaseException as error:
                self.failure = error
                raise
        yield from self._ready


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
