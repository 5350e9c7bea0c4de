"""Ask an engine, which may be away for a moment, whether an attempt still owns its task."""

from collections.abc import Sequence

import structlog
from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from reelmill_server.engine.attempt_heartbeat import AttemptHeartbeat
from reelmill_server.engine.client import Engine
from reelmill_server.engine.pending_files import pack
from reelmill_server.errors import ReelmillError, ServiceUnavailable
from reelmill_server.model.engine_view import ClaimState
from reelmill_server.model.publication import PendingFile

_log = structlog.get_logger(__name__)
_retried = retry(
    retry=retry_if_exception_type(ServiceUnavailable), stop=stop_after_attempt(6), wait=wait_fixed(1), reraise=True
)


class TaskClaim:
    """The claim of an attempt, named by its activity, on its task; each question is retried before it fails."""

    def __init__(self, engine: Engine, task_id: str, activity_id: str, heartbeat: AttemptHeartbeat | None = None) -> None:
        """`heartbeat`: that of the attempt, which may announce files."""
        self._engine, self._task_id, self._activity_id, self._heartbeat = engine, task_id, activity_id, heartbeat

    @_retried
    async def claim_state(self) -> ClaimState:
        return await self._engine.claim_state(self._task_id, self._activity_id)

    @_retried
    async def announce(self, files: Sequence[PendingFile]) -> bool:
        if self._heartbeat is not None and await self._heartbeat.announce(files):
            return True
        await self._engine.announce(self._task_id, self._activity_id, pack(files))
        return False

    async def hand_on(self) -> None:
        """Have the task remember what the heartbeats of an attempt announced that ends without success: they end with it."""
        if self._heartbeat is not None and self._heartbeat.announced:
            try:
                await _retried(self._engine.announce)(self._task_id, self._activity_id, [self._heartbeat.announced])
            except ReelmillError as error:
                _log.warning("the task does not know what its attempt announced", reason=error.message)
