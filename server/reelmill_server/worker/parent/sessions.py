"""Give each plan the encoder sessions that are free, and let it wait for one as long as that pays."""

import asyncio
import time
from collections.abc import Sequence

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.plan.cost.savings import seconds_saved
from reelmill_server.settings.machine import visible_cpus
from reelmill_server.worker import messages
from reelmill_server.worker.parent.accelerators import requires_hardware, sessions_before
from reelmill_server.worker.parent.capabilities import Capabilities, Lease
from reelmill_server.worker.parent.credible import is_known
from reelmill_server.worker.parent.heartbeat import Heartbeat

_POLL_SECONDS = 0.1


class Sessions:
    """Negotiates what a plan may use of the accelerators of this worker."""

    def __init__(self, capabilities: Capabilities, most_seconds: float) -> None:
        """A plan waits at most `most_seconds`, as it holds cores and memory meanwhile."""
        self._capabilities, self._most_seconds = capabilities, most_seconds

    async def objections(
        self, request: ConvertRequest | None, plan: Plan, infos: Sequence[MediaInfo], heartbeat: Heartbeat
    ) -> messages.Exclude | None:
        """Return what `plan` may not use, now or after some waiting: encoders that are lost, and for some targets those without
        a free session. None: it may go.

        Raises WorkerBusy if hardware is REQUIRED, and others hold the sessions that it lacks.
        """
        if (excluded := self._objections(plan)) is None or request is None:
            return excluded
        lacking = self._capabilities.lacking_families(plan)
        if requires_hardware(request) and any(map(self._capabilities.sessions_in_use, lacking)):
            raise WorkerBusy(f"all sessions of {', '.join(lacking)} are in use")
        if not any(map(self._capabilities.is_full, lacking)):
            return excluded
        seconds = min(self._most_seconds, seconds_saved(request, plan, infos, visible_cpus()))
        heartbeat.queued()
        until = time.monotonic() + seconds
        while excluded and any(map(self._capabilities.is_full, lacking)) and time.monotonic() < until:
            await asyncio.sleep(_POLL_SECONDS)
            excluded = self._objections(plan)
        heartbeat.started()
        return excluded

    def lost(self, lost: messages.EncoderLost, plan: Plan, assignment: messages.Assignment, lease: Lease) -> str:
        """Note who may not use an encoder that failed; return the kind of reason.

        Raises WorkerBusy for a task that has to wait for a session: one that REQUIRES hardware while others hold all.
        """
        if not is_known(assignment, lost):
            return "failed"
        if lost.full:
            most = self._capabilities.learn_sessions(lost.device, lease, sessions_before(plan, lost))
            others = self._capabilities.sessions_in_use(lost.device) - lease.held(lost.device)
            if requires_hardware(assignment.request) and (others or not most):
                raise WorkerBusy(f"all sessions of {lost.device} are in use")
            if most:
                return "sessions"
        elif lost.refused:
            return "refused"
        self._capabilities.lose(lost.encoder, lost.reason)
        return "failed"

    def _objections(self, plan: Plan) -> messages.Exclude | None:
        lost, lacking = self._capabilities.lost_of(plan), self._capabilities.lacking(plan)
        return messages.Exclude(lost, lacking) if lost or lacking else None
