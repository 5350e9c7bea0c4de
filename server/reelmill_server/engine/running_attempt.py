"""An attempt that a worker runs, as its reports and metrics see it."""

import time

from reelmill_server.engine.work import Work
from reelmill_server.model.preview import Preview
from reelmill_server.model.task import Progress
from reelmill_server.model.worker_state import AttemptState, TaskPart


class RunningAttempt:
    """A running attempt: when it began, microseconds since the epoch; how far its task came; and how it will be counted."""

    def __init__(self, work: Work, part: TaskPart, chunk: int) -> None:
        self.started_us, self.outcome, self.percent = time.time_ns() // 1000, "Succeeded", 0
        self.progress = Progress()
        self._preview: Preview | None = None
        self._work, self._part, self._chunk = work, part, chunk

    def show(self, preview: Preview) -> None:
        """Take the latest preview."""
        self._preview = preview

    @property
    def state(self) -> AttemptState:
        """Return the attempt and its progress, as replicas are shown it."""
        request = self._work.request
        return AttemptState(
            project_name=request.project_name,
            task_id=request.task_id,
            attempt=self._work.attempt,
            lane=self._work.lane,
            part=self._part,
            started_us=self.started_us,
            progress=self.progress,
            chunk=self._chunk,
            preview=self._preview,
        )
