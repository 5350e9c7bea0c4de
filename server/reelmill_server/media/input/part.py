"""Parts: the span of an input that a target takes, while it is read once."""

from dataclasses import dataclass, field
from fractions import Fraction

from av.container import InputContainer

from reelmill_server.model.plan import PartPlan, StreamPlan
from reelmill_server.model.time import MICROSECONDS

# A request's seconds are decimal and a source's timestamps are not: a frame within this of the edge is taken to be on it.
TOLERANCE = Fraction(1, MICROSECONDS)


@dataclass(frozen=True)
class Span:
    """The span of the source that a target takes, in the source's own seconds; `end` None: until the end.

    `from_front`: it begins with the source. Then nothing is before it, as the preroll of sound and what an edit list hides have
    timestamps before the source's first.
    """

    begin: Fraction
    end: Fraction | None
    from_front: bool = False

    def before(self, time: Fraction) -> bool:
        """Whether `time` is before the span."""
        return not self.from_front and time < self.begin - TOLERANCE

    def after(self, time: Fraction) -> bool:
        """Whether `time` is at or after the span's end."""
        return self.end is not None and time >= self.end - TOLERANCE


@dataclass(eq=False)
class Part:
    """One input while it is read once. `key`: the time of the key frame from which it is read; `padded`: what is missing at its
    end is black and silent.

    `over` holds the tracks and streams that have all of their span: writing threads add, the reading one looks. `shown` counts
    the pictures of a source whose pictures have no times.
    """

    number: int
    source: InputContainer
    key: Fraction
    padded: bool = False
    shown: int = 0
    over: set[tuple[int, int]] = field(default_factory=set)

    def close(self, track: object, stream: int) -> None:
        """`track` wants no more of `stream`."""
        self.over.add((id(track), stream))

    def wanted(self, track: object, stream: int) -> bool:
        """Whether `track` still wants `stream`."""
        return (id(track), stream) not in self.over


def own_parts(plan: StreamPlan) -> list[PartPlan]:
    """The parts that are read with the inputs, and neither made, nor read from files beside them, nor before all else."""
    return [] if plan.type == "picture" else [part for part in plan.parts if part.stream >= 0 and part.file is None]
