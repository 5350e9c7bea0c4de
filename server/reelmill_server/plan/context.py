"""What a plan depends on beside the request."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from reelmill_server.model.capability import Capability
from reelmill_server.model.media_info import MediaInfo, SubtitleFileInfo
from reelmill_server.plan.codec.video_encoders import DEFAULT_ORDER


@dataclass(frozen=True)
class Situation:
    """The media, what the worker can do and how it prefers it.

    `infos` and `modified_us` (when each was stored, microseconds since the epoch) follow the request's sources; so
    does `subtitle_infos`, with one member for each of a source's subtitle files. `watermark_infos` are by URI. `excluded` maps
    encoders not to use to the reason.
    """

    infos: Sequence[MediaInfo]
    capabilities: Mapping[str, Capability]
    modified_us: Sequence[int] = (0,) * 11
    order: Sequence[str] = DEFAULT_ORDER
    excluded: Mapping[str, str] = field(default_factory=dict)
    subtitle_infos: Sequence[Sequence[SubtitleFileInfo]] = ()
    watermark_infos: Mapping[str, MediaInfo] = field(default_factory=dict)
