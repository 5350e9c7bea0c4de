"""Plan quality targets: how they are measured on this worker."""

from dataclasses import replace

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.stream.video import measured

XPSNR_FILTER = "xpsnr"
"""The filter that measures XPSNR."""
_BOUND_SECONDS = 2  # of its highest bit rate, the size of the buffer that bounds it


def bounded(spec: VideoSpec) -> VideoSpec:
    """Return `spec` with the highest bit rate of its quality target."""
    if spec.quality is None or spec.quality.max_bitrate is None:
        return spec
    return replace(spec, max_bitrate=spec.quality.max_bitrate, buffer_size=_BOUND_SECONDS * spec.quality.max_bitrate)


def aimed(planned: StreamPlan, target: QualityTarget, facts: PlanFacts, field: str) -> StreamPlan:
    """Return `planned` with a quality target, as `field` requests. Raises UnsupportedFormat if it cannot be measured here."""
    if target.metric is Metric.VMAF:
        planned = measured(planned, facts, field)
    else:
        tried = facts.capabilities.get(XPSNR_FILTER)
        if tried is not None and not tried.available:
            raise UnsupportedFormat(f"{field}: XPSNR cannot be measured here: {XPSNR_FILTER} {tried.reason}")
    return replace(planned, quality=target, reason=f"{planned.reason}; CRF searched for {named(target.metric, target.value)}")


def named(metric: Metric, value: float) -> str:
    """Return a score in words, such as `VMAF 93`."""
    return f"{metric.upper()} {round(value, 2):g}" + (" dB" if metric is Metric.XPSNR else "")
