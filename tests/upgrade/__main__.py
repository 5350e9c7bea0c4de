"""Upgrade a cluster at work, member by member, and judge what became of its tasks: `make upgrade-test OLD=commit`.

It begins with the code of OLD: replicas, workers and the tables of the database. This version migrates the database, and its
members take the places of the old ones while they work, replicas or workers first, so that each meets what the other began.
Before each of these steps some more tasks are sent, in all of every kind. All must end as in a calm cluster, none twice.
"""

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from examples.local_cluster.cluster import Cluster, Member
from examples.local_cluster.postgres import PrivatePostgres
from examples.local_cluster.processes import forbid_real_time, program, wait_for
from tests.chaos.callers import Callers
from tests.chaos.faults import Scratch, Storm
from tests.chaos.faulty_storage import FaultyStorage
from tests.chaos.mix import KINDS, Errand, store_sources
from tests.chaos.settings import ENVIRONMENT, MARKER, REPLICA, WORKER
from tests.chaos.verdict import CHECKS, Aftermath, none_running
from tests.receivers import Receiver, receiving

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("protos", "client", "server")
_CANCELED = frozenset({"chunks", "h264"})  # kinds of which a second task is canceled after the upgrade has begun
_CANCEL_SECONDS = 8.0
_STEPS = 5  # members


def parse() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--old", default="", help="the commit to begin with (default: the last tag, or else 30 commits ago)")
    parser.add_argument(
        "--first", choices=("replicas", "workers"), action="append", help="what is replaced first (default: both)"
    )
    parser.add_argument("--patience", type=float, default=600, help="seconds after which callers give up")
    parser.add_argument("--keep", action="store_true", help="leave logs and files where they are")
    return parser.parse_args()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def chosen(old: str) -> str:
    """Return the commit to begin with, empty if the history does not reach so far."""
    wanted = old or _git("describe", "--tags", "--abbrev=0") or "HEAD~30"
    return _git("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")


def extract(commit: str, folder: Path) -> Mapping[str, str]:
    """Write the packages of a commit to `folder`; return the environment in which programs use them."""
    folder.mkdir()
    archive = subprocess.run(["git", "archive", commit, *_PACKAGES], cwd=ROOT, capture_output=True, check=True)
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    environment = {"PYTHONPATH": os.pathsep.join(str(folder / package) for package in _PACKAGES)}
    used = subprocess.run(
        [sys.executable, "-c", "import reelmill_server; print(reelmill_server.__file__)"],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert used.stdout.startswith(str(folder)), f"programs would use {used.stdout.strip()}"
    return environment


def waves() -> list[list[Errand]]:
    """Return the tasks that are sent before each step: one of each kind, told and watched, and those that are canceled."""
    every = [(kind, None) for kind in KINDS] + [(kind, _CANCEL_SECONDS) for kind in KINDS if kind.name in _CANCELED]
    random.Random(1).shuffle(every)
    made = [Errand(number, kind, 0.0, cancel, told=True) for number, (kind, cancel) in enumerate(every, 1)]
    return [made[step::_STEPS] for step in range(_STEPS)]


def migrate(cluster: Cluster, old: Mapping[str, str]) -> None:
    """Bring the database to the tables of this version, below replicas of the old one."""
    environment = {**os.environ, **_without(cluster.environment, old)}
    subprocess.run([program("reelmill-server"), "migrate"], env=environment, stdout=subprocess.DEVNULL, check=True)


def upgrade(cluster: Cluster, first: str, old: Mapping[str, str], send: Callable[[list[Errand]], Callers]) -> list[Callers]:
    """Replace the members of a cluster at work, one at a time, each worker in the middle of an attempt; return who asked."""
    migrate(cluster, old)
    groups = [cluster.replicas, cluster.workers]
    members = [member for group in (groups if first == "replicas" else groups[::-1]) for member in group]
    asked = list[Callers]()
    for member, wave in zip(members, waves(), strict=True):
        asked.append(send(wave))
        _wait_for_work(cluster, member, asked[-1])
        working = "at work" if member.busy() else "at rest"
        left = sum(not called.ended for callers in asked for called in callers.called)
        how = _replace(member, old)
        print(f"  {member.name} ({working}, {left} tasks unfinished) is new{how}", flush=True)
    return asked


def _wait_for_work(cluster: Cluster, member: Member, callers: Callers) -> None:
    """Wait until some worker runs an attempt, and this member if it is one; or until all of it is done."""
    workers = [member] if member in cluster.workers else cluster.workers
    wait_for(lambda: callers.over or any(worker.busy() for worker in workers), "work", 300)


def _replace(member: Member, old: Mapping[str, str]) -> str:
    """Exchange a member; return what is to be said of it."""
    how = ""
    try:
        member.stop()
    except subprocess.TimeoutExpired:  # killed, as Kubernetes does after the grace period
        how = "; the old one had to be killed"
    member.environment = _without(member.environment, old)
    member.start()
    return how


def _without(environment: Mapping[str, str], old: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in environment.items() if key not in old}


def judge(after: Aftermath) -> int:
    """Run all checks; return how many things are wrong."""
    problems = [f"{name}: {problem}" for name, check in CHECKS.items() for problem in check(after)]
    problems += [f"{task.task_id} says {task.problem}" for task in after.tasks.values() if task.problem]
    for problem in problems[:40]:
        print(f"    {problem}")
    return len(problems)


def run(first: str, commit: str, folder: Path, receiver: Receiver, patience: float) -> int:
    """Upgrade one cluster; return how many things are wrong."""
    storage, postgres = FaultyStorage(), PrivatePostgres()
    old = extract(commit, folder / "old")
    postgres.start()
    cluster = Cluster(
        folder / "cluster",
        postgres,
        storage=storage.flags,
        replica_settings=REPLICA,
        worker_settings=WORKER,
        environment={**storage.environment, **ENVIRONMENT, MARKER: str(folder), **old},
    )
    scratch = Scratch([])
    (folder / "sources").mkdir()
    sources = store_sources(storage, folder / "sources")
    try:
        cluster.start()
        clients = [cluster.client(), cluster.client()]

        def send(wave: list[Errand]) -> Callers:
            callers = Callers(clients, wave, sources, receiver.url, 1)
            callers.start(patience)
            return callers

        asked = upgrade(cluster, first, old, send)
        while not all(callers.over for callers in asked):
            time.sleep(0.2)
        called = [called for callers in asked for called in callers.called]
        storm = Storm(cluster, storage, scratch, random.Random(1))
        wrong = judge(Aftermath(called, clients[0], storm, storage, receiver))
        for client in clients:
            client.close()
    finally:
        cluster.stop()
        storage.stop()
    running = list(none_running(f"{MARKER}={folder}"))
    for problem in running:
        print(f"    {problem}")
    return wrong + len(running)


def main(orders: Sequence[str] = ("replicas", "workers")) -> int:
    """Return the exit status."""
    options = parse()
    commit = chosen(options.old)
    if not commit:
        print("upgrade-test: SKIPPED, as the history of this checkout does not reach back; name a commit: OLD=…")
        return 1 if options.old else 0
    forbid_real_time()
    wrong = 0
    for first in options.first or orders:
        print(f"from {_git('log', '-1', '--format=%h %s', commit)}: {first} first", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="upgrade-"))
        with receiving() as receiver:
            found = run(first, commit, folder, receiver, options.patience)
        print(f"  {'all is well' if not found else f'{found} things are wrong; logs are in {folder}'}", flush=True)
        if not found and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        wrong += found
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
