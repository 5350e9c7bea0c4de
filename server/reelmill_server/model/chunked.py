"""A task that is carried out in units on several workers, as plain data."""

from dataclasses import dataclass

from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split, UnitFile


@dataclass(frozen=True)
class Chunked:
    """A plan and how it is cut: made once, and given to all units and to the one that joins them."""

    plan: Plan
    split: Split


@dataclass(frozen=True)
class KeptFile:
    """A file that a unit made, and where it lies in shared scratch."""

    file: UnitFile
    uri: str
