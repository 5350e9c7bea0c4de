"""Projects: the spaces in which tasks live."""

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
"""The contract's defaults. They are kept and given back; there are no datasets here to limit."""


@dataclass(frozen=True)
class Project:
    """One project. Times are UTC. `dataset_limits` holds a value for each key of DATASET_LIMITS.

    `service_role` reaches the storage of tasks that name no role; empty: the worker's own identity does.
    """

    project_name: str
    create_time: datetime
    update_time: datetime
    description: str = ""
    service_role: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    dataset_limits: Mapping[str, int] = field(default_factory=lambda: dict(DATASET_LIMITS))


@dataclass(frozen=True)
class ProjectPage:
    """One page of projects; `next_token` is empty on the last."""

    projects: tuple[Project, ...]
    next_token: str = ""
