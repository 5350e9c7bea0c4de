"""Repair of differences between records and the engine after a crash, and deletion of expired tasks."""

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta

import structlog

from reelmill_server.errors import InternalError, InvalidArgument, ReelmillError, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.store import TaskStore

# A younger record may be between its insert and the start of its workflow, which are two steps of one call.
_SETTLING = timedelta(seconds=5)
_MESSAGE_CHARACTERS = 1000
_log = structlog.get_logger(__name__)


class Reconciler:
    """Reconciler of records and engine: ensures that every RUNNING record has a workflow or gets its outcome."""

    def __init__(
        self,
        store: TaskStore,
        *,
        start: Callable[[TaskRecord], Awaitable[None]],
        view: Callable[[str], Awaitable[EngineView]],
        running: Callable[[], Awaitable[Collection[str]]],
        cancel: Callable[[str], Awaitable[None]],
        settle: Callable[[str, Outcome], Awaitable[None]],
        admit: Callable[[str], Awaitable[None]],
        retention: timedelta,
    ) -> None:
        """Compare `store` with the engine through `start`, `view`, `running` and `cancel`.

        `running` returns the tasks whose workflows run, as a list that may be some seconds old. `start` raises InvalidArgument
        or ValueError for a task that the engine will never accept. `settle` records an outcome, `admit` starts waiting tasks of
        a project.
        """
        self._store, self._retention, self._admit = store, retention, admit
        self._start, self._view, self._cancel, self._settle = start, view, cancel, settle
        self._running = running

    async def once(self) -> None:
        """Check all running records once. A record that cannot be repaired is logged and does not affect others."""
        now = datetime.now(UTC)
        async for record in self._store.unstarted(now - _SETTLING):
            await self._repair(record, self._repair_unstarted)
        await self._check_started(now - _SETTLING)
        for project_name in await self._store.projects_with_waiting_tasks():
            await self._admit(project_name)  # the replica that should have done it when a task ended may have died
        expired = await self._store.expire(now - self._retention)
        if expired:
            _log.info("expired tasks deleted", count=expired)

    async def _check_started(self, before: datetime) -> None:
        """Check the tasks that the engine should have: only those that it does not list are asked for one by one."""
        try:
            running = await self._running()
        except ServiceUnavailable as error:
            _log.warning("the engine did not list its tasks", reason=error.message)
            return
        async for record in self._store.running():
            unknown = record.task_id not in running or record.cancel_requested
            if record.engine_started and record.start_time < before and unknown:
                await self._repair(record, self._repair_started)

    async def _repair(self, record: TaskRecord, repair: Callable[[TaskRecord], Awaitable[None]]) -> None:
        try:
            await repair(record)
        except Exception as error:  # even a defect says nothing about the task, which may be running
            log = _log.warning if isinstance(error, ServiceUnavailable) else _log.error
            log("repairing a task failed", task_id=record.task_id, reason=f"{type(error).__name__}: {error}")

    async def _start_or_fail(self, record: TaskRecord) -> bool:
        """Start a task and return True; a task that the engine will never accept is failed instead."""
        try:
            await self._start(record)
        except (InvalidArgument, ValueError) as error:  # ValueError: work that this version cannot read
            _log.error("a task cannot be started", task_id=record.task_id, reason=str(error))
            code = error.code if isinstance(error, ReelmillError) else InternalError.code
            await self._settle(record.task_id, Outcome(TaskStatus.FAILED, code, str(error)[:_MESSAGE_CHARACTERS]))
            return False
        return True

    async def _repair_unstarted(self, record: TaskRecord) -> None:
        if record.cancel_requested:
            await self._settle(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled before it started"))
            return
        _log.info("starting a task that was not started", task_id=record.task_id)
        if await self._start_or_fail(record):
            await self._store.mark_started(record.task_id)

    async def _repair_started(self, record: TaskRecord) -> None:
        view = await self._view(record.task_id)
        if view.state is EngineState.RUNNING:
            if record.cancel_requested:
                await self._cancel(record.task_id)  # an earlier cancellation may not have reached the engine
            return
        current = await self._store.find(record.task_id)
        if current is None or current.status.final:
            return  # recorded meanwhile
        if view.state is EngineState.CLOSED:
            _log.error("a workflow ended without recording its outcome", task_id=record.task_id)
            message = "the engine ended the task without a result"
            await self._settle(record.task_id, Outcome(TaskStatus.FAILED, InternalError.code, message))
        elif current.cancel_requested:
            await self._settle(record.task_id, Outcome(TaskStatus.CANCELED, "Canceled", "canceled"))
        else:
            _log.warning("the engine lost a task: starting it again", task_id=record.task_id)
            await self._start_or_fail(current)
