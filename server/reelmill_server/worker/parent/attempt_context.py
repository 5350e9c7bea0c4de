"""Services that an attempt uses, and the resources that its plan needs of a worker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.chunked_plan import ChunkedPlan, SampledPlan
from reelmill_server.model.needs import Deferred, Needs
from reelmill_server.model.plan import Plan
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.cost.needs import is_small, needs_of
from reelmill_server.plan.quality import with_assumed_crfs
from reelmill_server.settings.machine import visible_cpus
from reelmill_server.storage.base import Storage
from reelmill_server.worker import messages
from reelmill_server.worker.parent.accelerators import devices
from reelmill_server.worker.parent.credible import check_plan, check_searches
from reelmill_server.worker.parent.destinations import check_destinations
from reelmill_server.worker.parent.early_upload import EarlyUpload
from reelmill_server.worker.parent.publish_guard import PublishGuard
from reelmill_server.worker.parent.range_server import RangeServer
from reelmill_server.worker.parent.stall_watch import Bounds


@dataclass(frozen=True)
class AttemptContext:
    """A child's assignment and what serves it: where it reads from, where its outputs go, and who knows whether they may.

    `small_only`: defer a task that is not small; `raised`: this one is not, as an earlier attempt ran out of memory. `cached`
    returns the results that an earlier attempt kept for a plan.
    """

    assignment: messages.Assignment
    storage: Storage
    range_server: RangeServer
    early_upload: EarlyUpload
    guard: PublishGuard
    small_only: bool = False
    raised: bool = False
    cached: Callable[[Plan], Awaitable[messages.Finished | None]] | None = None


async def check_planned(context: AttemptContext, planned: messages.Planned, bounds: Bounds) -> None:
    """Raise Deferred if the plan is not small, and what `check_plan`, `check_searches` and `check_destinations` raise."""
    check_plan(context.assignment, planned.plan, planned.split)
    check_searches(context.assignment, planned.plan, planned.split, planned.searches)
    # Before it is deferred: what may not be written need not wait in another queue.
    await asyncio.to_thread(check_destinations, context.storage, context.assignment, planned.plan)
    if context.small_only:
        _check_small(context, planned, bounds)


def _check_small(context: AttemptContext, planned: messages.Planned, bounds: Bounds) -> None:
    """Raise Deferred if the plan is not small."""
    needs = needs_of_planned(context, planned, bounds)
    small = is_small(planned.plan, needs.cost, bounds.fast_core_seconds)
    assert context.assignment.request
    if not small or context.raised or (needs.split and context.assignment.request.parallelism > 1):
        raise Deferred(needs)


def needs_of_planned(context: AttemptContext, planned: messages.Planned, bounds: Bounds) -> Needs:
    """Return what a plan requires, and how it is cut."""
    assignment = context.assignment
    assert assignment.request
    needs = needs_of(assignment.request, planned.plan, planned.infos, bounds.encoder_order, visible_cpus())
    if planned.split and planned.split.units and all(device in ("", SOFTWARE) for device in devices(planned.plan)):
        chunked = ChunkedPlan(planned.plan, planned.split)
        if planned.searches:
            cost = estimate(with_assumed_crfs(planned.plan), planned.infos, visible_cpus())
            needs = replace(needs, sampled=SampledPlan(chunked, planned.searches, cost))
        else:
            needs = replace(needs, chunked=chunked)
    if assignment.rule:
        needs = replace(needs, keeps=needs.cost.core_seconds >= bounds.chunks.least_seconds)
    return needs
