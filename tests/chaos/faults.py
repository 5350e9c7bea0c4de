"""What happens to a cluster in a storm. Each fault begins, lasts for a while, and is mended."""

import random
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from examples.local_cluster.cluster import Cluster, Member
from examples.local_cluster.processes import processes
from tests.chaos.faulty_storage import FaultyStorage

Mend = Callable[[], None]
_SCRATCH_BYTES = 64 * 1024**2


@dataclass
class Strike:
    """A fault that happened: `victim` had so much to do; times in seconds since the epoch."""

    kind: str
    victim: str
    at: float
    until: float = 0.0
    at_work: bool = False


class Scratch:
    """A small disk for the scratch of each worker, which can be filled; `real` is false where none can be mounted."""

    def __init__(self, workers: list[Member]) -> None:
        self._mounted: list[Path] = []
        for worker in workers:
            folder = _scratch(worker)
            folder.mkdir(parents=True)
            mount = ["mount", "-t", "tmpfs", "-o", f"size={_SCRATCH_BYTES}", "none", str(folder)]
            if subprocess.run(mount, capture_output=True, check=False).returncode == 0:
                self._mounted.append(folder)
        self.real = len(self._mounted) == len(workers)

    def fill(self, worker: Member) -> Mend:
        """Leaves no byte."""
        ballast = _scratch(worker) / "ballast"
        with ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(1024**2))
            except OSError:
                pass
        return lambda: ballast.unlink(missing_ok=True)

    def close(self) -> None:
        """Takes the disks away."""
        for folder in self._mounted:
            subprocess.run(["umount", "-l", str(folder)], check=False)


def _scratch(worker: Member) -> Path:
    return worker.folder / "scratch"


@dataclass
class Storm:
    """Strikes a cluster. All calls come from one thread, which is the one that started the engine."""

    cluster: Cluster
    storage: FaultyStorage
    scratch: Scratch
    chance: random.Random
    strikes: list[Strike] = field(default_factory=list)
    orphans: dict[int, str] = field(default_factory=dict)
    """Children that killed workers had."""
    failed_starts: list[str] = field(default_factory=list)
    """What members said that ended before they were ready."""
    _mends: list[tuple[float, Strike, Mend]] = field(default_factory=list)
    _busy: set[str] = field(default_factory=set)
    _starting: set[str] = field(default_factory=set)
    _starts: list[Future[None]] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=ThreadPoolExecutor)

    def strike(self, kind: str) -> bool:
        """Lets a fault happen now, if there is something whole that it can happen to."""
        fault = FAULTS[kind]
        candidates = [name for name in fault.candidates(self) if name not in self._busy]
        if not candidates:
            return False
        victim = self.chance.choice(candidates)
        now = time.time()
        strike = Strike(kind, victim, now, at_work=any(m.name == victim and m.busy() for m in self.cluster.members))
        mend = fault.begin(self, victim)
        self._busy.add(victim)
        self.strikes.append(strike)
        self._mends.append((now + self.chance.uniform(*fault.seconds), strike, mend))
        return True

    def mend_due(self) -> None:
        """Mends what has lasted long enough."""
        for entry in list(self._mends):
            if entry[0] <= time.time():
                self._mends.remove(entry)
                self._mend(entry[1], entry[2])
        for start in [start for start in self._starts if start.done()]:
            self._starts.remove(start)
            start.result()

    def _mend(self, strike: Strike, mend: Mend) -> None:
        mend()
        strike.until = time.time()
        if strike.victim not in self._starting:
            self._busy.discard(strike.victim)

    @property
    def pending(self) -> bool:
        """Whether something is still to be mended."""
        return bool(self._mends or self._starts)

    def end(self) -> None:
        """Mends everything, and waits until all is there again."""
        for _, strike, mend in self._mends:
            self._mend(strike, mend)
        self._mends.clear()
        for start in self._starts:
            start.result()
        self._starts.clear()

    def start_again(self, member: Member) -> None:
        """Starts a member that has ended or is about to; it is left alone until it is ready."""
        self._starting.add(member.name)

        def start() -> None:
            member.stop()
            while True:  # as whoever looks after processes does: one may begin while something that it needs is away
                try:
                    member.start()
                    break
                except AssertionError as error:
                    self.failed_starts.append(str(error))
                    time.sleep(1)
            self._starting.discard(member.name)
            self._busy.discard(member.name)

        self._starts.append(self._pool.submit(start))

    def at_work(self) -> list[str]:
        """Workers in the middle of something if there are any, else all that live."""
        living = [worker for worker in self.cluster.workers if worker.alive]
        return [worker.name for worker in living if worker.busy()] or [worker.name for worker in living]

    def member(self, name: str) -> Member:
        """By name."""
        return next(member for member in self.cluster.members if member.name == name)


@dataclass(frozen=True)
class Fault:
    """Whom it can hit, what it does (and gives what mends it), and how long it lasts."""

    candidates: Callable[[Storm], list[str]]
    begin: Callable[[Storm, str], Mend]
    seconds: tuple[float, float]


def _kill(storm: Storm, name: str) -> Mend:
    member = storm.member(name)
    if member.role == "worker":
        storm.orphans |= processes(member.pid)
    member.server.kill()
    return lambda: storm.start_again(member)


def _terminate(storm: Storm, name: str) -> Mend:
    member = storm.member(name)
    member.server.signal(signal.SIGTERM)
    return lambda: storm.start_again(member)


def _pause(storm: Storm, name: str) -> Mend:
    member = storm.member(name)
    member.server.signal(signal.SIGSTOP)
    return lambda: member.server.signal(signal.SIGCONT)


def _fill(storm: Storm, name: str) -> Mend:
    return storm.scratch.fill(storm.member(name))


def _kill_engine(storm: Storm, _: str) -> Mend:
    storm.cluster.temporal.kill()
    return storm.cluster.temporal.restart


def _kill_database(storm: Storm, _: str) -> Mend:
    storm.cluster.postgres.kill()
    return storm.cluster.postgres.restart


def _leave(storm: Storm, _: str) -> Mend:
    storm.storage.go_away()
    return storm.storage.recover


def _shake(storm: Storm, _: str) -> Mend:
    storm.storage.shake(storm.chance)
    return storm.storage.recover


def _replicas(storm: Storm) -> list[str]:
    return [replica.name for replica in storm.cluster.replicas if replica.alive]


def _one(name: str) -> Callable[[Storm], list[str]]:
    return lambda _: [name]


FAULTS: Mapping[str, Fault] = {
    "kill -9 worker": Fault(Storm.at_work, _kill, (0.5, 4)),
    "kill -9 api": Fault(_replicas, _kill, (0.5, 4)),
    "kill -9 engine": Fault(_one("temporal"), _kill_engine, (0.2, 3)),
    "kill -9 PostgreSQL": Fault(_one("postgres"), _kill_database, (0.2, 4)),
    "stop and resume worker": Fault(Storm.at_work, _pause, (1, 14)),
    "SIGTERM worker": Fault(Storm.at_work, _terminate, (0, 0.1)),
    "SIGTERM api": Fault(_replicas, _terminate, (0, 0.1)),
    "full scratch": Fault(lambda storm: storm.at_work() if storm.scratch.real else [], _fill, (2, 8)),
    "storage away": Fault(_one("storage"), _leave, (1, 8)),
    "storage shaky": Fault(_one("storage"), _shake, (3, 10)),
}
