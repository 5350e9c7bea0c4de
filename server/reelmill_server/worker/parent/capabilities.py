"""What this worker's encoders can do now: trials, failures with a cool-down, and sessions in use."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog

from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process

_TRIAL_SECONDS = 60.0
_log = structlog.get_logger(__name__)


async def try_everything(limits: Limits, order: Sequence[str], only: Sequence[str] = ()) -> messages.Tried:
    """Real trial encodes in a child, of all encoders or of those named in `only`. Raises EncoderCrashed when it dies of it."""
    assignment = messages.Assignment("capabilities", limits, encoder_order=tuple(order), retry_encoders=tuple(only))
    async with child_process.start(assignment) as process:
        answer = await process.hear(_TRIAL_SECONDS)
    return answer if isinstance(answer, messages.Tried) else messages.Tried((), (), {})


class Abilities:
    """The encoders that were proved here. Hardware that failed is out until a new trial after the cool-down succeeds."""

    def __init__(self, limits: Limits, order: Sequence[str], sessions: Mapping[Any, int], cooldown_seconds: float) -> None:
        self.decoders: tuple[Capability, ...] = ()
        self.filters: tuple[Capability, ...] = ()
        self.detectors: tuple[Capability, ...] = ()
        self.versions: dict[str, str] = {}
        self._encoders: dict[str, Capability] = {}
        self._limits, self._order, self._sessions = limits, tuple(order), sessions
        self._cooldown_us = round(cooldown_seconds * MICROSECONDS)
        self._in_use: Counter[str] = Counter()

    @property
    def encoders(self) -> tuple[Capability, ...]:
        """Every candidate, in the order in which they are tried."""
        return tuple(self._encoders.values())

    def works(self, encoder: str) -> bool:
        """Whether an encoder works now."""
        known = self._encoders.get(encoder)
        return known is not None and known.available

    def sessions_in_use(self, family: str) -> int:
        """How many streams encoders of a family encode now."""
        return self._in_use[family]

    async def discover(self) -> None:
        """Tries everything once."""
        tried = await try_everything(self._limits, self._order)
        self._encoders = {capability.name: capability for capability in tried.encoders}
        self.decoders, self.versions = tried.decoders, tried.versions
        self.detectors, self.filters = tried.detectors, tried.filters

    def lose(self, encoder: str, reason: str) -> None:
        """An encoder failed in a task: it is out until a trial proves it again."""
        known = self._encoders.get(encoder)
        if known is not None and known.device != SOFTWARE:
            _log.warning("encoder lost", encoder=encoder, reason=reason)
            self._encoders[encoder] = replace(known, available=False, reason=reason, tried_us=time.time_ns() // 1000)

    async def try_again(self) -> None:
        """Tries the hardware that is out and whose cool-down has passed."""
        due = time.time_ns() // 1000 - self._cooldown_us
        names = [
            capability.name
            for capability in self.encoders
            if not capability.available and capability.device != SOFTWARE and capability.tried_us <= due
        ]
        if names:
            self._update(await try_everything(self._limits, self._order, names))

    def _update(self, tried: messages.Tried) -> None:
        for capability in tried.encoders:
            if capability.available:
                _log.info("encoder is back", encoder=capability.name)
            self._encoders[capability.name] = capability

    def refused(self, plan: Plan) -> dict[str, str]:
        """Encoders of `plan` for which no session is free, with the reason."""
        needed = _sessions_of(plan)
        return {
            stream.encoder: f"all {self._sessions[stream.device]} sessions of {stream.device} are in use"
            for target in plan.targets
            for stream in target.streams
            if stream.device in self._sessions
            and self._in_use[stream.device] + needed[stream.device] > self._sessions[stream.device]
        }

    def has_sessions(self, family: str, streams: int) -> bool:
        """Whether an encoder of `family` works and could take so many more streams; more than there ever are count as all."""
        if not any(capability.available and capability.device == family for capability in self.encoders):
            return False
        most = self._sessions.get(family)
        return most is None or self._in_use[family] + min(streams, most) <= most

    @contextmanager
    def lease(self) -> Iterator["Lease"]:
        """Sessions of one attempt, given back when the block is left."""
        lease = Lease(self._in_use)
        try:
            yield lease
        finally:
            lease.release()


def _sessions_of(plan: Plan) -> Counter[str]:
    return Counter(stream.device for target in plan.targets for stream in target.streams if stream.device)


class Lease:
    """The encoder sessions that one attempt holds."""

    def __init__(self, in_use: Counter[str]) -> None:
        self._in_use = in_use
        self._held: Counter[str] = Counter()

    def hold(self, plan: Plan) -> None:
        """Holds what `plan` needs, instead of what was held before."""
        self.release()
        self._held = _sessions_of(plan)
        self._in_use.update(self._held)

    def reserve(self, family: str, sessions: int) -> None:
        """Holds sessions for a plan that is still to be made, instead of what was held before."""
        self.release()
        self._held = Counter({family: sessions})
        self._in_use.update(self._held)

    def release(self) -> None:
        """Gives all back."""
        self._in_use.subtract(self._held)
        self._held = Counter()
