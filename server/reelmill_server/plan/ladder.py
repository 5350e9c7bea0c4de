"""Ladders of a plan whose rungs are still to be chosen."""

from dataclasses import dataclass

from reelmill_server.model.ladder import Ladder, LadderSpec
from reelmill_server.model.plan import Plan, StreamPlan, TargetPlan


@dataclass(frozen=True)
class OpenLadder:
    """A ladder to be chosen: the number of its group, what is asked, and the video stream of each size that is tried, the
    largest first, as `target` encodes it."""

    group: int
    asked: LadderSpec
    ladder: Ladder
    target: TargetPlan
    streams: tuple[StreamPlan, ...]

    @property
    def field(self) -> str:
        """Path of the ladder in the request."""
        return f"target_groups[{self.group}].auto_ladder"


def open_ladders(plan: Plan) -> list[OpenLadder]:
    """Return the ladders of `plan` whose rungs are not chosen yet."""
    ladders = []
    for number, group in enumerate(plan.groups):
        planned = group.ladder
        if planned is None or planned.chosen:
            continue
        targets = [plan.targets[slot] for slot in group.variants[: len(planned.ladder.points)]]
        streams = tuple(stream for target in targets for stream in target.streams if stream.encodes_video)
        ladders.append(OpenLadder(number, planned.asked, planned.ladder, targets[0], streams))
    return ladders
