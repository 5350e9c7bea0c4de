"""Calls to storage: retries of transient errors, and threads for libraries that block."""

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
"""Returns the ReelmillError for a library's error, or None if it is a defect instead of a response of the storage."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class RetryPolicy:
    """Number of tries, and the pauses between them: each twice as long as the last one, up to the maximum."""

    tries: int = 6
    first_seconds: float = 0.5
    longest_seconds: float = 8.0

    async def call(self, operation: Callable[[], Awaitable[T]], explain: Explain) -> T:
        """Return the result of `operation`; a StorageUnavailable is retried until the tries are used up.

        Raises what `explain` returns for an error.
        """

        async def explained() -> T:
            problem = None
            try:
                return await operation()
            except Exception as error:
                problem = explain(error)
                if problem is None:
                    raise
            # Raised outside the handler, so that the library's error, which may contain secrets, is not chained.
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
        """Return pauses with jitter, from half to all of each, so that many clients do not return at once."""
        first, longest = self.first_seconds / 2, self.longest_seconds / 2
        return wait_exponential(first, longest) + wait_random_exponential(first, longest)


def _log_retry(state: RetryCallState) -> None:
    _log.debug("retrying storage", reason=str(state.outcome and state.outcome.exception()), tries=state.attempt_number)


def error_of_status(status: int, uri: str, code: str = "") -> ReelmillError:
    """Return the error for an HTTP status of a storage; `code` is the storage's own error code."""
    response = f"HTTP {status}{f' {code}' if code else ''}"
    if status in (404, 410):
        return ResourceNotFound(f"The specified resource {uri} is not found")
    if status in (412, 416):
        return SourceChanged(f"{uri} was replaced while being read")
    if status in (408, 429) or status >= 500:
        return StorageUnavailable(f"{uri}: the storage is unavailable ({response})")
    return AccessDenied(f"{uri}: the storage denied access ({response})")


async def in_thread(pool: Executor | None, call: Callable[..., T], *arguments: Any) -> T:
    """Run a blocking call in a thread of `pool` (None: asyncio's default).

    If canceled, it still waits for the call to end, so that later operations cannot overtake it.
    """
    future = asyncio.get_running_loop().run_in_executor(pool, call, *arguments)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        with suppress(Exception):
            await future
        raise


async def run_all(coroutines: Iterable[Coroutine[Any, Any, Any]]) -> None:
    """Run coroutines concurrently. The first error cancels the others, and is raised when all have ended."""
    first: Exception | None = None
    try:
        async with asyncio.TaskGroup() as group:
            for coroutine in coroutines:
                group.create_task(coroutine)
    except* Exception as errors:
        first = errors.exceptions[0]
    if first is not None:
        raise first
