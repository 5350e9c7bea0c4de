"""Tasks that prefer hardware, while the card comes and goes, its sessions run out, and its driver fails in every way it can."""

import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reelmill.v1.task_pb2 import StreamType, Task, TaskStatus
from reelmill_client import Client
from tests import judge, servers
from tests.clips import moving_picture
from tests.drivers import Driver

CLIP_SECONDS, FRAMES = 2, 50
COOLDOWN_SECONDS = 2
_STALL_SECONDS = 15
_LEAST_DB = 15.0
"""An honest encode of the clip has more than 30; a green or a repeated frame of it less than 12."""
_AT_ONCE = 4
_BACK_SECONDS = 120.0
_PHASE_SECONDS = (1.0, 4.0)

Faults = Callable[[random.Random], Mapping[str, int]]


def _at(name: str) -> Faults:
    return lambda chance: {name: chance.randrange(1, FRAMES + 1)}


def _always(**faults: int) -> Faults:
    return lambda chance: faults


FAULTS: Sequence[Faults] = (
    _always(no_device=1),
    _always(old_driver=1),
    _always(sessions=1),
    _always(sessions=2, client_key=1),
    _always(fail_init=1),
    _always(fail_flush=1),
    _always(crash_open=1),
    _always(hang_open=1),
    _always(b_frames_h264=1, b_frames_hevc=1, no_refs=1),
    _always(no_10bit=1, max_width=200),
    *map(_at, ("fail_at", "crash_at", "hang_at", "damaged_at", "green_at", "repeat_at", "times_at")),
)
"""Every kind of fault that the driver has."""


@dataclass
class Verdict:
    """What became of the tasks: encoders used, faults that there were, and what is wrong."""

    encoders: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    returns: int = 0


@contextmanager
def machine(folder: Path, driver: Driver, *arguments: str) -> Iterator[servers.Server]:
    """A service on a machine whose card has this driver. The clip is at files/clip.mp4."""
    moving_picture(folder / "files" / "clip.mp4", CLIP_SECONDS)
    told = ("--encoder-cooldown-seconds", str(COOLDOWN_SECONDS), "--stall-seconds", str(_STALL_SECONDS), *arguments)
    with servers.serve(folder, *told, environment={"LD_LIBRARY_PATH": str(driver.folder)}) as server:
        yield server


def request(files: Path, name: str, **video: Any) -> Mapping[str, Any]:
    """A conversion of the clip to an H.264 file, unless `video` says otherwise."""
    told = {"TranscodeVideo": {"Codec": "h264", "Preset": "ultrafast", **video}}
    target = {"URI": (files / name).as_uri(), "Container": "mp4", "Video": told}
    return {"Sources": [{"URI": (files / "clip.mp4").as_uri()}], "Targets": [target]}


def encoders_of(task: Task) -> list[str]:
    """Return the encoder of each video stream of a task's outputs."""
    streams = (stream for artifact in task.artifacts for stream in artifact.streams)
    return [stream.encoder for stream in streams if stream.type == StreamType.STREAM_TYPE_VIDEO]


class Storm:
    """A storm over one server."""

    def __init__(self, server: servers.Server, driver: Driver, files: Path, seed: int) -> None:
        self.verdict = Verdict()
        self._driver, self._files, self._chance = driver, files, random.Random(seed)
        self._client = servers.client(server)
        self._clip = judge.pictures(files / "clip.mp4")
        self._over = threading.Event()

    def run(self, tasks: int) -> Verdict:
        """Send so many tasks, a few at a time, while faults are switched on and off."""
        weather = threading.Thread(target=self._weather)
        weather.start()
        try:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                list(pool.map(self._errand, range(tasks)))
        finally:
            self._over.set()
            weather.join()
        return self.verdict

    def _weather(self) -> None:
        """Each kind of fault has its turn, in a random order; after each, the card must come back."""
        number = 0
        kinds: list[Faults] = []
        while not self._over.is_set():
            kinds = kinds or self._chance.sample(FAULTS, len(FAULTS))
            faults = kinds.pop()(self._chance)
            self.verdict.faults.update(faults.keys())
            self._driver.fault(**faults)
            self._over.wait(self._chance.uniform(*_PHASE_SECONDS))
            self._driver.fault()
            number += 1
            if not self._returned(number):
                self.verdict.wrong.append(f"the card was not used again after {faults}")

    def _returned(self, number: int) -> bool:
        """Whether a task is encoded by the card, now that it is well again."""
        until = time.monotonic() + _BACK_SECONDS
        while time.monotonic() < until:
            name = f"back-{number}-{time.monotonic_ns()}.mp4"
            task = self._client.wait(self._client.submit(request(self._files, name)).task_id, check=False)
            if task.status != TaskStatus.TASK_STATUS_SUCCEEDED:
                self.verdict.wrong.append(f"{name}: {task.code} {task.message}")
            elif encoders_of(task) == ["h264_nvenc"]:
                self.verdict.returns += 1
                return True
        return False

    def _errand(self, number: int) -> None:
        video = {"Codec": ("h264", "h265")[number % 2], **({}, {"BFrames": 2}, {"CRF": 30}, {"GOPSize": 10})[number % 4]}
        name = f"{number}.mp4"
        try:
            task = self._client.wait(self._client.submit(request(self._files, name, **video)).task_id, check=False)
            wrong = self._wrong(task, self._files / name)
        except Exception as error:
            wrong = f"{type(error).__name__}: {error}"
        else:
            self.verdict.encoders.update(encoders_of(task))
        if wrong:
            self.verdict.wrong.append(f"{name}: {wrong}")

    def _wrong(self, task: Task, path: Path) -> str:
        """Return what is wrong with a task or with what it made; empty: nothing."""
        if task.status != TaskStatus.TASK_STATUS_SUCCEEDED:
            return f"{task.code} {task.message}"
        result = judge.pictures(path)
        if len(result) != FRAMES:
            return f"{len(result)} frames of {FRAMES}, by {encoders_of(task)}"
        worst = min(range(FRAMES), key=lambda number: judge.psnr(result[number], self._clip[number]))
        likeness = judge.psnr(result[worst], self._clip[worst])
        return "" if likeness > _LEAST_DB else f"frame {worst} has {likeness:.1f} dB, by {encoders_of(task)}"


def all_required(server: servers.Server, files: Path, count: int) -> list[Task]:
    """Return how tasks end that REQUIRE hardware, all at once."""
    with Client(server.grpc) as client:
        results = [request(files, f"required-{number}.mp4", Hardware="REQUIRED") for number in range(count)]
        return [client.wait(task_id, check=False) for task_id in [client.submit(one).task_id for one in results]]
