"""Sessions of an accelerator: what is free is taken, and waited for as long as that pays."""

import asyncio
from fractions import Fraction

import pytest

from reelmill_server.errors import WorkerBusy
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.plan import Plan, StreamPlan, StreamType, TargetPlan, VideoOutput
from reelmill_server.model.request import ConvertRequest, Hardware, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.model.task import Progress, TaskPhase
from reelmill_server.worker.messages import Assignment, EncoderLost
from reelmill_server.worker.parent import sessions
from reelmill_server.worker.parent.capabilities import Capabilities
from reelmill_server.worker.parent.heartbeat import Heartbeat
from reelmill_server.worker.parent.sessions import Sessions

CARD = "h264_nvenc"


def plan(targets: int) -> Plan:
    """One stream on the card for each target."""
    shape = VideoOutput(64, 64, "yuv420p", Fraction(1, 25), Fraction(25))
    stream = StreamPlan(StreamType.VIDEO, (), "h264", CARD, "", video=shape, device="nvenc")
    return Plan(tuple(TargetPlan(number, "file:///x.mp4", "mp4", "mp4", 0, (stream,)) for number in range(targets)))


def request(hardware: Hardware = Hardware.PREFERRED) -> ConvertRequest:
    """A conversion with this policy."""
    target = TargetSpec(0, "file:///x.mp4", "mp4", VideoSpec("h264", hardware=hardware))
    return ConvertRequest("task", "default", (SourceSpec("file:///clip.mp4"),), (target,))


class Worker:
    """The sessions of a card that takes so many, of which others hold some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, most: int, held: int, saved: float = 0.0) -> None:
        monkeypatch.setattr(sessions, "seconds_saved", lambda *arguments: saved)
        self.capabilities = Capabilities(Limits(), ("nvenc", SOFTWARE), {"nvenc": most} if most else {}, 300)
        self.capabilities._encoders[CARD] = Capability(CARD, "h264", "nvenc", True)
        self.capabilities._in_use["nvenc"] = held
        self.phases = list[TaskPhase]()
        self.heartbeat = Heartbeat(self._report, lambda preview: None)
        self.sessions = Sessions(self.capabilities, 60)

    def _report(self, progress: Progress) -> None:
        self.phases.append(progress.phase)

    async def excluded(self, targets: int, hardware: Hardware = Hardware.PREFERRED) -> dict[int, dict[str, str]] | None:
        """Which targets go without the card; None: none."""
        result = await self.sessions.objections(request(hardware), plan(targets), (), self.heartbeat)
        return result.targets if result else None


async def test_a_ladder_takes_what_is_free_without_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the number is set or was learned."""
    worker = Worker(monkeypatch, most=3, held=1, saved=60)
    reason = {CARD: "all 3 sessions of nvenc are in use"}
    assert await worker.excluded(4) == {2: reason, 3: reason}
    assert not worker.phases


@pytest.mark.parametrize("hardware", [Hardware.PREFERRED, Hardware.REQUIRED])
async def test_what_the_card_has_is_no_reason_to_wait(monkeypatch: pytest.MonkeyPatch, hardware: Hardware) -> None:
    """Who needs more than there are in all need not hope for others to end."""
    worker = Worker(monkeypatch, most=2, held=0, saved=60)
    assert list(await worker.excluded(3, hardware) or ()) == [2]


async def test_who_prefers_hardware_waits_for_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says that it waits, and goes on as soon as one is free."""
    worker = Worker(monkeypatch, most=1, held=1, saved=60)
    waiting = asyncio.create_task(worker.excluded(1))
    while not worker.phases:
        await asyncio.sleep(0)
    assert worker.phases == [TaskPhase.QUEUED] and not waiting.done()
    worker.capabilities._in_use["nvenc"] = 0
    assert await waiting is None and worker.phases[-1] is not TaskPhase.QUEUED


async def test_nobody_waits_longer_than_that_pays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Software that is as fast takes over at once."""
    worker = Worker(monkeypatch, most=1, held=1, saved=0.0)
    assert list(await worker.excluded(1) or ()) == [0]


async def test_who_requires_hardware_is_handed_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """While others hold what it lacks."""
    worker = Worker(monkeypatch, most=1, held=1)
    with pytest.raises(WorkerBusy, match="all sessions of nvenc are in use"):
        await worker.excluded(1, Hardware.REQUIRED)


async def test_an_encoder_that_others_lost_meanwhile_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its plan was made before."""
    worker = Worker(monkeypatch, most=0, held=0)
    worker.capabilities.lose(CARD, "the engine does not answer")
    result = await worker.sessions.objections(request(), plan(1), (), worker.heartbeat)
    assert result and result.encoders == {CARD: "the engine does not answer"} and not result.targets


@pytest.mark.parametrize(
    ("held", "opened", "hardware", "kind", "most"),
    [
        (0, 2, Hardware.PREFERRED, "sessions", 2),
        (1, 0, Hardware.PREFERRED, "sessions", 1),
        (0, 0, Hardware.PREFERRED, "failed", 0),
        (1, 0, Hardware.REQUIRED, None, 1),
        (0, 0, Hardware.REQUIRED, None, 0),
    ],
)
def test_a_full_card_teaches_its_limit(
    monkeypatch: pytest.MonkeyPatch, held: int, opened: int, hardware: Hardware, kind: str | None, most: int
) -> None:
    """Programs beside this one may hold all: then the card is lost for a while, and who requires it waits."""
    worker = Worker(monkeypatch, most=0, held=held)
    lost = EncoderLost(CARD, "nvenc", "out of memory (10)", True, opened, True)
    given = Assignment("convert", Limits(), request(hardware), capabilities=worker.capabilities.encoders)
    with worker.capabilities.lease() as lease:
        if kind is None:
            with pytest.raises(WorkerBusy):
                worker.sessions.lost(lost, plan(4), given, lease)
        else:
            assert worker.sessions.lost(lost, plan(4), given, lease) == kind
    assert worker.capabilities.max_sessions("nvenc") == most
    assert worker.capabilities.works(CARD) == (kind != "failed")


def test_no_more_sessions_are_held_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before its plan is known, a ladder of six holds what is free of two."""
    worker = Worker(monkeypatch, most=2, held=1)
    with worker.capabilities.lease() as lease:
        lease.reserve("nvenc", 6)
        assert worker.capabilities.sessions_in_use("nvenc") == 2
    assert worker.capabilities.sessions_in_use("nvenc") == 1
