"""Keep an attempt that was thought dead from publishing beside its successor."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import ParamSpec, TypeVar

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, stop_after_delay, wait_fixed

from reelmill_server.errors import InternalError, ServiceUnavailable, TaskOver
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.publication import Claim, PendingFile

P = ParamSpec("P")
T = TypeVar("T")
_VALID_SECONDS = 1.0  # less than any silence after which a worker counts as lost
_SILENCE_SECONDS = 30.0  # so long an engine that did not answer is not asked again where the answer may be missing
_PATIENCE_SECONDS = 600.0  # an upgrade of the engine or of its database takes minutes, what was made may have taken hours
_PAUSE_SECONDS = 5.0
_log = structlog.get_logger(__name__)


class PublishGuard:
    """Checks before each publication whether the attempt still owns its task.

    An answer is valid for a second, so that many files may ask. A process that was suspended asks again when it is resumed.
    An engine that is away is waited for, up to ten minutes each time: all the attempt's work would be lost otherwise.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim, self._asked_at, self._unanswered_at = claim, float("-inf"), float("-inf")
        self._announced: Sequence[PendingFile] = ()
        self._asking = asyncio.Lock()
        self._waits = True

    async def announce(self, files: Sequence[PendingFile]) -> None:
        """Have the task remember what is about to be published, if it does not yet. Raise as `Claim.announce`."""
        if self._announced != files:
            if await self._until_answered(self._claim.announce, files):
                self._asked_at = time.monotonic()
            self._announced = files

    async def check(self) -> None:
        """Raise InternalError when the attempt must not publish anything any more, ServiceUnavailable when nobody knows."""
        async with self._asking:
            if time.monotonic() - self._asked_at > _VALID_SECONDS:
                self._check(await self._until_answered(self._claim.claim_state))

    async def check_known(self) -> None:
        """Raise InternalError when the attempt is known to have no part in its task; the engine may be away."""
        async with self._asking:
            now = time.monotonic()
            if now - self._asked_at <= _VALID_SECONDS or now - self._unanswered_at <= _SILENCE_SECONDS:
                return
            try:
                claim_state = await self._claim.claim_state()
            except ServiceUnavailable:
                self._unanswered_at = time.monotonic()
            else:
                self._check(claim_state)

    async def may_remove(self) -> bool:
        """Return whether nobody else has anything under the names of the task: not while that is unknown."""
        try:
            return await self._claim.claim_state() is not ClaimState.TAKEN_OVER
        except ServiceUnavailable:
            return False

    def stop_waiting(self) -> None:
        """Wait for the engine no longer: the process is to end, or the task was canceled."""
        self._waits = False

    def _check(self, claim_state: ClaimState) -> None:
        if claim_state is not ClaimState.OURS:
            raise TaskOver(claim_state) if claim_state is ClaimState.ENDED else InternalError(claim_state)
        self._asked_at = time.monotonic()

    async def _until_answered(self, question: Callable[P, Awaitable[T]], *arguments: P.args, **named: P.kwargs) -> T:
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(ServiceUnavailable),
            stop=self._is_over,
            wait=wait_fixed(_PAUSE_SECONDS),
            before_sleep=_log_absence,
            reraise=True,
        )
        return await retrying(question, *arguments, **named)

    def _is_over(self, state: RetryCallState) -> bool:
        return not self._waits or stop_after_delay(_PATIENCE_SECONDS)(state)


def _log_absence(state: RetryCallState) -> None:
    if state.attempt_number == 1:
        _log.warning("publishing waits for the engine", patience_seconds=_PATIENCE_SECONDS)
