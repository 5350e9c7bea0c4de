"""Estimates what carrying out a plan costs."""

from collections.abc import Sequence

from reelmill_server.model.cost import Cost
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import COPY, Plan

_PIXELS_PER_CORE_SECOND = {"veryslow": 3e6, "slower": 5e6, "slow": 9e6, "ultrafast": 60e6}
_USUAL_PIXELS = 15e6
_UNKNOWN_SECONDS = 60.0
_USUAL_RATE = 25.0
_LEAST_SECONDS = 0.2


def estimate(plan: Plan, infos: Sequence[MediaInfo]) -> Cost:
    """What carrying out `plan` takes, as a rough guess from the pictures that it encodes."""
    seconds = _LEAST_SECONDS
    for target in plan.targets:
        for stream in target.streams:
            if stream.video and stream.encoder != COPY:
                pixels = stream.video.width * stream.video.height * _USUAL_RATE
                speed = _PIXELS_PER_CORE_SECOND.get(stream.options.get("preset", ""), _USUAL_PIXELS)
                seconds += pixels * (target.duration_us / 1e6 or _UNKNOWN_SECONDS) / speed
    return Cost(2.0 if seconds > _LEAST_SECONDS else 1.0, 300 << 20, 0, seconds)
