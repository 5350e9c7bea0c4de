"""Track what this worker's encoders can do now: trials, failures with a cool-down, and sessions in use."""

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import structlog

from reelmill_server.errors import ReelmillError, from_code
from reelmill_server.model.capability import SOFTWARE, Capability, Limits, Sandbox
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.codec.video_encoders import VIDEO_ENCODERS
from reelmill_server.worker import messages
from reelmill_server.worker.parent import child_process

_TRIAL_SECONDS = 60.0
_FAMILY_SECONDS = 20.0  # a driver that does not answer must not keep the worker from its work
_log = structlog.get_logger(__name__)


async def run_trials(
    limits: Limits, order: Sequence[str], only: Sequence[str] = (), seconds: float = _TRIAL_SECONDS
) -> messages.TrialResults | None:
    """Run trial encodes in a child, of all encoders of the families in `order` or of those in `only`.

    None: it did not answer within `seconds`. Raises the child's error, and what starting one raises.
    """
    with tempfile.TemporaryDirectory() as folder:
        assignment = messages.Assignment(
            "capabilities", limits, directory=folder, encoder_order=tuple(order), retry_encoders=tuple(only)
        )
        async with child_process.start(assignment) as process:
            answer = await process.receive(seconds)
    if isinstance(answer, messages.Failed):
        raise from_code(answer.code, answer.message)
    return answer if isinstance(answer, messages.TrialResults) else None


async def try_family(limits: Limits, family: str, names: Sequence[str]) -> Sequence[Capability]:
    """Try the encoders `names` of an accelerator in a child of their own: its driver may crash, or never answer."""
    try:
        if tried := await run_trials(limits, (family,), names, _FAMILY_SECONDS):
            return tried.encoders
        reason = f"its driver did not answer within {_FAMILY_SECONDS:.0f} s"
    except ReelmillError as error:
        reason = f"its driver failed at a trial: {error.message}"
    codecs = {encoder: codec for codec, known in VIDEO_ENCODERS.items() for encoder in known.values()}
    return [Capability(name, codecs[name], family, False, reason, time.time_ns() // 1000) for name in names]


async def try_software(limits: Limits, families: Sequence[str]) -> messages.TrialResults:
    """Try what needs no driver, however long that takes: on a busy machine it is slow, and a worker without it is of no use."""
    seconds = _TRIAL_SECONDS
    while not (tried := await run_trials(limits, families, seconds=seconds)):
        _log.warning("trials of encoders took too long: trying again", seconds=seconds)
        seconds *= 2
    return tried


class Capabilities:
    """The encoders that work here. Hardware that failed is excluded until a trial after the cool-down succeeds."""

    def __init__(self, limits: Limits, order: Sequence[str], sessions: Mapping[Any, int], cooldown_seconds: float) -> None:
        self.decoders: tuple[Capability, ...] = ()
        self.filters: tuple[Capability, ...] = ()
        self.detectors: tuple[Capability, ...] = ()
        self.versions: dict[str, str] = {}
        self.sandbox = Sandbox()
        self._encoders: dict[str, Capability] = {}
        self._limits, self._order, self._sessions = limits, tuple(order), sessions
        self._cooldown_us = round(cooldown_seconds * MICROSECONDS)
        self._in_use: Counter[str] = Counter()
        self._learned: dict[str, tuple[int, int]] = {}

    @property
    def encoders(self) -> tuple[Capability, ...]:
        """All candidates, in the order in which they are tried."""
        return tuple(self._encoders.values())

    @property
    def names(self) -> Collection[str]:
        """The names of all candidates."""
        return self._encoders.keys()

    def works(self, encoder: str) -> bool:
        """Return whether an encoder works now."""
        known = self._encoders.get(encoder)
        return known is not None and known.available

    def sessions_in_use(self, family: str) -> int:
        """Return how many streams encoders of a family encode now."""
        return self._in_use[family]

    def max_sessions(self, family: str) -> int:
        """Return how many streams they may encode at once; 0: any number.

        That is what is set, or what a card was found to take lately: other programs may use it, too.
        """
        most, until_us = self._learned.get(family, (0, 0))
        set_to = self._sessions.get(family, 0)
        return min(most, set_to or most) if until_us > time.time_ns() // 1000 else set_to

    def learn_sessions(self, family: str, lease: "Lease", opened: int) -> int:
        """Learn that a family takes no more than the sessions of other leases and `opened` ones; return how many. 0: others use
        it.
        """
        most = self._in_use[family] - lease.held(family) + opened
        if most > 0:
            _log.warning("all sessions of an accelerator are in use", family=family, sessions=most)
            self._learned[family] = most, time.time_ns() // 1000 + self._cooldown_us
        return most

    async def discover(self) -> None:
        """Run all trials once: those of software, which always work, and those of each accelerator in a child of its own."""
        software = [family for family in self._order if family == SOFTWARE]
        families = {
            family: [known[family] for known in VIDEO_ENCODERS.values() if family in known]
            for family in self._order
            if family != SOFTWARE
        }
        tried = await try_software(self._limits, software)
        trials = [try_family(self._limits, family, names) for family, names in families.items() if names]
        capabilities = [*tried.encoders, *(capability for family in await asyncio.gather(*trials) for capability in family)]
        by_name = {capability.name: capability for capability in capabilities}
        video = [known.get(family, "") for known in VIDEO_ENCODERS.values() for family in self._order]
        self._encoders = {name: by_name[name] for name in (*filter(by_name.__contains__, video), *by_name)}
        self.decoders, self.versions = tried.decoders, tried.versions
        self.detectors, self.filters, self.sandbox = tried.detectors, tried.filters, tried.sandbox

    def lose(self, encoder: str, reason: str) -> None:
        """Exclude an encoder that failed in a task until a trial succeeds."""
        known = self._encoders.get(encoder)
        if known is not None and known.device != SOFTWARE:
            _log.warning("encoder lost", encoder=encoder, reason=reason)
            self._encoders[encoder] = replace(known, available=False, reason=reason, tried_us=time.time_ns() // 1000)

    async def retry_lost(self) -> None:
        """Try excluded hardware again whose cool-down has passed."""
        due = time.time_ns() // 1000 - self._cooldown_us
        lost: dict[str, list[str]] = {}
        for capability in self.encoders:
            if not capability.available and capability.device != SOFTWARE and capability.tried_us <= due:
                lost.setdefault(capability.device, []).append(capability.name)
        for family, names in lost.items():
            self._update(await try_family(self._limits, family, names))

    def _update(self, tried: Sequence[Capability]) -> None:
        for capability in tried:
            if capability.available:
                _log.info("encoder is back", encoder=capability.name)
            self._encoders[capability.name] = capability

    def lost_of(self, plan: Plan) -> dict[str, str]:
        """Return the accelerators' encoders of `plan` that do not work any more, with the reason."""
        used = {stream.encoder for stream in _accelerated(plan)}
        known = (self._encoders[name] for name in used if name in self._encoders)
        return {capability.name: capability.reason for capability in known if not capability.available}

    def lacking(self, plan: Plan) -> dict[int, dict[str, str]]:
        """Return by the index of the target the encoders for which no session is left, with the reason: the first targets take
        those that are free.
        """
        needed: Counter[str] = Counter()
        lacking: dict[int, dict[str, str]] = {}
        for target in plan.targets:
            for stream in target.streams:
                needed[stream.device] += 1
                most = self.max_sessions(stream.device)
                if most and self._in_use[stream.device] + needed[stream.device] > most:
                    reason = f"all {most} sessions of {stream.device} are in use"
                    lacking.setdefault(target.index, {})[stream.encoder] = reason
        return lacking

    def lacking_families(self, plan: Plan) -> list[str]:
        """Return the families that have fewer free sessions than `plan` needs."""
        needed = _sessions_of(plan)
        return [
            family
            for family, streams in needed.items()
            if (most := self.max_sessions(family)) and self._in_use[family] + streams > most
        ]

    def is_full(self, family: str) -> bool:
        """Return whether all sessions of a family are in use."""
        most = self.max_sessions(family)
        return bool(most) and self._in_use[family] >= most

    def has_sessions(self, family: str, streams: int) -> bool:
        """Return whether an encoder of `family` works and can take so many more streams; more than there are in total count as
        all.
        """
        if not any(capability.available and capability.device == family for capability in self.encoders):
            return False
        most = self.max_sessions(family)
        return not most or self._in_use[family] + min(streams, most) <= most

    @contextmanager
    def lease(self) -> Iterator["Lease"]:
        """Lease encoder sessions to one attempt during the block."""
        lease = Lease(self._in_use, self.max_sessions)
        try:
            yield lease
        finally:
            lease.release()


def _accelerated(plan: Plan) -> Iterator[StreamPlan]:
    return (stream for target in plan.targets for stream in target.streams if stream.device not in ("", SOFTWARE))


def _sessions_of(plan: Plan) -> Counter[str]:
    return Counter(stream.device for target in plan.targets for stream in target.streams if stream.device)


class Lease:
    """The encoder sessions that one attempt holds."""

    def __init__(self, in_use: Counter[str], most: Callable[[str], int]) -> None:
        self._in_use, self._most = in_use, most
        self._held: Counter[str] = Counter()

    def hold(self, plan: Plan) -> None:
        """Hold the sessions that `plan` needs instead of those held before."""
        self.release()
        self._held = _sessions_of(plan)
        self._in_use.update(self._held)

    def reserve(self, family: str, sessions: int) -> None:
        """Hold sessions for a plan that is not made yet instead of those held before: no more than are free."""
        self.release()
        most = self._most(family)
        free = max(0, most - self._in_use[family]) if most else sessions
        self._held = Counter({family: min(sessions, free)})
        self._in_use.update(self._held)

    def held(self, family: str) -> int:
        """Return how many sessions of a family it holds."""
        return self._held[family]

    def release(self) -> None:
        """Give back all sessions."""
        self._in_use.subtract(self._held)
        self._held = Counter()
