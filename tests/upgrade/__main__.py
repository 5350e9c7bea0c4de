"""Upgrade a cluster at work, member by member, and judge what became of its tasks: `make upgrade-test OLD=commit`.

It begins with the code of OLD: replicas, workers and the tables of the database. This version migrates the database, and its
members take the places of the old ones while they work, replicas or workers first, so that each meets what the other began.
Before each of these steps some more tasks are sent, in all of every kind. All must end as in a calm cluster, none twice.

The form `serve` is one process with its records in SQLite: it is stopped at work, and started again as this version.
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
from tests.upgrade.single import Single

ROOT = Path(__file__).resolve().parents[2]
_PACKAGES = ("protos", "client", "server")
_CANCELED = frozenset({"chunks", "h264"})  # kinds of which a second task is canceled after the upgrade has begun
_CANCEL_SECONDS = 8.0
FORMS = ("replicas", "workers", "serve")
_STEPS = 5  # members, in a cluster
_COMMITS = 30


def parse() -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=__doc__)
    parser.add_argument("--old", default="", help="the commit to begin with (default: as in docs/upgrading.md)")
    parser.add_argument("--form", choices=FORMS, action="append", help="what is replaced first, or serve (default: all three)")
    parser.add_argument("--patience", type=float, default=600, help="seconds after which callers give up")
    parser.add_argument("--keep", action="store_true", help="leave logs and files where they are")
    return parser.parse_args()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def chosen(old: str) -> str:
    """Return the commit to begin with, empty if the history does not reach so far: the one named, else the last release, else
    where this branch left the main branch, else some commits ago.
    """
    head = _git("rev-parse", "HEAD")
    trunks = (_git("merge-base", "HEAD", name) for name in ("origin/HEAD", "origin/main", "main"))
    left = (commit for commit in trunks if commit not in ("", head))
    wanted = old or _git("describe", "--tags", "--abbrev=0", "HEAD^") or next(left, f"HEAD~{_COMMITS}")
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


def waves(steps: int = _STEPS) -> list[list[Errand]]:
    """Return the tasks that are sent before each step: one of each kind, told and watched, and those that are canceled."""
    every = [(kind, None) for kind in KINDS] + [(kind, _CANCEL_SECONDS) for kind in KINDS if kind.name in _CANCELED]
    random.Random(1).shuffle(every)
    results = [Errand(number, kind, 0.0, cancel, told=True) for number, (kind, cancel) in enumerate(every, 1)]
    return [results[step::steps] for step in range(steps)]


def migrate(cluster: Cluster, old: Mapping[str, str]) -> None:
    """Bring the database to the tables of this version, below replicas of the old one."""
    environment = {**os.environ, **_without(cluster.environment, old)}
    subprocess.run([program("reelmill-server"), "migrate"], env=environment, stdout=subprocess.DEVNULL, check=True)


def upgrade(
    cluster: Cluster, members: Sequence[Member], old: Mapping[str, str], send: Callable[[list[Errand]], Callers]
) -> list[Callers]:
    """Replace the members of a cluster at work, in this order, each worker in the middle of an attempt; return who asked."""
    asked = list[Callers]()
    for member, wave in zip(members, waves(len(members)), strict=True):
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


def made(form: str, folder: Path, storage: FaultyStorage, environment: Mapping[str, str]) -> tuple[Cluster, Sequence[Member]]:
    """Return a cluster, and its members in the order in which they are replaced."""
    if form == "serve":
        single = Single(folder, (*storage.flags, *REPLICA, *WORKER, "--worker-slots", "2"), environment)
        return single, single.members
    postgres = PrivatePostgres()
    postgres.start()
    cluster = Cluster(
        folder, postgres, storage=storage.flags, replica_settings=REPLICA, worker_settings=WORKER, environment=environment
    )
    groups = [cluster.replicas, cluster.workers]
    return cluster, [member for group in (groups if form == "replicas" else groups[::-1]) for member in group]


def run(form: str, commit: str, folder: Path, receiver: Receiver, patience: float) -> int:
    """Upgrade one cluster; return how many things are wrong."""
    storage = FaultyStorage()
    old = extract(commit, folder / "old")
    environment = {**storage.environment, **ENVIRONMENT, MARKER: str(folder), **old}
    cluster, members = made(form, folder / "cluster", storage, environment)
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

        if form != "serve":  # which migrates its own database
            migrate(cluster, old)
        asked = upgrade(cluster, members, old, send)
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


def main() -> int:
    """Return the exit status."""
    options = parse()
    commit = chosen(options.old)
    if not commit:
        print("upgrade-test: SKIPPED, as the history of this checkout does not reach back; name a commit: OLD=…")
        return 1 if options.old else 0
    forbid_real_time()
    wrong = 0
    for form in options.form or FORMS:
        what = form if form == "serve" else f"{form} first"
        print(f"from {_git('log', '-1', '--format=%h %s', commit)}: {what}", flush=True)
        folder = Path(tempfile.mkdtemp(prefix="upgrade-"))
        with receiving() as receiver:
            result = run(form, commit, folder, receiver, options.patience)
        print(f"  {'all is well' if not result else f'{result} things are wrong; logs are in {folder}'}", flush=True)
        if not result and not options.keep:
            shutil.rmtree(folder, ignore_errors=True)
        wrong += result
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
