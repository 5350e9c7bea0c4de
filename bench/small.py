"""Measure small tasks on a running service: latency, throughput, two slots, and what an idle service costs.

    python -m bench.small [--rounds N] [--json FILE] [latency | rate | slots | idle ...]

latency: one task after the other; how long until CreateMediaConvertTask returns, until a watched stream shows that the attempt
has begun, and until it shows the outcome; CPU by kind of process. rate: how many are done per second when all are submitted at
once. slots: four encodes on two slots against two on two, as a ratio of the ideal of twice as long. idle: CPU of all processes,
in percent of a core. `--postgres`: records in PostgreSQL.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from bench.records import cpu_seconds
from bench.task_cases import CASES
from bench.tasks import clip_of, filled
from examples.local_cluster.postgres import PrivatePostgres
from reelmill.v1.task_pb2 import TASK_PHASE_QUEUED, TASK_PHASE_UNSPECIFIED, Task
from reelmill_client import Client
from reelmill_client.watch import is_final
from tests.servers import Server, processes, serve

Figures = dict[str, float]
_SMALL = tuple(case for case in CASES if case.name.startswith("small "))
_SLOTS_CASE = next(case for case in CASES if case.name == "encode 360p ultrafast")
_RATE_TASKS = 60
_SETTLE_SECONDS, _IDLE_SECONDS = 20.0, 60.0


@dataclass(frozen=True)
class Service:
    """A running service, a folder for outputs, and the clips."""

    server: Server
    client: Client
    folder: Path
    clips: Mapping[str, Path]

    def request(self, case: Any, name: str) -> dict[str, Any]:
        """Return a request whose outputs go to a folder of their own."""
        out = self.folder / name
        out.mkdir(parents=True, exist_ok=True)
        clip = self.clips[case.clip]
        return {"sources": [{"uri": clip.as_uri()}], "targets": [filled(case.target, clip, out)]}


def latency(service: Service, rounds: int) -> dict[str, Figures]:
    """Return the medians in ms of one task at a time, and the CPU in ms of a task by kind of process."""
    results = {}
    for case in _SMALL:
        times: list[tuple[float, float, float]] = []
        for number in range(rounds + 1):
            if number == 1:  # the first one does not count
                before = cpu_seconds(service.server)
            times.append(_one(service, service.request(case, f"{case.name} {number}")))
        after = cpu_seconds(service.server)
        shown = dict(zip(("submitted", "first progress", "outcome"), zip(*times[1:], strict=True), strict=True))
        figures = {name: 1000 * median(values) for name, values in shown.items()}
        figures["least"] = 1000 * min(shown["outcome"])
        figures |= {f"CPU {name}": 1000 * (after[name] - before.get(name, 0.0)) / rounds for name in after}
        results[f"latency, {case.name}"] = figures
    return results


def _one(service: Service, request: Any) -> tuple[float, float, float]:
    begin = time.monotonic()
    task_id = service.client.submit(request).task_id
    submitted, begun = time.monotonic() - begin, 0.0
    for task in service.client.watch(task_id):
        if not begun and (is_final(task) or _works(task)):
            begun = time.monotonic() - begin
    return submitted, begun, time.monotonic() - begin


def _works(task: Task) -> bool:
    """Return whether an attempt has begun."""
    return task.phase not in (TASK_PHASE_UNSPECIFIED, TASK_PHASE_QUEUED)


def rate(service: Service, rounds: int) -> dict[str, Figures]:
    """Return how many small tasks are done per second."""
    rates = []
    for number in range(max(1, rounds // 3)):
        requests = [service.request(_SMALL[-1], f"rate {number} {task}") for task in range(_RATE_TASKS)]
        begin = time.monotonic()
        for task_id in [service.client.submit(request).task_id for request in requests]:
            service.client.wait(task_id)
        rates.append(_RATE_TASKS / (time.monotonic() - begin))
    return {f"rate, {_SMALL[-1].name}": {"per second": median(rates), "most": max(rates)}}


def slots(service: Service, rounds: int) -> dict[str, Figures]:
    """Return the time of four encodes on two slots over twice that of two."""

    def seconds(count: int, name: str) -> float:
        requests = [service.request(_SLOTS_CASE, f"{name} {task}") for task in range(count)]
        begin = time.monotonic()
        for task_id in [service.client.submit(request).task_id for request in requests]:
            service.client.wait(task_id)
        return time.monotonic() - begin

    ratios = [seconds(4, f"four {number}") / (2 * seconds(2, f"two {number}")) for number in range(max(1, rounds // 2))]
    return {"slots, 4 tasks on 2 over twice 2 on 2": {"ratio": median(ratios), "least": min(ratios), "most": max(ratios)}}


def idle(service: Service, _: int) -> dict[str, Figures]:
    """Return the CPU of each process of a service without tasks, in percent of a core."""
    time.sleep(_SETTLE_SECONDS)
    pids = {service.server.process.pid: "server", **processes(service.server.process.pid)}
    before, begin = {pid: _precise_seconds(pid) for pid in pids}, time.monotonic()
    time.sleep(_IDLE_SECONDS)
    elapsed = time.monotonic() - begin
    used = {pid: 100 * (_precise_seconds(pid) - before[pid]) / elapsed for pid in pids}
    engine = sum(share for pid, share in used.items() if "start-dev" in pids[pid])
    figures = {"all": sum(used.values()), "server": used[service.server.process.pid], "engine": engine}
    return {"idle, percent of a core": figures}


def _precise_seconds(pid: int) -> float:
    """Return the CPU seconds of a process, as the scheduler counts them: ticks are too coarse for an idle one."""
    return sum(int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()) / 1e9


MEASURES: Mapping[str, Callable[[Service, int], dict[str, Figures]]] = {
    "latency": latency,
    "rate": rate,
    "slots": slots,
    "idle": idle,
}


def measure(words: Sequence[str], rounds: int, folder: Path, arguments: Sequence[str]) -> dict[str, Figures]:
    """Run the measures, each on a service of its own, and print them."""
    clips = {case.clip: clip_of(case.clip, folder.resolve(), {}) for case in (*_SMALL, _SLOTS_CASE)}
    results: dict[str, Figures] = {}
    for word in words:
        with tempfile.TemporaryDirectory(dir=folder.resolve()) as name:
            place = Path(name)
            roots = ("--file-root", str(folder.resolve()), "--worker-slots", "2")
            with serve(place, *roots, *arguments) as server, Client(server.grpc) as client:
                figures = MEASURES[word](Service(server, client, place / "files", clips), rounds)
        for case, values in figures.items():
            print(f"{case}: {', '.join(f'{name} {value:.3g}' for name, value in values.items())}", flush=True)
        results |= figures
    return results


def main() -> None:
    """Print all figures, or those that words select."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", choices=[[], *MEASURES], help="only these")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--folder", type=Path, default=Path(".reelmill/bench"), help="where clips are kept")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--json", type=Path, help="where the figures are written")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    postgres = PrivatePostgres() if options.postgres else None
    try:
        arguments = []
        if postgres:
            postgres.start()
            postgres.execute("CREATE DATABASE small")
            arguments = ["--database-url", postgres.url("small")]
        result = measure(options.words or list(MEASURES), options.rounds, options.folder, arguments)
    finally:
        if postgres:
            postgres.stop()
    if options.json:
        options.json.write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
