"""Run an attempt from the parent's side: open the sources, supervise a child that converts, publish."""

import asyncio
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from reelmill_server.model.capability import Report
from reelmill_server.model.chunked_plan import ChunkedPlan, KeptFile
from reelmill_server.model.needs import FAST, Needs
from reelmill_server.model.preview import Preview
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
from reelmill_server.worker.parent.attempt_context import AttemptContext
from reelmill_server.worker.parent.capabilities import Capabilities, Lease
from reelmill_server.worker.parent.counters import count_results, count_usage
from reelmill_server.worker.parent.early_upload import EarlyUpload, uploading_early, uploads_of
from reelmill_server.worker.parent.heartbeat import Heartbeat, heartbeats
from reelmill_server.worker.parent.looks import Looks
from reelmill_server.worker.parent.machine_limits import blaming_limits
from reelmill_server.worker.parent.publish_guard import PublishGuard
from reelmill_server.worker.parent.result_cache import ResultCache
from reelmill_server.worker.parent.stall_watch import Bounds
from reelmill_server.worker.parent.supervisor import InspectionResult
from reelmill_server.worker.parent.units import Units
from reelmill_server.worker.parent.waiting_child import Reserve
from reelmill_server.worker.parent.workspace import Scratch

_FAST_WAIT_SECONDS = 3.0  # a task on the fast queue is soon done elsewhere, and another project's may be next here
_AVOIDED = "its driver failed in an earlier attempt"
_INSPECT_WAIT_SECONDS = 10.0  # of the time that a caller is willing to wait


@dataclass(frozen=True)
class _Conversion:
    """The work of an attempt: all of `request`, only a small task (on the fast queue), or joining the chunks' files in `kept`.

    `keeps`: verified results are kept for the next attempt until they are published. `held_bytes`: memory held for it, by
    estimate; `raised`: never small, as an earlier attempt ran out of memory. `avoided`: encoders not to use.
    """

    request: ConvertRequest
    heartbeat: Heartbeat
    claim: Claim
    lease: Lease
    lane: str
    held_bytes: int
    raised: bool = False
    keeps: bool = False
    chunked: ChunkedPlan | None = None
    kept: Sequence[KeptFile] = ()
    avoided: Sequence[str] = ()

    @property
    def small_only(self) -> bool:
        """Whether a task that is not small is deferred."""
        return self.lane == FAST


class Attempts(Units):
    """Runs attempts on this machine."""

    def __init__(
        self,
        name: str,
        *,
        storage: Storage,
        scratch: Scratch,
        capabilities: Capabilities,
        admission: Admission,
        bounds: Bounds,
        metrics: Metrics,
        shared: SharedScratch | None = None,
        fast_slots: int = 3,
        inspect_slots: int = 4,
        reserve: Reserve | None = None,
    ) -> None:
        """`shared`: where chunks of long encodes are kept; None: nowhere, so tasks are not chunked. `fast_slots`: tasks of the
        fast queue at once, `inspect_slots`: probes and plans. `reserve`: where a child waits for the next attempt, if any.
        """
        super().__init__(
            storage=storage,
            scratch=scratch,
            capabilities=capabilities,
            admission=admission,
            bounds=bounds,
            metrics=metrics,
            shared=shared,
            reserve=reserve,
        )
        self._fast, self._inspections = Looks(admission, fast_slots), Looks(admission, inspect_slots)
        self.admission, self._name, self._storage, self._bounds = admission, name, storage, bounds

    async def withdraw(self, credentials: Credentials, files: Sequence[PendingFile]) -> None:
        """Remove what a lost attempt published, as far as it is still there."""
        await withdraw(self._storage.acting_as(credentials), files)

    def describe(self) -> Report:
        """Return the capabilities, limits and versions of this worker."""
        capabilities = self.capabilities
        return Report(
            worker=self._name,
            encoders=capabilities.encoders,
            decoders=capabilities.decoders,
            limits=self._bounds.limits,
            versions=capabilities.versions,
            detectors=capabilities.detectors,
            filters=capabilities.filters,
            sandbox=capabilities.sandbox,
        )

    async def inspect(self, action: str, request: ConvertRequest) -> InspectionResult:
        """Probe the request's sources and, if `action` is `plan`, plan. Raises the child's error."""
        with blaming_limits():
            async with self._inspections.place(request.project_name, _INSPECT_WAIT_SECONDS):
                return await self._inspect(action, request)

    async def _inspect(self, action: str, request: ConvertRequest) -> InspectionResult:
        async with self._opener.reading(request) as range_server:
            assignment = await self._opener.open(request, range_server)
            if action == "plan":
                return await self._supervisor.inspect(
                    replace(assignment, action="plan", rule=self._rule(request)), range_server
                )
            return await self._supervisor.inspect(replace(assignment, action="probe"), range_server)

    async def convert(
        self,
        request: ConvertRequest,
        *,
        report: Callable[[Progress], None],
        claim: Claim,
        lane: str = FAST,
        needs: Needs | None = None,
        kept: Sequence[KeptFile] = (),
        least_bytes: int = 0,
        avoided: Sequence[str] = (),
        show: Callable[[Preview], None] = lambda preview: None,
    ) -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        """Convert and publish; return the artifacts and warnings for the user.

        `report` is called at least once a second; `claim` is checked once everything is verified. On the fast queue, raises
        Deferred for a task that is not small; on others, waits until the resources in `needs` are free. With `kept`, encoded
        streams are joined from the files of chunks. `least_bytes` of memory are held whatever the estimate, as an earlier
        attempt ran out of less; the task is not small then. Encoders in `avoided` are not used: their drivers failed in an
        earlier attempt. `show` is given previews. Raises ReelmillError; whatever happens, no process and no scratch
        is left behind.
        """
        async with heartbeats(report, show) as heartbeat:
            with blaming_limits(), self.capabilities.lease() as lease:
                if needs is None:
                    async with AsyncExitStack() as stack:
                        with self._reservations.counting_busy(lane):
                            heartbeat.queued()
                            await self.admission.wait_for_disk(_FAST_WAIT_SECONDS)
                            await stack.enter_async_context(self._fast.place(request.project_name, _FAST_WAIT_SECONDS))
                            heartbeat.started()
                        memory_bytes = self._bounds.look_memory_bytes
                        task = _Conversion(request, heartbeat, claim, lease, lane, memory_bytes, least_bytes > 0)
                        return await self._convert(replace(task, avoided=avoided))
                async with self._reservations.hold(needs, least_bytes, lane, heartbeat, lease) as memory_bytes:
                    task = _Conversion(request, heartbeat, claim, lease, lane, memory_bytes, keeps=needs.keeps, avoided=avoided)
                    if kept:
                        task = replace(task, keeps=False, chunked=needs.chunked, kept=kept)
                    converted = await self._convert(task)
                self._metrics.estimated_core_seconds_total.labels("join" if kept else "whole").inc(needs.cost.core_seconds)
                return converted

    def _rule(self, request: ConvertRequest) -> SplitRule | None:
        """Return when a task is split into chunks; None: never, as workers have nowhere to keep their files."""
        return replace(self._bounds.chunks, parallelism=request.parallelism) if self._shared else None

    async def _convert(self, task: "_Conversion") -> tuple[tuple[Artifact, ...], tuple[str, ...]]:
        request, heartbeat, lease = task.request, task.heartbeat, task.lease
        storage = self._storage.acting_as(request.credentials)
        async with self._opener.reading(request) as range_server:
            begun = time.monotonic()
            with tracing.span("open"):
                opened = await self._opener.open(request, range_server)
                if task.small_only:
                    opened = replace(opened, rule=self._rule(request))
                elif task.chunked:
                    joined = await self._opener.open_kept(task.kept, range_server)
                    opened = replace(opened, plan=task.chunked.plan, split=task.chunked.split, joined=joined)
            self._metrics.stage_seconds.labels("open").observe(time.monotonic() - begun)
            async with self._scratch.attempt(request.task_id) as directory:
                assignment = replace(opened, action="convert", directory=str(directory), held_bytes=task.held_bytes)
                assignment = replace(assignment, excluded=dict.fromkeys(task.avoided, _AVOIDED))
                # The owner names task and attempt: two attempts never mix, even if one of them should already be dead.
                async with uploading_early(storage, f"{request.task_id}.{uuid.uuid4().hex[:8]}") as early_upload:
                    cache = self._result_cache(assignment) if task.keeps else None
                    guard = PublishGuard(task.claim)
                    context = AttemptContext(
                        assignment,
                        storage,
                        range_server,
                        early_upload,
                        guard,
                        small_only=task.small_only,
                        raised=task.raised,
                        cached=cache.load if cache else None,
                    )
                    finished, plan = await self._supervisor.convert(context, lease, heartbeat)
                    heartbeat(replace(heartbeat.latest, phase=TaskPhase.PUBLISHING))
                    if cache:  # before anything is waited for: hours of work must not depend on the engine being there now
                        await cache.store(plan, finished, guard.check_known)
                    await early_upload.prepared()  # the answer may tell, too, what is asked next
                    await guard.check()
                    with tracing.span("publish"):
                        await self._publish(early_upload, uploads_of(finished, plan, directory), guard)
        count_results(self._metrics, finished, self.capabilities)
        count_usage(self._metrics, task.lane, "join" if task.kept else "whole", finished.usage)
        return tuple(result.artifact for result in finished.made), finished.warnings

    def _result_cache(self, assignment: messages.Assignment) -> ResultCache | None:
        """Return the cache of results of the assignment's task, None if this worker has no shared scratch."""
        return ResultCache(self._shared, assignment) if self._shared else None

    async def _publish(self, early_upload: EarlyUpload, uploads: Sequence[Upload], guard: PublishGuard) -> None:
        """Publish the outputs. A cancel does not interrupt it in the middle of a file: the guard does, between two files."""
        begun = time.monotonic()
        publishing = asyncio.ensure_future(early_upload.publish(uploads, guard))
        while not publishing.done():
            try:
                await asyncio.wait({publishing})
            except asyncio.CancelledError:
                guard.stop_waiting()
        publishing.result()
        self._metrics.stage_seconds.labels("publish").observe(time.monotonic() - begun)
