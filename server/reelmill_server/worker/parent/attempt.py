"""One attempt, from the parent's side: open the sources, a child that converts, publish."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reelmill_server.errors import InternalError, ServiceUnavailable, WorkerBusy
from reelmill_server.model.capability import Report
from reelmill_server.model.chunked_plan import ChunkedPlan, KeptFile
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.model.plan import COPY, StreamType
from reelmill_server.model.publication import Claim, PendingFile
from reelmill_server.model.request import ConvertRequest, Credentials
from reelmill_server.model.task import Artifact, Progress, TaskPhase
from reelmill_server.model.units import SplitRule
from reelmill_server.storage.base import Storage, Upload
from reelmill_server.storage.publication import withdraw
from reelmill_server.storage.shared_scratch import SharedScratch
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent.admission import Admission
from reelmill_server.worker.parent.capabilities import Abilities, Lease
from reelmill_server.worker.parent.early_upload import Delivery, delivering, inside, uploads_of
from reelmill_server.worker.parent.publish_guard import Fence
from reelmill_server.worker.parent.range_server import Broker
from reelmill_server.worker.parent.result_cache import Made
from reelmill_server.worker.parent.stall_watch import Beat, Bounds, beating
from reelmill_server.worker.parent.supervisor import Following, Job, Seen
from reelmill_server.worker.parent.workspace import Scratch

T = TypeVar("T")
_FAST_DISK_SECONDS = 2.0  # what is in the fast lane is soon done elsewhere


@dataclass(frozen=True)
class _Task:
    """What an attempt is to do: all of `request`, only what is small (in the fast lane), or to join what units `kept`. `keeps`:
    what is made and verified is kept for the next attempt until it is published."""

    request: ConvertRequest
    beat: Beat
    claim: Claim
    lease: Lease
    lane: str
    keeps: bool = False
    chunked: ChunkedPlan | None = None
    kept: Sequence[KeptFile] = ()

    @property
    def look(self) -> bool:
        """Whether only what is small is done."""
        return self.lane == FAST


class Attempts:
    """Runs attempts on this machine."""

    def __init__(
        self,
        name: str,
        storage: Storage,
        scratch: Scratch,
        abilities: Abilities,
        admission: Admission,
        bounds: Bounds,
        metrics: Metrics,
        shared: SharedScratch | None = None,
    ) -> None:
        """`shared`: where parts of long encodes are kept; None: nowhere, so that there are none."""
        self._shared, self._following = shared, Following(abilities, scratch, bounds, metrics)
        self.abilities, self.admission = abilities, admission
        self._name, self._storage, self._scratch, self._bounds, self._metrics = name, storage, scratch, bounds, metrics

    async def erase(self, task_id: str) -> None:
        """Removes what units of a task kept in shared scratch."""
        if self._shared is None:
            raise ServiceUnavailable("this worker has no scratch_uri")
        await self._shared.erase(task_id)

    async def withdraw(self, credentials: Credentials, files: Sequence[PendingFile]) -> None:
        """Takes away what an attempt that is no more has placed, as far as it is still there."""
        await withdraw(self._storage.acting_as(credentials), files)

    def describe(self) -> Report:
        """What this worker says of itself."""
        abilities = self.abilities
        return Report(
            worker=self._name,
            encoders=abilities.encoders,
            decoders=abilities.decoders,
            limits=self._bounds.limits,
            versions=abilities.versions,
            detectors=abilities.detectors,
            filters=abilities.filters,
        )

    async def inspect(self, action: str, request: ConvertRequest) -> Seen:
        """What is in the request's sources and, if `action` is `plan`, what would run. Raises what the child failed with."""
        async with self._reading(request) as broker:
            assignment = await self._assignment(request, broker)
            if action == "plan":
                return await self._following.look(replace(assignment, action="plan", rule=self._rule(request)), broker)
            return await self._following.look(replace(assignment, action="probe"), broker)

    async def convert(
        self,
        request: ConvertRequest,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str = FAST,
        needs: Needs | None = None,
        kept: Sequence[KeptFile] = (),
    ) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        """Converts and publishes; returns the artifacts and what a user should know.

        `report` is called at least once a second; `claim` is asked when all is made and verified. In the fast lane raises
        Deferred for what is not small; in the others the attempt waits until what it `needs` is free. With `kept` the encoded
        streams are joined of what units made. Raises ReelmillError with the reason; whatever happens, no process and no scratch
        is left.
        """
        async with beating(report) as beat:
            with self.abilities.lease() as lease:
                if needs is None:
                    with self._counting_busy(lane):
                        await self.admission.until_disk(_FAST_DISK_SECONDS)
                    return await self._convert(_Task(request, beat, claim, lease, lane))
                async with self._admitted(needs, lane, beat, lease):
                    task = _Task(request, beat, claim, lease, lane, keeps=needs.keeps)
                    if kept:
                        task = replace(task, keeps=False, chunked=needs.chunked, kept=kept)
                    made = await self._convert(task)
                self._metrics.estimated_core_seconds_total.labels("join" if kept else "whole").inc(needs.cost.core_seconds)
                return made

    async def encode_unit(
        self,
        request: ConvertRequest,
        needs: Needs,
        number: int,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str,
    ) -> tuple[tuple[KeptFile, ...], tuple[str, ...]]:
        """Makes unit `number` of a task that is cut in units, and keeps it in shared scratch; as `convert` otherwise."""
        assert needs.chunked
        async with beating(report) as beat:
            with self.abilities.lease() as lease:
                async with self._admitted(needs, lane, beat, lease), self._reading(request) as broker:
                    with self._scratch.attempt(request.task_id) as directory:
                        opened = await self._assignment(request, broker)
                        cut = replace(opened, plan=needs.chunked.plan, split=needs.chunked.split, unit=number)
                        assignment = replace(cut, action="encode_unit", directory=str(directory))
                        made = await self._following.unit(assignment, broker, beat)
                        self._count_usage(lane, "unit", made.usage)
                        with tracing.span("keep"):
                            return await self._keep(request, number, made, directory, Fence(claim)), made.warnings

    async def _keep(
        self, request: ConvertRequest, number: int, made: messages.UnitMade, directory: Path, fence: Fence
    ) -> tuple[KeptFile, ...]:
        if self._shared is None:
            raise InternalError("the worker has no scratch_uri, where parts of tasks are kept")
        paths = {file.path: inside(directory, file.path) for file in made.files}
        uris = await self._shared.keep(request.task_id, f"{number}-{uuid.uuid4().hex[:8]}", paths, fence.check)
        return tuple(KeptFile(file, uris[file.path]) for file in made.files)

    @asynccontextmanager
    async def _admitted(self, needs: Needs, lane: str, beat: Beat, lease: Lease) -> AsyncIterator[None]:
        """Holds what an attempt needs as long as the block lasts."""
        beat.waits()
        begun = time.monotonic()
        admitted = self.admission.admitted(needs, lane, self._bounds.admission_wait_seconds)
        async with AsyncExitStack() as stack:
            try:
                with self._counting_busy(lane), tracing.span("admission", lane=lane):
                    await stack.enter_async_context(admitted)
            finally:
                self._metrics.admission_seconds.labels(lane).observe(time.monotonic() - begun)
            beat.begins()
            lease.reserve(lane, needs.sessions)
            yield

    @contextmanager
    def _counting_busy(self, lane: str) -> Iterator[None]:
        """Counts a task that is handed back for want of room."""
        try:
            yield
        except WorkerBusy:
            self._metrics.admission_busy_total.labels(lane).inc()
            raise

    def _rule(self, request: ConvertRequest) -> SplitRule | None:
        """When a task is cut in units; None: never, as workers have nowhere to keep them."""
        return replace(self._bounds.chunks, parallelism=request.parallelism) if self._shared else None

    async def _convert(self, task: "_Task") -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        request, beat, lease = task.request, task.beat, task.lease
        storage = self._storage.acting_as(request.credentials)
        async with self._reading(request) as broker:
            begun = time.monotonic()
            with tracing.span("open"):
                opened = await self._assignment(request, broker)
                if task.look:
                    opened = replace(opened, rule=self._rule(request))
                elif task.chunked:
                    opened = await self._joining(opened, task.chunked, task.kept, broker)
            self._metrics.stage_seconds.labels("open").observe(time.monotonic() - begun)
            with self._scratch.attempt(request.task_id) as directory:
                assignment = replace(opened, action="convert", directory=str(directory))
                # The owner names task and attempt: two attempts never mix, even if one of them should already be dead.
                async with delivering(storage, f"{request.task_id}.{uuid.uuid4().hex[:8]}") as delivery:
                    made = self._made_of(assignment) if task.keeps else None
                    job = Job(assignment, storage, broker, delivery, task.look, made.fetched if made else None)
                    finished, plan = await self._following.convert(job, lease, beat)
                    beat(replace(beat.latest, phase=TaskPhase.PUBLISHING))
                    fence = Fence(task.claim)
                    if made:  # before anything is waited for: hours of work must not depend on the engine being there now
                        await made.keep(plan, finished, fence.check_known)
                    await fence.check()
                    with tracing.span("publish"):
                        await self._publish(delivery, uploads_of(finished, plan, directory), fence)
        self._count(finished)
        self._count_usage(task.lane, "join" if task.kept else "whole", finished.usage)
        return tuple(made.artifact for made in finished.made), finished.warnings

    def _made_of(self, assignment: messages.Assignment) -> Made | None:
        """What attempts of the assignment's task have made, if this worker has somewhere to keep it."""
        return Made(self._shared, assignment) if self._shared else None

    async def _joining(
        self, opened: messages.Assignment, chunked: ChunkedPlan, kept: Sequence[KeptFile], broker: Broker
    ) -> messages.Assignment:
        """The assignment of whoever joins what units made."""
        if self._shared is None:
            raise InternalError("the worker has no scratch_uri, where parts of tasks are kept")
        joined = [messages.JoinedFile(part.file, await broker.adopt(await self._shared.open(part.uri))) for part in kept]
        return replace(opened, plan=chunked.plan, split=chunked.split, joined=tuple(joined))

    @asynccontextmanager
    async def _reading(self, request: ConvertRequest) -> AsyncIterator[Broker]:
        """What reads sources, in the task's name, as long as the block lasts."""
        with self._scratch.cache() as cache:
            broker = Broker(self._storage.acting_as(request.credentials), cache, self._bounds.max_source_bytes)
            try:
                yield broker
            finally:
                await asyncio.shield(broker.close())
                self._metrics.source_bytes_total.inc(broker.fetched_bytes)
                self._metrics.source_block_total.labels("Hit").inc(broker.hits)
                self._metrics.source_block_total.labels("Miss").inc(broker.misses)

    async def _assignment(self, request: ConvertRequest, broker: Broker) -> messages.Assignment:
        """What a child is told of `request`; all that it reads is opened."""
        sources = [await broker.open(source.uri) for source in request.sources]
        subtitles = [[(await broker.open(file.uri))[0] for file in source.subtitles] for source in request.sources]
        return messages.Assignment(
            action="probe",
            limits=self._bounds.limits,
            request=request,
            sources=tuple(ref for ref, _ in sources),
            subtitles=tuple(map(tuple, subtitles)),
            watermarks={uri: (await broker.open(uri))[0] for uri in request.watermark_uris},
            modified_us=tuple(modified_us for _, modified_us in sources),
            capabilities=(*self.abilities.encoders, *self.abilities.detectors, *self.abilities.filters),
            encoder_order=self._bounds.encoder_order,
        )

    async def _publish(self, delivery: Delivery, uploads: Sequence[Upload], fence: Fence) -> None:
        """Publishes what was made. A cancel does not break it off midway: the fence does, between two files."""
        begun = time.monotonic()
        publishing = asyncio.ensure_future(delivery.publish(uploads, fence))
        while not publishing.done():
            try:
                await asyncio.wait({publishing})
            except asyncio.CancelledError:
                fence.stop_waiting()
        publishing.result()
        self._metrics.stage_seconds.labels("publish").observe(time.monotonic() - begun)

    def _count_usage(self, lane: str, part: str, usage: messages.Usage) -> None:
        self._metrics.child_cpu_seconds_total.labels(lane, part).inc(usage.cpu_seconds)
        self._metrics.child_memory_bytes.labels(part).observe(usage.memory_bytes)

    def _count(self, finished: messages.Finished) -> None:
        for stage, seconds in finished.stage_seconds.items():
            self._metrics.stage_seconds.labels(stage).observe(seconds)
        elapsed = finished.stage_seconds.get("convert", 0.0)
        for made in finished.made:
            for stream in made.artifact.streams:
                if stream.type != StreamType.SUBTITLE and stream.encoder != COPY and elapsed:
                    speed = stream.duration_seconds / elapsed
                    self._metrics.encode_speed_ratio.labels(stream.codec, stream.encoder).observe(speed)
