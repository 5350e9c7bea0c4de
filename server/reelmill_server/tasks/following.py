"""Follow each project that is watched once, for all its watchers on this replica: read its changes, and wake them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog

from reelmill_server.errors import ReelmillError, ServiceUnavailable
from reelmill_server.model.task import UNREPORTED, Progress
from reelmill_server.tasks.changes import BATCH, ChangeStore
from reelmill_server.tasks.follower import Follower
from reelmill_server.tasks.progress import ProgressStore
from reelmill_server.tasks.projects import no_such_project
from reelmill_server.tasks.snapshots import Snapshots
from reelmill_server.tasks.waits import Waits

AHEAD = 15
"""Tasks that are loaded together with one, as most watchers will need them next."""
_WAIT_POLLS = 10  # from one look at what watched tasks wait for to the next
_LEAST_PAUSES = 0.1  # after a change of this replica
_LOG = 200_000  # changes of all projects, about 40 MB
_SHOWN_BYTES = 16 << 20
_LEAST = 1_000
_log = structlog.get_logger(__name__)


class Following:
    """The followers of all watched projects, and the loop that reads what has changed, as long as anyone watches."""

    def __init__(
        self, changes: ChangeStore, progress: ProgressStore, *, waits: Waits, snapshots: Snapshots, poll_seconds: float
    ) -> None:
        """Follow `changes` and `progress` every `poll_seconds`."""
        self._changes, self._progress, self._waits = changes, progress, waits
        self._snapshots, self._poll_seconds = snapshots, poll_seconds
        self._round = self._told_round = 0
        self._waits_at = 0.0
        self.followers: dict[str, Follower] = {}
        """By the names of their projects."""
        self._poll_now = asyncio.Event()
        self.loop: asyncio.Task[None] | None = None
        """The last one; done when nobody watches."""
        self._closed = False

    def close(self) -> None:
        """End all watches, present and future, with ServiceUnavailable, so that watchers connect to another replica."""
        self._closed = True
        self._poll_now.set()
        for follower in self.followers.values():
            follower.fail(_shutting_down())

    async def wait_closed(self) -> None:
        """Wait, once the feeds are closed, until they use the database no more."""
        if self.loop is not None:
            await self.loop

    def poll_now(self, task_id: str = "") -> None:
        """Look for changes immediately because a record has changed, if its task is watched; "": because progress was told."""
        if (self.followers and not task_id) or any(task_id in follower.entries for follower in self.followers.values()):
            self._poll_now.set()

    def advanced(self, task_id: str, progress: Progress) -> None:
        """Take the progress of an attempt in this process, which the records have later."""
        for follower in self.followers.values():
            entry = follower.entries.get(task_id)
            if entry is not None:
                entry.heard = time.monotonic()
                follower.advance(task_id, entry, progress)

    @asynccontextmanager
    async def project(self, project_name: str) -> AsyncIterator[Follower]:
        """Follow a project during the block. Raises ResourceNotFound, and ServiceUnavailable once the feeds are closed."""
        if self._closed:
            raise _shutting_down()
        follower = self.followers.get(project_name)
        if follower is None or follower.error is not None:
            follower = self.followers[project_name] = Follower(project_name)
            follower.started = asyncio.create_task(self._start(follower))
        follower.users += 1
        try:
            await asyncio.shield(follower.started)
            follower.raise_error()
            yield follower
        finally:
            self._leave(follower)

    def _leave(self, follower: Follower) -> None:
        follower.users -= 1
        if not follower.users and self.followers.get(follower.project_name) is follower:
            del self.followers[follower.project_name]

    async def _start(self, follower: Follower) -> None:
        """Read where a project stands, and follow it from there."""
        try:
            heads, _ = await self._changes.heads([follower.project_name])
            follower.number = heads[follower.project_name]
            head, reports = await self._progress.since(0)
            if self.loop is None or self.loop.done():  # else it goes on from where it is, for the others
                self._round = head
            page = await self._changes.running(follower.project_name)
            while page:
                for change in page:
                    entry = follower.keep(change)
                    entry.report = reports.get(change.task_id, UNREPORTED)
                    entry.progress = entry.report.progress
                is_full = len(page) == BATCH
                page = await self._changes.running(follower.project_name, page[-1].task_id) if is_full else ()
        except KeyError:
            follower.fail(no_such_project(follower.project_name))
        except ReelmillError as error:
            follower.fail(error)
        if self.loop is None or self.loop.done():  # that of earlier watchers ends when nobody watches
            self.loop = asyncio.create_task(self._follow())

    async def _follow(self) -> None:
        """Follow while anyone watches; a failure is logged, as watchers still need what comes next."""
        while self.followers and not self._closed:
            for step in (self._follow_changes, self._follow_progress, self._follow_waits):
                try:
                    await step()
                except Exception as error:
                    _log.warning("following watched tasks failed", reason=f"{type(error).__name__}: {error}")
            await self._until_next_change()

    async def _until_next_change(self) -> None:
        await asyncio.sleep(self._poll_seconds * _LEAST_PAUSES)
        with suppress(TimeoutError):
            async with asyncio.timeout(self._poll_seconds * (1 - _LEAST_PAUSES)):
                await self._poll_now.wait()
        self._poll_now.clear()

    async def _follow_changes(self) -> None:
        followers = [candidate for candidate in self.followers.values() if candidate.started.done() and candidate.error is None]
        heads, self._told_round = await self._changes.heads([follower.project_name for follower in followers])
        for follower in followers:
            head = heads.get(follower.project_name)
            if head is None:
                follower.fail(no_such_project(follower.project_name))
            elif head < follower.number:
                # Deleted and created anew, or the database is one that lacks what the one before had written last: a standby
                # that took its place, or a backup.
                follower.fail(ServiceUnavailable("the records are older than they were: watch again"))
            elif head > follower.number:
                await self._read_changes(follower)
            follower.shown.limit = max(_LEAST, _SHOWN_BYTES // len(followers))
            follower.prune(max(_LEAST, _LOG // len(followers)))

    async def _read_changes(self, follower: Follower) -> None:
        number, last = follower.number, ""
        while page := await self._changes.after(follower.project_name, number, last):
            wanted = follower.wanted
            tags = await self._changes.tagged([change.task_id for change in page], wanted) if wanted else {}
            for change in page:
                follower.note(change, tags.get(change.task_id, frozenset()))
            number, last = page[-1].number, page[-1].task_id
            if len(page) < BATCH:
                break
        follower.number = number

    async def _follow_progress(self) -> None:
        """Take what was told since the last time."""
        if self._told_round == self._round:
            return
        # A round that is earlier is of another database, as above.
        self._round, reports = await self._progress.since(self._round if self._round < self._told_round else 0)
        for follower in list(self.followers.values()):
            for task_id, its in reports.items():
                entry = follower.entries.get(task_id)
                if entry is not None:
                    entry.report = its
                    follower.advance(task_id, entry, await self._snapshots.progress_of(follower, task_id, entry))

    async def _follow_waits(self) -> None:
        """Tell those who watch a waiting task what it waits for, now and then: every end of another changes its place."""
        if time.monotonic() < self._waits_at:
            return
        self._waits_at = time.monotonic() + _WAIT_POLLS * self._poll_seconds
        for follower in list(self.followers.values()):
            await self._follow_waits_of(follower)

    async def _follow_waits_of(self, follower: Follower) -> None:
        """Look anew at the watched tasks of a project: at all of them only if what they wait for may have changed."""
        watched = dict(follower.watched())
        # That the engine has taken a task is no change that is numbered: their records are read again.
        given = [task_id for task_id, entry in watched.items() if entry.admitted and not entry.started]
        for task_id in given:
            follower.shown.drop(task_id)
        for at, task_id in enumerate(given):
            await self._snapshots.of(follower, task_id, given[at + 1 : at + 1 + AHEAD])
        state = await self._waits.state(follower.project_name)
        if state is follower.waits:  # only an attempt here that fell silent has other progress than when it was noted
            watched = {task_id: entry for task_id, entry in watched.items() if entry.heard}
        follower.waits = state
        for task_id, entry in watched.items():
            follower.advance(task_id, entry, await self._snapshots.progress_of(follower, task_id, entry))


def _shutting_down() -> ServiceUnavailable:
    return ServiceUnavailable("this replica is shutting down: watch again")
