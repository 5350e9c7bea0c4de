"""Count what attempts of this worker used and produced.

Labels come from closed sets, whatever a child says: a metric keeps each value that it ever had.
"""

from collections.abc import Collection

from reelmill_server.model.plan import COPY, StreamType
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages
from reelmill_server.worker.parent.capabilities import Capabilities

FALLBACK_KINDS = ("failed", "refused", "sessions")
"""Why one encoder replaces another: it failed, refused what a target asks, or all sessions of its family were in use."""

_OTHER = "other"


def count_usage(metrics: Metrics, lane: str, part: str, usage: messages.Usage) -> None:
    """Count the resources that a child used; `part` is whole, unit or join."""
    metrics.child_cpu_seconds_total.labels(lane, part).inc(usage.cpu_seconds)
    metrics.child_memory_bytes.labels(part).observe(usage.memory_bytes)


def count_results(metrics: Metrics, finished: messages.Finished, capabilities: Capabilities) -> None:
    """Count the seconds of each stage, and the speed of each encoded stream in media seconds per second."""
    for stage, seconds in finished.stage_seconds.items():
        metrics.stage_seconds.labels(stage).observe(seconds)
    elapsed = finished.stage_seconds.get("convert", 0.0)
    codecs = {known.codec for known in (*capabilities.encoders, *capabilities.decoders)}
    for result in finished.made:
        for stream in result.artifact.streams:
            if stream.type != StreamType.SUBTITLE and stream.encoder != COPY and elapsed:
                speed = stream.duration_seconds / elapsed
                labels = _known(stream.codec, codecs), _known(stream.encoder, capabilities.names)
                metrics.encode_speed_ratio.labels(*labels).observe(speed)


def count_fallback(metrics: Metrics, capabilities: Capabilities, lost: str, substitute: str, kind: str) -> None:
    """Count that one encoder replaced another; `kind` is one of FALLBACK_KINDS."""
    labels = _known(lost, capabilities.names), _known(substitute, capabilities.names)
    metrics.encoder_fallback_total.labels(*labels, kind).inc()


def _known(name: str, names: Collection[str]) -> str:
    return name if not name or name in names else _OTHER
