"""Attempts that need more memory than a child may have: they are told so, whatever it is that fails."""

import ctypes
import mmap
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from reelmill_server.address_space import peak_bytes
from reelmill_server.errors import EncoderCrashed, MediaLimitExceeded, Stalled, from_code
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import SegmentFormat, TargetSpec
from reelmill_server.worker import messages
from reelmill_server.worker.child import main
from reelmill_server.worker.child.context import Attempt
from reelmill_server.worker.parent import child_process
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


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("case", CASES)
async def test_too_little_memory_is_called_nothing_else(clip: Path, tmp_path: Path, case: str) -> None:
    """Decoders, threads, encoders, muxers and libraries fail each in a way of its own as there is more and more. What is made
    all the same is whole."""
    target = without_hardware(CASES[case])

    def task(number: int, bound: int) -> messages.Assignment:
        folder = tmp_path / str(number)
        folder.mkdir()
        return assignment(clip, folder, target, max_memory_bytes=bound)

    whole, planned = await attempt(task(0, 0))
    refused = []
    for number, more in enumerate((2, 12, 28, 60, 124), 1):
        try:
            finished, _ = await attempt(task(number, planned + more * MIB))
        except MediaLimitExceeded as error:
            refused.append(more)
            assert "MiB of address space" in error.message
        else:
            assert [made.artifact.streams for made in finished.made] == [made.artifact.streams for made in whole.made]
            assert len(finished.made) == len(whole.made) and not finished.warnings
    assert 2 in refused


BOUND = 1024 * MIB
ENDINGS: dict[str, tuple[Callable[[], object], str]] = {
    "abort": (os.abort, "killed by SIGABRT"),
    "fault": (lambda: ctypes.string_at(0), "killed by SIGSEGV"),
    "exit": (lambda: ctypes.CDLL(None).exit(1), "a library ended the process"),
    "wait": (lambda: threading.Event().wait(), ""),
}


def _end(kind: str, starved: bool, *arguments: Any) -> None:
    """The entry point of a child whose work ends it, after it took all its memory if it is `starved`."""

    def work(attempt: Attempt) -> messages.FromChild:
        kept: list[mmap.mmap] = []
        with suppress(OSError, MemoryError):
            while starved:
                kept.append(mmap.mmap(-1, MIB))
        attempt.report(messages.Probed(()))
        ENDINGS[kind][0]()
        raise AssertionError(f"{kind} does not end the process")

    main._ACTIONS["probe"] = work
    main.main(*arguments)


@pytest.mark.parametrize("starved", [False, True], ids=["with memory", "without memory"])
@pytest.mark.parametrize("kind", ["abort", "fault", "exit"])
async def test_a_child_that_dies_near_its_bound_had_too_little_memory(
    monkeypatch: pytest.MonkeyPatch, kind: str, starved: bool
) -> None:
    """By a signal, as when C++ has no memory, or by a library that gives up; else it crashed, and may be tried again."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_end, kind, starved))
    with pytest.raises(MediaLimitExceeded if starved else EncoderCrashed, match=ENDINGS[kind][1]):
        await attempt(messages.Assignment("probe", Limits(max_memory_bytes=BOUND)))


@pytest.mark.parametrize("starved", [False, True], ids=["with memory", "without memory"])
async def test_a_child_that_stands_still_near_its_bound_had_too_little_memory(
    monkeypatch: pytest.MonkeyPatch, starved: bool
) -> None:
    """x265 waits for ever for threads that did not start."""
    child_process.preload()
    monkeypatch.setattr(child_process, "enter", partial(_end, "wait", starved))
    with pytest.raises(MediaLimitExceeded if starved else Stalled, match="nothing moved"):
        async with child_process.start(messages.Assignment("probe", Limits(max_memory_bytes=BOUND))) as process:
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
