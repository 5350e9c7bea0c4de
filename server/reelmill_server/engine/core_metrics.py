"""Metrics of the engine's client library: its requests to the engine, by operation and status; its polls; its caches."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, SummaryMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector
from temporalio.runtime import (
    BUFFERED_METRIC_KIND_COUNTER,
    BUFFERED_METRIC_KIND_GAUGE,
    BUFFERED_METRIC_KIND_HISTOGRAM,
    BufferedMetricUpdate,
)

from reelmill_server.engine.queues import QUEUES

BUFFER_UPDATES = 100_000
_MAX_SERIES = 1000
_LABELS = ("operation", "status_code", "worker_type", "poller_type", "failure_reason", "activity_type", "workflow_type")
_QUEUE = "task_queue"
_QUEUE_NAMES = {queue: name for name, queue in QUEUES.items()}
_OTHER_QUEUE = "(others)"


class Source(Protocol):
    """A buffer of metric updates: temporalio's MetricBuffer, or a stand-in."""

    def retrieve_updates(self) -> Sequence[BufferedMetricUpdate]:
        """Return all updates since the last call."""


@dataclass
class _Family:
    """A metric of the library: its kind, help, and by label values the sum (the last value of a gauge) and the count."""

    kind: int
    help_text: str
    labels: tuple[str, ...]
    series: dict[tuple[str, ...], tuple[float, int]] = field(default_factory=dict)


class CoreMetrics(Collector):
    """Sums of what the library reports, as collectors of Prometheus' client are asked for them.

    Queues are named as in our own metrics; those that each worker has of its own are one. Further labels than those of a
    closed set are left out, and so are series beyond a bound.
    """

    def __init__(self, source: Source) -> None:
        """Take updates from `source`, whenever asked: see `take`."""
        self._source, self._families, self._lock = source, dict[str, _Family](), Lock()
        self._count = 0

    def take(self) -> None:
        """Add what was reported since the last call. The library keeps so many updates only, and drops others."""
        with self._lock:
            for update in self._source.retrieve_updates():
                self._add(update)

    async def taken(self) -> None:
        """Do so, as a step of background work."""
        self.take()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics."""
        self.take()
        with self._lock:
            yield from [_metric(name, family) for name, family in self._families.items()]

    def describe(self) -> Iterable[Metric]:
        """Return nothing: what there is shows only later."""
        return ()

    def _add(self, update: BufferedMetricUpdate) -> None:
        metric, attributes = update.metric, update.attributes
        family = self._families.get(metric.name)
        if family is None:
            labels = tuple(name for name in (*_LABELS, _QUEUE) if name in attributes)
            family = self._families[metric.name] = _Family(int(metric.kind), metric.description or metric.name, labels)
        key = tuple(_label(name, attributes) for name in family.labels)
        if key not in family.series:
            if self._count >= _MAX_SERIES:
                return
            self._count += 1
        total, count = family.series.get(key, (0.0, 0))
        if family.kind == BUFFERED_METRIC_KIND_GAUGE:
            total = 0.0
        family.series[key] = total + update.value, count + 1


def _label(name: str, attributes: Mapping[str, object]) -> str:
    value = str(attributes.get(name, ""))
    return _QUEUE_NAMES.get(value, _OTHER_QUEUE) if name == _QUEUE and value else value


def _metric(name: str, family: _Family) -> Metric:
    if family.kind == BUFFERED_METRIC_KIND_HISTOGRAM:
        summary = SummaryMetricFamily(name, family.help_text, labels=family.labels)
        for key, (total, count) in family.series.items():
            summary.add_metric(key, count_value=count, sum_value=total)
        return summary
    of_kind = CounterMetricFamily if family.kind == BUFFERED_METRIC_KIND_COUNTER else GaugeMetricFamily
    metric = of_kind(name, family.help_text, labels=family.labels)
    for key, (total, _) in family.series.items():
        metric.add_metric(key, total)
    return metric
