"""Mends what a crash left between a task's record and the engine, and forgets old tasks."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import structlog

from reelmill_server.errors import InternalError, ReelmillError
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.store import TaskStore

# A record this young may be between its insert and its start: two calls of the same request.
_SETTLING = timedelta(seconds=5)
_log = structlog.get_logger(__name__)


class Reconciler:
    """Compares records and engine: every RUNNING record has a workflow at work on it, or gets its end."""

    def __init__(
        self,
        store: TaskStore,
        start: Callable[[TaskRecord], Awaitable[None]],
        view: Callable[[str], Awaitable[EngineView]],
        settled: Callable[[str, Outcome], Awaitable[None]],
        retention: timedelta,
    ) -> None:
        self._store, self._start, self._view, self._settled, self._retention = store, start, view, settled, retention

    async def run(self, every_seconds: float) -> None:
        """Reconciles again and again until canceled. A failure is logged and tried again."""
        while True:
            try:
                await self.once()
            except ReelmillError as error:
                _log.warning("reconciling failed", code=error.code, reason=error.message)
            await asyncio.sleep(every_seconds)

    async def once(self) -> None:
        """One pass over all running records."""
        now = datetime.now(UTC)
        async for record in self._store.unstarted(now - _SETTLING):
            await self._mend_unstarted(record)
        async for record in self._store.running():
            if record.engine_started and record.start_time < now - _SETTLING:
                await self._mend_started(record)
        expired = await self._store.expire(now - self._retention)
        if expired:
            _log.info("old tasks forgotten", count=expired)

    async def _mend_unstarted(self, record: TaskRecord) -> None:
        if record.cancel_requested:
            await self._settled(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled before it began"))
            return
        _log.info("a task that was not started is started", task_id=record.task_id)
        await self._start(record)
        await self._store.mark_started(record.task_id)

    async def _mend_started(self, record: TaskRecord) -> None:
        view = await self._view(record.task_id)
        if view.state is EngineState.RUNNING:
            return
        now = await self._store.find(record.task_id)
        if now is None or now.status.final:
            return  # it was recorded meanwhile
        if view.state is EngineState.UNKNOWN:
            _log.warning("the engine lost a task, which is started again", task_id=record.task_id)
            await self._start(record)
            return
        _log.error("a workflow ended without recording its task", task_id=record.task_id)
        message = "the engine ended the task without a result"
        await self._settled(record.task_id, Outcome(TaskStatus.FAILED, InternalError.code, message))
