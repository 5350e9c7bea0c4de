"""All metrics of the server; no other module names them. docs/operating.md explains each."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import generate_latest

RPC_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Calls: from reading one row to probing remote media."""

WAIT_SECONDS = (0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Waiting for a worker: from an idle one to a backlog of hours."""

STAGE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
"""Stages of an attempt: from a probe to the encode of a feature film."""

ADMISSION_SECONDS = (0.05, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Waiting on a worker for cores and memory: at most `admission_wait_seconds`."""

MEMORY_BYTES = tuple(float(1 << power) for power in range(26, 36))
"""Memory of a child: from 64 MiB to 32 GiB."""

SPEED_RATIOS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Media seconds per second of work: 1 is real time."""

disable_created_metrics()  # type: ignore[no-untyped-call]  # a time beside each counter, which nobody reads
M = TypeVar("M", Counter, Gauge, Histogram)


class _Metric(Generic[M]):
    """The definition of a metric; each Metrics has one of its own under the attribute's name."""

    def __init__(self, create: Callable[[CollectorRegistry], M]) -> None:
        self.create: Callable[[CollectorRegistry], M] = create
        self._attribute = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._attribute = name

    def __get__(self, instance: "Metrics", owner: type) -> M:
        metric: M = instance.created[self._attribute]
        return metric


def _gauge(name: str, help_text: str, *labels: str) -> _Metric[Gauge]:
    return _Metric(lambda registry: Gauge(name, help_text, labels, registry=registry))


def _counter(name: str, help_text: str, *labels: str) -> _Metric[Counter]:
    return _Metric(lambda registry: Counter(name, help_text, labels, registry=registry))


def _histogram(name: str, help_text: str, buckets: Sequence[float], *labels: str) -> _Metric[Histogram]:
    return _Metric(lambda registry: Histogram(name, help_text, labels, buckets=buckets, registry=registry))


class Metrics:
    """The metrics in their own registry, so that servers or tests in one process do not share them.

    Label values come from closed sets (statuses, codes, encoders, methods): never a task or a URI. Only one gauge names
    projects, and its caller limits their number.
    """

    # Every process.
    build_info = _gauge(
        "reelmill_build_info", "Always 1: the version, the role and Python of a process.", "version", "role", "python"
    )
    ready = _gauge("reelmill_ready", "Whether a part that a process needs answers: 1, else 0. As /readyz says.", "check")
    draining_seconds = _gauge("reelmill_draining_seconds", "Time since a process was asked to stop; 0: it was not.")
    drain_limit_seconds = _gauge("reelmill_drain_limit_seconds", "Time that running attempts and calls are given then.")
    log_dropped_total = _counter(
        "reelmill_log_dropped", "Lines of the log that were dropped, because what reads standard error was slower."
    )

    tasks = _gauge("reelmill_tasks", "Tasks on record, by status.", "status")
    tasks_stalled = _gauge("reelmill_tasks_stalled", "Running tasks whose workflow fails whenever it is run.")
    task_total = _counter(
        "reelmill_task",
        "Tasks that ended, by final status and error code (empty on success).",
        "status",
        "code",
    )
    failed_attempt_total = _counter(
        "reelmill_failed_attempt",
        "Failed attempts of tasks that ended, by error code: those of workers that were lost (WorkerLost) or stopped "
        "(WorkerDraining), too, which cannot count them.",
        "code",
    )
    task_queue_wait_seconds = _histogram(
        "reelmill_task_queue_wait_seconds",
        "Time from the creation of a task to its first attempt.",
        WAIT_SECONDS,
    )
    task_start_seconds = _histogram(
        "reelmill_task_start_seconds",
        "The same from when the task may start: without the time that it waited for its project's quota.",
        WAIT_SECONDS,
    )
    attempts_running = _gauge("reelmill_attempts_running", "Attempts running on this worker.")
    attempt_total = _counter(
        "reelmill_attempt",
        "Attempts that ended on this worker, by queue, part (whole, unit, join) and outcome: Succeeded, Deferred (the fast "
        "queue found that the task is not small) or an error code.",
        "lane",
        "part",
        "outcome",
    )
    attempt_seconds = _histogram(
        "reelmill_attempt_seconds",
        "Duration of attempts that ended on this worker, by queue and part (whole, unit, join), including the wait for cores "
        "and memory.",
        STAGE_SECONDS,
        "lane",
        "part",
    )
    stage_seconds = _histogram(
        "reelmill_stage_seconds",
        "Time an attempt spent in a stage: open, probe, plan, convert, verify, publish.",
        STAGE_SECONDS,
        "stage",
    )
    source_bytes_total = _counter("reelmill_source_bytes_total", "Bytes of sources read from remote storage.")
    encode_speed_ratio = _histogram(
        "reelmill_encode_speed_ratio",
        "Media seconds encoded per second of work; 1 is real time.",
        SPEED_RATIOS,
        "codec",
        "encoder",
    )
    encoder_fallback_total = _counter(
        "reelmill_encoder_fallback",
        "Times one encoder replaced another, by kind of reason: failed, refused (what a task asks), or sessions (none free).",
        "from",
        "to",
        "reason",
    )
    child_exit_total = _counter(
        "reelmill_child_exit",
        "Child processes that ended, by reason: done, failed, crashed, stalled, …",
        "reason",
    )
    notification_total = _counter(
        "reelmill_notification",
        "Attempts to deliver a notification that ended, by channel and outcome: Delivered, Retried or Failed.",
        "channel",
        "outcome",
    )
    rpc_total = _counter("reelmill_rpc", "gRPC calls that ended, by method and status code.", "method", "code")
    rpc_seconds = _histogram(
        "reelmill_rpc_seconds",
        "Duration of gRPC calls; for streams, until they ended.",
        RPC_SECONDS,
        "method",
    )
    authentication_failure_total = _counter(
        "reelmill_authentication_failure",
        "Calls without valid credentials, by outcome: refused, or throttled because there were too many.",
        "outcome",
    )
    watchers = _gauge("reelmill_watchers", "Callers watching tasks on this replica.")
    engine_restart_total = _counter("reelmill_engine_restart", "Restarts of the embedded engine.")

    # Queues. All api replicas report the same values: use the maximum, never the sum.
    queue_tasks = _gauge(
        "reelmill_queue_tasks",
        "Approximate number of tasks in a queue of the engine that no worker has started; the same on all replicas.",
        "queue",
    )
    queue_age_seconds = _gauge(
        "reelmill_queue_age_seconds",
        "Approximate wait of the oldest task in a queue; the same on all replicas.",
        "queue",
    )
    project_tasks = _gauge(
        "reelmill_project_tasks",
        "Unfinished tasks of the projects with the most of them, and of all others together, (others), by state: Admitted, "
        "or Waiting because of a quota; the same on all replicas.",
        "project",
        "state",
    )
    quota_refusal_total = _counter("reelmill_quota_refusal", "Tasks refused because their project has too many.")
    notification_oldest_seconds = _gauge(
        "reelmill_notification_oldest_seconds",
        "Age of the oldest due notification that is not delivered; the same on all replicas.",
    )

    # Resources of a worker, updated when they are read.
    worker_lane = _gauge(
        "reelmill_worker_lane",
        "Queues that this worker is to serve: 1, or 0 while it cannot because none of their encoders works.",
        "lane",
    )
    worker_slots = _gauge("reelmill_worker_slots", "Attempts that may run at once on this worker.")
    worker_slots_used = _gauge("reelmill_worker_slots_used", "Attempts that hold cores and memory of this worker.")
    worker_cores = _gauge("reelmill_worker_cores", "Cores that attempts may use on this worker.")
    worker_cores_used = _gauge("reelmill_worker_cores_used", "Estimated cores that attempts hold on this worker.")
    worker_memory_bytes = _gauge("reelmill_worker_memory_bytes", "Memory that attempts may use on this worker; 0: unlimited.")
    worker_memory_used_bytes = _gauge(
        "reelmill_worker_memory_used_bytes",
        "Estimated memory that attempts hold on this worker.",
    )
    scratch_free_bytes = _gauge("reelmill_scratch_free_bytes", "Free bytes on the disk of this worker's scratch directory.")
    admission_waiting = _gauge("reelmill_admission_waiting", "Tasks on this worker that wait for its cores, memory and disk.")
    admission_seconds = _histogram(
        "reelmill_admission_seconds",
        "Time that tasks on this worker waited for its cores and memory, by queue.",
        ADMISSION_SECONDS,
        "lane",
    )
    admission_busy_total = _counter(
        "reelmill_admission_busy",
        "Tasks returned to the queue because cores, memory or disk did not become free in time, by queue.",
        "lane",
    )
    encoder_sessions = _gauge("reelmill_encoder_sessions", "Encodes running on this worker, by encoder family.", "family")
    encoder_max_sessions = _gauge(
        "reelmill_encoder_max_sessions",
        "Encodes that a family may run at once on this worker, as set or as its card was found to take; 0: any number.",
        "family",
    )
    encoder_works = _gauge(
        "reelmill_encoder_works",
        "Whether an encoder works on this worker: 1, or 0 if it never did, or failed and has not passed a trial since.",
        "encoder",
        "family",
    )

    # Child processes.
    child_cpu_seconds_total = _counter(
        "reelmill_child_cpu_seconds",
        "CPU time of successful child processes, by queue and part (whole, unit, join).",
        "lane",
        "part",
    )
    child_memory_bytes = _histogram(
        "reelmill_child_memory_bytes",
        "Peak resident memory of successful child processes, by part (whole, unit, join).",
        MEMORY_BYTES,
        "part",
    )
    estimated_core_seconds_total = _counter(
        "reelmill_estimated_core_seconds",
        "Estimated CPU time of a single pass, for tasks that succeeded outside the fast queue: whole, or when their chunks "
        "were joined.",
        "part",
    )

    # Storage.
    storage_bytes_total = _counter(
        "reelmill_storage_bytes",
        "Bytes read from and written to storage, by scheme and direction (read, written). Reading local files is not counted.",
        "scheme",
        "direction",
    )
    storage_error_total = _counter(
        "reelmill_storage_error",
        "Storage operations that failed after all retries, by scheme, operation (open, read, stage, place, list, withdraw, "
        "erase) and error code.",
        "scheme",
        "operation",
        "code",
    )
    source_block_total = _counter(
        "reelmill_source_block",
        "Blocks of remote sources that child processes requested: Hit if read before, else Miss.",
        "result",
    )

    def __init__(self) -> None:
        """Create all metrics, at zero."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)
        definitions = {name: value for name, value in vars(type(self)).items() if isinstance(value, _Metric)}
        self.created: dict[str, Any] = {name: definition.create(registry) for name, definition in definitions.items()}

    def show_projects(self, counts: Mapping[str, tuple[int, int]], limit: int) -> None:
        """Set the gauge of unfinished tasks, admitted and waiting, for the `limit` projects with the most and for the rest as
        one."""
        names = sorted(counts, key=lambda name: (-sum(counts[name]), name))
        counts_by_label = {name: counts[name] for name in names[:limit]}
        rest = [counts[name] for name in names[limit:]]
        counts_by_label["(others)"] = sum(admitted for admitted, _ in rest), sum(waiting for _, waiting in rest)
        self.project_tasks.clear()
        for name, (admitted, waiting) in counts_by_label.items():
            self.project_tasks.labels(name, "Admitted").set(admitted)
            self.project_tasks.labels(name, "Waiting").set(waiting)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
