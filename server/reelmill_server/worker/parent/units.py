"""Carry out units of tasks that are cut: encode a chunk, or samples by which CRFs are found."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from reelmill_server.model.chunked_plan import ChunkedPlan, KeptFile
from reelmill_server.model.needs import Needs
from reelmill_server.model.preview import Preview
from reelmill_server.model.publication import Claim
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.sample import SampleScores, Trial
from reelmill_server.model.task import Progress
from reelmill_server.storage.base import Storage
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.counters import count_usage
from reelmill_server.worker.parent.credible import check_tried
from reelmill_server.worker.parent.heartbeat import heartbeats
from reelmill_server.worker.parent.kept_chunks import Chunk, KeptChunks
from reelmill_server.worker.parent.machine_limits import blaming_limits
from reelmill_server.worker.parent.opening import Opener
from reelmill_server.worker.parent.publish_guard import PublishGuard
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.reservation import Reservations
from reelmill_server.worker.parent.sample_cache import SampleCache
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.supervisor import Supervisor
from reelmill_server.worker.parent.waiting_child import Reserve
from reelmill_server.worker.parent.workspace import Scratch


class Units:
    """Carries out units on this machine."""

    def __init__(
        self,
        *,
        storage: Storage,
        scratch: Scratch,
        capabilities: Capabilities,
        admission: Admission,
        bounds: Bounds,
        metrics: Metrics,
        shared: SharedScratch | None,
        reserve: Reserve | None,
    ) -> None:
        """`shared`: where chunks are kept, if anywhere; `reserve`: where a child waits for the next attempt, if any."""
        self._supervisor = Supervisor(capabilities, scratch, bounds, metrics, reserve)
        self._opener = Opener(storage, scratch, capabilities, bounds, metrics, shared)
        self._chunks = KeptChunks(shared, scratch)
        self._reservations = Reservations(admission, bounds, metrics)
        self.capabilities, self._scratch, self._shared, self._metrics = capabilities, scratch, shared, metrics

    async def erase(self, task_id: str) -> None:
        """Remove the files that chunks of a task left in shared scratch."""
        await self._chunks.erase(task_id)

    async def encode_unit(
        self,
        request: ConvertRequest,
        needs: Needs,
        number: int,
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
        least_bytes: int = 0,
        show: Callable[[Preview], None] = lambda preview: None,
    ) -> tuple[tuple[KeptFile, ...], tuple[str, ...]]:
        """Encode chunk `number` of a task and keep its files in shared scratch; return those, and warnings. Otherwise like
        `Attempts.convert`.
        """
        assert needs.chunked
        split = needs.chunked.split
        async with heartbeats(report, show) as heartbeat:
            with blaming_limits(), self.capabilities.lease() as lease:
                if kept_chunk := await self._chunks.from_retried(request, split, number, PublishGuard(claim)):
                    return kept_chunk.files, kept_chunk.warnings
                held = self._reservations.hold(needs, least_bytes, lane, heartbeat, lease)
                async with held as memory_bytes, self._opened(request, needs.chunked, memory_bytes) as (opened, range_server):
                    assignment = replace(opened, action="encode_unit", unit=number)
                    encoded = await self._supervisor.unit(assignment, range_server, heartbeat, messages.ChunkEncoded)
                    count_usage(self._metrics, lane, "unit", encoded.usage)
                    with tracing.span("keep"):
                        chunk = Chunk(request.task_id, split, number, Path(opened.directory))
                        files = await self._chunks.keep(chunk, encoded.files, encoded.warnings, PublishGuard(claim))
                    return files, encoded.warnings

    async def try_samples(
        self,
        request: ConvertRequest,
        needs: Needs,
        trials: Sequence[Trial],
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
        least_bytes: int = 0,
    ) -> tuple[SampleScores, ...]:
        """Encode samples of a task whose CRFs are searched; return what came of them, in the order of `trials`, and keep it for
        a retry. Otherwise like `encode_unit`.
        """
        assert needs.sampled
        chunked = needs.sampled.chunked
        cache = SampleCache(self._shared, self._scratch, chunked.split, trials) if self._shared else None
        async with heartbeats(report) as heartbeat:
            with blaming_limits(), self.capabilities.lease() as lease:
                if cache and request.retry_of and (tried := await cache.load(request.retry_of)):
                    await cache.store(request.task_id, tried, PublishGuard(claim).check)
                    return tried
                held = self._reservations.hold(needs, least_bytes, lane, heartbeat, lease)
                async with held as memory_bytes, self._opened(request, chunked, memory_bytes) as (opened, range_server):
                    searches = needs.sampled.searches
                    assignment = replace(opened, action="try_samples", searches=searches, trials=tuple(trials))
                    done = await self._supervisor.unit(assignment, range_server, heartbeat, messages.SamplesTried)
                    check_tried(assignment, done.tried)
                    count_usage(self._metrics, lane, "unit", done.usage)
                if cache:
                    await cache.store(request.task_id, done.tried, PublishGuard(claim).check)
                return done.tried

    @asynccontextmanager
    async def _opened(
        self, request: ConvertRequest, chunked: ChunkedPlan, memory_bytes: int
    ) -> AsyncIterator[tuple[messages.Assignment, RangeServer]]:
        """Open the sources for a unit of a plan; yield its assignment, without what is to be done, and who serves it."""
        async with self._opener.reading(request) as range_server, self._scratch.attempt(request.task_id) as directory:
            opened = await self._opener.open(request, range_server)
            cut = replace(opened, plan=chunked.plan, split=chunked.split)
            yield replace(cut, directory=str(directory), held_bytes=memory_bytes), range_server
