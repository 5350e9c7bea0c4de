"""All metrics of the server; no other module names them. docs/operating.md explains each."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector
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


class Metrics:
    """The metrics in their own registry, so that servers or tests in one process do not share them.

    Label values come from closed sets (statuses, codes, encoders, methods): never a task or a URI. Only one gauge names
    projects, and its caller limits their number.
    """

    def __init__(self) -> None:
        """Create all metrics, at zero."""
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        PlatformCollector(registry=registry)
        GCCollector(registry=registry)

        self.tasks = Gauge("reelmill_tasks", "Tasks on record, by status.", ["status"], registry=registry)
        self.task_total = Counter(
            "reelmill_task",
            "Tasks that ended, by final status and error code (empty on success).",
            ["status", "code"],
            registry=registry,
        )
        self.task_queue_wait_seconds = Histogram(
            "reelmill_task_queue_wait_seconds",
            "Time from the creation of a task to its first attempt.",
            buckets=WAIT_SECONDS,
            registry=registry,
        )
        self.attempts_running = Gauge("reelmill_attempts_running", "Attempts running on this worker.", registry=registry)
        self.attempt_total = Counter(
            "reelmill_attempt",
            "Attempts that ended on this worker, by queue, part (whole, unit, join) and outcome: Succeeded, Deferred (the fast"
            " queue found that the task is not small) or an error code.",
            ["lane", "part", "outcome"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "reelmill_attempt_seconds",
            "Duration of attempts that ended on this worker, by queue and part (whole, unit, join), including the wait for"
            " cores and memory.",
            ["lane", "part"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.stage_seconds = Histogram(
            "reelmill_stage_seconds",
            "Time an attempt spent in a stage: open, probe, plan, convert, verify, publish.",
            ["stage"],
            buckets=STAGE_SECONDS,
            registry=registry,
        )
        self.source_bytes_total = Counter(
            "reelmill_source_bytes_total",
            "Bytes of sources read from remote storage.",
            registry=registry,
        )
        self.encode_speed_ratio = Histogram(
            "reelmill_encode_speed_ratio",
            "Media seconds encoded per second of work; 1 is real time.",
            ["codec", "encoder"],
            buckets=SPEED_RATIOS,
            registry=registry,
        )
        self.encoder_fallback_total = Counter(
            "reelmill_encoder_fallback",
            "Times one encoder replaced another, by kind of reason.",
            ["from", "to", "reason"],
            registry=registry,
        )
        self.child_exit_total = Counter(
            "reelmill_child_exit",
            "Child processes that ended, by reason: done, failed, crashed, stalled, …",
            ["reason"],
            registry=registry,
        )
        self.notification_total = Counter(
            "reelmill_notification",
            "Attempts to deliver a notification that ended, by channel and outcome: Delivered, Retried or Failed.",
            ["channel", "outcome"],
            registry=registry,
        )
        self.rpc_total = Counter(
            "reelmill_rpc", "gRPC calls that ended, by method and status code.", ["method", "code"], registry=registry
        )
        self.rpc_seconds = Histogram(
            "reelmill_rpc_seconds",
            "Duration of gRPC calls; for streams, until they ended.",
            ["method"],
            buckets=RPC_SECONDS,
            registry=registry,
        )
        self.watchers = Gauge("reelmill_watchers", "Callers watching tasks on this replica.", registry=registry)
        self.engine_restart_total = Counter("reelmill_engine_restart", "Restarts of the embedded engine.", registry=registry)
        self._create_queues(registry)
        self._create_worker(registry)
        self._create_children(registry)
        self._create_storage(registry)

    def _create_queues(self, registry: CollectorRegistry) -> None:
        """Create the metrics of queues. All api replicas report the same values: use the maximum, never the sum."""
        self.queue_tasks = Gauge(
            "reelmill_queue_tasks",
            "Approximate number of tasks in a queue of the engine that no worker has started; the same on all replicas.",
            ["queue"],
            registry=registry,
        )
        self.queue_age_seconds = Gauge(
            "reelmill_queue_age_seconds",
            "Approximate wait of the oldest task in a queue; the same on all replicas.",
            ["queue"],
            registry=registry,
        )
        self.project_tasks = Gauge(
            "reelmill_project_tasks",
            "Unfinished tasks of the projects with the most of them, and of all others together, (others), by state:"
            " Admitted, or Waiting because of a quota; the same on all replicas.",
            ["project", "state"],
            registry=registry,
        )
        self.quota_refusal_total = Counter(
            "reelmill_quota_refusal", "Tasks refused because their project has too many.", registry=registry
        )
        self.notification_oldest_seconds = Gauge(
            "reelmill_notification_oldest_seconds",
            "Age of the oldest due notification that is not delivered; the same on all replicas.",
            registry=registry,
        )

    def _create_worker(self, registry: CollectorRegistry) -> None:
        """Create the metrics of what a worker may use and uses, updated when they are read."""
        self.worker_slots = Gauge("reelmill_worker_slots", "Attempts that may run at once on this worker.", registry=registry)
        self.worker_slots_used = Gauge(
            "reelmill_worker_slots_used", "Attempts that hold cores and memory of this worker.", registry=registry
        )
        self.worker_cores = Gauge("reelmill_worker_cores", "Cores that attempts may use on this worker.", registry=registry)
        self.worker_cores_used = Gauge(
            "reelmill_worker_cores_used", "Estimated cores that attempts hold on this worker.", registry=registry
        )
        self.worker_memory_bytes = Gauge(
            "reelmill_worker_memory_bytes", "Memory that attempts may use on this worker; 0: unlimited.", registry=registry
        )
        self.worker_memory_used_bytes = Gauge(
            "reelmill_worker_memory_used_bytes", "Estimated memory that attempts hold on this worker.", registry=registry
        )
        self.scratch_free_bytes = Gauge(
            "reelmill_scratch_free_bytes", "Free bytes on the disk of this worker's scratch directory.", registry=registry
        )
        self.admission_waiting = Gauge(
            "reelmill_admission_waiting",
            "Tasks on this worker that wait for its cores, memory and disk.",
            registry=registry,
        )
        self.admission_seconds = Histogram(
            "reelmill_admission_seconds",
            "Time that tasks on this worker waited for its cores and memory, by queue.",
            ["lane"],
            buckets=ADMISSION_SECONDS,
            registry=registry,
        )
        self.admission_busy_total = Counter(
            "reelmill_admission_busy",
            "Tasks returned to the queue because cores, memory or disk did not become free in time, by queue.",
            ["lane"],
            registry=registry,
        )
        self.encoder_sessions = Gauge(
            "reelmill_encoder_sessions",
            "Encodes running on this worker, by encoder family.",
            ["family"],
            registry=registry,
        )
        self.encoder_works = Gauge(
            "reelmill_encoder_works",
            "Whether an encoder works on this worker: 1, or 0 if it never did, or failed and has not passed a trial since.",
            ["encoder", "family"],
            registry=registry,
        )

    def _create_children(self, registry: CollectorRegistry) -> None:
        """Create the metrics of child processes."""
        self.child_cpu_seconds_total = Counter(
            "reelmill_child_cpu_seconds",
            "CPU time of successful child processes, by queue and part (whole, unit, join).",
            ["lane", "part"],
            registry=registry,
        )
        self.child_memory_bytes = Histogram(
            "reelmill_child_memory_bytes",
            "Peak resident memory of successful child processes, by part (whole, unit, join).",
            ["part"],
            buckets=MEMORY_BYTES,
            registry=registry,
        )
        self.estimated_core_seconds_total = Counter(
            "reelmill_estimated_core_seconds",
            "Estimated CPU time of a single pass, for tasks that succeeded outside the fast queue: whole, or when their chunks"
            " were joined.",
            ["part"],
            registry=registry,
        )

    def _create_storage(self, registry: CollectorRegistry) -> None:
        """Create the metrics of storage."""
        self.storage_bytes_total = Counter(
            "reelmill_storage_bytes",
            "Bytes read from and written to storage, by scheme and direction (read, written). Reading local files is not"
            " counted.",
            ["scheme", "direction"],
            registry=registry,
        )
        self.storage_error_total = Counter(
            "reelmill_storage_error",
            "Storage operations that failed after all retries, by scheme, operation (open, read, stage, place, list, withdraw,"
            " erase) and error code.",
            ["scheme", "operation", "code"],
            registry=registry,
        )
        self.source_block_total = Counter(
            "reelmill_source_block",
            "Blocks of remote sources that child processes requested: Hit if read before, else Miss.",
            ["result"],
            registry=registry,
        )

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
