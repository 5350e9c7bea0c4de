"""Describe what a worker has room for and holds now."""

import os
from collections.abc import Iterable

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.needs import FAST
from reelmill_server.model.worker_state import AttemptState, LaneState, Load, WorkerState
from reelmill_server.worker.parent.admission import Admission, Budget
from reelmill_server.worker.parent.capabilities import Capabilities


def worker_state(
    version: str,
    started_us: int,
    lanes: Iterable[str],
    attempts: tuple[AttemptState, ...],
    admission: Admission,
    capabilities: Capabilities,
) -> WorkerState:
    """Return the state of this worker, which serves `lanes` and runs `attempts`."""
    takes = admission.has_disk()
    return WorkerState(
        version=version,
        started_us=started_us,
        lanes=tuple(_lane(name, takes, capabilities) for name in lanes),
        held=_load(admission.used),
        most=_load(admission.budget),
        waiting=admission.waiting,
        machine_load=round(os.getloadavg()[0], 1),
        attempts=attempts,
    )


def _lane(name: str, takes: bool, capabilities: Capabilities) -> LaneState:
    if name in (FAST, SOFTWARE):
        return LaneState(name, takes)
    works = capabilities.has_sessions(name, 0)
    return LaneState(name, takes and works, capabilities.sessions_in_use(name), capabilities.max_sessions(name))


def _load(budget: Budget) -> Load:
    return Load(budget.slots, round(budget.cores, 2), budget.memory_bytes, budget.scratch_bytes)
