"""The api role: its parts and their lifetime."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio.client import Client

from reelmill import vendor_json
from reelmill.v1 import task_pb2
from reelmill_server.api import responses
from reelmill_server.api.console.console import Console
from reelmill_server.api.console.links import Links, key_of
from reelmill_server.api.http.front import Front
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.keys import KeyService
from reelmill_server.api.media_convert import MediaConvertService
from reelmill_server.api.notifications import NotificationService
from reelmill_server.api.projects import ProjectService
from reelmill_server.api.services import Services
from reelmill_server.api.submission import Submissions, TaskDefaults
from reelmill_server.api.watches import Watches
from reelmill_server.app.background import OnDemand, background, polling
from reelmill_server.app.listeners import Listeners, gate
from reelmill_server.app.records import Records
from reelmill_server.engine.client import Engine
from reelmill_server.engine.control_activities import ControlActivities
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.queues import backlogs
from reelmill_server.engine.shown_workers import ShownWorkers
from reelmill_server.engine.work import load_work
from reelmill_server.engine.workers import control_worker, notify_worker
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.task import Outcome, Progress, TaskRecord, TaskStatus
from reelmill_server.model.worker_state import WorkerState
from reelmill_server.notify.message import Origin
from reelmill_server.notify.registry import Channels
from reelmill_server.settings import Settings
from reelmill_server.settings.fields import split_address
from reelmill_server.storage.build import build_storage
from reelmill_server.tasks.admission import Admission
from reelmill_server.tasks.collector import Collector
from reelmill_server.tasks.delivery import NotificationDelivery
from reelmill_server.tasks.feed import Feeds
from reelmill_server.tasks.follower import Snapshot
from reelmill_server.tasks.leases import RENEW_SECONDS
from reelmill_server.tasks.migrate import check_current
from reelmill_server.tasks.reconcile import Reconciler
from reelmill_server.tasks.replay_check import ReplayCheck
from reelmill_server.tasks.steady_clock import SteadyClock
from reelmill_server.tasks.waits import Waits
from reelmill_server.telemetry.metrics import Metrics

_DEFAULT_PROJECT = "default"
_WATCH_GRACE_SECONDS = 2.0  # watchers still receive tasks that end during the drain
_COUNT_SECONDS = 5.0
_ENDED_COUNT_SECONDS = 60.0  # all tasks on record are counted, which may be millions
_log = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[object]]


class ControlPlane:
    """The api role: records, workflows and RPCs."""

    def __init__(
        self, settings: Settings, client: Client, metrics: Metrics, *, console: bool = False, work: bool = False
    ) -> None:
        """Make the parts; `console`: the HTTP front shows pages for people, too; `work`: there is a worker in this process, and
        with an embedded engine no other.
        """
        alone = not settings.temporal_address
        self._settings, self._client, self._metrics, self._own_worker = settings, client, metrics, ""
        self._records = records = Records(settings, alone=alone)
        self._engine = Engine(client)
        waits = Waits(records.tasks, records.progress)
        self._feeds = Feeds(
            records.tasks, records.changes, records.progress, waits, settings.watch_poll_seconds, settings.watch_rate
        )
        self._shown_workers = ShownWorkers(client)
        self._collector = self._make_collector(all_here=alone and work)
        self._channels = Channels(settings)
        self._delivery = self._make_delivery()
        self._storage = build_storage(settings, metrics)
        submissions = self._make_submissions()
        self._admission = Admission(records.tasks, records.lease, submissions.start_admitted)
        self._reconciler = self._make_reconciler(submissions)
        self.measure = (
            OnDemand("count", self._count_unfinished, _COUNT_SECONDS),
            OnDemand("count of ended tasks", self._count_ended, _ENDED_COUNT_SECONDS),
            OnDemand("queues", self._measure_queues, _COUNT_SECONDS),
        )
        """Measured when someone asks for the metrics."""
        services = Services(
            self._media_convert_service(submissions),
            ProjectService(records.projects, records.tasks, records.quotas, self._admission.wake),
            NotificationService(records.notifications, records.projects, self._delivery.deliver_pending),
            KeyService(records.keys),
        )
        interceptor = CallInterceptor(metrics, gate(settings, records.keys, records.nonces, metrics))
        self._listeners = Listeners(settings, services, interceptor)
        if console:
            self._listeners.add_console(self._console)

    def _make_collector(self, *, all_here: bool) -> Collector:
        """Return what learns of progress from the workers; `all_here`: there are none but the one in this process."""
        return Collector(
            self._records.progress,
            self._records.lease,
            workers=None if all_here else self._other_workers,
            any_started=self._records.tasks.any_started,
            chunked_percent=self._engine.chunked_percent,
            waiting_in=self._engine.waiting_in,
            announce=self._feeds.poll_now,
            show=self._records.previews.add,
        )

    def _make_delivery(self) -> NotificationDelivery:
        settings = self._settings
        return NotificationDelivery(
            tasks=self._records.tasks,
            notifications=self._records.notifications,
            channels=self._channels,
            wake=self._engine.wake,
            detail=_detail,
            credentials=lambda record: load_work(record.work_json).request.credentials,
            origin=Origin(settings.notify_region, settings.notify_account),
            retry=timedelta(hours=settings.notify_retry_hours),
            metrics=self._metrics,
        )

    def _make_reconciler(self, submissions: Submissions) -> Reconciler:
        tasks, engine = self._records.tasks, self._engine
        return Reconciler(
            tasks,
            start=submissions.start,
            view=engine.view,
            running=engine.running,
            stalled=engine.stalled,
            cancel=engine.cancel,
            abandon=engine.abandon,
            settle=self._settle,
            tell_problems=self._records.progress.tell_problems,
            untaken=engine.untaken,
            not_replayed=ReplayCheck(tasks, replicas=engine.replicas, replay=engine.replay).problems,
            retention=self._records.retention,
            show_stalled=self._metrics.tasks_stalled.set,
            clock_is_steady=SteadyClock().is_steady,
        )

    def _console(self, front: Front) -> Console:
        settings = self._settings
        links = Links(key_of(settings.console_secret.get_secret_value(), settings.data_dir), self._shown_task)
        asks, grpc_port = bool(settings.authentication), split_address(settings.listen)[1]
        return Console(front, self._storage, links, self._records.previews, asks=asks, grpc_port=grpc_port)

    def _make_submissions(self) -> Submissions:
        settings = self._settings
        return Submissions(
            tasks=self._records.tasks,
            projects=self._records.projects,
            engine=self._engine,
            storage=self._storage,
            channels=self._channels,
            defaults=TaskDefaults(
                max_attempts=settings.max_attempts,
                timeout_seconds=settings.task_timeout_seconds,
                heartbeat_seconds=settings.heartbeat_timeout_seconds,
                accelerator_seconds=settings.accelerator_wait_seconds,
                keep_seconds=settings.retry_keep_seconds,
            ),
            started=self._collector.wake,
            metrics=self._metrics,
        )

    def _media_convert_service(self, submissions: Submissions) -> MediaConvertService:
        settings = self._settings
        return MediaConvertService(
            submissions=submissions,
            tasks=self._records.tasks,
            projects=self._records.projects,
            engine=self._engine,
            feeds=self._feeds,
            storage=self._storage,
            settle=self._settle,
            shown_workers=self._shown_workers,
            watches=Watches(settings.watch_limit, settings.watch_caller_limit, self._metrics),
        )

    async def _shown_task(self, task_id: str) -> task_pb2.Task | None:
        record = await self._records.tasks.find(task_id)
        return responses.task(Snapshot(record)) if record else None

    def advanced(self, task_id: str, progress: Progress) -> None:
        """Show watchers the progress of a task that is worked on in this process."""
        self._feeds.advanced(task_id, progress)
        self._collector.wake()

    def take_worker(self, name: str, state: Callable[[], WorkerState]) -> None:
        """Learn of the worker in this process."""
        self._own_worker, self._collector.local = name, state

    async def _other_workers(self) -> Sequence[WorkerState]:
        """Return the states of the workers of other processes. Raises ServiceUnavailable."""
        return [shown.state for shown in await self._shown_workers.list() if shown.report.worker != self._own_worker]

    async def _settle(self, task_id: str, outcome: Outcome) -> None:
        """Record a task's outcome and have its notifications delivered; the first outcome wins."""
        if await self._records.tasks.finish(task_id, outcome, datetime.now(UTC)):
            self._metrics.task_total.labels(outcome.status, outcome.code).inc()
            failed = [attempt.code for attempt in outcome.failed_attempts]
            for code in [*failed, outcome.code] if outcome.status is TaskStatus.FAILED else failed:
                self._metrics.failed_attempt_total.labels(code).inc()
            _log.info("task ended", task_id=task_id, status=outcome.status, code=outcome.code)
            record = await self._records.tasks.find(task_id, request=False, work=False)
            if record is not None:
                await self._admission.next(record.project_name)
        self._feeds.poll_now(task_id)
        await self._delivery.deliver_pending(task_id)

    async def _keep_house(self) -> None:
        """Repair, delete and deliver what is due, if this replica holds the lease."""
        if not self._records.lease.held:
            self._metrics.tasks_stalled.set(0)
            return
        await self._reconciler.once()
        await self._records.progress.forget_ended()
        await self._records.previews.forget_ended()
        await self._records.nonces.forget_expired(time.time_ns() // 1000)
        await self._delivery.deliver_overdue()

    async def _count_ended(self) -> None:
        for status, count in (await self._records.tasks.ended_counts()).items():
            self._metrics.tasks.labels(status).set(count)

    async def _count_unfinished(self) -> None:
        counts = await self._records.tasks.counts_by_project()
        self._metrics.tasks.labels(TaskStatus.RUNNING).set(sum(map(sum, counts.values())))
        self._metrics.show_projects(counts, self._settings.metrics_projects)
        since = await self._records.notifications.oldest_pending()
        age = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        self._metrics.notification_oldest_seconds.set(max(0.0, age))

    async def _measure_queues(self) -> None:
        """Update the metrics of queues; clear them while the engine does not respond."""
        try:
            queues = await backlogs(self._client)
        except ServiceUnavailable:
            self._metrics.queue_tasks.clear()
            self._metrics.queue_age_seconds.clear()
            raise
        for queue, backlog in queues.items():
            self._metrics.queue_tasks.labels(queue).set(backlog.tasks)
            self._metrics.queue_age_seconds.labels(queue).set(backlog.age_seconds)

    def checks(self) -> dict[str, Check]:
        """Return the readiness checks of this role."""
        return {"database": lambda: check_current(self._records.database)}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, str]]:
        """Serve for the duration of the block and yield the addresses by what they serve. Raises ServiceUnavailable if the
        database needs migration."""
        settings = self._settings
        await check_current(self._records.database)
        await self._records.projects.ensure(_DEFAULT_PROJECT)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._records.database.close)
            stack.push_async_callback(self._channels.close)
            notify = NotifyActivities(self._delivery)
            control = ControlActivities(self._settle, self._engine.present, self._shown_workers.room)
            workers = [control_worker(self._client, control, notify), notify_worker(self._client, notify)]
            await stack.enter_async_context(polling(workers))
            await self._records.lease.renew()
            stack.push_async_callback(self._records.lease.release)
            await stack.enter_async_context(background("lease", self._records.lease.renew, RENEW_SECONDS))
            await stack.enter_async_context(background("housekeeping", self._keep_house, settings.reconcile_seconds))
            await stack.enter_async_context(background("admission", self._admission.once, 0.0))
            await stack.enter_async_context(background("progress", self._collector.once, 0.0))
            stack.push_async_callback(self._close_feeds)
            yield await stack.enter_async_context(self._listeners.running(self._feeds.close, _WATCH_GRACE_SECONDS))

    async def _close_feeds(self) -> None:
        self._feeds.close()
        await self._feeds.wait_closed()

    async def drain(self) -> None:
        """Make load balancers send new calls elsewhere."""
        await self._listeners.drain()


def _detail(record: TaskRecord) -> Mapping[str, Any]:
    """Return a task as JSON in the form of the API."""
    return vendor_json.dump(responses.task(Snapshot(record)))
