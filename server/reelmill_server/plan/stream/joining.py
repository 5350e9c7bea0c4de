"""Make concatenated sources uniform (one size, one frame rate, one set of colors), and change the playback speed."""

from dataclasses import replace
from fractions import Fraction

from reelmill_server.model.colour import RANGE_NAMES, SCALE_NAMES
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import StreamPlan, VideoOutput
from reelmill_server.model.request import Adapt, VideoSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS, rational_text
from reelmill_server.plan.codec.video_encoders import PIXEL_FORMATS
from reelmill_server.plan.stream import video
from reelmill_server.plan.stream.adaptive import adapted_video
from reelmill_server.plan.stream.geometry import asked_size, displayed_size

_USUAL_TICK = Fraction(1, 90_000)
_SLOW, _STEADY = Fraction(10), Fraction(9, 10)
_FINEST_TICK = Fraction(1, MICROSECONDS)  # finer time bases overflow in some encoders and containers


def pinned(spec: VideoSpec, stream: VideoStreamInfo, field: str) -> VideoSpec:
    """Return `spec` with size and frame rate fixed: those of `stream` where none are requested, as all sources must match.

    Raises ConditionNotMet if the stream has less than it must.
    """
    rate = _steady_rate(stream)
    adapted = adapted_video(spec, stream, rate, field)
    width, height = asked_size(adapted, *displayed_size(stream, spec.rotation))
    return replace(
        adapted,
        width=width,
        height=height,
        adaptive_direction=False,
        frame_rate=adapted.frame_rate or rate or FALLBACK_RATE,
        frame_rate_option=Adapt.FIXED,
        resolution_option=Adapt.FIXED,
        # Sources keep their shape unless a size is requested, which may stretch them.
        scale_type=adapted.scale_type if adapted.width or adapted.height else ScaleType.FILL,
    )


def _steady_rate(stream: VideoStreamInfo) -> Fraction:
    """Return the frames a second at which all of `stream` can be shown about when it is, at even distances: of slides that are
    seconds apart, many more than there are.
    """
    if stream.average_rate > video.HIGHEST_RATE and not stream.still:
        return Fraction(video.HIGHEST_RATE)
    rate, rates = video.burst_rate(stream), [known for known in (stream.average_rate, stream.frame_rate) if known]
    varies = bool(rates) and min(rates) < max(rates) * _STEADY
    return FALLBACK_RATE if 0 < rate < _SLOW and varies else rate


def alike(spec: VideoSpec, like: StreamPlan) -> VideoSpec:
    """Return `spec`, which is pinned, for another stream that must match `like`."""
    assert like.video
    formats = PIXEL_FORMATS[like.encoder]
    return replace(
        spec,
        width=like.video.width,
        height=like.video.height,
        pixel_format=next(name for name, own in formats.items() if own == like.video.pixel_format),
        scale_type=ScaleType.FILL if spec.scale_type is ScaleType.FIT else spec.scale_type,
    )


def matched(planned: StreamPlan, like: StreamPlan) -> tuple[str, ...]:
    """Return the filters of `planned` with a conversion to the colors of `like`."""
    filters = planned.parts[0].filters
    assert planned.video and like.video
    return (*filters[:-1], *_colours(planned.video, like.video), *filters[-1:])


def _colours(own: VideoOutput, wanted: VideoOutput) -> tuple[str, ...]:
    matrix, span = SCALE_NAMES.get(wanted.color_space), RANGE_NAMES.get(wanted.color_range, "tv")
    if matrix is None or own.color_space not in SCALE_NAMES or own.color_space == wanted.color_space:
        matrix = ""
    if not matrix and span == RANGE_NAMES.get(own.color_range, "tv"):
        return ()
    return (f"scale=out_range={span}" + (f":out_color_matrix={matrix}" if matrix else ""),)


def difference(first: StreamInfo, other: StreamInfo | None) -> str:
    """Return why the packets of `other` cannot follow those of `first`; empty if they can."""
    if other is None:
        return "it has no such stream"
    facts = {"codec": (first.codec, other.codec), "decoder settings": (first.configuration, other.configuration)}
    if isinstance(first, VideoStreamInfo) and isinstance(other, VideoStreamInfo):
        facts["size"] = (f"{first.width}x{first.height}", f"{other.width}x{other.height}")
        facts["pixel format"] = (first.pixel_format, other.pixel_format)
        facts["rotation"] = (str(first.rotation + first.tilt), str(other.rotation + other.tilt))
        facts["cropping"] = (str(first.crop), str(other.crop))
        facts["mirroring"] = (str(first.mirrored), str(other.mirrored))
    if isinstance(first, AudioStreamInfo) and isinstance(other, AudioStreamInfo):
        facts["sample rate"] = (str(first.sample_rate), str(other.sample_rate))
        facts["channel layout"] = (first.layout, other.layout)
    for name, (value, other_value) in facts.items():
        if value != other_value:
            return (
                "its decoder settings differ"
                if name == "decoder settings"
                else f"its {name} differs ({other_value}, not {value})"
            )
    return ""


def with_speed(planned: StreamPlan, speed: Fraction) -> StreamPlan:
    """Return `planned` at a playback speed: frames are displayed longer or shorter, audio keeps its pitch."""
    if planned.counted or (speed != 1 and planned.audio):
        planned = replace(planned, expected_us=0)  # the durations of its parts are known once they were read
    if speed == 1:
        return planned
    output, tick = planned.video, _USUAL_TICK
    if output and not planned.steady:
        tick = _slower_tick(output.time_base, speed)
        output = replace(output, time_base=tick, frame_rate=output.frame_rate * speed)
    slower: tuple[str, ...] = (f"atempo={float(speed):.6f}",)
    if output:
        slower = (f"settb={rational_text(tick)}", f"setpts=PTS*{speed.denominator}/{speed.numerator}")
    return replace(
        planned,
        parts=tuple(replace(part, filters=(*slower, *part.filters)) if part.stream >= 0 else part for part in planned.parts),
        video=output,
        # The tempo filter loses a little at the end, which counting fills up.
        counted=planned.counted or planned.audio is not None,
        expected_us=round(planned.expected_us / speed),
        slack_us=round(planned.slack_us / speed),
        speed=speed,
    )


def _slower_tick(tick: Fraction, speed: Fraction) -> Fraction:
    """Return a time base in which the changed timestamps are integers, unless it would be too fine."""
    return max(tick / speed.numerator, _FINEST_TICK) if tick > _FINEST_TICK else tick
