"""One long encode on 1, 2 and 4 workers of one core each: wall time, and how much of each core's time is not lost.

    python -m bench.scaling [--seconds S] [--rounds N] [--chunks N] [--media FILE]

Every worker and its children are bound to one core; with more workers than cores some share one, and the table says so.
Efficiency of N workers is the time of one worker, which makes the same chunks, divided by N times theirs. Rounds alternate and
medians count; engine, database and api run on the same cores. `in one go`: the same encode uncut, on one worker.
"""

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

from examples.local_cluster.cluster import Cluster, Member
from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import not_real_time
from tests.clips import moving_picture

_CORES = sorted(os.sched_getaffinity(0))
_SIZE = "640x360"


def main() -> None:
    """Measures and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=120, help="length of the made clip")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--chunks", type=int, default=8)
    parser.add_argument("--media", type=Path, help="a film of your own")
    asked = parser.parse_args()
    not_real_time()
    with tempfile.TemporaryDirectory() as folder:
        _measure(Path(folder), asked)


def _measure(folder: Path, asked: argparse.Namespace) -> None:
    files = folder / "files"
    files.mkdir()
    clip = files / "clip.mp4"
    if asked.media:
        clip = files / asked.media.name
        clip.symlink_to(asked.media.resolve())
    else:
        moving_picture(clip, asked.seconds, _SIZE)
    roots = ("--file-root", str(files), "--file-root", str(clip.resolve().parent))
    scratch = ("--scratch-uri", (folder / "scratch").as_uri())
    settings = ("--worker-cores", "1", "--fast-core-seconds", "0.1", "--drain-seconds", "0")
    postgres = PrivatePostgres()
    postgres.start()
    cluster = Cluster(folder, postgres, replicas=1, workers=4, storage=(*roots, *scratch), worker_settings=settings)
    cluster.start(cluster.replicas)  # workers are started when it is their turn
    try:
        kinds = [("in one go", 1, 1), *((f"{count} workers", count, asked.chunks) for count in (1, 2, 4))]
        runs: dict[tuple[str, int, int], list[float]] = {kind: [] for kind in kinds}
        for _ in range(asked.rounds):
            for (_, count, chunks), walls in runs.items():
                walls.append(_run(cluster, cluster.workers[:count], clip, chunks))
        _print({name: statistics.median(walls) for (name, _, _), walls in runs.items()})
    finally:
        cluster.stop()


def _run(cluster: Cluster, workers: list[Member], clip: Path, chunks: int) -> float:
    """The wall time of one task."""
    for number, worker in enumerate(workers):
        os.sched_setaffinity(0, {_CORES[number % len(_CORES)]})  # what is started inherits it
        Member.start(worker)
    os.sched_setaffinity(0, _CORES)
    try:
        with cluster.client() as client:
            begun = time.monotonic()
            output = clip.parent / "out.mp4"
            encode = {"video": "h264", "preset": "slow", "audio": "aac", "parallelism": chunks}
            client.wait(client.submit(source=clip, destination=output, **encode).task_id)  # type: ignore[arg-type]
            return time.monotonic() - begun
    finally:
        for worker in workers:
            worker.stop()


def _print(walls: dict[str, float]) -> None:
    one = walls["1 workers"]
    print(f"| on | wall time | of one worker's | efficiency |\n|---|---|---|---|   ({len(_CORES)} cores)")
    for name, wall in walls.items():
        count = int(name.split()[0]) if name[0].isdigit() else 1
        shared = " (cores are shared)" if count > len(_CORES) else ""
        print(f"| {name}{shared} | {wall:.1f} s | {wall / one:.2f} | {one / wall / min(count, len(_CORES)):.2f} |")


if __name__ == "__main__":
    main()
