"""New tasks: from a request to a record and a workflow."""

import asyncio
import json
import secrets
import string
import time
import uuid
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from reelmill import vendor_json
from reelmill.v1 import media_convert_service_pb2 as pb
from reelmill_server.api import notification_requests, requests, validate
from reelmill_server.api.caller import caller
from reelmill_server.engine.client import Engine
from reelmill_server.engine.shares import share
from reelmill_server.engine.work import Work, dump_work, load_work
from reelmill_server.errors import QuotaExceeded, ResourceNotFound, ServiceUnavailable, StatusConflict
from reelmill_server.model.project import Project, Quotas
from reelmill_server.model.task import TaskRecord, TaskStatus
from reelmill_server.notify.registry import Channels
from reelmill_server.storage.base import Storage
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics

_BASE62 = string.digits + string.ascii_letters
_DEFAULT_PRIORITY = 3
# Each takes some ms in many steps: with a whole burst at once, every other call would wait for all of them at each step.
_CREATED_AT_ONCE = 4
_DEFAULT_QUOTAS = Quotas(fairness_weight=1.0)
_NO_PROJECT = Project("", datetime.fromtimestamp(0, UTC), datetime.fromtimestamp(0, UTC))


@dataclass(frozen=True)
class TaskDefaults:
    """Settings of every new task.

    Attempts, seconds per attempt, seconds without a heartbeat before another worker takes over, and seconds to wait for each
    accelerator, and seconds for which what a task that did not succeed has kept stays there.
    """

    max_attempts: int
    timeout_seconds: float
    heartbeat_seconds: float
    accelerator_seconds: float
    keep_seconds: float


class Submissions:
    """Takes requests: validates them, records their tasks, and starts the workflows of those that are admitted."""

    def __init__(
        self,
        *,
        tasks: TaskStore,
        projects: ProjectStore,
        engine: Engine,
        storage: Storage,
        channels: Channels,
        defaults: TaskDefaults,
        started: Callable[[], None],
        metrics: Metrics,
    ) -> None:
        """`started` is called when the engine has one more task."""
        self._tasks, self._projects, self._engine, self._started = tasks, projects, engine, started
        self._storage, self._channels, self._defaults, self._metrics = storage, channels, defaults, metrics
        self._creating = asyncio.Semaphore(_CREATED_AT_ONCE)

    async def create(self, request: pb.CreateMediaConvertTaskRequest, retry_of: str = "") -> TaskRecord:
        """Record a task and start its workflow; `retry_of` as in its record.

        A repeated `request_id` returns the task that the first call created. Raises StatusConflict if that had another request,
        QuotaExceeded, and what is wrong with this one.
        """
        async with self._creating:
            record = self._record(request, *await self.check(request), retry_of)
            recipients = [recipient for _, recipient in notification_requests.recipients(request.notification)]
            try:
                stored, created = await self._tasks.insert(record, recipients)
            except QuotaExceeded:
                self._metrics.quota_refusal_total.inc()
                raise
        if not created and (stored.retry_of, json.loads(stored.request_json)) != (retry_of, json.loads(record.request_json)):
            raise StatusConflict(
                f"request_id {request.request_id} belongs to another request: send a new one with this request"
            )
        if created and stored.admitted:
            await self.try_start(stored)
        return stored

    async def start(self, record: TaskRecord) -> None:
        """Start the workflow of a recorded task. Raises ServiceUnavailable."""
        await self._engine.start(load_work(record.work_json))

    async def try_start(self, record: TaskRecord, admitted_us: int = 0) -> None:
        """Start the workflow of a new task; if the engine is unavailable, the reconciler does so later from the record."""
        try:
            await self._engine.start(replace(load_work(record.work_json), admitted_us=admitted_us))
        except ServiceUnavailable:
            return
        self._started()
        if await self._tasks.mark_started(record.task_id):  # requested before the workflow started
            with suppress(ServiceUnavailable):
                await self._engine.cancel(record.task_id)

    async def start_admitted(self, record: TaskRecord) -> None:
        """Start the workflow of a task that has just been admitted, like that of a new one."""
        await self.try_start(record, time.time_ns() // 1000)

    async def check(self, request: pb.CreateMediaConvertTaskRequest) -> tuple[Project, Collection[int]]:
        """Validate a conversion request; return its project, without tags, and the priorities of its unfinished tasks.

        Raises the errors of `validate.check_create`.
        """
        missing: ResourceNotFound | None = None
        project: Project = _NO_PROJECT
        priorities: Collection[int] = ()
        try:
            if request.project_name:
                project, priorities = await self._projects.for_new_task(request.project_name)
        except ResourceNotFound as error:
            missing = error
        validate.check_create(request, self._storage, missing, project.service_role, self._channels)
        return project, priorities

    def _record(
        self, request: pb.CreateMediaConvertTaskRequest, project: Project, priorities: Collection[int], retry_of: str
    ) -> TaskRecord:
        """Return the record of a new task; `priorities` are those of its project's unfinished tasks."""
        now = datetime.now(UTC)
        task_id = f"MediaConvert-{uuid.uuid4()}"
        priority = request.priority or _DEFAULT_PRIORITY
        work = Work(
            request=replace(requests.conversion(request, task_id, now, project.service_role), retry_of=retry_of),
            priority=priority,
            weight=project.quotas.over(_DEFAULT_QUOTAS).fairness_weight * share(priority, priorities),
            max_attempts=self._defaults.max_attempts,
            timeout_seconds=self._defaults.timeout_seconds,
            heartbeat_seconds=self._defaults.heartbeat_seconds,
            accelerator_seconds=self._defaults.accelerator_seconds,
            keep_seconds=self._defaults.keep_seconds,
            trace=tracing.current(),
            progress_step=request.notification.notify_progress_percent_step,
            records_at_once=True,
            heartbeats_announce=True,
        )
        return TaskRecord(
            task_id=task_id,
            project_name=request.project_name,
            request_id=request.request_id,
            event_id=_event_id(),
            status=TaskStatus.RUNNING,
            start_time=now,
            request_json=json.dumps(vendor_json.dump(request), ensure_ascii=False),
            work_json=dump_work(work),
            user_data=request.user_data,
            tags=requests.tags_of(request),
            priority=priority,
            created_by=caller().name if caller().known else "",
            retry_of=retry_of,
        )


def _event_id() -> str:
    """Return a random event id in the form of the contract's samples: three hex digits, a dash, 27 base-62 characters."""
    return f"{secrets.token_hex(2)[:3].upper()}-{''.join(secrets.choice(_BASE62) for _ in range(27))}"
