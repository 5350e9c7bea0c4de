"""The share of the workers that a new task gets: priorities divide what its project has, and take nothing from others."""

from collections.abc import Collection

_PER_LEVEL = 2.0


def share(priority: int, priorities: Collection[int]) -> float:
    """Return the share of tasks of `priority` (1 to 5, the first ones first) in a project with tasks of these `priorities`."""
    return _PER_LEVEL**-priority / sum(_PER_LEVEL**-level for level in {priority, *priorities})
