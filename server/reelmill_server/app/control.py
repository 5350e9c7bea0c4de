"""The api role: its parts and their lifetime."""

import asyncio
import os
import secrets
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from temporalio.client import Client

from reelmill import vendor_json
from reelmill.v1 import task_pb2
from reelmill_server import descriptors
from reelmill_server.api import responses
from reelmill_server.api.authentication import Authenticator
from reelmill_server.api.certificates import http_context, server_credentials
from reelmill_server.api.console.console import Console
from reelmill_server.api.console.links import Links, key_of
from reelmill_server.api.failed_attempts import FailedAttempts
from reelmill_server.api.gate import Gate
from reelmill_server.api.http.forwarded import Proxies
from reelmill_server.api.http.front import Front
from reelmill_server.api.http.guard import Guard
from reelmill_server.api.http.server import HttpServer
from reelmill_server.api.interceptor import CallInterceptor
from reelmill_server.api.keys import KeyService
from reelmill_server.api.media_convert import MediaConvertService, TaskDefaults
from reelmill_server.api.notifications import NotificationService
from reelmill_server.api.projects import ProjectService
from reelmill_server.api.rate_limit import RateLimit
from reelmill_server.api.server import GrpcServer
from reelmill_server.api.services import Services
from reelmill_server.api.watches import Watches
from reelmill_server.app.background import OnDemand, background, polling
from reelmill_server.engine.activities import ControlActivities
from reelmill_server.engine.client import Engine
from reelmill_server.engine.notification import NotifyActivities
from reelmill_server.engine.queues import backlogs
from reelmill_server.engine.shown_workers import ShownWorkers
from reelmill_server.engine.work import load_work
from reelmill_server.engine.workers import control_worker, notify_worker
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.project import Quotas
from reelmill_server.model.task import Outcome, Progress, TaskRecord, TaskStatus
from reelmill_server.model.worker_state import WorkerState
from reelmill_server.notify.message import Origin
from reelmill_server.notify.registry import Channels
from reelmill_server.settings import Settings
from reelmill_server.settings.fields import is_loopback, split_address
from reelmill_server.storage.build import build_storage
from reelmill_server.tasks.admission import Admission
from reelmill_server.tasks.changes import ChangeStore
from reelmill_server.tasks.collector import Collector
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.delivery import NotificationDelivery
from reelmill_server.tasks.feed import Feeds
from reelmill_server.tasks.follower import Snapshot
from reelmill_server.tasks.keys import KeyStore
from reelmill_server.tasks.leases import RENEW_SECONDS, Lease
from reelmill_server.tasks.migrate import check_current
from reelmill_server.tasks.nonces import NonceStore
from reelmill_server.tasks.notifications import NotificationStore
from reelmill_server.tasks.previews import PreviewStore
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.reconcile import Reconciler
from reelmill_server.tasks.replay_check import ReplayCheck
from reelmill_server.tasks.store import TaskStore
from reelmill_server.tasks.waits import Waits
from reelmill_server.telemetry.metrics import Metrics

_DEFAULT_PROJECT = "default"
_CALL_GRACE_SECONDS = 10.0  # a call may wait for the database and the engine
_WATCH_GRACE_SECONDS = 2.0  # watchers still receive tasks that end during the drain
_COUNT_SECONDS = 5.0
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
        self._database = Database(settings.resolved_database_url())
        retention = timedelta(hours=settings.retention_hours)
        quotas = Quotas(settings.project_concurrency, settings.project_queue, 1.0)
        self._tasks = TaskStore(self._database, retention, quotas, int(settings.project_record_bytes))
        self._projects = ProjectStore(self._database, settings.max_projects)
        self._engine = engine = Engine(client)
        changes = ChangeStore(self._database)
        self._lease = Lease(self._database, f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}", alone=alone)
        self._progress = ProgressStore(self._database, self._lease)
        self._previews = PreviewStore(self._database)
        waits = Waits(self._tasks, self._progress)
        self._feeds = Feeds(self._tasks, changes, self._progress, waits, settings.watch_poll_seconds, settings.watch_rate)
        self._shown_workers = ShownWorkers(client)
        self._collector = Collector(
            self._progress,
            self._lease,
            workers=None if alone and work else self._other_workers,
            any_started=self._tasks.any_started,
            chunked_percent=engine.chunked_percent,
            waiting_in=engine.waiting_in,
            told=self._feeds.poll_now,
            show=self._previews.add,
        )
        self._channels = Channels(settings)
        notifications = NotificationStore(self._database)
        self._notifications = notifications
        self._delivery = NotificationDelivery(
            tasks=self._tasks,
            notifications=notifications,
            channels=self._channels,
            wake=engine.wake,
            detail=_detail,
            credentials=lambda record: load_work(record.work_json).request.credentials,
            origin=Origin(settings.notify_region, settings.notify_account),
            retry=timedelta(hours=settings.notify_retry_hours),
            metrics=metrics,
        )
        self._storage = build_storage(settings, metrics)
        service = self._media_convert_service()
        self._admission = Admission(self._tasks, self._lease, service.start_admitted)
        replay_check = ReplayCheck(self._tasks, replicas=engine.replicas, replay=engine.replay)
        self._reconciler = Reconciler(
            self._tasks,
            start=service.start,
            view=engine.view,
            running=engine.running,
            stalled=engine.stalled,
            cancel=engine.cancel,
            abandon=engine.abandon,
            settle=self._settle,
            tell_problems=self._progress.tell_problems,
            untaken=engine.untaken,
            not_replayed=replay_check.problems,
            retention=retention,
            show_stalled=metrics.tasks_stalled.set,
        )
        self.measure = (
            OnDemand("count", self._count_tasks, _COUNT_SECONDS),
            OnDemand("queues", self._measure_queues, _COUNT_SECONDS),
        )
        """What the metrics are measured by when someone asks for them."""
        keys, self._nonces = KeyStore(self._database), NonceStore(self._database)
        services = Services(
            service,
            ProjectService(self._projects, self._tasks, quotas, self._admission.wake),
            NotificationService(notifications, self._projects, self._delivery.deliver_pending),
            KeyService(keys),
        )
        interceptor = CallInterceptor(metrics, _gate(settings, keys, self._nonces, metrics))
        # Descriptors that connections leave are for tasks.
        self._grpc = GrpcServer(services, interceptor, min(settings.max_connections, descriptors.limit() // 2))
        self._http = self._http_server(Front(services, interceptor), console=console) if settings.http_api else None

    def _http_server(self, front: Front, *, console: bool) -> HttpServer:
        settings = self._settings
        guard = Guard(split_address(settings.http_api)[0], settings.http_api_host, settings.http_api_origin)
        proxies = Proxies(settings.http_api_proxy)
        server = HttpServer(front, guard, min(settings.max_connections, descriptors.limit() // 4), proxies)
        if console:
            links = Links(key_of(settings.console_secret.get_secret_value(), settings.data_dir), self._shown_task)
            Console(front, self._storage, links, self._previews, asks=bool(settings.authentication)).add_routes(
                front, server.app.router
            )
        return server

    def _media_convert_service(self) -> MediaConvertService:
        settings = self._settings
        return MediaConvertService(
            tasks=self._tasks,
            projects=self._projects,
            engine=self._engine,
            feeds=self._feeds,
            storage=self._storage,
            channels=self._channels,
            defaults=TaskDefaults(
                max_attempts=settings.max_attempts,
                timeout_seconds=settings.task_timeout_seconds,
                heartbeat_seconds=settings.heartbeat_timeout_seconds,
                accelerator_seconds=settings.accelerator_wait_seconds,
                keep_seconds=settings.retry_keep_seconds,
            ),
            settle=self._settle,
            started=self._collector.wake,
            shown_workers=self._shown_workers,
            watches=Watches(settings.watch_limit, settings.watch_caller_limit, self._metrics),
            metrics=self._metrics,
        )

    async def _shown_task(self, task_id: str) -> task_pb2.Task | None:
        record = await self._tasks.find(task_id)
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
        if await self._tasks.finish(task_id, outcome, datetime.now(UTC)):
            self._metrics.task_total.labels(outcome.status, outcome.code).inc()
            failed = [attempt.code for attempt in outcome.failed_attempts]
            for code in [*failed, outcome.code] if outcome.status is TaskStatus.FAILED else failed:
                self._metrics.failed_attempt_total.labels(code).inc()
            _log.info("task ended", task_id=task_id, status=outcome.status, code=outcome.code)
            record = await self._tasks.find(task_id, request=False, work=False)
            if record is not None:
                await self._admission.next(record.project_name)
        self._feeds.poll_now(task_id)
        await self._delivery.deliver_pending(task_id)

    async def _keep_house(self) -> None:
        """Repair, delete and deliver what is due, if this replica holds the lease."""
        if not self._lease.held:
            self._metrics.tasks_stalled.set(0)
            return
        await self._reconciler.once()
        await self._progress.forget_ended()
        await self._previews.forget_ended()
        await self._nonces.forget_expired(time.time_ns() // 1000)
        await self._delivery.deliver_overdue()

    async def _count_tasks(self) -> None:
        counts = await self._tasks.counts()
        for status in TaskStatus:
            self._metrics.tasks.labels(status).set(counts.get(status, 0))
        self._metrics.show_projects(await self._tasks.counts_by_project(), self._settings.metrics_projects)
        since = await self._notifications.oldest_pending()
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
        return {"database": lambda: check_current(self._database)}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[dict[str, str]]:
        """Serve for the duration of the block and yield the addresses by what they serve. Raises ServiceUnavailable if the
        database needs migration."""
        settings = self._settings
        await check_current(self._database)
        await self._projects.ensure(_DEFAULT_PROJECT)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._database.close)
            stack.push_async_callback(self._channels.close)
            notify = NotifyActivities(self._delivery)
            control = ControlActivities(self._settle, self._engine.present, self._shown_workers.room)
            workers = [control_worker(self._client, control, notify), notify_worker(self._client, notify)]
            await stack.enter_async_context(polling(workers))
            await self._lease.renew()
            stack.push_async_callback(self._lease.release)
            await stack.enter_async_context(background("lease", self._lease.renew, RENEW_SECONDS))
            await stack.enter_async_context(background("housekeeping", self._keep_house, settings.reconcile_seconds))
            await stack.enter_async_context(background("admission", self._admission.once, 0.0))
            await stack.enter_async_context(background("progress", self._collector.once, 0.0))
            credentials = server_credentials(settings)
            if settings.authentication and credentials is None and self._reached_by_others():
                _log.warning(
                    "tokens of callers travel in the clear unless something else encrypts: set tls_certificate and tls_key"
                )
            addresses = {}
            if self._http is not None:
                port = await self._http.start(settings.http_api, http_context(settings))
                stack.push_async_callback(self._http.stop)
                addresses["API"] = f"http{'' if credentials is None else 's'}://{_with_port(settings.http_api, port)}"
            # Last: whoever sees its port open may call by HTTP, too.
            port = await self._grpc.start(settings.listen, credentials)
            stack.push_async_callback(self._stop_serving)
            yield {"gRPC": _with_port(settings.listen, port), **addresses}

    def _reached_by_others(self) -> bool:
        addresses = (self._settings.listen, self._settings.http_api)
        return any(address and not is_loopback(split_address(address)[0]) for address in addresses)

    async def _stop_serving(self) -> None:
        """Close the watches before the server stops: they would last forever, while calls in progress are to be answered."""
        servers = [self._grpc.stop(_CALL_GRACE_SECONDS), *([self._http.stop()] if self._http is not None else [])]
        stopping = asyncio.gather(*servers)
        await asyncio.wait((stopping,), timeout=_WATCH_GRACE_SECONDS)
        self._feeds.close()
        await stopping
        await self._feeds.wait_closed()

    async def drain(self) -> None:
        """Make load balancers send new calls elsewhere."""
        await self._grpc.drain()
        if self._http is not None:
            self._http.drain()


def _with_port(address: str, port: int) -> str:
    return f"{address.rpartition(':')[0]}:{port}"


def _gate(settings: Settings, keys: KeyStore, nonces: NonceStore, metrics: Metrics) -> Gate:
    """Return what lets callers in: all of them if no way to show who they are is set."""
    if not settings.authentication:
        return Gate()
    limit = RateLimit(settings.caller_rate, settings.caller_burst)
    failed = FailedAttempts(lambda outcome: metrics.authentication_failure_total.labels(outcome).inc())
    return Gate(Authenticator(settings, keys, nonces.use).authenticate, limit, failed)


def _detail(record: TaskRecord) -> Mapping[str, Any]:
    """Return a task as JSON in the form of the API."""
    return vendor_json.dump(responses.task(Snapshot(record)))
