"""Compare whole tasks, sent to a running service, with the ffmpeg command line: medians, ratios and spread.

    python -m bench.tasks [--rounds N] [--long] [--source CLIP=FILE]... [--json FILE] [WORD ...]

Both sides take turns, so that a machine whose speed changes is as fast for one as for the other. Wall time of a task runs from
CreateMediaConvertTask to its outcome in a watched stream; CPU time is that of the server and of all processes below it, the
engine included (Linux). The command line verifies nothing; what it leaves out is part of a task, and the last column says how
much of it. WORDs select cases whose names have one of them. Clips are made once and kept in `--folder`; `--source` takes
another file for a clip. `python -m bench.plot FILE` draws what `--json` wrote.
"""

import argparse
import json
import os
import platform
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import imageio_ffmpeg

from bench.task_cases import CASES, CLIPS, Case
from reelmill_client import Client
from tests.servers import Server, serve

_FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_STAGE = re.compile(r'^reelmill_stage_seconds_sum{stage="(\w+)"} (\S+)$', re.MULTILINE)
_LEAST_SHARE = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Run:
    """Seconds that one run took: wall time, and CPU time of all its processes."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Outcome:
    """All runs of a case."""

    case: str
    ours: tuple[Run, ...]
    theirs: tuple[Run, ...]
    stages: Mapping[str, float]
    """The share of each stage of an attempt in the wall time of ours; stages of one task may overlap."""

    def ratio(self, what: str) -> float:
        """Return the median of ours over that of theirs."""
        ours, theirs = (median(asdict(run)[what] for run in runs) for runs in (self.ours, self.theirs))
        return float(ours / theirs)

    def __str__(self) -> str:
        def spread(runs: Sequence[Run]) -> str:
            walls = sorted(run.wall for run in runs)
            return f"{walls[0]:.2f} {median(walls):.2f} {walls[-1]:.2f}"

        ratios = f"{self.ratio('wall'):.2f} | {self.ratio('cpu'):.2f}"
        shares = ", ".join(f"{stage} {100 * share:.0f}" for stage, share in self.stages.items() if share >= _LEAST_SHARE)
        return f"| {self.case} | {ratios} | {spread(self.ours)} | {spread(self.theirs)} | {shares} |"


def _stage_seconds(server: Server) -> dict[str, float]:
    """Return how long attempts have spent in each stage so far."""
    return {stage: float(seconds) for stage, seconds in _STAGE.findall(server.get("/metrics")[1])}


def _cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process and all below it, with that of those that have ended and were waited for."""
    times: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has ended
        times[int(path.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / _TICKS
    total, waiting = 0.0, [pid]
    while waiting:
        parent = waiting.pop()
        total += times[parent][1] if parent in times else 0
        waiting += [process for process, (above, _) in times.items() if above == parent]
    return total


def filled(value: Any, source: Path, folder: Path) -> Any:
    """Return a request with the URIs of a clip and of a folder."""
    if isinstance(value, Mapping):
        return {name: filled(entry, source, folder) for name, entry in value.items()}
    if isinstance(value, list):
        return [filled(entry, source, folder) for entry in value]
    return value.replace("OUT", folder.as_uri()) if isinstance(value, str) else value


def _ours(case: Case, client: Client, pid: int, source: Path, folder: Path) -> Run:
    request = {
        "sources": [{"uri": source.as_uri(), **(case.source or {})}] * case.times,
        "targets": [filled(case.target, source, folder)] if case.target else [],
        **filled(case.more, source, folder),
    }
    cpu, start = _cpu_seconds(pid), time.monotonic()
    client.wait(client.submit(request).task_id)
    wall = time.monotonic() - start
    return Run(wall, _cpu_seconds(pid) - cpu)


def _theirs(case: Case, source: Path, folder: Path) -> Run:
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    for command in case.commands:
        words = [word.replace("IN", str(source)).replace("OUT", str(folder)) for word in shlex.split(command)]
        subprocess.run([_FFMPEG, "-v", "error", "-nostdin", "-y", *words], check=True)
    wall, after = time.monotonic() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def clip_of(name: str, folder: Path, given: Mapping[str, str]) -> Path:
    if name in given:
        return Path(given[name]).resolve()
    path = folder / name
    if not path.exists():
        recipe = re.sub(r"{(.*?)}", lambda other: str(clip_of(other[1], folder, given)), CLIPS[name])
        print(f"making {path}", file=sys.stderr)
        unfinished = path.with_stem(f"{path.stem}-unfinished")
        subprocess.run([_FFMPEG, "-v", "error", "-y", *shlex.split(recipe), str(unfinished)], check=True)
        unfinished.replace(path)
    return path


def compare(case: Case, rounds: int, client: Client, server: Server, source: Path, folder: Path) -> Outcome:
    """Run both sides of a case `rounds` times in turns, after one turn that does not count."""
    ours, theirs = [], []
    for number in range(rounds + 1):
        if number == 1:
            before = _stage_seconds(server)
        with tempfile.TemporaryDirectory(dir=folder) as place:
            ran = _ours(case, client, server.process.pid, source, Path(place))
        with tempfile.TemporaryDirectory(dir=folder) as place:
            ran_there = _theirs(case, source, Path(place))
        if number:
            ours.append(ran)
            theirs.append(ran_there)
    walls = sum(run.wall for run in ours)
    stages = {stage: (seconds - before.get(stage, 0.0)) / walls for stage, seconds in _stage_seconds(server).items()}
    return Outcome(case.name, tuple(ours), tuple(theirs), stages)


def main() -> None:
    """Print a table of all cases, or of those that words select."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only cases with one of these words in their names")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="also cases of ten minutes, 5 GB and a million packets")
    parser.add_argument("--folder", type=Path, default=Path(".reelmill/bench"), help="where clips are kept")
    parser.add_argument("--source", action="append", default=[], metavar="CLIP=FILE")
    parser.add_argument("--json", type=Path, help="where all runs are written")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    given = dict(entry.split("=", 1) for entry in arguments.source)
    words = arguments.words
    named = [case for case in CASES if not words or any(word in case.name for word in words)]
    cases = [case for case in named if arguments.long or not case.long]
    clips = {case.clip: clip_of(case.clip, arguments.folder.resolve(), given) for case in cases}
    outcomes = []
    print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}, {arguments.rounds} rounds\n")
    print("| case | wall | CPU | seconds, ours: least, median, most | ffmpeg's | % of ours |\n|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory(dir=arguments.folder.resolve()) as place:
        folder = Path(place)
        roots = [option for clip in clips.values() for option in ("--file-root", str(clip.parent))]
        with serve(folder, *roots) as server, Client(server.grpc) as client:
            for case in cases:
                outcome = compare(case, arguments.rounds, client, server, clips[case.clip], folder / "files")
                outcomes.append(outcome)
                print(outcome, flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps([asdict(outcome) for outcome in outcomes], indent=1))


if __name__ == "__main__":
    main()
