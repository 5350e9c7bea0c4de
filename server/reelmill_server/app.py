"""The composition root: the only module that knows which adapter stands behind which part."""

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import structlog
from temporalio.client import Client
from temporalio.service import TLSConfig
from temporalio.worker import Worker

from reelmill import vendor_json
from reelmill_server.api import replies
from reelmill_server.api.media_convert import MediaConvertService, TaskDefaults
from reelmill_server.api.notifications import NotificationService
from reelmill_server.api.projects import ProjectService
from reelmill_server.api.server import GrpcServer
from reelmill_server.engine.activities import ControlActivities, WorkerActivities
from reelmill_server.engine.client import Engine, connect
from reelmill_server.engine.embedded import EmbeddedEngine
from reelmill_server.engine.notifying import FileActivities, NotifyActivities
from reelmill_server.engine.queues import backlogs
from reelmill_server.engine.work import load_work
from reelmill_server.engine.workers import (
    control_worker,
    encode_worker,
    fast_worker,
    inspect_worker,
    notify_worker,
    presence_worker,
)
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.capability import Limits
from reelmill_server.model.project import Quotas
from reelmill_server.model.task import Outcome, TaskRecord, TaskStatus
from reelmill_server.model.units import SplitRule
from reelmill_server.notify.message import Origin
from reelmill_server.notify.registry import Channels
from reelmill_server.settings import Settings
from reelmill_server.storage.build import build_scratch, build_storage
from reelmill_server.tasks.courier import Courier
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.feed import Feeds, Snapshot
from reelmill_server.tasks.migrate import check_current, upgrade
from reelmill_server.tasks.notifications import NotificationStore
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.reconcile import Reconciler
from reelmill_server.tasks.store import TaskStore
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.http import TelemetryServer
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import child
from reelmill_server.worker.abilities import Abilities
from reelmill_server.worker.admission import Admission, Budget, Door, FastDoor
from reelmill_server.worker.attempt import Attempts
from reelmill_server.worker.gauges import show
from reelmill_server.worker.watch import Bounds
from reelmill_server.worker.workspace import Scratch

DEFAULT_PROJECT = "default"
_CALL_GRACE_SECONDS = 10.0  # a call may wait for the database and the engine
_WATCH_GRACE_SECONDS = 2.0  # what ends with the drain is still told
_CONNECT_SECONDS = 30.0  # a role may begin a little before the engine does
_COUNT_SECONDS = 5.0
_ENGINE_CHECK_SECONDS = 1.0
_TRIAL_CHECK_SECONDS = 5.0
_log = structlog.get_logger(__name__)
Check = Callable[[], Awaitable[object]]


def media_limits(settings: Settings) -> Limits:
    """The limits of one attempt."""
    return Limits(
        max_pixels=settings.max_pixels,
        max_streams=settings.max_streams,
        max_duration_seconds=settings.max_duration_seconds,
        max_output_frames=settings.max_output_frames,
        max_pictures=settings.max_pictures,
        max_memory_bytes=int(settings.child_memory_bytes),
    )


async def _forever(name: str, step: Callable[[], Awaitable[None]], pause_seconds: float) -> None:
    """Does `step` again and again; one that fails is logged, and the next one comes all the same."""
    while True:
        try:
            await step()
        except Exception as error:
            _log.warning("background work failed", work=name, reason=f"{type(error).__name__}: {error}")
        await asyncio.sleep(pause_seconds)


@asynccontextmanager
async def _background(name: str, step: Callable[[], Awaitable[None]], pause_seconds: float) -> AsyncIterator[None]:
    """Does `step` again and again beside the block."""
    task = asyncio.create_task(_forever(name, step, pause_seconds))
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def _connect(settings: Settings, address: str) -> Client:
    tls: TLSConfig | None = None
    if settings.temporal_tls:
        files = (settings.temporal_tls_roots, settings.temporal_tls_certificate, settings.temporal_tls_key)
        roots, certificate, key = (file.read_bytes() if file else None for file in files)
        tls = TLSConfig(server_root_ca_cert=roots, client_cert=certificate, client_private_key=key)
    return await connect(
        address, settings.temporal_namespace, settings.temporal_api_key.get_secret_value(), tls, _CONNECT_SECONDS
    )


@asynccontextmanager
async def _engine_address(settings: Settings, metrics: Metrics) -> AsyncIterator[str]:
    """The address of the engine: the configured one, or that of an embedded server that lives as long as the block."""
    if settings.temporal_address:
        yield settings.temporal_address
        return
    engine = EmbeddedEngine(
        settings.data_dir,
        settings.temporal_binary,
        settings.temporal_namespace,
        settings.retention_hours,
        on_restart=metrics.engine_restart_total.inc,
    )
    try:
        await engine.start()
        async with _background("engine", engine.check, _ENGINE_CHECK_SECONDS):
            yield engine.address
    finally:
        await engine.stop()


class ControlPlane:
    """The api role: records, workflows, RPCs."""

    def __init__(self, settings: Settings, client: Client, metrics: Metrics) -> None:
        self._settings, self._client, self._metrics = settings, client, metrics
        self._database = Database(settings.resolved_database_url())
        retention = timedelta(hours=settings.retention_hours)
        quotas = Quotas(settings.project_concurrency, settings.project_queue, 1.0)
        self._tasks = TaskStore(self._database, retention, quotas)
        self._projects = ProjectStore(self._database, settings.max_projects)
        self._engine = engine = Engine(client)
        self._feeds = Feeds(self._tasks, engine.view, settings.watch_poll_seconds)
        self._channels = Channels(settings)
        notifications = NotificationStore(self._database)
        self._notifications = notifications
        self._courier = Courier(
            self._tasks,
            notifications,
            self._channels,
            engine.wake,
            _detail,
            lambda record: load_work(record.work_json).request.credentials,
            Origin(settings.notify_region, settings.notify_account),
            timedelta(hours=settings.notify_retry_hours),
            metrics,
        )
        service = MediaConvertService(
            self._tasks,
            self._projects,
            engine,
            self._feeds,
            build_storage(settings, metrics),
            self._channels,
            TaskDefaults(
                settings.max_attempts,
                settings.task_timeout_seconds,
                settings.heartbeat_timeout_seconds,
                settings.accelerator_wait_seconds,
            ),
            self._settle,
            metrics,
        )
        self._admit = service.admit
        self._reconciler = Reconciler(
            self._tasks, service.start, engine.view, engine.cancel, self._settle, self._admit, retention
        )
        self._grpc = GrpcServer(
            service,
            ProjectService(self._projects, self._tasks, quotas, self._admit),
            NotificationService(notifications, self._projects, self._courier.told),
            metrics,
        )

    async def _settle(self, task_id: str, outcome: Outcome) -> None:
        """Writes a task's outcome, and has it told; the first one wins."""
        if await self._tasks.finish(task_id, outcome, datetime.now(UTC)):
            self._metrics.task_total.labels(outcome.status, outcome.code).inc()
            _log.info("task ended", task_id=task_id, status=outcome.status, code=outcome.code)
            record = await self._tasks.find(task_id)
            if record is not None:
                await self._admit(record.project_name)
        self._feeds.nudge(task_id)
        await self._courier.told(task_id)

    async def _count_tasks(self) -> None:
        counts = await self._tasks.counts()
        for status in TaskStatus:
            self._metrics.tasks.labels(status).set(counts.get(status, 0))
        self._metrics.show_projects(await self._tasks.counts_by_project(), self._settings.metrics_projects)
        since = await self._notifications.oldest_pending()
        age = (datetime.now(UTC) - since).total_seconds() if since else 0.0
        self._metrics.notification_oldest_seconds.set(max(0.0, age))

    async def _measure_queues(self) -> None:
        """Shows what waits in the engine; nothing while the engine does not say."""
        try:
            found = await backlogs(self._client)
        except ServiceUnavailable:
            self._metrics.queue_tasks.clear()
            self._metrics.queue_age_seconds.clear()
            raise
        for queue, backlog in found.items():
            self._metrics.queue_tasks.labels(queue).set(backlog.tasks)
            self._metrics.queue_age_seconds.labels(queue).set(backlog.age_seconds)

    def checks(self) -> dict[str, Check]:
        """What must be well for this role to be ready."""
        return {"database": lambda: check_current(self._database)}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[int]:
        """Serves as long as the block lasts; gives the port of gRPC. Raises ServiceUnavailable for an old database."""
        settings = self._settings
        await check_current(self._database)
        await self._projects.ensure(DEFAULT_PROJECT)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._database.close)
            stack.push_async_callback(self._channels.close)
            notify = NotifyActivities(self._courier)
            control = ControlActivities(self._settle, self._engine.present)
            workers = [control_worker(self._client, control, notify), notify_worker(self._client, notify)]
            await stack.enter_async_context(_polling(workers))
            await stack.enter_async_context(_background("reconcile", self._reconciler.once, settings.reconcile_seconds))
            await stack.enter_async_context(_background("notify", self._courier.mend, settings.reconcile_seconds))
            await stack.enter_async_context(_background("count", self._count_tasks, _COUNT_SECONDS))
            await stack.enter_async_context(_background("queues", self._measure_queues, _COUNT_SECONDS))
            port = await self._grpc.start(settings.listen, settings.tls_certificate, settings.tls_key)
            stack.push_async_callback(self._stop_serving)
            yield port

    async def _stop_serving(self) -> None:
        """Ends watches before calls: they would last for ever, and a call that was begun is to be answered."""
        stopping = asyncio.create_task(self._grpc.stop(_CALL_GRACE_SECONDS))
        await asyncio.wait((stopping,), timeout=_WATCH_GRACE_SECONDS)
        self._feeds.close()
        await stopping

    async def drain(self) -> None:
        """Sends new callers elsewhere."""
        await self._grpc.drain()


def _detail(record: TaskRecord) -> Mapping[str, Any]:
    """A task as JSON, as the API gives it."""
    return vendor_json.dump(replies.task(Snapshot(record)))


def build_attempts(settings: Settings, scratch: Scratch, metrics: Metrics) -> Attempts:
    """What runs attempts on this machine."""
    limits = media_limits(settings)
    bounds = Bounds(
        limits,
        settings.task_timeout_seconds,
        settings.stall_seconds,
        int(settings.max_source_bytes),
        tuple(settings.encoder_order),
        settings.fast_core_seconds,
        settings.admission_wait_seconds,
        SplitRule(settings.chunk_seconds, least_seconds=settings.chunk_core_seconds),
    )
    abilities = Abilities(limits, settings.encoder_order, settings.encoder_sessions, settings.encoder_cooldown_seconds)
    budget = Budget(
        settings.worker_slots, settings.worker_cores, int(settings.worker_memory_bytes), int(settings.scratch_bytes)
    )
    admission = Admission(budget, abilities.has_sessions, scratch.free_bytes)
    name = f"{socket.gethostname()}:{os.getpid()}"
    storage, shared = build_storage(settings, metrics), build_scratch(settings, metrics)
    return Attempts(name, storage, scratch, abilities, admission, bounds, metrics, shared)


@asynccontextmanager
async def _working(settings: Settings, client: Client, metrics: Metrics) -> AsyncIterator[None]:
    """Works as long as the block lasts; at its end running attempts are given the drain time, then handed back."""
    async with AsyncExitStack() as stack:
        scratch = Scratch(settings.data_dir / "scratch", int(settings.scratch_bytes), int(settings.source_cache_bytes))
        stack.callback(scratch.close)
        attempts = build_attempts(settings, scratch, metrics)
        await attempts.abilities.discover()
        show(metrics, attempts.admission, attempts.abilities)
        activities = WorkerActivities(attempts, Engine(client), metrics)
        await stack.enter_async_context(_background("encoders", attempts.abilities.try_again, _TRIAL_CHECK_SECONDS))
        files = FileActivities(build_storage(settings, metrics))
        workers = [inspect_worker(client, activities, files, settings.inspect_slots)]
        if "fast" in settings.lane:
            fast = FastDoor(attempts.admission, settings.fast_slots)
            workers.append(fast_worker(client, activities, fast, settings.drain_seconds))
        families = [family for family in settings.encoder_order if family in settings.lane]
        for family in families:
            door = Door(attempts.admission, family)
            workers.append(encode_worker(client, activities, family, door, settings.drain_seconds))
        await stack.enter_async_context(_polling(workers))
        for family in families:  # entered last, left first: nothing is shown while the worker drains
            show_presence = partial(_show_presence, client, family, attempts.abilities)
            await stack.enter_async_context(_background("presence", show_presence, _TRIAL_CHECK_SECONDS))
        yield


@asynccontextmanager
async def _polling(workers: Sequence[Worker]) -> AsyncIterator[None]:
    """All workers poll as long as the block lasts; then they stop together: each would wait for the drain alone.

    Raises ServiceUnavailable when the engine does not let one of them, and ends the block: whoever looks after the process is
    to start it again.
    """
    block, failures = asyncio.current_task(), list[Exception]()

    async def poll(worker: Worker) -> None:
        try:
            await worker.run()
        except Exception as error:
            if block is not None and not failures:
                block.cancel()
            failures.append(error)

    polling = [asyncio.create_task(poll(worker)) for worker in workers]
    try:
        yield
    except asyncio.CancelledError:
        if not failures:
            raise
        raise ServiceUnavailable(f"the engine does not let this process work: {failures[0]}") from failures[0]
    finally:
        block = None
        await asyncio.gather(*(worker.shutdown() for worker in workers))
        await asyncio.gather(*polling)


async def _show_presence(client: Client, family: str, abilities: Abilities) -> None:
    """Shows that encoders of `family` work here as long as they do."""
    if abilities.has_sessions(family, 0):
        async with presence_worker(client, family):
            while abilities.has_sessions(family, 0):
                await asyncio.sleep(_TRIAL_CHECK_SECONDS)


async def _engine_answers(client: Client) -> None:
    if not await client.service_client.check_health(timeout=timedelta(seconds=2)):
        raise ConnectionError("the engine does not serve")


async def _until_stopped() -> None:
    """Waits for SIGTERM or SIGINT; a second one ends the process at once."""
    stopped = asyncio.Event()

    def stop() -> None:
        if stopped.is_set():
            os._exit(130)
        stopped.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    await stopped.wait()


async def run(settings: Settings, *, control: bool, work: bool) -> None:
    """Plays the api role, the worker role, or both with an embedded engine, until the process is told to stop."""
    metrics = Metrics()
    if control and not settings.temporal_address and not settings.scratch_uri:
        settings = settings.model_copy(update={"scratch_uri": (settings.data_dir / "shared").as_uri()})
    if work:
        child.preload()  # first of all, while nothing else reads the environment
    async with AsyncExitStack() as stack:
        tracing.start(settings.otel_endpoint, {(True, True): "serve", (True, False): "api"}.get((control, work), "worker"))
        stack.push_async_callback(asyncio.to_thread, tracing.stop)
        address = await stack.enter_async_context(_engine_address(settings, metrics))
        client = await _connect(settings, address)
        checks: dict[str, Check] = {"engine": lambda: _engine_answers(client)}
        plane: ControlPlane | None = None
        words = [f"engine {address}"]
        if control:
            if not settings.temporal_address:
                await upgrade(settings.resolved_database_url())
            plane = ControlPlane(settings, client, metrics)
            checks |= plane.checks()
        http = TelemetryServer(metrics, checks)
        stack.push_async_callback(http.stop)
        if plane is not None:
            port = await stack.enter_async_context(plane.running())
            words.insert(0, f"gRPC {settings.listen.rpartition(':')[0]}:{port}")
        if work:
            await stack.enter_async_context(_working(settings, client, metrics))
            words.append(f"{settings.worker_slots} slots")
        if settings.http:
            http_port = await http.start(settings.http)
            words.insert(1, f"http {settings.http.rpartition(':')[0]}:{http_port}")
        print(f"reelmill-server is ready: {', '.join(words)}", flush=True)
        await _until_stopped()
        _log.info("stopping", drain_seconds=settings.drain_seconds)
        if plane is not None:
            await plane.drain()
