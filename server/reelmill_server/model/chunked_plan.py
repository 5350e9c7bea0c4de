"""Tasks that several workers carry out in chunks."""

from dataclasses import dataclass

from reelmill_server.model.cost import Cost
from reelmill_server.model.plan import Plan
from reelmill_server.model.sample import StreamSearch
from reelmill_server.model.units import Split, UnitFile


@dataclass(frozen=True)
class ChunkedPlan:
    """A plan and its split into chunks: created once, and given to all chunks and to the final join."""

    plan: Plan
    split: Split


@dataclass(frozen=True)
class SampledPlan:
    """A plan that is cut into chunks once the `searches` have found the CRFs that it leaves open; `cost`: of all that follows
    them.
    """

    chunked: ChunkedPlan
    searches: tuple[StreamSearch, ...]
    cost: Cost


@dataclass(frozen=True)
class KeptFile:
    """A file produced by a chunk, and its URI in shared scratch."""

    file: UnitFile
    uri: str
