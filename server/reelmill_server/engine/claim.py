"""Ask an engine, which may be away for a moment, whether an attempt still owns its task."""

from collections.abc import Sequence

from tenacity import retry, retry_if_exception_type, stop_after_attempt, wait_fixed

from reelmill_server.engine.client import Engine
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.engine_view import Standing
from reelmill_server.model.publication import PendingFile

_retried = retry(
    retry=retry_if_exception_type(ServiceUnavailable), stop=stop_after_attempt(6), wait=wait_fixed(1), reraise=True
)


class TaskClaim:
    """The claim of an attempt, named by its activity, on its task; each question is retried before it fails."""

    def __init__(self, engine: Engine, task_id: str, activity_id: str) -> None:
        self._engine, self._task_id, self._activity_id = engine, task_id, activity_id

    @_retried
    async def standing(self) -> Standing:
        return await self._engine.standing(self._task_id, self._activity_id)

    @_retried
    async def announce(self, files: Sequence[PendingFile]) -> None:
        await self._engine.announce(self._task_id, self._activity_id, files)
