"""Reserve what an attempt needs of its worker, and say so in heartbeats and metrics."""

import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import replace

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.needs import Needs
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Lease
from reelmill_server.worker.parent.heartbeat import Heartbeat
from reelmill_server.worker.parent.stall_watch import Bounds


class Reservations:
    """Reservations of the attempts on this machine."""

    def __init__(self, admission: Admission, bounds: Bounds, metrics: Metrics) -> None:
        self._admission, self._bounds, self._metrics = admission, bounds, metrics

    @asynccontextmanager
    async def hold(self, needs: Needs, least_bytes: int, lane: str, heartbeat: Heartbeat, lease: Lease) -> AsyncIterator[int]:
        """Hold the resources of an attempt during the block, at least `least_bytes` of memory, and no more than one attempt may
        take; yield its bytes of memory.
        """
        most_bytes = self._bounds.limits.max_memory_bytes or needs.cost.memory_bytes
        memory_bytes = max(min(needs.cost.memory_bytes, most_bytes), least_bytes)
        needs = replace(needs, cost=replace(needs.cost, memory_bytes=memory_bytes))
        heartbeat.queued()
        begun = time.monotonic()
        admitted = self._admission.admitted(needs, lane, self._bounds.admission_wait_seconds)
        async with AsyncExitStack() as stack:
            try:
                with self.counting_busy(lane), tracing.span("admission", lane=lane):
                    self._check_room(least_bytes)
                    await stack.enter_async_context(admitted)
            finally:
                self._metrics.admission_seconds.labels(lane).observe(time.monotonic() - begun)
            heartbeat.started()
            lease.reserve(lane, needs.sessions)
            yield self._admission.budget.clipped(needs.cost).memory_bytes

    def _check_room(self, least_bytes: int) -> None:
        """Raise WorkerBusy if one attempt may never take so much memory on this worker."""
        most = [bound for bound in (self._bounds.limits.max_memory_bytes, self._admission.budget.memory_bytes) if bound]
        if least_bytes > min(most, default=least_bytes):
            raise WorkerBusy(f"one attempt may take {min(most) >> 20} MiB on the worker, and {least_bytes >> 20} are needed")

    @contextmanager
    def counting_busy(self, lane: str) -> Iterator[None]:
        """Count a task that is handed back for lack of resources."""
        try:
            yield
        except WorkerBusy:
            self._metrics.admission_busy_total.labels(lane).inc()
            raise
