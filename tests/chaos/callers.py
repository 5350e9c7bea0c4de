"""Those who ask for the tasks of a storm: each sends one, perhaps cancels it, and watches it to its end."""

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from reelmill.v1.task_pb2 import Task
from reelmill_client import Client, DeadlineExceeded, FailedPrecondition, Unavailable
from reelmill_client.watch import is_final
from tests.chaos.faulty_storage import BUCKET
from tests.chaos.mix import Errand

T = TypeVar("T")
_PAUSE_SECONDS = 0.5
_OUTAGE_SECONDS = 300.0


@dataclass
class Called:
    """What became of an errand, as its caller saw it."""

    errand: Errand
    task_id: str = ""
    seen: list[Task] = field(default_factory=list)
    cancel_taken: bool = False
    trouble: str = ""

    @property
    def ended(self) -> bool:
        """Whether the caller saw the end."""
        return bool(self.seen) and is_final(self.seen[-1])


class Callers:
    """All of them, each in a thread of its own, over the replicas in turn."""

    def __init__(
        self, clients: Sequence[Client], errands: Sequence[Errand], sources: Mapping[str, str], webhook: str, seed: int
    ) -> None:
        self.called = [Called(errand) for errand in errands]
        self._clients, self._sources, self._webhook = clients, sources, webhook
        self._chance = random.Random(seed)
        self._deadline = 0.0
        self._threads: list[threading.Thread] = []

    def start(self, seconds: float) -> None:
        """They begin, and give up after `seconds`."""
        self._deadline = time.monotonic() + seconds
        begun = time.monotonic()
        for called in self.called:
            twice = self._chance.random() < 0.2
            thread = threading.Thread(target=self._call, args=(called, begun, twice), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def over(self) -> bool:
        """Whether all have seen the end of theirs, or have given up."""
        return not any(thread.is_alive() for thread in self._threads)

    def _call(self, called: Called, begun: float, twice: bool) -> None:
        try:
            self._run(called, begun, twice)
        except Exception as error:
            called.trouble = f"{type(error).__name__}: {error}"

    def _run(self, called: Called, begun: float, twice: bool) -> None:
        errand = called.errand
        time.sleep(max(0.0, begun + errand.at - time.monotonic()))
        client, other = self._clients[errand.number % 2], self._clients[1 - errand.number % 2]
        request = errand.request(self._sources, f"s3://{BUCKET}", self._webhook)
        called.task_id = self._insist(lambda: client.submit(request).task_id)
        if twice:
            again = self._insist(lambda: other.submit(request).task_id)
            assert again == called.task_id, "the same request made two tasks"
        if errand.cancel_after is not None:
            time.sleep(errand.cancel_after)
            try:
                self._insist(lambda: other.cancel(called.task_id))
                called.cancel_taken = True
            except FailedPrecondition:
                pass  # it had ended
        left = self._deadline - time.monotonic()
        called.seen.extend(client.watch(called.task_id, timeout_seconds=left, max_outage_seconds=_OUTAGE_SECONDS))

    def _insist(self, call: Callable[[], T]) -> T:
        """Calls until it is answered."""
        while True:
            try:
                return call()
            except (Unavailable, DeadlineExceeded):
                if time.monotonic() > self._deadline:
                    raise
                time.sleep(_PAUSE_SECONDS)
