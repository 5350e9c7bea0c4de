"""Warn of what users should know of the loudness of a stream; apart, as the stage that brings it about needs numpy."""

from collections.abc import Iterator

from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan

_MISSED_LU, _MISSED_DB = 0.5, 0.1


def loudness_warnings(plan: StreamPlan, written: StreamStats, field: str) -> Iterator[str]:
    """Yield what the user of the target at `field` should know of its loudness."""
    result = written.loudness
    if plan.loudness is None or result is None or not plan.loudness.normalizes:
        return
    spec, path = plan.loudness.asked, f"{field}.audio.filter_audio.loudness"
    if result.before.silent:
        yield f"{path}: the audio is silent, or shorter than 0.4 s: it is not changed"
    elif abs(result.after.integrated - spec.integrated) > _MISSED_LU:
        yield (
            f"{path}: {result.after.integrated:.1f} LUFS in place of {spec.integrated:g}: true peaks are limited to "
            f"{spec.true_peak:g} dBTP"
        )
    peak = plan.loudness.decoded_peak
    if peak is not None and peak > spec.true_peak + _MISSED_DB:
        reached = f"decoded, true peaks reached {peak:.1f} when last tried, in place of {spec.true_peak:g} dBTP"
        yield f"{path}: {reached}: {plan.encoder} raises them"
