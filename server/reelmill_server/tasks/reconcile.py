"""Mends what a crash left between a task's record and the engine, and forgets old tasks."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from reelmill_server.errors import InternalError, InvalidArgument, ReelmillError, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.store import TaskStore

# A record this young may be between its insert and its start: two calls of the same request.
_SETTLING = timedelta(seconds=5)
_MESSAGE_CHARACTERS = 1000
_log = structlog.get_logger(__name__)


class Reconciler:
    """Compares records and engine: every RUNNING record has a workflow at work on it, or gets its end."""

    def __init__(
        self,
        store: TaskStore,
        start: Callable[[TaskRecord], Awaitable[None]],
        view: Callable[[str], Awaitable[EngineView]],
        cancel: Callable[[str], Awaitable[None]],
        settled: Callable[[str, Outcome], Awaitable[None]],
        admit: Callable[[str], Awaitable[None]],
        retention: timedelta,
    ) -> None:
        """Compare `store` with the engine, by its `start`, `view` and `cancel`.

        `start` raises InvalidArgument or ValueError for a task that the engine will never take. `settled` writes an outcome,
        `admit` lets waiting tasks follow.
        """
        self._store, self._retention, self._admit = store, retention, admit
        self._start, self._view, self._cancel, self._settled = start, view, cancel, settled

    async def once(self) -> None:
        """One pass over all running records. A record that cannot be mended is logged and keeps no other from it."""
        now = datetime.now(UTC)
        async for record in self._store.unstarted(now - _SETTLING):
            await self._mend(record, self._mend_unstarted)
        async for record in self._store.running():
            if record.engine_started and record.start_time < now - _SETTLING:
                await self._mend(record, self._mend_started)
        for project_name in await self._store.projects_that_wait():
            await self._admit(project_name)  # whoever should have done it when a task ended may have died
        expired = await self._store.expire(now - self._retention)
        if expired:
            _log.info("old tasks forgotten", count=expired)

    async def _mend(self, record: TaskRecord, mend: Callable[[TaskRecord], Awaitable[None]]) -> None:
        try:
            await mend(record)
        except Exception as error:  # a defect, too: it says nothing of the task, which may be at work
            log = _log.warning if isinstance(error, ServiceUnavailable) else _log.error
            log("a task could not be mended", task_id=record.task_id, reason=f"{type(error).__name__}: {error}")

    async def _hand_over(self, record: TaskRecord) -> bool:
        """Start a task. One that the engine will never take is settled, and False returned."""
        try:
            await self._start(record)
        except (InvalidArgument, ValueError) as error:  # ValueError: work that this version cannot read
            _log.error("a task can never be started", task_id=record.task_id, reason=str(error))
            code = error.code if isinstance(error, ReelmillError) else InternalError.code
            await self._settled(record.task_id, Outcome(TaskStatus.FAILED, code, str(error)[:_MESSAGE_CHARACTERS]))
            return False
        return True

    async def _mend_unstarted(self, record: TaskRecord) -> None:
        if record.cancel_requested:
            await self._settled(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled before it began"))
            return
        _log.info("a task that was not started is started", task_id=record.task_id)
        if await self._hand_over(record):
            await self._store.mark_started(record.task_id)

    async def _mend_started(self, record: TaskRecord) -> None:
        view = await self._view(record.task_id)
        if view.state is EngineState.RUNNING:
            if record.cancel_requested:
                await self._cancel(record.task_id)  # the first call may not have reached the engine
            return
        now = await self._store.find(record.task_id)
        if now is None or now.status.final:
            return  # it was recorded meanwhile
        if view.state is EngineState.CLOSED:
            _log.error("a workflow ended without recording its task", task_id=record.task_id)
            message = "the engine ended the task without a result"
            await self._settled(record.task_id, Outcome(TaskStatus.FAILED, InternalError.code, message))
        elif now.cancel_requested:
            await self._settled(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled"))
        else:
            _log.warning("the engine lost a task, which is started again", task_id=record.task_id)
            await self._hand_over(record)
