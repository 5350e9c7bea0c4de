"""Projects, which group tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

DATASET_LIMITS: Mapping[str, int] = {
    "project_max_dataset_count": 1_000_000_000,
    "dataset_max_bind_count": 10,
    "dataset_max_file_count": 100_000_000,
    "dataset_max_entity_count": 10_000_000_000,
    "dataset_max_relation_count": 100_000_000_000,
    "dataset_max_total_file_size": 90_000_000_000_000_000,
}
"""The contract's defaults. They are stored and returned, without effect: Reelmill has no datasets."""


@dataclass(frozen=True)
class Quotas:
    """Quotas of a project: tasks running at once, tasks waiting for those, and the share of the workers while others wait too.

    0: unlimited, or in a project: the server's default.
    """

    engine_concurrency: int = 0
    max_queued_tasks: int = 0
    fairness_weight: float = 0.0

    def over(self, defaults: "Quotas") -> "Quotas":
        """Return these quotas, with the defaults where they are 0."""
        return Quotas(
            self.engine_concurrency or defaults.engine_concurrency,
            self.max_queued_tasks or defaults.max_queued_tasks,
            self.fairness_weight or defaults.fairness_weight,
        )


NO_QUOTAS = Quotas()
"""No limits, or nothing set."""


@dataclass(frozen=True)
class Project:
    """A project. Times are UTC. `dataset_limits` holds a value for each key of DATASET_LIMITS.

    `service_role` accesses the storage of tasks that name no role; empty: the worker's own identity does.
    """

    project_name: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    service_role: str = ""
    quotas: Quotas = NO_QUOTAS
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_limits: Mapping[str, int] = field(default_factory=lambda: dict(DATASET_LIMITS))


@dataclass(frozen=True)
class ProjectPage:
    """One page of projects; `next_token` is empty on the last page."""

    projects: tuple[Project, ...]
    next_token: str = ""
