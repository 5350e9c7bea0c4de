"""Heartbeats of an attempt, which also announce the files of one that is soon done."""

import time
from collections.abc import Sequence

from temporalio import activity

from reelmill_server.engine.client import Engine
from reelmill_server.engine.pending_files import pack
from reelmill_server.model.publication import PendingFile
from reelmill_server.model.task import Progress, TaskPhase

_QUIET_SECONDS = 1.0  # of work: small tasks have ended by then
_LONG_SECONDS, _PAUSE_SECONDS = 10.0, 1.0  # after which an attempt is heard of less often; a cancel comes with the answer
_MOST_SECONDS, _MOST_SHARE = 4.0, 0.25  # before which an attempt that waits for its turn is heard of; of the silence allowed


class AttemptHeartbeat:
    """Heartbeats of the current activity, with the progress of its attempt.

    What an attempt is about to publish may be part of a heartbeat. Unlike a signal it costs the workflow no step, and it tells
    whether the activity still runs. Each heartbeat replaces the one before, and two may overtake each other on their way. So
    that none without the files comes after that, there is none in the first moments, and all later ones repeat the files.
    """

    def __init__(self, engine: Engine, announces: bool, silence_seconds: float) -> None:
        """`announces`: the task's workflow looks for files in the heartbeats of an attempt that was lost; `silence_seconds`:
        after which it counts as lost.
        """
        self._engine, self._announces = engine, announces
        now = time.monotonic()
        self._quiet_until = now + _QUIET_SECONDS
        self._latest_first = now + min(_MOST_SECONDS, silence_seconds * _MOST_SHARE)
        self._long_from, self._pause = now + _LONG_SECONDS, min(_PAUSE_SECONDS, silence_seconds * _MOST_SHARE)
        self._sent = 0.0
        self._latest = Progress()
        self.announced = ""
        """The files that were announced, packed; empty if none were."""

    def send(self, progress: Progress) -> None:
        """Send the progress, some time later if another heartbeat was sent shortly before."""
        self._latest, now = progress, time.monotonic()
        if progress.phase is TaskPhase.QUEUED:
            self._quiet_until = now + _QUIET_SECONDS
        if self._announces and not self.announced and now < min(self._quiet_until, self._latest_first):
            return
        self._announces = bool(self.announced)
        if now >= self._long_from and now < self._sent + self._pause:
            return
        self._sent = now
        activity.heartbeat(progress, *([self.announced] if self.announced else ()))

    async def announce(self, files: Sequence[PendingFile]) -> bool:
        """Announce files, if that is possible here; return whether they were, and the activity still runs. Raises
        ServiceUnavailable.
        """
        packed = list(pack(files))
        if not self._announces or len(packed) != 1 or self.announced not in ("", *packed):
            return False
        (self.announced,) = packed
        return await self._engine.heartbeat(activity.info().task_token, self._latest, self.announced)
