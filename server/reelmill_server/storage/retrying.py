"""Calls to storages: tried again when they fail in a way that may pass, and in threads where their library blocks."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_exponential, wait_random_exponential

from reelmill_server.errors import AccessDenied, ReelmillError, ResourceNotFound, SourceChanged, StorageUnavailable

T = TypeVar("T")
Explain = Callable[[Exception], ReelmillError | None]
"""Puts a library's error into words of ours; None: it is a defect, not an answer of the storage."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """How often a call is tried, and the pauses between: each is twice as long as the one before, up to the longest."""

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 8.0

    async def call(self, operation: Callable[[], Awaitable[T]], explain: Explain) -> T:
        """Return what `operation` does; a StorageUnavailable is retried until the tries are used up.

        Raise what `explain` makes of an error.
        """

        async def explained() -> T:
            problem = None
            try:
                return await operation()
            except Exception as error:
                problem = explain(error)
                if problem is None:
                    raise
            # Raised out here, so that the library's error, which may tell what is secret, does not travel along.
            raise problem

        retrying = AsyncRetrying(
            stop=stop_after_attempt(self.tries),
            wait=self._wait(),
            retry=retry_if_exception_type(StorageUnavailable),
            before_sleep=_log_retry,
            reraise=True,
        )
        return await retrying(explained)

    def _wait(self) -> wait_base:
        """Between half and all of each pause, so that many do not come back at once."""
        first, longest = self.first_seconds / 2, self.longest_seconds / 2
        return wait_exponential(first, longest) + wait_random_exponential(first, longest)


def _log_retry(state: RetryCallState) -> None:
    _log.debug("storage is asked again", reason=str(state.outcome and state.outcome.exception()), tries=state.attempt_number)


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
