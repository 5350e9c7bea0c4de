"""Follows a child through its work: what it says, what it is told, and how it ends."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from reelmill_server.errors import (
    EncoderCrashed,
    HardwareUnavailable,
    OutputInvalid,
    ReelmillError,
    Stalled,
    Timeout,
    Violation,
    from_code,
)
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked_plan import ChunkedPlan
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.needs import Deferred
from reelmill_server.model.plan import Plan
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.model.units import Split
from reelmill_server.plan.cost.needs import is_small, needs_of, unplanned
from reelmill_server.plan.output.images import writable_image_uris
from reelmill_server.plan.output.packaging import writable_uris
from reelmill_server.settings.machine import visible_cpus
from reelmill_server.storage.base import Storage
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.capabilities import Abilities, Lease
from reelmill_server.worker.parent.early_upload import Delivery, upload_of
from reelmill_server.worker.parent.plan_log import log_plan
from reelmill_server.worker.parent.range_server import Broker
from reelmill_server.worker.parent.stall_watch import HEAR_SECONDS, Beat, Bounds, Watch
from reelmill_server.worker.parent.workspace import Scratch

T = TypeVar("T")


@dataclass(frozen=True)
class Seen:
    """What a look at sources found; the plan, and how it would be cut, if that was asked."""

    infos: tuple[MediaInfo, ...]
    plan: Plan | None = None
    split: Split | None = None


@dataclass(frozen=True)
class Job:
    """What one child is told, and what serves it: where it reads from, and where what it makes goes.

    `look`: only what is small is done. `made`: finds what an earlier attempt has made of a plan and kept.
    """

    assignment: messages.Assignment
    storage: Storage
    broker: Broker
    delivery: Delivery
    look: bool = False
    made: Callable[[Plan], Awaitable[messages.Finished | None]] | None = None


class Following:
    """Follows children of this worker: answers them, watches over them, and gives what they come to."""

    def __init__(self, abilities: Abilities, scratch: Scratch, bounds: Bounds, metrics: Metrics) -> None:
        self._scratch, self._bounds, self._metrics = scratch, bounds, metrics
        self._abilities = abilities

    async def look(self, assignment: messages.Assignment, broker: Broker) -> Seen:
        """Follows a look at sources to its end. Raises what the child failed with."""
        watch = Watch(self._bounds, broker)
        async with child_process.start(assignment, broker) as process:
            while True:
                message = await process.hear(HEAR_SECONDS)
                watch.check(Progress(phase=TaskPhase.PROBING))
                match message:
                    case messages.Failed():
                        raise _error_of(message)
                    case messages.Planned():
                        return Seen(message.infos, message.plan, message.split)
                    case messages.Probed():
                        return Seen(message.infos)

    async def convert(self, job: Job, lease: Lease, beat: Beat) -> tuple[messages.Finished, Plan]:
        """What a child made, which converts, and by which plan.

        Raises what it failed with, Deferred, Stalled, Timeout or EncoderCrashed.
        """
        return await self._run(job.assignment, job.broker, lambda process: self._convert(process, job, lease, beat))

    async def unit(self, assignment: messages.Assignment, broker: Broker, beat: Beat) -> messages.UnitMade:
        """What a child made, which encodes a unit. Raises as `convert` does."""
        if assignment.plan:
            log_plan(assignment, assignment.plan)
        return await self._run(assignment, broker, lambda process: self._unit(process, beat, broker))

    async def _run(
        self, assignment: messages.Assignment, broker: Broker, follow: Callable[[child_process.Child], Awaitable[T]]
    ) -> T:
        """Follows a child to its end. Raises what it failed with, Stalled, Timeout or EncoderCrashed."""
        reason = "done"
        assignment = replace(assignment, traced=tracing.on())
        try:
            with tracing.span("child", action=assignment.action):
                async with child_process.start(assignment, broker) as process:
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
        self, process: child_process.Child, job: Job, lease: Lease, beat: Beat
    ) -> tuple[messages.Finished, Plan]:
        watch, directory = Watch(self._bounds, job.broker), Path(job.assignment.directory)
        plan = Plan(())
        replaced: dict[str, str] = {}
        while True:
            message = await process.hear(HEAR_SECONDS)
            watch.check(beat.latest)
            if watch.second_passed():
                await self._scratch.check(directory)
                job.delivery.check()
            match message:
                case messages.Advanced():
                    beat(message.progress)
                    watch.moved(message)
                case messages.Planned():
                    plan = message.plan
                    if job.made and (made := await job.made(plan)):
                        return made, plan
                    self._count_fallbacks(replaced, plan)
                    replaced.update(dict.fromkeys(await self._answer(process, job, message, lease), "sessions"))
                case messages.Closed():
                    # A lie is met in the end; what is gone, as its encoder has failed meanwhile, is not missed.
                    with suppress(OutputInvalid, FileNotFoundError):
                        job.delivery.begin(upload_of(message.path, plan, directory))
                case messages.EncoderLost():
                    self._abilities.lose(message.encoder, message.reason)
                    replaced[message.encoder] = "failed"
                    await job.delivery.take_back()
                case messages.Failed():
                    raise self._failure(message, job)
                case messages.Finished():
                    return message, plan

    async def _unit(self, process: child_process.Child, beat: Beat, broker: Broker) -> messages.UnitMade:
        watch = Watch(self._bounds, broker)
        while True:
            message = await process.hear(HEAR_SECONDS)
            watch.check(beat.latest)
            match message:
                case messages.Advanced():
                    beat(message.progress)
                    watch.moved(message)
                case messages.EncoderLost():
                    self._abilities.lose(message.encoder, message.reason)
                case messages.Failed():
                    raise _error_of(message)
                case messages.UnitMade():
                    return message

    def _check_small(self, assignment: messages.Assignment, planned: messages.Planned) -> None:
        """Raises Deferred for a plan that is not small."""
        assert assignment.request
        needs = needs_of(assignment.request, planned.plan, planned.infos, self._bounds.encoder_order, visible_cpus())
        if planned.split and planned.split.units and all(device in ("", SOFTWARE) for device in _devices(planned.plan)):
            needs = replace(needs, chunked=ChunkedPlan(planned.plan, planned.split))
        if assignment.rule:
            needs = replace(needs, keeps=needs.cost.core_seconds >= self._bounds.chunks.least_seconds)
        small = is_small(planned.plan, needs.cost, self._bounds.fast_core_seconds)
        if not small or (needs.chunked and assignment.request.parallelism > 1):
            raise Deferred(needs)

    def _failure(self, failed: messages.Failed, job: Job) -> Exception:
        """What the child failed with; for want of an accelerator the task waits for one."""
        error = _error_of(failed)
        if job.look and isinstance(error, HardwareUnavailable) and job.assignment.request:
            return Deferred(unplanned(job.assignment.request, self._bounds.encoder_order, error.message))
        return error

    async def _answer(self, process: child_process.Child, job: Job, planned: messages.Planned, lease: Lease) -> Collection[str]:
        """Lets a plan run if its outputs may be written and there are sessions for it; gives the encoders that have none.

        Raises Deferred for one that is not small where only those run.
        """
        if job.look:
            self._check_small(job.assignment, planned)
        plan = planned.plan
        for uri in (*writable_uris(plan), *writable_image_uris(plan.images)):
            job.storage.check_writable(uri)
        lease.release()
        refused = self._abilities.refused(plan)
        if refused:
            await process.tell(messages.Exclude(refused))
        else:
            lease.hold(plan)
            log_plan(job.assignment, plan, planned.infos)
            await process.tell(messages.Go())
        return refused

    def _count_fallbacks(self, replaced: dict[str, str], plan: Plan) -> None:
        """Counts what took the place of the encoders in `replaced` (encoder to kind of reason), and forgets them."""
        encoders = [stream.encoder for target in plan.targets for stream in target.streams if stream.video]
        for encoder, kind in replaced.items():
            self._metrics.encoder_fallback_total.labels(encoder, next(iter(encoders), ""), kind).inc()
        replaced.clear()


_EXIT_REASONS: dict[type[ReelmillError], str] = {EncoderCrashed: "crashed", Stalled: "stalled", Timeout: "timeout"}


def _devices(plan: Plan) -> Iterator[str]:
    return (stream.device for target in plan.targets for stream in target.streams if stream.video)


def _error_of(failed: messages.Failed) -> ReelmillError:
    known = from_code(failed.code, failed.message)
    return type(known)(failed.message, [Violation(field, text) for field, text in failed.fields])
