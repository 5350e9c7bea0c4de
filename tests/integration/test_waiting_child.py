"""Children that wait for an assignment: each takes one, and had nothing of a task before."""

import asyncio
import json
import os
import resource
import signal
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from reelmill_server.errors import EncoderCrashed
from reelmill_server.model.capability import Limits
from reelmill_server.worker import messages
from reelmill_server.worker.child import main as child
from reelmill_server.worker.handover import Handover
from reelmill_server.worker.parent import child_process
from reelmill_server.worker.parent.child_process import preload, start
from reelmill_server.worker.parent.waiting_child import Reserve, WaitingChild
from tests.waiting import eventually

_PROBE = messages.Assignment("probe", Limits())
_SECONDS = 30.0


@pytest.fixture
async def reserve() -> AsyncIterator[Reserve]:
    """A reserve in which a child waits."""
    preload()
    result = Reserve()
    result.fill()
    await _filled(result)
    yield result
    await result.close()


async def _filled(reserve: Reserve) -> int:
    """Wait until a child waits; return its process ID."""
    await eventually(lambda: reserve._ready is not None, "a child that waits")
    assert reserve._ready
    return reserve._ready.process.pid or 0


async def _probe(reserve: Reserve | None, assignment: messages.Assignment = _PROBE) -> int:
    """Run a child to its end; return its process ID."""
    async with start(assignment, reserve=reserve) as process:
        answer = await process.receive(_SECONDS)
        assert isinstance(answer, messages.Probed), answer
        return process.pid


async def test_no_thread_uses_a_pipe_that_is_closed(reserve: Reserve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its number may be the next child's pipe at once, of which the thread would take the beginning of a message."""
    read = child_process._read

    def slowly(text: bytes) -> messages.FromChild:
        time.sleep(0.3)
        return read(text)

    monkeypatch.setattr(child_process, "_read", slowly)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        async with start(_PROBE, reserve=reserve):
            resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))  # there are no more descriptors
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert "child-pipe" not in {thread.name for thread in threading.enumerate()}


async def test_messages_that_were_sent_are_let_go(reserve: Reserve) -> None:
    """One that has ended by then, too: it takes none, and that is no error."""
    async with start(_PROBE, reserve=reserve) as process:
        await process.send(messages.Go())
        assert isinstance(await process.receive(_SECONDS), messages.Probed)
        await process.send(messages.Go())
        await eventually(lambda: not process._sending, "nothing that is being sent")


async def test_a_waiting_child_takes_one_assignment(reserve: Reserve) -> None:
    """The next attempt gets another one, which has been started meanwhile."""
    first = await _filled(reserve)
    assert await _probe(reserve) == first
    second = await _filled(reserve)
    assert second != first and not Path(f"/proc/{first}").exists()
    assert await _probe(reserve) == second


@pytest.mark.slow
async def test_attempts_beside_each_other_wait_for_nobody(reserve: Reserve) -> None:
    """One takes the child that waits, the others start their own."""
    waiting = await _filled(reserve)
    pids = await asyncio.gather(*(_probe(reserve) for _ in range(3)))
    assert len({*pids}) == 3 and waiting in pids


async def test_a_child_that_died_waiting_is_not_taken(reserve: Reserve) -> None:
    """As when the machine had no memory left."""
    waiting = await _filled(reserve)
    os.kill(waiting, signal.SIGKILL)
    await eventually(lambda: not Path(f"/proc/{waiting}").exists(), "its end")
    assert await _probe(reserve) != waiting


async def test_a_closed_reserve_leaves_nobody_waiting(reserve: Reserve) -> None:
    """Nor does it start another one for what still runs."""
    waiting = await _filled(reserve)
    await reserve.close()
    await eventually(lambda: not Path(f"/proc/{waiting}").exists(), "its end")
    await _probe(reserve)
    assert reserve._coming is None


@pytest.mark.slow
async def test_a_large_assignment_arrives_whole(reserve: Reserve) -> None:
    """More than the buffers of a socket hold."""
    names = tuple(f"encoder_{number}" for number in range(100_000))
    await _probe(reserve, messages.Assignment("probe", Limits(), encoder_order=names))


async def test_a_child_that_takes_no_assignment_is_given_up(reserve: Reserve, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one that is stopped: more was sent than the buffers of a socket hold, and was waited for without end."""
    monkeypatch.setattr(child_process, "_READY_SECONDS", 0.1)
    os.kill(await _filled(reserve), signal.SIGSTOP)
    names = tuple(f"encoder_{number}" for number in range(50_000))
    async with asyncio.timeout(_SECONDS):
        with pytest.raises(EncoderCrashed, match="did not get ready"):
            await _probe(reserve, messages.Assignment("probe", Limits(), encoder_order=names))


def _tell(
    pipe: Any, assignment_json: bytes, channel: socket | None, crashes: socket, files: Sequence[int], output: Any
) -> None:
    """Report what the child has when its assignment has just arrived, beside what belongs to that."""
    given = {*files, *([channel.fileno()] if channel else [])}
    own = {0, 1, 2, pipe.fileno(), crashes.fileno(), output.fileno()}
    others = sorted(os.readlink(f"/proc/self/fd/{number}") for number in _open() - given - own)
    contents = [os.pread(number, 100, 0).decode() for number in files]
    said = json.dumps({"others": others, "contents": contents, "environment": dict(os.environ)})
    child._ACTIONS = {**child._ACTIONS, "probe": lambda _: messages.Failed("InvalidMedia", said)}
    child.main(pipe, assignment_json, channel, crashes, files, output)


def _open() -> set[int]:
    return {number for number in map(int, os.listdir("/proc/self/fd")) if os.path.lexists(f"/proc/self/fd/{number}")}


async def test_a_waiting_child_has_nothing_but_its_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that this process has open, its environment, and what other children were given are not in it; what comes with its
    own assignment is. It holds Landlock's rules, which restrict it.
    """
    preload()
    monkeypatch.setenv("REELMILL_SECRET", "hush")
    secret, own = tmp_path / "secret", tmp_path / "own"
    secret.write_text("of another task")
    own.write_text("of this task")
    with secret.open() as other, own.open() as mine:
        os.set_inheritable(other.fileno(), True)
        before = await WaitingChild.spawn()
        with suppress(OSError):  # of nothing to do it has ended at once
            await before.hand_over(Handover(b"", None, [other.fileno()]))
        waiting = await WaitingChild.spawn(_tell)
        await before.dismiss()
        monkeypatch.setattr(WaitingChild, "spawn", _given(waiting))
        async with start(_PROBE, _Files([mine.fileno()])) as process:  # type: ignore[arg-type]
            answer = await process.receive(_SECONDS)
    assert isinstance(answer, messages.Failed) and answer.code == "InvalidMedia", answer
    said = json.loads(answer.message)
    assert set(said["others"]) <= {"anon_inode:[landlock-ruleset]"}
    assert said["contents"] == ["of this task"]
    assert "REELMILL_SECRET" not in said["environment"]


class _Files:
    """Local files only."""

    serves = False

    def __init__(self, descriptors: list[int]) -> None:
        self.descriptors = descriptors


def _given(waiting: WaitingChild) -> Any:
    async def spawn(_: object) -> WaitingChild:
        return waiting

    return spawn
