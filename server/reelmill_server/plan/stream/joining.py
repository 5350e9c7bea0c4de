"""Makes what follows each other alike: one size, one rate, one set of colours; and changes the speed."""

from dataclasses import replace
from fractions import Fraction

from reelmill_server.model.colour import RANGE_NAMES, SCALE_NAMES
from reelmill_server.model.media_info import AudioStreamInfo, StreamInfo, VideoStreamInfo
from reelmill_server.model.plan import StreamPlan, VideoOutput
from reelmill_server.model.request import Adapt, ScaleType, VideoSpec
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS, rational_text
from reelmill_server.plan.codec.video_encoders import PIXEL_FORMATS
from reelmill_server.plan.stream import video
from reelmill_server.plan.stream.adaptive import adapted_video
from reelmill_server.plan.stream.geometry import asked_size, displayed_size

_USUAL_TICK = Fraction(1, 90_000)
_FINEST_TICK = Fraction(1, MICROSECONDS)  # finer time bases overflow in some encoders and containers


def pinned(spec: VideoSpec, stream: VideoStreamInfo, field: str) -> VideoSpec:
    """`spec` with the size and the rate that `stream` gives where none is asked for: what follows must be alike.

    Raises ConditionNotMet when the stream has less than it must.
    """
    rate = video.usual_rate(stream)
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
        # Without an asked size the shape of each source is kept: stretching is only for whom it was asked of.
        scale_type=adapted.scale_type if adapted.width or adapted.height else ScaleType.FILL,
    )


def alike(spec: VideoSpec, like: StreamPlan) -> VideoSpec:
    """`spec`, pinned, for another stream that is to look like `like`."""
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
    """The filters of `planned` that also bring its pictures to the colours of `like`."""
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
    """Why the packets of `other` cannot follow those of `first`, "" when they can."""
    if other is None:
        return "it has no such stream"
    facts = {"codec": (first.codec, other.codec), "decoder settings": (first.configuration, other.configuration)}
    if isinstance(first, VideoStreamInfo) and isinstance(other, VideoStreamInfo):
        facts["size"] = (f"{first.width}x{first.height}", f"{other.width}x{other.height}")
        facts["pixel format"] = (first.pixel_format, other.pixel_format)
        facts["rotation"] = (str(first.rotation), str(other.rotation))
    if isinstance(first, AudioStreamInfo) and isinstance(other, AudioStreamInfo):
        facts["sample rate"] = (str(first.sample_rate), str(other.sample_rate))
        facts["channel layout"] = (first.layout, other.layout)
    for name, (one, two) in facts.items():
        if one != two:
            return "its decoder settings differ" if name == "decoder settings" else f"its {name} differs ({two}, not {one})"
    return ""


def with_speed(planned: StreamPlan, speed: Fraction) -> StreamPlan:
    """`planned` at a playback speed: pictures are shown longer, sound is stretched at the same pitch."""
    if planned.counted or (speed != 1 and planned.audio):
        planned = replace(planned, expected_us=0)  # its parts are measured while they are read
    if speed == 1:
        return planned
    output, tick = planned.video, _USUAL_TICK
    if output and not _steady(planned):
        tick = _slower_tick(output.time_base, speed)
        output = replace(output, time_base=tick, frame_rate=output.frame_rate * speed)
    slower: tuple[str, ...] = (f"atempo={float(speed):.6f}",)
    if output:
        slower = (f"settb={rational_text(tick)}", f"setpts=PTS*{speed.denominator}/{speed.numerator}")
    return replace(
        planned,
        parts=tuple(replace(part, filters=(*slower, *part.filters)) if part.stream >= 0 else part for part in planned.parts),
        video=output,
        # The tempo filter loses a little at the end: counting fills it up.
        counted=planned.counted or planned.audio is not None,
        expected_us=round(planned.expected_us / speed),
        slack_us=round(planned.slack_us / speed),
        speed=speed,
    )


def _steady(planned: StreamPlan) -> bool:
    """Whether the pictures come at a fixed rate."""
    return any(text.startswith("fps=") for part in planned.parts for text in part.filters)


def _slower_tick(tick: Fraction, speed: Fraction) -> Fraction:
    """A tick in which the slowed timestamps are whole numbers, unless it would be too fine."""
    return max(tick / speed.numerator, _FINEST_TICK) if tick > _FINEST_TICK else tick
