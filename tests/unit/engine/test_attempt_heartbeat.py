"""Heartbeats that announce files: none without them may come after that."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from temporalio.testing import ActivityEnvironment

from reelmill_server.engine import attempt_heartbeat
from reelmill_server.engine.attempt_heartbeat import AttemptHeartbeat
from reelmill_server.engine.claim import TaskClaim
from reelmill_server.engine.pending_files import pack
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.task import Progress, TaskPhase

FILES = [PendingFile("file:///out.mp4", "mark")]
(PACKED,) = pack(FILES)
NOW, LATER = (Progress(TaskPhase.CONVERTING, percent) for percent in (1, 2))


class Engine:
    """An engine that keeps what it is told."""

    def __init__(self) -> None:
        self.heartbeats: list[tuple[Progress, str]] = []
        self.signals: list[str] = []
        self.runs, self.away = True, False

    async def heartbeat(self, token: bytes, progress: Progress, packed: str) -> bool:
        """As of the engine."""
        if self.away:
            raise ServiceUnavailable("away")
        self.heartbeats.append((progress, packed))
        return self.runs

    async def announce(self, task_id: str, activity_id: str, packed: Sequence[str]) -> None:
        """As of the engine."""
        self.signals += packed


class World:
    """An activity, what it sent by itself, and the engine."""

    def __init__(self) -> None:
        self.engine, self.sent = Engine(), list[tuple[Any, ...]]()
        self.environment = ActivityEnvironment()
        self.environment.on_heartbeat = lambda *details: self.sent.append(details)

    def heartbeat(self, announces: bool = True) -> AttemptHeartbeat:
        """Return a heartbeat of the activity."""
        return AttemptHeartbeat(cast(Any, self.engine), announces, 16.0)

    async def run(self, body: Any) -> Any:
        """Run it in the activity."""
        return await self.environment.run(body)


async def test_a_short_attempt_announces_by_its_only_heartbeat() -> None:
    """One that goes on repeats it."""
    world = World()
    heartbeat = world.heartbeat()

    async def attempt() -> None:
        heartbeat.send(NOW)
        assert await heartbeat.announce(FILES) and not world.sent
        heartbeat.send(LATER)
        assert await heartbeat.announce(FILES)  # again, as the answer did not come
        assert not await heartbeat.announce([PendingFile("file:///out.mp4", "other")])

    await world.run(attempt)
    assert world.engine.heartbeats == [(NOW, PACKED), (LATER, PACKED)] and world.sent == [(LATER, PACKED)]


@pytest.mark.parametrize("announces", [True, False], ids=["long", "of an earlier version"])
async def test_others_announce_by_a_signal(monkeypatch: pytest.MonkeyPatch, announces: bool) -> None:
    """Of these, a heartbeat without the files may be on its way."""
    monkeypatch.setattr(attempt_heartbeat, "_MOST_SECONDS", 0.0)
    world = World()
    heartbeat = world.heartbeat(announces)

    async def attempt() -> None:
        heartbeat.send(NOW)
        assert not await heartbeat.announce(FILES)
        heartbeat.send(LATER)

    await world.run(attempt)
    assert not world.engine.heartbeats and world.sent == [(NOW,), (LATER,)]


@pytest.mark.parametrize(("waits", "works", "quiet"), [(2.0, 0.9, True), (2.0, 1.1, False), (3.5, 0.9, False)])
async def test_an_attempt_that_waits_for_its_turn_is_quiet_for_a_while(
    monkeypatch: pytest.MonkeyPatch, waits: float, works: float, quiet: bool
) -> None:
    """And for a second of work, but never for more than a quarter of the silence that is allowed."""
    now = 100.0
    monkeypatch.setattr("reelmill_server.engine.attempt_heartbeat.time.monotonic", lambda: now)
    world = World()
    heartbeat = world.heartbeat()

    async def attempt() -> None:
        nonlocal now
        heartbeat.send(Progress(TaskPhase.QUEUED))
        now += waits
        heartbeat.send(Progress(TaskPhase.QUEUED))
        now += works
        heartbeat.send(NOW)
        assert await heartbeat.announce(FILES) is quiet

    await world.run(attempt)
    assert world.sent == ([] if quiet else [(NOW,)])


async def test_what_was_announced_outlives_an_attempt_that_failed() -> None:
    """Its heartbeats end with it. Nothing is said twice by one that announced nothing, or by a signal."""
    world = World()
    claim = TaskClaim(cast(Any, world.engine), "task", "1", world.heartbeat())

    async def attempt() -> None:
        await claim.hand_on()
        assert not world.engine.signals
        assert await claim.announce(FILES)
        await claim.hand_on()
        await TaskClaim(cast(Any, world.engine), "task", "1").hand_on()

    await world.run(attempt)
    assert world.engine.signals == [PACKED]


async def test_an_activity_that_has_ended_says_so_by_a_signal() -> None:
    """Whose answer tells what became of the task."""
    world = World()
    world.engine.runs = False
    claim = TaskClaim(cast(Any, world.engine), "task", "1", world.heartbeat())

    async def attempt() -> None:
        assert not await claim.announce(FILES)

    await world.run(attempt)
    assert world.engine.signals == [PACKED]


async def test_an_attempt_that_takes_long_is_heard_of_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """At first a cancel, which comes with the answer, is to reach it at once."""
    now = 100.0
    monkeypatch.setattr(attempt_heartbeat, "time", SimpleNamespace(monotonic=lambda: now))
    world = World()
    heartbeat = world.heartbeat(announces=False)

    async def attempt() -> None:
        nonlocal now
        for tenth in range(100, 140):  # of a second
            now = 100 + tenth / 10 - 2
            heartbeat.send(LATER)

    await world.run(attempt)
    assert len(world.sent) == 20 + 2
