"""A storm over a cluster: many mixed tasks, while everything dies at random instants. `make chaos`, `make chaos-short`."""

import argparse
import random
import shutil
import signal
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from examples.local_cluster.cluster import Cluster
from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import forbid_real_time
from reelmill.v1.task_pb2 import TaskStatus
from tests.chaos.callers import Callers
from tests.chaos.faults import FAULTS, Scratch, Storm
from tests.chaos.faulty_storage import FaultyStorage
from tests.chaos.mix import errands, store_sources
from tests.chaos.settings import ENVIRONMENT, MARKER, REPLICA, WORKER
from tests.chaos.verdict import CHECKS, WORKER_LOST, Aftermath, none_running
from tests.receivers import Receiver, receiving

_PAUSE_SECONDS = 0.1


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--tasks", type=int, default=200)
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--seconds", type=float, default=600, help="how long the storm lasts, unless all tasks end before")
    parser.add_argument("--short", action="store_true", help="each kind of fault once, and then all is calm")
    parser.add_argument("--calm", action="store_true", help="no faults at all")
    parser.add_argument("--patience", type=float, default=1800, help="seconds after which callers give up")
    parser.add_argument("--keep", action="store_true", help="leave logs and files where they are")
    return parser.parse_args()


def rage(storm: Storm, callers: Callers, options: argparse.Namespace, chance: random.Random) -> None:
    """Strikes until the time is over or nobody waits any more, then lets all tasks end in peace."""
    kinds = [kind for kind in FAULTS if not options.calm and (kind != "full scratch" or storm.scratch.real)]
    chance.shuffle(kinds)
    mean = 3.0 if options.short else 4.0
    begun = time.monotonic()
    next_at = begun + 2
    while not callers.over and time.monotonic() - begun < options.seconds and kinds:
        storm.mend_due()
        if time.monotonic() >= next_at:
            kind = kinds[0] if options.short else chance.choice(kinds)
            struck = storm.strike(kind)
            if struck and options.short:
                kinds.pop(0)
            if struck:
                next_at = time.monotonic() + chance.uniform(0.5, 1.5) * mean
        time.sleep(_PAUSE_SECONDS)
    while not callers.over and storm.pending:
        storm.mend_due()
        time.sleep(_PAUSE_SECONDS)
    storm.end()
    print(f"the storm is over after {time.monotonic() - begun:.0f} s", flush=True)
    while not callers.over:
        time.sleep(_PAUSE_SECONDS)
    print(f"all callers are back after {time.monotonic() - begun:.0f} s", flush=True)


def tell(after: Aftermath) -> None:
    """What happened, in a table."""
    strikes = Counter(strike.kind for strike in after.storm.strikes)
    at_work = Counter(strike.kind for strike in after.storm.strikes if strike.at_work)
    print("\n  fault                    times   in the middle of an attempt")
    for kind in FAULTS:
        print(f"  {kind:<25}{strikes[kind]:<8}{at_work[kind] or '-'}")
    tasks = list(after.tasks.values())
    failed = Counter(attempt.code for task in tasks for attempt in task.failed_attempts)
    seconds = sorted((task.end_time.ToNanoseconds() - task.start_time.ToNanoseconds()) / 1e9 for task in tasks)
    statuses = Counter(TaskStatus.Name(task.status).removeprefix("TASK_STATUS_").lower() for task in tasks)
    ended = Counter(
        str(entry["task_id"]) for entry in after.events("worker", "attempt ended") if entry["outcome"] == "Succeeded"
    )
    attempts = [task.attempt for task in tasks]
    rolled_back = after.events("worker", "outputs of a lost attempt are rolled back")
    rows = {
        "tasks": f"{len(tasks)}: " + ", ".join(f"{count} {status}" for status, count in statuses.most_common()),
        "attempts": f"{sum(attempts)}, at most {max(attempts, default=0)} of one task",
        "failed attempts": ", ".join(f"{count} {code}" for code, count in failed.most_common()) or "none",
        "taken over": f"{sum(any(a.code == WORKER_LOST for a in task.failed_attempts) for task in tasks)} tasks",
        "published anew": f"{sum(count > 1 for count in ended.values())} tasks, whose worker was lost before it could say so",
        "rolled back": f"{len(rolled_back)} times, outputs of a lost worker",
        "seconds of a task": f"median {statistics.median(seconds):.1f}, longest {max(seconds):.1f}" if seconds else "",
        "notifications": f"{len(after.receiver.received)} deliveries of {sum(c.errand.told for c in after.called)}",
    }
    print()
    for name, value in rows.items():
        print(f"  {name:<20}{value}")


def judge(after: Aftermath) -> int:
    """Runs all checks; how many things are wrong."""
    print()
    wrong = 0
    for name, check in CHECKS.items():
        problems = list(check(after))
        wrong += len(problems)
        print(f"  {name:<24}{'yes' if not problems else f'NO, {len(problems)} times'}", flush=True)
        for problem in problems[:20]:
            print(f"    {problem}")
    return wrong


def run(options: argparse.Namespace, folder: Path, receiver: Receiver) -> int:
    """One storm; how many things are wrong afterwards."""
    chance = random.Random(options.seed)
    storage = FaultyStorage()
    environment = {**storage.environment, **ENVIRONMENT, MARKER: str(folder)}
    postgres = PrivatePostgres()
    postgres.start()
    cluster = Cluster(
        folder / "cluster",
        postgres,
        storage=storage.flags,
        replica_settings=REPLICA,
        worker_settings=WORKER,
        environment=environment,
    )
    scratch = Scratch(cluster.workers)
    if not scratch.real:
        print("no small disks can be mounted here (that needs root): scratch is not filled")
    (folder / "sources").mkdir()
    sources = store_sources(storage, folder / "sources")
    spread = 15.0 if options.short else options.seconds * 0.6
    try:
        cluster.start()
        clients = [cluster.client(), cluster.client()]
        callers = Callers(clients, errands(options.tasks, chance, spread), sources, receiver.url, options.seed)
        storm = Storm(cluster, storage, scratch, chance)
        print(f"the cluster is ready, {options.tasks} tasks are sent within {spread:.0f} s", flush=True)
        callers.start(options.patience)
        rage(storm, callers, options, chance)
        after = Aftermath(callers.called, clients[0], storm, storage, receiver)
        tell(after)
        wrong = judge(after)
        for client in clients:
            client.close()
    finally:
        cluster.stop()
        left = [str(path) for worker in cluster.workers for path in (worker.folder / "scratch").iterdir()]
        scratch.close()
        storage.stop()
    running = list(none_running(f"{MARKER}={folder}"))
    for problem in (*running, *(f"{path} is left after the end" for path in left)):
        print(f"    {problem}")
    return wrong + len(running) + len(left)


def main() -> int:
    """The exit status."""
    options = parse()
    forbid_real_time()
    for number in (signal.SIGTERM, signal.SIGINT):  # whoever ends this must not leave a cluster behind
        signal.signal(number, lambda *_: sys.exit(130))
    again = f"{'--short ' if options.short else ''}--tasks {options.tasks} --seconds {options.seconds:g} --seed {options.seed}"
    print(f"seed {options.seed}; again: python -m tests.chaos {again}", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="storm-"))
    with receiving() as receiver:
        wrong = run(options, folder, receiver)
    if wrong or options.keep:
        print(f"\nlogs are in {folder}")
    else:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"\n{'all is well' if not wrong else f'{wrong} things are wrong'} (seed {options.seed})")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
