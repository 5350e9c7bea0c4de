"""Tasks that several workers carry out in chunks."""

from dataclasses import dataclass

from reelmill_server.model.plan import Plan
from reelmill_server.model.units import Split, UnitFile


@dataclass(frozen=True)
class ChunkedPlan:
    """A plan and its split into chunks: created once, and given to all chunks and to the final join."""

    plan: Plan
    split: Split


@dataclass(frozen=True)
class KeptFile:
    """A file produced by a chunk, and its URI in shared scratch."""

    file: UnitFile
    uri: str
