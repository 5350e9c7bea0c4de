"""All metrics of the server: the only module that names them. docs/operating.md explains each."""

from collections.abc import Mapping

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

RPC_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Calls: from a read of one row to a probe of remote media."""

WAIT_SECONDS = (0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Waiting for a worker: from an idle one to a backlog of hours."""

STAGE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
"""Stages of an attempt: from a probe to the encode of a film."""

ADMISSION_SECONDS = (0.05, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0)
"""Waiting on a worker for cores and memory: as long as `admission_wait_seconds` at most."""

MEMORY_BYTES = tuple(float(1 << power) for power in range(26, 36))
"""Memory of a child: from 64 MiB to 32 GiB."""

SPEED_RATIOS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Media seconds per second of work: 1 is real time."""


class Metrics:
    """The metrics, in a registry of their own, so that two servers or tests in one process do not share them.

    Values of labels come from closed sets (statuses, codes, encoders, methods): never a task or a URI. Projects are named by
    one gauge only, of which the caller bounds how many there are.
    """

    def __init__(self) -> None:
        """Make all metrics, at zero."""
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
        self.attempts_running = Gauge("reelmill_attempts_running", "Attempts that run on this worker now.", registry=registry)
        self.attempt_total = Counter(
            "reelmill_attempt",
            "Attempts that ended on this worker, by lane, part (whole, unit, join) and outcome: Succeeded, Deferred (the fast"
            " lane found that the task is not small) or an error code.",
            ["lane", "part", "outcome"],
            registry=registry,
        )
        self.attempt_seconds = Histogram(
            "reelmill_attempt_seconds",
            "Time of attempts that ended on this worker, by lane and part (whole, unit, join), waiting for cores and memory"
            " included.",
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
            "Bytes of sources that were read from storage elsewhere.",
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
            "Times one encoder took the place of another, and the kind of reason.",
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
            "Time a gRPC call took; of streams, the whole.",
            ["method"],
            buckets=RPC_SECONDS,
            registry=registry,
        )
        self.watchers = Gauge("reelmill_watchers", "Callers that watch tasks on this replica now.", registry=registry)
        self.engine_restart_total = Counter("reelmill_engine_restart", "Restarts of the embedded engine.", registry=registry)
        self._make_waiting(registry)
        self._make_worker(registry)
        self._make_children(registry)
        self._make_storage(registry)

    def _make_waiting(self, registry: CollectorRegistry) -> None:
        """What api replicas know of what waits. Each of them says the same: take the greatest, never the sum."""
        self.queue_tasks = Gauge(
            "reelmill_queue_tasks",
            "Tasks in a queue of the engine that no worker has taken yet, about; the same on all replicas.",
            ["queue"],
            registry=registry,
        )
        self.queue_age_seconds = Gauge(
            "reelmill_queue_age_seconds",
            "How long the oldest task of a queue has been waiting there, about; the same on all replicas.",
            ["queue"],
            registry=registry,
        )
        self.project_tasks = Gauge(
            "reelmill_project_tasks",
            "Unfinished tasks of the projects that have most of them, and of all others together, (others), by state:"
            " Admitted, or Waiting for those; the same on all replicas.",
            ["project", "state"],
            registry=registry,
        )
        self.quota_refusal_total = Counter(
            "reelmill_quota_refusal", "Tasks that were refused because their project has too many.", registry=registry
        )
        self.notification_oldest_seconds = Gauge(
            "reelmill_notification_oldest_seconds",
            "How long the oldest notification that is due has not been delivered; the same on all replicas.",
            registry=registry,
        )

    def _make_worker(self, registry: CollectorRegistry) -> None:
        """What a worker may use and does use, read when the metrics are."""
        self.worker_slots = Gauge("reelmill_worker_slots", "Attempts that may run at once on this worker.", registry=registry)
        self.worker_slots_used = Gauge(
            "reelmill_worker_slots_used", "Attempts that hold cores and memory of this worker now.", registry=registry
        )
        self.worker_cores = Gauge("reelmill_worker_cores", "Cores that attempts may use on this worker.", registry=registry)
        self.worker_cores_used = Gauge(
            "reelmill_worker_cores_used", "Cores that attempts hold on this worker now, by estimate.", registry=registry
        )
        self.worker_memory_bytes = Gauge(
            "reelmill_worker_memory_bytes", "Memory that attempts may use on this worker; 0: not limited.", registry=registry
        )
        self.worker_memory_used_bytes = Gauge(
            "reelmill_worker_memory_used_bytes", "Memory that attempts hold on this worker now, by estimate.", registry=registry
        )
        self.scratch_free_bytes = Gauge(
            "reelmill_scratch_free_bytes", "Bytes free on the disk where this worker keeps its scratch.", registry=registry
        )
        self.admission_waiting = Gauge(
            "reelmill_admission_waiting",
            "Tasks that this worker has taken and that wait for its cores, memory and disk.",
            registry=registry,
        )
        self.admission_seconds = Histogram(
            "reelmill_admission_seconds",
            "Time a task that a worker took waited for its cores and memory, by lane.",
            ["lane"],
            buckets=ADMISSION_SECONDS,
            registry=registry,
        )
        self.admission_busy_total = Counter(
            "reelmill_admission_busy",
            "Tasks that a worker handed back because their cores, memory or disk did not get free in time, by lane.",
            ["lane"],
            registry=registry,
        )
        self.encoder_sessions = Gauge(
            "reelmill_encoder_sessions",
            "Encodes that run on this worker now, by encoder family.",
            ["family"],
            registry=registry,
        )
        self.encoder_works = Gauge(
            "reelmill_encoder_works",
            "Whether an encoder works on this worker: 1, or 0 as it never did, or failed and was not proved again.",
            ["encoder", "family"],
            registry=registry,
        )

    def _make_children(self, registry: CollectorRegistry) -> None:
        """What child processes took."""
        self.child_cpu_seconds_total = Counter(
            "reelmill_child_cpu_seconds",
            "CPU time of children that made what they were to make, by lane and part (whole, unit, join).",
            ["lane", "part"],
            registry=registry,
        )
        self.child_memory_bytes = Histogram(
            "reelmill_child_memory_bytes",
            "Resident memory at the peak, of children that made what they were to make, by part (whole, unit, join).",
            ["part"],
            buckets=MEMORY_BYTES,
            registry=registry,
        )
        self.estimated_core_seconds_total = Counter(
            "reelmill_estimated_core_seconds",
            "CPU time that tasks were estimated to need in one go, of those that ended well outside the fast lane: whole, or"
            " when their units were joined.",
            ["part"],
            registry=registry,
        )

    def _make_storage(self, registry: CollectorRegistry) -> None:
        """What goes to and comes from storage."""
        self.storage_bytes_total = Counter(
            "reelmill_storage_bytes",
            "Bytes read from and written to storage, by scheme and direction (read, written). Local files are read without"
            " being counted.",
            ["scheme", "direction"],
            registry=registry,
        )
        self.storage_error_total = Counter(
            "reelmill_storage_error",
            "Operations of a storage that failed after all tries, by scheme, operation (open, read, stage, place, list, erase)"
            " and error code.",
            ["scheme", "operation", "code"],
            registry=registry,
        )
        self.source_block_total = Counter(
            "reelmill_source_block",
            "Blocks of sources elsewhere that children asked for: Hit when they had been read before, else Miss.",
            ["result"],
            registry=registry,
        )

    def show_projects(self, counts: Mapping[str, tuple[int, int]], most: int) -> None:
        """Shows the unfinished tasks of projects, admitted and waiting ones: of the `most` that have most, and of all others as
        one."""
        names = sorted(counts, key=lambda name: (-sum(counts[name]), name))
        shown = {name: counts[name] for name in names[:most]}
        rest = [counts[name] for name in names[most:]]
        shown["(others)"] = sum(admitted for admitted, _ in rest), sum(waiting for _, waiting in rest)
        self.project_tasks.clear()
        for name, (admitted, waiting) in shown.items():
            self.project_tasks.labels(name, "Admitted").set(admitted)
            self.project_tasks.labels(name, "Waiting").set(waiting)

    def render(self) -> bytes:
        """Write all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
