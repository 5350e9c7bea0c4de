"""Do the same to several inputs, two at once."""

from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def side_by_side(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `work` returns for each of `items`, in their order; a second thread takes some of them.

    Raises what it raises for the first that fails.
    """
    with ThreadPoolExecutor(1, "beside") as beside:
        try:
            done = [beside.submit(work, item) for item in items]
        except RuntimeError:  # no thread can be started
            return [*map(work, items)]
        # From behind, so that the two meet. A thread that finds no memory when it starts ends without a word: it begins none.
        for number in range(len(items) - 1, -1, -1):
            if done[number].cancel():
                done[number] = _done(work, items[number])
        return [future.result() for future in done]


def _done(work: Callable[[T], R], item: T) -> Future[R]:
    future = Future[R]()
    try:
        future.set_result(work(item))
    except Exception as error:
        future.set_exception(error)
    return future
