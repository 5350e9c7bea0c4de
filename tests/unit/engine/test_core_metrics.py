"""Metrics of the engine's client library, as Prometheus reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import generate_latest
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetricUpdate,
)

from reelmill_server.engine import FAST_QUEUE
from reelmill_server.engine.core_metrics import CoreMetrics

COUNTER, GAUGE, HISTOGRAM = BUFFERED_METRIC_KIND_COUNTER, BUFFERED_METRIC_KIND_GAUGE, BUFFERED_METRIC_KIND_HISTOGRAM


@dataclass(frozen=True)
class Named:
    """A metric as the library describes it."""

    name: str
    kind: int
    description: str = ""


@dataclass(frozen=True)
class Update:
    """A change of it."""

    metric: Named
    value: float
    attributes: Mapping[str, str]


class Library:
    """What stands for the library: it gives each update once."""

    def __init__(self) -> None:
        self.updates: list[Update] = []

    def retrieve_updates(self) -> Sequence[BufferedMetricUpdate]:
        """Return what was not taken yet."""
        updates, self.updates = self.updates, []
        return cast(Sequence[BufferedMetricUpdate], updates)


def shown(library: Library, metrics: CoreMetrics, updates: Sequence[Update]) -> list[str]:
    """The lines of /metrics after further updates."""
    library.updates.extend(updates)
    registry = CollectorRegistry()
    registry.register(metrics)
    return [line for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


def test_updates_add_up() -> None:
    """Counters and latencies are sums, a gauge is its last value; queues have our names, those of single workers are one."""
    library = Library()
    metrics = CoreMetrics(library)
    failed, seconds = Named("temporal_request_failure", COUNTER), Named("temporal_request_latency", HISTOGRAM)
    pollers = Named("temporal_num_pollers", GAUGE)
    answer = {"operation": "PollActivityTaskQueue", "namespace": "reelmill", "status_code": "UNAVAILABLE"}
    first = [Update(failed, 1, answer), Update(seconds, 0.5, answer), Update(pollers, 5, {"task_queue": FAST_QUEUE})]
    library.updates.extend(first)
    metrics.take()
    second = [
        Update(failed, 2, answer),
        Update(seconds, 1.0, answer),
        Update(pollers, 4, {"task_queue": FAST_QUEUE}),
        Update(pollers, 1, {"task_queue": "worker-17"}),
    ]
    assert shown(library, metrics, second) == [
        'temporal_request_failure_total{operation="PollActivityTaskQueue",status_code="UNAVAILABLE"} 3.0',
        'temporal_request_latency_count{operation="PollActivityTaskQueue",status_code="UNAVAILABLE"} 2.0',
        'temporal_request_latency_sum{operation="PollActivityTaskQueue",status_code="UNAVAILABLE"} 1.5',
        'temporal_num_pollers{task_queue="fast"} 4.0',
        'temporal_num_pollers{task_queue="(others)"} 1.0',
    ]


def test_series_are_bounded() -> None:
    """Whatever the library's labels say."""
    library = Library()
    failed = Named("temporal_request_failure", COUNTER)
    updates = [Update(failed, 1, {"operation": f"Operation{number}"}) for number in range(5000)]
    assert len(shown(library, CoreMetrics(library), updates)) == 1000
