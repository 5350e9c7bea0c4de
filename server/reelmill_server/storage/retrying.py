"""Calls to storages: tried again when they fail in a way that may pass, and in threads where their library blocks."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog

from reelmill_server.errors import AccessDenied, ReelmillError, ResourceNotFound, SourceChanged, StorageUnavailable

T = TypeVar("T")
Explain = Callable[[Exception], ReelmillError | None]
"""Puts a library's error into words of ours; None: it is a defect, not an answer of the storage."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Patience:
    """How often a call is tried, and the pauses between: each is twice as long as the one before, up to the longest."""

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 8.0

    async def attempt(self, call: Callable[[], Awaitable[T]], explain: Explain) -> T:
        """What `call` gives. Raises what `explain` makes of its error; StorageUnavailable only when the tries are used up."""
        for number in range(1, self.tries + 1):
            problem = None
            try:
                return await call()
            except Exception as error:
                problem = explain(error)
                if problem is None:
                    raise
            # Raised out here, so that the library's error, which may tell what is secret, does not travel along.
            if number == self.tries or not isinstance(problem, StorageUnavailable):
                raise problem
            _log.debug("storage is asked again", reason=problem.message, tries=number)
            await asyncio.sleep(self._pause(number))
        raise AssertionError("there is at least one try")

    def _pause(self, number: int) -> float:
        """Seconds after the try `number`: between half and all of what it may be, so that many do not come back at once."""
        longest: float = min(self.longest_seconds, self.first_seconds * 2 ** (number - 1))
        return random.uniform(longest / 2, longest)


def refusal(status: int, uri: str, word: str = "") -> ReelmillError:
    """What an HTTP status of a storage means; `word` is the storage's own name of the error."""
    said = f"HTTP {status}{f' {word}' if word else ''}"
    if status in (404, 410):
        return ResourceNotFound(f"The specified resource {uri} is not found")
    if status in (412, 416):
        return SourceChanged(f"{uri} was replaced while it was read")
    if status in (408, 429) or status >= 500:
        return StorageUnavailable(f"{uri}: the storage is not available ({said})")
    return AccessDenied(f"{uri}: the storage refuses access ({said})")


async def in_thread(pool: Executor | None, call: Callable[..., T], *arguments: Any) -> T:
    """A blocking call in a thread of `pool` (None: asyncio's own).

    One that is canceled is waited for: what follows it must not overtake it.
    """
    future = asyncio.get_running_loop().run_in_executor(pool, call, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(Exception):
            await future
        raise


async def together(jobs: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Runs all jobs at once. The first error ends the others, and is raised when they have ended."""
    first: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for job in jobs:
                group.create_task(job)
    except* Exception as errors:
        first = errors.exceptions[0]
    if first is not None:
        raise first
