"""Supervise a child through its work: handle its messages, answer them, and classify how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from reelmill_server.errors import (
    DriverFailed,
    EncoderCrashed,
    HardwareUnavailable,
    OutOfMemory,
    OutputInvalid,
    ReelmillError,
    Stalled,
    Timeout,
    Violation,
    WorkerBusy,
    from_code,
)
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.needs import Deferred
from reelmill_server.model.plan import Plan
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.model.units import Split
from reelmill_server.plan.cost.needs import unplanned
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.accelerators import driver_failure, substitute
from reelmill_server.worker.parent.attempt_context import AttemptContext, check_planned, needs_of_planned
from reelmill_server.worker.parent.capabilities import Capabilities, Lease
from reelmill_server.worker.parent.counters import count_fallback
from reelmill_server.worker.parent.credible import is_known
from reelmill_server.worker.parent.early_upload import inside, parts_of, upload_of, uploads_of
from reelmill_server.worker.parent.heartbeat import Heartbeat
from reelmill_server.worker.parent.plan_log import log_adjustments, log_plan
from reelmill_server.worker.parent.previews import preview_of
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.sessions import Sessions
from reelmill_server.worker.parent.stall_watch import Bounds, StallWatch
from reelmill_server.worker.parent.waiting_child import Reserve
from reelmill_server.worker.parent.workspace import Scratch

T = TypeVar("T")
UnitDone = TypeVar("UnitDone", messages.ChunkEncoded, messages.SamplesTried)


@dataclass(frozen=True)
class InspectionResult:
    """Contents of the sources; the plan, and how it would be split, if requested."""

    infos: tuple[MediaInfo, ...]
    plan: Plan | None = None
    split: Split | None = None


@dataclass
class _CurrentPlan:
    """The plan that a child carries out, or has proposed: known to whoever asks why the child ended."""

    plan: Plan = field(default_factory=lambda: Plan(()))


class Supervisor:
    """Supervises the children of this worker."""

    def __init__(
        self, capabilities: Capabilities, scratch: Scratch, bounds: Bounds, metrics: Metrics, reserve: Reserve | None = None
    ) -> None:
        self._reserve = reserve
        self._scratch, self._bounds, self._metrics = scratch, bounds, metrics
        self._capabilities, self._sessions = capabilities, Sessions(capabilities, bounds.admission_wait_seconds)

    async def inspect(self, assignment: messages.Assignment, range_server: RangeServer) -> InspectionResult:
        """Run an inspection to its end. Raises the child's error."""
        async with child_process.start(assignment, range_server, self._reserve) as process:
            watch = StallWatch(self._bounds, range_server, process.pid)
            while True:
                message = await process.receive(watch.interval)
                watch.check(Progress(phase=TaskPhase.PROBING))
                match message:
                    case messages.Failed():
                        raise _error_of(message)
                    case messages.Planned():
                        return InspectionResult(message.infos, message.plan, message.split)
                    case messages.Probed():
                        return InspectionResult(message.infos)

    async def convert(self, context: AttemptContext, lease: Lease, heartbeat: Heartbeat) -> tuple[messages.Finished, Plan]:
        """Run a conversion to its end; return the results and their plan.

        Raises the child's error, Deferred, Stalled, Timeout or EncoderCrashed.
        """
        return await self._run(
            context.assignment, context.range_server, lambda process: self._convert(process, context, lease, heartbeat)
        )

    async def unit(
        self, assignment: messages.Assignment, range_server: RangeServer, heartbeat: Heartbeat, done: type[UnitDone]
    ) -> UnitDone:
        """Run the encode of a chunk, or of samples, to its end; return the message that it is `done`. Raises what `convert`
        raises, but Deferred.
        """
        if assignment.plan:
            log_plan(assignment, assignment.plan)
        return await self._run(
            assignment, range_server, lambda process: self._unit(process, assignment, heartbeat, range_server, done)
        )

    async def _run(
        self, assignment: messages.Assignment, range_server: RangeServer, follow: Callable[[child_process.Child], Awaitable[T]]
    ) -> T:
        """Start a child, run `follow` with it, and count how it ended. Raises its error, Stalled, Timeout or EncoderCrashed."""
        reason = "done"
        assignment = replace(assignment, traced=tracing.on())
        try:
            with tracing.span("child", action=assignment.action):
                async with child_process.start(assignment, range_server, self._reserve) as process:
                    return await follow(process)
        except Deferred:
            reason = "deferred"
            raise
        except asyncio.CancelledError:
            reason = "canceled"
            raise
        except ReelmillError as error:
            reason = _EXIT_REASONS.get(type(error), "failed")
            raise
        finally:
            self._metrics.child_exit_total.labels(reason).inc()

    async def _convert(
        self, process: child_process.Child, context: AttemptContext, lease: Lease, heartbeat: Heartbeat
    ) -> tuple[messages.Finished, Plan]:
        current = _CurrentPlan()
        try:
            return await self._follow(process, context, lease, heartbeat, current)
        except (EncoderCrashed, Stalled) as error:
            if blamed := driver_failure(error, current.plan, context.assignment.request):
                for encoder in blamed.encoders:  # suspect for all tasks
                    self._capabilities.lose(encoder, blamed.message)
                raise blamed from error
            raise

    async def _follow(
        self,
        process: child_process.Child,
        context: AttemptContext,
        lease: Lease,
        heartbeat: Heartbeat,
        current: "_CurrentPlan",
    ) -> tuple[messages.Finished, Plan]:
        watch, directory = StallWatch(self._bounds, context.range_server, process.pid), Path(context.assignment.directory)
        replaced: dict[str, tuple[str, Plan]] = {}
        while True:
            message = await process.receive(watch.interval)
            watch.check(heartbeat.latest)
            if watch.second_passed():
                await self._scratch.check(directory)
                context.early_upload.check()
            match message:
                case messages.Advanced() | messages.Previewed():
                    _report(message, heartbeat, watch)
                case messages.Planned():
                    watch.planned()
                    current.plan = plan = message.plan
                    await check_planned(context, message, self._bounds)
                    if context.cached and (finished := await context.cached(plan)):
                        return finished, plan
                    self._count_fallbacks(replaced, plan)
                    refused = await self._answer(process, context, message, lease, heartbeat)
                    watch.waited()
                    replaced.update(dict.fromkeys(refused, ("sessions", plan)))
                case messages.Closed():
                    # A false report is caught at the end; a file removed since, as its encoder failed, is ignored.
                    with suppress(OutputInvalid, FileNotFoundError):
                        context.early_upload.begin(upload_of(message.path, current.plan, directory))
                case messages.EncoderLost():
                    kind = self._sessions.lost(message, current.plan, context.assignment, lease)
                    replaced[message.encoder] = kind, current.plan
                    await context.early_upload.roll_back()
                case messages.Failed():
                    raise self._failure(message, context)
                case messages.Finished():
                    log_adjustments(message)
                    names = (*parts_of(message), *(result.path for result in message.made))
                    context.early_upload.check_own(inside(directory, name) for name in names)
                    # While the child ends, which takes some ms.
                    context.early_upload.prepare(uploads_of(message, current.plan, directory), context.guard)
                    return message, current.plan

    async def _unit(
        self,
        process: child_process.Child,
        assignment: messages.Assignment,
        heartbeat: Heartbeat,
        range_server: RangeServer,
        done: type[UnitDone],
    ) -> UnitDone:
        watch = StallWatch(self._bounds, range_server, process.pid, looks=False)
        while True:
            message = await process.receive(watch.interval)
            watch.check(heartbeat.latest)
            match message:
                case messages.Advanced() | messages.Previewed():
                    _report(message, heartbeat, watch)
                case messages.EncoderLost():
                    if is_known(assignment, message):
                        self._capabilities.lose(message.encoder, message.reason)
                case messages.Failed():
                    raise _error_of(message)
                case messages.ChunkEncoded() | messages.SamplesTried() if isinstance(message, done):
                    return message

    def _failure(self, failed: messages.Failed, context: AttemptContext) -> Exception:
        """Return the child's error; Deferred if the task needs an accelerator that this worker lacks."""
        error = _error_of(failed)
        if context.small_only and isinstance(error, HardwareUnavailable) and context.assignment.request:
            return Deferred(unplanned(context.assignment.request, self._bounds.encoder_order, error.message))
        return error

    async def _answer(
        self,
        process: child_process.Child,
        context: AttemptContext,
        planned: messages.Planned,
        lease: Lease,
        heartbeat: Heartbeat,
    ) -> Collection[str]:
        """Accept a plan if its encoders work and have sessions; return those that do not. Raises WorkerBusy, or Deferred to the
        queue that waits for sessions.
        """
        plan, request = planned.plan, context.assignment.request
        lease.release()
        try:
            excluded = await self._sessions.objections(request, plan, planned.infos, heartbeat)
        except WorkerBusy:
            if not context.small_only:
                raise
            raise Deferred(needs_of_planned(context, planned, self._bounds)) from None
        if excluded:
            await process.send(excluded)
            return {*excluded.encoders, *(name for encoders in excluded.targets.values() for name in encoders)}
        lease.hold(plan)
        log_plan(context.assignment, plan, planned.infos)
        await process.send(messages.Go())
        return ()

    def _count_fallbacks(self, replaced: dict[str, tuple[str, Plan]], plan: Plan) -> None:
        """Count the substitutes of the encoders in `replaced` (encoder to kind of reason and plan with it), and clear it."""
        for encoder, (kind, before) in replaced.items():
            count_fallback(self._metrics, self._capabilities, encoder, substitute(encoder, before, plan), kind)
        replaced.clear()


_EXIT_REASONS: dict[type[ReelmillError], str] = {
    DriverFailed: "driver",
    EncoderCrashed: "crashed",
    OutOfMemory: "memory",
    Stalled: "stalled",
    Timeout: "timeout",
}
ENDS = ("done", "deferred", "canceled", "failed", *_EXIT_REASONS.values())
"""How a child may end, in metrics."""


def _report(message: messages.Advanced | messages.Previewed, heartbeat: Heartbeat, watch: StallWatch) -> None:
    """Report how far an attempt is, or what it has encoded."""
    if isinstance(message, messages.Advanced):
        heartbeat(message.progress)
        watch.moved(message)
    elif preview := preview_of(message):
        heartbeat.show(preview)


def _error_of(failed: messages.Failed) -> ReelmillError:
    known = from_code(failed.code, failed.message)
    return type(known)(failed.message, [Violation(field, text) for field, text in failed.fields])
