"""Measure one long encode on 1, 2 and 4 workers of one core each: wall time and parallel efficiency.

    python -m bench.scaling [--seconds S] [--rounds N] [--chunks N] [--media FILE]

Every worker and its children are bound to one core; with more workers than cores some share one, which the table notes.
Efficiency of N workers is the time of one worker for the same chunks divided by N times theirs. Rounds alternate and medians
count; engine, database and api run on the same cores. `single pass`: the same encode not split, on one worker.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from examples.local_cluster.cluster import Cluster, Member
from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import forbid_real_time
from tests.clips import moving_picture

_CORES = sorted(os.sched_getaffinity(0))
_SIZE = "640x360"


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="duration of the generated clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--media", type=Path, help="a video to encode instead")
    options = parser.parse_args()
    forbid_real_time()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), options)


def _measure(folder: Path, options: argparse.Namespace) -> None:
    files = folder / "files"
    files.mkdir()
    clip = files / "clip.mp4"
    if options.media:
        clip = files / options.media.name
        clip.symlink_to(options.media.resolve())
    else:
        moving_picture(clip, options.seconds, _SIZE)
    roots = ("--file-root", str(files), "--file-root", str(clip.resolve().parent))
    scratch = ("--scratch-uri", (folder / "scratch").as_uri())
    settings = ("--worker-cores", "1", "--fast-core-seconds", "0.1", "--drain-seconds", "0")
    postgres = PrivatePostgres()
    postgres.start()
    cluster = Cluster(folder, postgres, replicas=1, workers=4, storage=(*roots, *scratch), worker_settings=settings)
    cluster.start(cluster.replicas)  # each run starts its workers
    try:
        kinds = [("single pass", 1, 1), *((f"{count} workers", count, options.chunks) for count in (1, 2, 4))]
        runs: dict[tuple[str, int, int], list[float]] = {kind: [] for kind in kinds}
        for _ in range(options.rounds):
            for (_, count, chunks), walls in runs.items():
                walls.append(_run(cluster, cluster.workers[:count], clip, chunks))
        _print({name: statistics.median(walls) for (name, _, _), walls in runs.items()})
    finally:
        cluster.stop()


def _run(cluster: Cluster, workers: list[Member], clip: Path, chunks: int) -> float:
    """Return the wall time of one task in seconds."""
    for number, worker in enumerate(workers):
        os.sched_setaffinity(0, {_CORES[number % len(_CORES)]})  # inherited by the process to start
        Member.start(worker)
    os.sched_setaffinity(0, _CORES)
    try:
        with cluster.client() as client:
            start = time.monotonic()
            output = clip.parent / "out.mp4"
            encode = {"video": "h264", "preset": "slow", "audio": "aac", "parallelism": chunks}
            client.wait(client.submit(source=clip, destination=output, **encode).task_id)  # type: ignore[arg-type]
            return time.monotonic() - start
    finally:
        for worker in workers:
            worker.stop()


def _print(walls: dict[str, float]) -> None:
    single = walls["1 workers"]
    print(f"| workers | wall time | relative to one worker | efficiency |\n|---|---|---|---|   ({len(_CORES)} cores)")
    for name, wall in walls.items():
        count = int(name.split()[0]) if name[0].isdigit() else 1
        shared = " (cores are shared)" if count > len(_CORES) else ""
        print(f"| {name}{shared} | {wall:.1f} s | {wall / single:.2f} | {single / wall / min(count, len(_CORES)):.2f} |")


if __name__ == "__main__":
    main()
