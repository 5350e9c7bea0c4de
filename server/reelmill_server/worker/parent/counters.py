"""Count what attempts of this worker used and produced."""

from reelmill_server.model.plan import COPY, StreamType
from reelmill_server.telemetry.metrics import Metrics
from reelmill_server.worker import messages


def count_usage(metrics: Metrics, lane: str, part: str, usage: messages.Usage) -> None:
    """Count the resources that a child used; `part` is whole, unit or join."""
    metrics.child_cpu_seconds_total.labels(lane, part).inc(usage.cpu_seconds)
    metrics.child_memory_bytes.labels(part).observe(usage.memory_bytes)


def count_results(metrics: Metrics, finished: messages.Finished) -> None:
    """Count the seconds of each stage, and the speed of each encoded stream in media seconds per second."""
    for stage, seconds in finished.stage_seconds.items():
        metrics.stage_seconds.labels(stage).observe(seconds)
    elapsed = finished.stage_seconds.get("convert", 0.0)
    for result in finished.made:
        for stream in result.artifact.streams:
            if stream.type != StreamType.SUBTITLE and stream.encoder != COPY and elapsed:
                speed = stream.duration_seconds / elapsed
                metrics.encode_speed_ratio.labels(stream.codec, stream.encoder).observe(speed)
