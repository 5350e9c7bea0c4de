"""Whether the replicas of now can carry on tasks that began before them.

A workflow is run only when something happens to it, such as the end of its attempt. After an upgrade that cannot continue a
workflow, that may be hours away, so each workflow is asked once, which replays it.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Mapping, Set
from datetime import UTC, datetime

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.tasks.store import TaskStore

_AT_ONCE = 10
_ASKED = 200  # in one round


class ReplayCheck:
    """Asks for each task that was unfinished when a replica came or went, whether its workflow can still be run."""

    def __init__(
        self,
        store: TaskStore,
        *,
        replicas: Callable[[], Awaitable[Collection[str]]],
        replay: Callable[[str], Awaitable[str]],
    ) -> None:
        """Take what is asked: `store` for the tasks that the engine should have, `replicas` for those that run workflows now,
        `replay` for what keeps a task's workflow from being run, empty if nothing does. The last two raise ServiceUnavailable.
        """
        self._store, self._replicas, self._replay = store, replicas, replay
        self._known: Set[str] = frozenset()
        self._unasked = deque[str]()
        self._failed = dict[str, str]()

    async def problems(self) -> Mapping[str, str]:
        """Ask some of the tasks, and again those that failed; return why tasks failed twice in a row, as once may be a busy
        machine. Raises ServiceUnavailable.
        """
        present = frozenset(await self._replicas())
        if present != self._known:
            started = self._store.started(datetime.now(UTC))
            self._unasked = deque([task.task_id async for task in started if task.task_id not in self._failed])
            self._known = present
        before = frozenset(self._failed)
        for queue in (deque(self._failed), self._unasked):
            for task_id, problem in (await self._ask(queue)).items():
                self._failed.pop(task_id, None)
                if problem:
                    self._failed[task_id] = problem
        return {task_id: problem for task_id, problem in self._failed.items() if task_id in before}

    async def _ask(self, task_ids: deque[str]) -> Mapping[str, str]:
        """Return the answers for the first tasks of a queue, and take them from it. Those that nobody answers for stay, and end
        the round.
        """
        answers = dict[str, str]()
        while task_ids and len(answers) < _ASKED:
            batch = [task_ids.popleft() for _ in range(min(_AT_ONCE, len(task_ids)))]
            replies = await asyncio.gather(*(self._answer(task_id) for task_id in batch))
            answers |= {task_id: answer for task_id, answer in zip(batch, replies, strict=True) if answer is not None}
            if None in replies:
                task_ids += [task_id for task_id, answer in zip(batch, replies, strict=True) if answer is None]
                break
        return answers

    async def _answer(self, task_id: str) -> str | None:
        try:
            return await self._replay(task_id)
        except ServiceUnavailable:
            return None
