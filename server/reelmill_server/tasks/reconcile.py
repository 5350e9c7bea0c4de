"""Repair of differences between records and the engine after a crash, and deletion of expired tasks."""

from collections.abc import Awaitable, Callable, Collection, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from reelmill_server.errors import InternalError, InvalidArgument, ReelmillError, ServiceUnavailable
from reelmill_server.model.engine_view import EngineState, EngineView
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.tasks.store import TaskStore

# A younger record may be between its insert and the start of its workflow, which are two steps of one call.
_SETTLING = timedelta(seconds=5)
_MESSAGE_CHARACTERS = 1000
_SUSPECTS = 200  # asked for in one round
_IDLE_ROUNDS = 6  # of which one asks the engine, while it should have no task
_CANCELED = Outcome(TaskStatus.CANCELED, "Canceled", "canceled")
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
        stalled: Callable[[], Awaitable[Collection[str]]],
        cancel: Callable[[str], Awaitable[None]],
        abandon: Callable[[str], Awaitable[None]],
        settle: Callable[[str, Outcome], Awaitable[None]],
        tell_problems: Callable[[Mapping[str, str]], Awaitable[None]],
        untaken: Callable[[], Awaitable[bool]],
        not_replayed: Callable[[], Awaitable[Mapping[str, str]]],
        show_stalled: Callable[[int], object],
        retention: timedelta,
        clock_is_steady: Callable[[], bool],
    ) -> None:
        """Compare `store` with the engine through `start`, `view`, `running`, `stalled`, `cancel` and `abandon`.

        `running` returns the tasks whose workflows run, `stalled` those of them whose workflows cannot go on, as lists that may
        be some seconds old. `start` raises InvalidArgument or ValueError for a task that the engine will never accept.
        `abandon` ends a task without its workflow. `settle` records an outcome. `untaken` returns whether no replica takes up
        workflows, `not_replayed` the tasks that will not go on when something happens to them, and why. `show_stalled` is told
        how many tasks do not go on, `tell_problems` which, and why. Nothing is deleted unless `clock_is_steady`.
        """
        self._store, self._retention, self._tell_problems, self._untaken = store, retention, tell_problems, untaken
        self._not_replayed, self._clock_is_steady = not_replayed, clock_is_steady
        self._start, self._view, self._cancel, self._settle = start, view, cancel, settle
        self._running, self._stalled, self._abandon, self._show_stalled = running, stalled, abandon, show_stalled
        self._known_stalled: frozenset[str] = frozenset()
        self._known_strays: set[str] = set()
        self._doubtful: set[str] = set()
        self._rounds = 0

    async def once(self) -> None:
        """Check all unfinished records once. A record that cannot be repaired is logged and does not affect others."""
        now = datetime.now(UTC)
        async for record in self._store.unstarted(now - _SETTLING):
            await self._repair(record.task_id, self._repair_unstarted(record))
        self._rounds += 1
        if self._rounds % _IDLE_ROUNDS == 1 or await self._store.any_started():  # else the engine has little to say
            await self._check_started(now - _SETTLING)
        await self._report_stalled()
        if self._clock_is_steady() and (expired := await self._store.expire(now - self._retention)):
            _log.info("expired tasks deleted", count=expired)

    async def _check_started(self, before: datetime) -> None:
        """Check the tasks that the engine should have: only those that it does not list are asked for one by one."""
        try:
            running = await self._running()
        except ServiceUnavailable as error:
            _log.warning("the engine did not list its tasks", reason=error.message)
            return
        on_record = set[str]()
        async for task in self._store.started(before):
            on_record.add(task.task_id)
            if task.task_id not in running or task.cancel_requested:
                await self._repair(task.task_id, self._repair_started(task.task_id))
        await self._report_strays({*running} - on_record)

    async def _report_strays(self, task_ids: Collection[str]) -> None:
        """Say which tasks the engine does that nobody knows of, as when records are restored from an older backup; each is
        logged once. They are left alone: they may belong to a service with which this one shares a namespace by mistake.
        """
        for task_id in sorted({*task_ids} - self._known_strays):
            if await self._store.find(task_id, request=False, work=False) is None:
                _log.error("the engine does a task that is not on record", task_id=task_id)
                self._known_strays.add(task_id)

    async def _report_stalled(self) -> None:
        """Tell which tasks do not go on, and why; each is logged once."""
        try:
            problems = await self._problems()
        except ServiceUnavailable as error:
            _log.debug("the engine did not say which workflows fail", reason=error.message)
            return
        stalled = frozenset(problems)
        for task_id in sorted(stalled - self._known_stalled):
            _log.error("a task does not go on: the control plane cannot run its workflow", task_id=task_id)
        self._known_stalled = stalled
        self._show_stalled(len(stalled))
        await self._tell_problems(problems)

    async def _problems(self) -> Mapping[str, str]:
        """Return why tasks do not go on. Raises ServiceUnavailable."""
        if not await self._store.any_started():
            return {}
        not_replayed = await self._not_replayed()
        suspects = sorted({*await self._listed_stalled()} - not_replayed.keys())
        if await self._untaken():
            suspects += [task.task_id async for task in self._store.started(datetime.now(UTC) - _SETTLING)]
        views = {task_id: await self._view(task_id) for task_id in dict.fromkeys(suspects[:_SUSPECTS])}
        return {**not_replayed, **{task_id: view.problem for task_id, view in views.items() if view.problem}}

    async def _listed_stalled(self) -> Collection[str]:
        """Return the tasks that the engine lists as failing, none if it is too old to know."""
        try:
            return await self._stalled()
        except ServiceUnavailable as error:
            _log.debug("the engine did not list its failing workflows", reason=error.message)
            return ()

    async def _repair(self, task_id: str, repair: Awaitable[None]) -> None:
        try:
            await repair
        except Exception as error:  # even a defect says nothing about the task, which may be running
            log = _log.warning if isinstance(error, ServiceUnavailable) else _log.error
            log("repairing a task failed", task_id=task_id, reason=f"{type(error).__name__}: {error}")

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

    async def _repair_started(self, task_id: str) -> None:
        view = await self._view(task_id)
        current = await self._store.find(task_id)
        if current is None or current.status.final:
            return  # recorded meanwhile
        if view.state is EngineState.RUNNING:
            if current.cancel_requested:
                await self._cancel_again(task_id, view.problem)
        elif view.state is EngineState.CLOSED and current.cancel_requested:
            await self._end_without_workflow(task_id)  # whoever began that has died
        elif view.state is EngineState.CLOSED:
            _log.error("a workflow ended without recording its outcome", task_id=task_id)
            message = "the engine ended the task without a result"
            await self._settle(task_id, Outcome(TaskStatus.FAILED, InternalError.code, message))
        elif current.cancel_requested:
            await self._settle(task_id, _CANCELED)
        else:
            _log.warning("the engine lost a task: starting it again", task_id=task_id)
            await self._start_or_fail(current)

    async def _cancel_again(self, task_id: str, problem: str) -> None:
        """Repeat a cancel that may not have reached the engine. A workflow that does not go on will never act on it: when that
        is so twice in a row, which no restart of a replica explains, the task ends without it.
        """
        if not problem:
            self._doubtful.discard(task_id)
            await self._cancel(task_id)
        elif task_id not in self._doubtful:
            self._doubtful.add(task_id)
        else:
            _log.error("a canceled task ends without its workflow", task_id=task_id, reason=problem)
            await self._end_without_workflow(task_id)
            self._doubtful.discard(task_id)

    async def _end_without_workflow(self, task_id: str) -> None:
        await self._abandon(task_id)
        await self._settle(task_id, _CANCELED)
