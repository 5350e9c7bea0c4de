"""Attempts that need more memory than a child may have: they are told so, whatever it is that fails."""

import _thread
import ctypes
import mmap
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

import pytest
import structlog

from reelmill_server import cgroups
from reelmill_server.address_space import peak_bytes
from reelmill_server.cgroups import MemoryCgroup
from reelmill_server.errors import EncoderCrashed, OutOfMemory, Stalled, from_code
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import SegmentFormat, TargetSpec
from reelmill_server.worker import messages
from reelmill_server.worker.child import main
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.parent import child_process, memory_watch
from reelmill_server.worker.parent.child_usage import MachineMemory, held_bytes
from tests.clips import moving_picture
from tests.integration.test_child_side import FILE, FILES, assignment, segmented, without_hardware

MIB = 1 << 20


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of frames that take some memory."""
    child_process.preload()
    return moving_picture(tmp_path_factory.mktemp("clips") / "clip.mp4", 2, "1280x720")


async def attempt(task: messages.Assignment) -> tuple[messages.Finished, int]:
    """What a child makes, and how much address space it has taken to plan. Raises what it fails with."""
    planned = 0
    async with child_process.start(task, FILES) as process:
        while True:
            message = await process.receive(30)
            assert message is not None
            if isinstance(message, messages.Planned):
                planned = peak_bytes(process.pid)
                await process.send(messages.Go())
            if isinstance(message, messages.Failed):
                raise from_code(message.code, message.message)
            if isinstance(message, messages.Finished):
                return message, planned


IMAGES = (ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/p", "png", FramesSpec(interval_us=100_000)),)
CASES = {
    "a file": FILE,
    "DASH": segmented(SegmentFormat.DASH),
    "images": TargetSpec(0, "", "", images=IMAGES, subtitle="none"),
}


@pytest.mark.slow
@pytest.mark.sample(every=2)
@pytest.mark.parametrize("case", CASES)
async def test_too_little_memory_is_called_nothing_else(clip: Path, tmp_path: Path, case: str) -> None:
    """Decoders, threads, encoders, muxers and libraries fail each in a way of its own as there is more and more. What is made
    all the same is whole."""
    target = without_hardware(CASES[case])

    def task(number: int, bound: int) -> messages.Assignment:
        folder = tmp_path / str(number)
        folder.mkdir()
        return assignment(clip, folder, target, max_address_bytes=bound)

    whole, planned = await attempt(task(0, 0))
    refused = []
    for number, more in enumerate((2, 12, 28, 60, 124), 1):
        try:
            finished, _ = await attempt(task(number, planned + more * MIB))
        except OutOfMemory as error:
            refused.append(more)
            assert "MiB of address space" in error.message
        else:
            assert [result.artifact.streams for result in finished.made] == [result.artifact.streams for result in whole.made]
            assert len(finished.made) == len(whole.made) and not finished.warnings
    assert 2 in refused


BOUND = 1024 * MIB


def _lose_a_thread() -> None:
    """Start a thread that has no memory to begin with, and wait for it as `Thread.start()` does."""

    def without_memory() -> None:
        raise MemoryError

    _thread.start_new_thread(without_memory, ())
    threading.Event().wait()


ENDINGS: dict[str, tuple[Callable[[], object], str]] = {
    "abort": (os.abort, "killed by SIGABRT"),
    "fault": (lambda: ctypes.string_at(0), "killed by SIGSEGV"),
    "exit": (lambda: ctypes.CDLL(None).exit(1), "a library ended the process"),
    "thread": (_lose_a_thread, "killed by SIGABRT|can't start new thread"),
    "wait": (lambda: threading.Event().wait(), ""),
}


def _end(kind: str, starved: bool, *arguments: Any) -> None:
    """The entry point of a child whose work ends it, after it took all its memory if it is `starved`."""

    def work(attempt: Attempt) -> messages.FromChild:
        kept: list[mmap.mmap] = []
        with suppress(OSError, MemoryError):
            while starved:
                kept.append(mmap.mmap(-1, MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        attempt.report(messages.Probed(()))
        ENDINGS[kind][0]()
        raise AssertionError(f"{kind} does not end the process")

    main._ACTIONS["probe"] = work
    main.main(*arguments)


@pytest.mark.sample(every=7)
@pytest.mark.parametrize("starved", [False, True], ids=["with memory", "without memory"])
@pytest.mark.parametrize("kind", ["abort", "fault", "exit", "thread"])
async def test_a_child_that_dies_near_its_bound_had_too_little_memory(
    monkeypatch: pytest.MonkeyPatch, kind: str, starved: bool
) -> None:
    """By a signal, as when C++ has no memory, by a library that gives up, or for a thread that cannot begin; else it
    crashed, and may be tried again."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_end, kind, starved))
    with pytest.raises(OutOfMemory if starved else EncoderCrashed, match=ENDINGS[kind][1]):
        await attempt(messages.Assignment("probe", Limits(max_address_bytes=BOUND)))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("starved", [False, True], ids=["with memory", "without memory"])
async def test_a_child_that_stands_still_near_its_bound_had_too_little_memory(
    monkeypatch: pytest.MonkeyPatch, starved: bool
) -> None:
    """x265 waits for ever for threads that did not start."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_end, "wait", starved))
    with pytest.raises(OutOfMemory if starved else Stalled, match="nothing moved"):
        async with child_process.start(messages.Assignment("probe", Limits(max_address_bytes=BOUND))) as process:
            assert isinstance(await process.receive(30), messages.Probed)
            raise Stalled("nothing moved for 60 s")


async def test_what_a_child_did_when_it_crashed_is_logged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each of its threads was."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_end, "fault", False))
    with structlog.testing.capture_logs() as lines, pytest.raises(EncoderCrashed):
        await attempt(messages.Assignment("probe", Limits()))
    (line,) = (line for line in lines if line["event"] == "a child process crashed")
    assert "Segmentation fault" in line["report"] and "in string_at" in line["report"]


def _hold(kind: str, mib: int, *arguments: Any) -> None:
    """The entry point of a child that reserves eight times `mib`, or touches `mib` at once or bit by bit, and then waits."""

    def work(attempt: Attempt) -> messages.FromChild:
        kept = mmap.mmap(-1, 8 * mib * MIB if kind == "reserves" else mib * MIB, flags=mmap.MAP_PRIVATE)
        for place in range(0, 0 if kind == "reserves" else len(kept), mmap.PAGESIZE):
            kept[place] = 1
            if kind == "grows" and place % (4 * MIB) == 0:
                threading.Event().wait(0.01)
        attempt.report(messages.Probed(()))
        threading.Event().wait()
        raise AssertionError

    main._ACTIONS["probe"] = work
    main.main(*arguments)


async def _held(limits: Limits, seconds: float = 3.0, expected: int = 0) -> None:
    """What becomes of such a child. Raises what it is stopped for."""
    async with child_process.start(messages.Assignment("probe", limits, held_bytes=expected)) as process:
        while await process.receive(seconds):
            pass


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["touches", "grows"])
async def test_a_child_that_holds_too_much_is_stopped(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Both figures are in its error. It ends at its limit, and not after it took everything."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_hold, kind, 900))
    with pytest.raises(
        OutOfMemory, match=r"took (\d+) MiB of memory, more than the 256 MiB that one attempt may take"
    ) as failure:
        await _held(Limits(max_memory_bytes=256 * MIB), 60)
    assert 256 * MIB < failure.value.peak_bytes < 700 * MIB


async def test_address_space_is_not_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver, or a hundred threads, reserve far more than they use."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_hold, "reserves", 900))
    await _held(Limits(max_memory_bytes=256 * MIB), 1.0)


@pytest.mark.slow
async def test_who_exceeds_its_estimate_is_stopped_before_the_container_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its neighbor, which holds as much as it was expected to, lives."""
    child_process.preload()
    pids: list[int] = []

    def total() -> MachineMemory:
        return MachineMemory(900 * MIB, sum(map(held_bytes, pids)), True)

    watch = memory_watch.MemoryWatch(total)
    monkeypatch.setattr(child_process, "MEMORY_WATCH", watch)
    monkeypatch.setattr(child_process, "enter", partial(_hold, "touches", 350))
    neighbor = messages.Assignment("probe", Limits(), held_bytes=400 * MIB)
    async with child_process.start(neighbor) as calm:
        pids.append(calm.pid)
        assert await calm.receive(30) == messages.Probed(())
        monkeypatch.setattr(child_process, "enter", partial(_hold, "grows", 900))
        with pytest.raises(OutOfMemory, match=r"took \d+ MiB .*: 8\d\d MiB of the container's 900 MiB were in use"):
            async with child_process.start(replace(neighbor, held_bytes=100 * MIB)) as grows:
                pids.append(grows.pid)
                while await grows.receive(60):
                    pass
        assert await calm.receive(0.5) is None


@pytest.mark.slow
@pytest.mark.skipif(cgroups.delegated(cgroups.current()) is None, reason="no cgroup may be made here")
@pytest.mark.parametrize(
    ("used", "words"), [(100, "more than the 256 MiB that one attempt may take"), (890, "the kernel ended it")]
)
async def test_a_child_that_the_kernel_ended_had_too_little_memory(
    monkeypatch: pytest.MonkeyPatch, used: int, words: str
) -> None:
    """In a cgroup of its own, which is gone afterwards; this process lives. The watch is late here: it never looks. What was
    full is named: the cgroup, or the machine.
    """
    child_process.preload()
    watch = memory_watch.MemoryWatch(lambda: MachineMemory(900 * MIB, used * MIB, True))
    monkeypatch.setattr(watch, "_look", lambda _: False)
    monkeypatch.setattr(child_process, "MEMORY_WATCH", watch)
    monkeypatch.setattr(child_process, "enter", partial(_hold, "touches", 900))
    results: list[MemoryCgroup | None] = []
    own = MemoryCgroup.own
    monkeypatch.setattr(MemoryCgroup, "own", lambda *rest: results.append(own(*rest)) or results[-1])
    with pytest.raises(OutOfMemory, match=words):
        await _held(Limits(max_memory_bytes=256 * MIB), 60)
    assert [group and group.directory.exists() for group in results] == [False]


@pytest.mark.parametrize("prepared", [True, False])
async def test_the_kernel_takes_a_child_first(monkeypatch: pytest.MonkeyPatch, prepared: bool) -> None:
    """Before the server, and whatever else the machine runs; also where the fork server has not preloaded anything."""
    server = forkserver.ForkServer()
    monkeypatch.setattr(forkserver, "connect_to_new_process", server.connect_to_new_process)
    if prepared:
        server.set_forkserver_preload(child_process._PRELOADED)
    monkeypatch.setattr(child_process, "enter", partial(_hold, "reserves", 1))
    try:
        async with child_process.start(messages.Assignment("probe", Limits())) as process:
            assert await process.receive(30) == messages.Probed(())
            own, childs = (int(Path(f"/proc/{pid}/oom_score_adj").read_text()) for pid in ("self", process.pid))
    finally:
        server._stop()  # type: ignore[attr-defined]
    assert childs == min(own + 500, 1000)
