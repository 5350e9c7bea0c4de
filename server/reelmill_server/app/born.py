"""Counters that exist from the start, at 0: a rate sees the first failure of a kind only if there was a value before it."""

from itertools import product

from reelmill_server.api.services import METHODS
from reelmill_server.engine.history import WORKER_DRAINING, WORKER_LOST
from reelmill_server.errors import Canceled, all_errors
from reelmill_server.model.notification import Channel, DeliveryState
from reelmill_server.model.task import TaskStatus
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.supervisor import ENDS

_OF_WORKERS = (WORKER_LOST, WORKER_DRAINING)
_DELIVERIES = ("Retried", DeliveryState.DELIVERED.value, DeliveryState.FAILED.value)
_STATUSES = ("OK", "CANCELLED", "UNKNOWN", *sorted({error.status for error in all_errors()} - {"CANCELLED"}))


def count_from_zero(metrics: Metrics, *, control: bool, work: bool) -> None:
    """Give the counters of a role a value for each combination of their labels that may occur."""
    if control:
        metrics.task_total.labels(TaskStatus.SUCCEEDED, "")
        metrics.task_total.labels(TaskStatus.CANCELED, Canceled.code)
        for code in (*(error.code for error in all_errors()), *_OF_WORKERS):
            metrics.task_total.labels(TaskStatus.FAILED, code)
        for code in _OF_WORKERS:
            metrics.failed_attempt_total.labels(code)
        for channel, outcome in product(Channel, _DELIVERIES):
            metrics.notification_total.labels(channel.value, outcome)
        for method, status in product(METHODS, _STATUSES):
            metrics.rpc_total.labels(method, status)
        for outcome in ("refused", "throttled"):
            metrics.authentication_failure_total.labels(outcome)
    if work:
        for reason in ENDS:
            metrics.child_exit_total.labels(reason)
