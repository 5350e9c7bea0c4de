"""The worker role: its parts and their lifetime."""

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import partial
from math import ceil
from typing import Protocol

import structlog
from temporalio.client import Client

from reelmill_server import __version__, descriptors, process_limit
from reelmill_server.app.background import background, polling
from reelmill_server.app.deletion_cost import deletion_cost_kept
from reelmill_server.engine.activities import WorkerActivities
from reelmill_server.engine.client import Engine
from reelmill_server.engine.notification import FileActivities
from reelmill_server.engine.shown_workers import ShowWorker
from reelmill_server.engine.workers import encode_worker, fast_worker, inspect_worker, presence_worker
from reelmill_server.model.capability import Limits, Sandbox
from reelmill_server.model.needs import FAST
from reelmill_server.model.task import Progress
from reelmill_server.model.units import SplitRule
from reelmill_server.model.worker_state import WorkerState
from reelmill_server.settings import Settings
from reelmill_server.settings.machine import visible_cpus
from reelmill_server.storage.build import build_scratch, build_storage
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission, Budget, FastQueueSlots, QueueSlots
from reelmill_server.worker.parent.attempt import Attempts
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.gauges import show
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.state import worker_state
from reelmill_server.worker.parent.waiting_child import Reserve
from reelmill_server.worker.parent.workspace import Scratch

_TRIAL_CHECK_SECONDS = 5.0
# Threads and decoders reserve some times what they use. Beyond that an allocation fails, which is sooner than any watch.
_ADDRESS_SPACES = 4
_TAKEN = 2  # tasks are taken off a queue for each place: those of a project that has its places already wait aside
_log = structlog.get_logger(__name__)


def _media_limits(settings: Settings) -> Limits:
    """Return the limits of one attempt."""
    return Limits(
        max_pixels=settings.max_pixels,
        max_streams=settings.max_streams,
        max_duration_seconds=settings.max_duration_seconds,
        max_output_frames=settings.max_output_frames,
        max_pictures=settings.max_pictures,
        max_memory_bytes=int(settings.child_memory_bytes),
        max_address_bytes=int(settings.child_memory_bytes) * _ADDRESS_SPACES,
        more_decoders=settings.decoder,
        # All cores for as long as an attempt may take: what needs more does not end.
        max_cpu_seconds=ceil(settings.task_timeout_seconds * visible_cpus()),
        max_file_bytes=int(settings.scratch_bytes),
        sandbox=settings.sandbox,
    )


def build_attempts(settings: Settings, scratch: Scratch, metrics: Metrics, reserve: Reserve | None = None) -> Attempts:
    """Return the runner of attempts on this machine."""
    limits = _media_limits(settings)
    bounds = Bounds(
        limits=limits,
        timeout_seconds=settings.task_timeout_seconds,
        stall_seconds=settings.stall_seconds,
        max_source_bytes=int(settings.max_source_bytes),
        encoder_order=tuple(settings.encoder_order),
        fast_core_seconds=settings.fast_core_seconds,
        admission_wait_seconds=settings.admission_wait_seconds,
        look_seconds=settings.look_seconds,
        look_memory_bytes=int(settings.look_memory_bytes),
        look_core_seconds=settings.look_core_seconds,
        previews=settings.previews == "yes",
        chunks=SplitRule(settings.chunk_seconds, least_seconds=settings.chunk_core_seconds),
    )
    capabilities = Capabilities(limits, settings.encoder_order, settings.encoder_sessions, settings.encoder_cooldown_seconds)
    budget = Budget(
        settings.worker_slots, settings.worker_cores, int(settings.worker_memory_bytes), int(settings.scratch_bytes)
    )
    admission = Admission(
        budget,
        capabilities.has_sessions,
        scratch.free_bytes,
        descriptors.free,
        bounds.look_memory_bytes,
        process_limit.free,
    )
    name = f"{socket.gethostname()}:{os.getpid()}"
    storage, shared = build_storage(settings, metrics, writes_here=True), build_scratch(settings, metrics)
    return Attempts(
        name,
        storage=storage,
        scratch=scratch,
        capabilities=capabilities,
        admission=admission,
        bounds=bounds,
        metrics=metrics,
        shared=shared,
        fast_slots=settings.fast_slots,
        inspect_slots=settings.inspect_slots,
        reserve=reserve,
    )


class Plane(Protocol):
    """The api role in the same process."""

    def advanced(self, task_id: str, progress: Progress) -> None:
        """Show watchers the progress of a task."""

    def take_worker(self, name: str, state: Callable[[], WorkerState]) -> None:
        """Learn of this worker, and how to ask what it does."""


@asynccontextmanager
async def working(settings: Settings, client: Client, metrics: Metrics, plane: Plane | None = None) -> AsyncIterator[None]:
    """Work for the duration of the block; then running attempts get the drain time, and are returned to their queues."""
    async with AsyncExitStack() as stack:
        scratch = Scratch(settings.data_dir / "scratch", int(settings.scratch_bytes), int(settings.source_cache_bytes))
        stack.callback(scratch.close)
        reserve = Reserve()
        stack.push_async_callback(reserve.close)
        attempts = build_attempts(settings, scratch, metrics, reserve)
        await attempts.capabilities.discover()
        reserve.fill()
        _log_sandbox(attempts.capabilities.sandbox)
        families = [family for family in settings.encoder_order if family in settings.lane]
        lanes = [*([FAST] if FAST in settings.lane else []), *families]
        show(metrics, attempts.admission, attempts.capabilities, lanes)
        activities = WorkerActivities(attempts, Engine(client), metrics, plane.advanced if plane else None)
        await stack.enter_async_context(background("encoders", attempts.capabilities.retry_lost, _TRIAL_CHECK_SECONDS))
        files = FileActivities(build_storage(settings, metrics))
        workers = [inspect_worker(client, activities, files, settings.inspect_slots * _TAKEN)]
        if FAST in lanes:
            fast = FastQueueSlots(attempts.admission, settings.fast_slots * _TAKEN)
            workers.append(fast_worker(client, activities, fast, settings.drain_seconds))
        for family in families:
            slots = QueueSlots(attempts.admission, family)
            workers.append(encode_worker(client, activities, family, slots, settings.drain_seconds))
        draining = asyncio.Event()
        await stack.enter_async_context(_shown(client, attempts, activities, lanes, draining, plane))
        await stack.enter_async_context(deletion_cost_kept(settings.pod_name, activities.running))
        await stack.enter_async_context(polling(workers))
        stack.callback(draining.set)
        for family in families:  # entered last, left first: no presence is shown while the worker drains
            show_presence = partial(_show_presence, client, family, attempts.capabilities)
            await stack.enter_async_context(background("presence", show_presence, _TRIAL_CHECK_SECONDS))
        yield


@asynccontextmanager
async def _shown(
    client: Client,
    attempts: Attempts,
    activities: WorkerActivities,
    lanes: Sequence[str],
    draining: asyncio.Event,
    plane: Plane | None,
) -> AsyncIterator[None]:
    """Show replicas this worker, and what it does, during the block."""
    started_us, name = time.time_ns() // 1000, attempts.describe().worker

    def state() -> WorkerState:
        running = activities.running()
        known = worker_state(__version__, started_us, lanes, running, attempts.admission, attempts.capabilities)
        return replace(known, draining=draining.is_set())

    if plane is not None:
        plane.take_worker(name, state)
    shown = ShowWorker(client, name, lambda: (attempts.describe(), state()))
    async with polling([shown.worker()]), background("shown", shown.once, _TRIAL_CHECK_SECONDS):
        yield


def _log_sandbox(sandbox: Sandbox) -> None:
    """Log how children are confined, and what the kernel lacks for it."""
    log = _log.warning if sandbox.lacks or sandbox.mode == "off" else _log.info
    log("sandbox", mode=sandbox.mode, walls=sandbox.walls, lacks=sandbox.lacks)


async def _show_presence(client: Client, family: str, capabilities: Capabilities) -> None:
    """Show the engine that encoders of `family` work here, for as long as they do."""
    if capabilities.has_sessions(family, 0):
        async with presence_worker(client, family):
            while capabilities.has_sessions(family, 0):
                await asyncio.sleep(_TRIAL_CHECK_SECONDS)
