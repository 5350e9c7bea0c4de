"""A ladder made for a video: what is asked of it, what was measured for it, and the rungs that were chosen."""

from dataclasses import dataclass

from reelmill_server.model.quality import Metric


@dataclass(frozen=True)
class LadderSpec:
    """The ladder asked for. Bit rates in bit/s, None: no bound. `max_height`: pixels of the shorter side, 0: the source's.

    `min_step`: how far rungs are apart at least, in VMAF.
    """

    max_renditions: int = 6
    min_bitrate: int | None = None
    max_bitrate: int | None = None
    max_height: int = 0
    min_step: float = 4.0


@dataclass(frozen=True)
class LadderPoint:
    """A size and a CRF (on the contract's scale), and what they give on samples: bit/s, and a score at the ladder's size."""

    width: int
    height: int
    crf: float
    bitrate: int
    score: float


@dataclass(frozen=True)
class Ladder:
    """A ladder: scores are `metric` at `width` x `height`. `points`: all that was measured; `rungs`: chosen, the best first."""

    metric: Metric
    width: int
    height: int
    points: tuple[LadderPoint, ...] = ()
    rungs: tuple[LadderPoint, ...] = ()


@dataclass(frozen=True)
class LadderPlan:
    """The ladder planned for a group. Before its rungs are chosen, the group has a target for each size that is tried."""

    asked: LadderSpec
    ladder: Ladder

    @property
    def chosen(self) -> bool:
        """Whether its rungs are known."""
        return bool(self.ladder.rungs)
