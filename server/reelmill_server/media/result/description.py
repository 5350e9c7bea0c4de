"""Describe the streams of an output as they were read back."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer

from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.libav.layouts import layout_of
from reelmill_server.media.libav.timestamps import exact
from reelmill_server.media.result.bookings import adjustments
from reelmill_server.media.result.reading import StreamReading
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model import tags
from reelmill_server.model.colour import Transfer
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.quality import Metric, QualityResult
from reelmill_server.model.task import ArtifactStream
from reelmill_server.model.time import MICROSECONDS

_GUESSED_FORMATS = ("aac", "ac3", "amr")  # without a header: libav estimates their duration from the size and a bit rate


def seconds_of(container: InputContainer, readings: Sequence[StreamReading]) -> float:
    """Return the seconds from the first frame to the end of the last one: headers may count decoding time, and less."""
    begin = max(min((sight.extent.first or Fraction(0) for sight in readings), default=Fraction(0)), Fraction(0))
    end = max((sight.extent.last for sight in readings), default=Fraction(0))
    claimed = Fraction(0 if container.format.name in _GUESSED_FORMATS else container.duration or 0, MICROSECONDS)
    if container.format.name == "flv":  # its duration is the time of its end, and with B-frames it begins late
        claimed -= begin
    return float(max(claimed, end - begin))


def describe_stream(
    stream: Any, planned: StreamPlan, written: StreamStats, given: StreamTotals | None, sight: StreamReading
) -> ArtifactStream:
    """Return what a stream of the file is, by what it says of itself and what was counted."""
    context = stream.codec_context
    video, audio = stream.type == "video", stream.type == "audio"
    first = sight.extent.first or 0
    seconds, between = sight.extent.last - first, sight.extent.last_start - first
    return ArtifactStream(
        type=planned.type,
        codec=planned.codec,
        encoder=planned.encoder,
        reason=planned.reason,
        packet_count=sight.packets,
        duration_seconds=float(seconds),
        width=context.width if video else 0,
        height=context.height if video else 0,
        sample_rate=context.sample_rate if audio else 0,
        channels=layout_of(context)[1] if audio else 0,
        bitrate=round(written.size_bytes * 8 / seconds) if seconds > 0 else 0,
        frame_rate=round(float(_frame_rate(stream, sight.packets, between)), 3) if video and between > 0 else 0.0,
        language=tags.language(stream.metadata),
        vmaf=written.scores.get(Metric.VMAF),
        quality=_quality(planned, written),
        color_transfer=int(context.color_trc) if video else Transfer.UNSPECIFIED,
        loudness=written.loudness,
        adjustments=adjustments(planned, written, given),
    )


def _quality(planned: StreamPlan, written: StreamStats) -> QualityResult | None:
    target = planned.quality
    final = written.scores.get(target.metric) if target else None
    if target is None or target.crf is None or target.predicted is None or final is None:
        return None
    return QualityResult(target.metric, target.value, target.crf, target.predicted, final)


def _frame_rate(stream: Any, packets: int, seconds: Fraction) -> Fraction:
    """Return the frames per second of `packets` whose first and last are `seconds` apart: what the container says, where the
    two differ by no more than one of its ticks (Matroska's are 1 ms), else what was counted.
    """
    claimed, between = exact(stream.guessed_rate or 0), packets - 1
    agrees = claimed > 0 and abs(between / claimed - seconds) <= exact(stream.time_base)
    return claimed if agrees else between / seconds
