"""Run the sweep and write its tables: `python -m tests.sweep [--short] [--out docs/sweep.md]`."""

import argparse
import hashlib
import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from reelmill_server.worker.forked import ForkedProcess
from tests.sweep import report
from tests.sweep.clips import Case, cases, make
from tests.sweep.verdict import MODES
from tests.sweep.worker import convert_in_all_modes

_SECONDS = 300  # for one clip, which takes one: only what hangs needs so long, also beside others
_SHORT_SECONDS = 60
_SHORT_SHARE = 12  # of the clips, one in so many is in the short form


@dataclass(frozen=True)
class Outcome:
    """What became of one clip in one mode."""

    case: Case
    mode: str
    state: str
    words: str


def outcomes(case: Case) -> list[Outcome]:
    """Judge one clip in all modes; nothing when there is no such clip."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        answer = folder / "answer.json"
        path = folder / f"clip.{case.extension}"
        if not make(case, path):
            return []
        process = ForkedProcess(target=convert_in_all_modes, args=(path, answer, case.rate))
        process.start()
        process.join(_SECONDS)
        if process.exitcode is None:
            process.kill()
            process.join()
        results = [Outcome(case, *entry) for entry in json.loads(answer.read_text())] if answer.exists() else []
        if process.exitcode:
            mode = MODES[len(results)] if len(results) < len(MODES) else "end"
            results.append(Outcome(case, mode, "wrong", f"the process ended with {process.exitcode}"))
        return results


def _chosen(short: bool) -> list[Case]:
    """Return the clips in an order that mixes all kinds, always the same."""
    mixed = sorted(cases(), key=lambda case: hashlib.sha256(case.name.encode()).digest())
    return mixed[: len(mixed) // _SHORT_SHARE] if short else mixed


def main() -> int:
    """Run; 1 when something is wrong that the list of known faults does not have."""
    parser = argparse.ArgumentParser(prog="python -m tests.sweep", description=__doc__)
    parser.add_argument("--short", action="store_true", help="a part of the clips, in at most a minute")
    parser.add_argument("--seconds", type=float, default=3600, help="begin no clip after so long")
    parser.add_argument("--only", default="", help="only clips whose name has this in it")
    parser.add_argument("--out", type=Path, help="write the tables to this file")
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    begun = time.monotonic()
    os.environ |= {"SVT_LOG": "0", "OPENBLAS_NUM_THREADS": "1"}  # as in a worker's child
    multiprocessing.get_context("forkserver").set_forkserver_preload(["tests.sweep.warm"])

    late: list[Case] = []

    def one(case: Case) -> list[Outcome]:
        if time.monotonic() - begun > (_SHORT_SECONDS if options.short else options.seconds):
            late.append(case)
            return []
        return outcomes(case)

    chosen = [case for case in _chosen(options.short) if options.only in case.name]
    with ThreadPoolExecutor(options.processes) as pool:
        results = []
        for part in pool.map(one, chosen):
            results += part
            for outcome in part:
                if outcome.state not in ("ok", "refused"):
                    print(f"{outcome.state:8} {outcome.mode:6} {outcome.case.name}: {outcome.words}", flush=True)
    if options.out:
        report.write(options.out, results)
    unknown = report.unknown_faults(results)
    print(f"{report.summary(results)}; {len(late)} clips were left out for want of time")
    for outcome in unknown:
        print(f"FAILED, as it is wrong and not known: {outcome.mode} {outcome.case.name}: {outcome.words}")
    if not results:
        print("FAILED, as nothing was converted")
    return 1 if unknown or not results else 0


if __name__ == "__main__":
    sys.exit(main())
