"""The facts besides the request that a plan depends on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from reelmill_server.model.capability import Capability
from reelmill_server.model.ladder import Ladder
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.smart_cut import CutEdges
from reelmill_server.plan.codec.video_encoders import DEFAULT_ORDER


@dataclass(frozen=True)
class PlanFacts:
    """Sources, capabilities of the worker, and its preferences.

    `infos`, `modified_us` (time of last modification, microseconds since the epoch) and `subtitle_infos` (one member per
    subtitle file) are in the order of the request's sources. `watermark_infos` is by URI. `order`: encoder families, the
    preferred first. `excluded`: encoders not to use, to the reason; `refused`: those that only some targets, by index, may not
    use, as they refused their settings. `cut_edges`: where copied video can be cut at the frame, by the number of the source
    and the index of the stream in its file. `ladders`: those that were chosen, by the number of their group.
    """

    infos: Sequence[MediaInfo]
    capabilities: Mapping[str, Capability]
    modified_us: Sequence[int] = (0,) * 11
    order: Sequence[str] = DEFAULT_ORDER
    excluded: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[int, Mapping[str, str]] = field(default_factory=dict)
    subtitle_infos: Sequence[Sequence[MediaInfo]] = ()
    watermark_infos: Mapping[str, MediaInfo] = field(default_factory=dict)
    cut_edges: Mapping[tuple[int, int], CutEdges] = field(default_factory=dict)
    ladders: Mapping[int, Ladder] = field(default_factory=dict)

    def for_target(self, index: int) -> "PlanFacts":
        """Return the facts for the target `index`, whose encoders refused its settings among those that are excluded."""
        if index not in self.refused:
            return self
        return replace(self, excluded={**self.excluded, **self.refused[index]})
