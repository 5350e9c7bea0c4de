"""All metrics of the server: the only module that names them. docs/operating.md explains each."""

from prometheus_client import CollectorRegistry, Counter, Gauge, GCCollector, Histogram, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest

RPC_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Calls: from a read of one row to a probe of remote media."""

WAIT_SECONDS = (0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0)
"""Waiting for a worker: from an idle one to a backlog of hours."""

STAGE_SECONDS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0)
"""Stages of an attempt: from a probe to the encode of a film."""

SPEED_RATIOS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0)
"""Media seconds per second of work: 1 is real time."""


class Metrics:
    """The metrics, in a registry of their own, so that two servers or tests in one process do not share them.

    Values of labels come from closed sets (statuses, codes, encoders, methods): never a task, a project or a URI.
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
            "Attempts that ended on this worker, by outcome: Succeeded or an error code.",
            ["outcome"],
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

    def render(self) -> bytes:
        """Write all metrics in the Prometheus text format."""
        return generate_latest(self.registry)
