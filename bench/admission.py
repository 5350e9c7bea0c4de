"""Measure what it takes to let waiting tasks of a project run, with two replicas: the call, and the work behind it.

    python -m bench.admission [--tasks 5000] [--more 500]

Starts a cluster without workers (PostgreSQL, Temporal, two api replicas) in a temporary folder, with so many tasks on record of
one project that wait, then raises the project's quota by UpdateProject. Prints how long that call takes, and one to the other
replica meanwhile; how long it takes until the engine has the tasks; the CPU time of each replica; and whether the engine has
begun any of them twice.
"""

import argparse
import asyncio
import tempfile
import time
from collections import Counter
from pathlib import Path

from temporalio.client import Client as EngineClient

from bench.reads import fill
from bench.watch import cpu
from examples.local_cluster.cluster import Cluster
from examples.local_cluster.postgres import PrivatePostgres
from reelmill_client import Client
from tests.clips import moving_picture

_PAUSE_SECONDS = 0.2


async def runs(address: str) -> Counter[str]:
    """Return how often the engine has begun each task."""
    engine = await EngineClient.connect(address, namespace="reelmill")
    return Counter([run.id async for run in engine.list_workflows("WorkflowType = 'MediaConvert'")])


def timed_update(client: Client, quota: int) -> float:
    """Set a project's quota; return the seconds that the call takes."""
    begin = time.monotonic()
    client.projects.update("default", engine_concurrency=quota)
    return time.monotonic() - begin


def measure(cluster: Cluster, source: Path, options: argparse.Namespace) -> None:
    """Raise the quota of a project whose tasks wait."""
    first, second = (Client(replica.server.grpc) for replica in cluster.replicas)
    with first, second:
        like = first.submit(source=source, destination=source.with_name("out.mp4")).task_id
        asyncio.run(fill(cluster.environment["REELMILL_DATABASE_URL"], like, options.tasks))
        before = [cpu(replica.server) for replica in cluster.replicas]
        begin = time.monotonic()
        calls = [timed_update(first, 1 + options.more), timed_update(second, 1 + options.more)]
        while len(begun := asyncio.run(runs(cluster.temporal.address))) < 1 + options.more:
            time.sleep(_PAUSE_SECONDS)
        seconds = time.monotonic() - begin
        time.sleep(5)
        begun = asyncio.run(runs(cluster.temporal.address))
    spent = [cpu(replica.server) - was for replica, was in zip(cluster.replicas, before, strict=True)]
    print(f"UpdateProject on one replica, then on the other: {calls[0]:.2f} s, {calls[1]:.2f} s")
    print(f"{options.more} of {options.tasks} tasks were in the engine after {seconds:.1f} s; CPU of the replicas: {spent}")
    print(f"in the engine: {len(begun)} tasks; begun twice: {sum(count > 1 for count in begun.values())}")


def main() -> None:
    """Start a cluster, measure, and stop it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--more", type=int, default=500)
    options = parser.parse_args()
    postgres = PrivatePostgres()
    postgres.start()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = moving_picture(folder / "files" / "clip.mp4", 1.0)
        settings = ("--project-concurrency", "1", "--project-queue", "0", "--file-root", str(source.parent), "--http", "")
        cluster = Cluster(folder, postgres, workers=0, replica_settings=settings)
        try:
            cluster.start()
            measure(cluster, source, options)
        finally:
            cluster.stop()


if __name__ == "__main__":
    main()
