"""Plan an encoded video stream."""

import re
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from math import ceil

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.colour import Matrix, Primaries, Range, Transfer
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.plan import PartPlan, StreamPlan, StreamType, VideoOutput
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import Clock, finer
from reelmill_server.plan.codec import encoder_options, video_encoders
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.stream import hdr
from reelmill_server.plan.stream.adaptive import adapted_video
from reelmill_server.plan.stream.alpha import ON_BLACK, has_alpha, on_black
from reelmill_server.plan.stream.geometry import Geometry, displayed_size, plan_geometry
from reelmill_server.plan.stream.header_facts import header_colours, header_crop, header_fields
from reelmill_server.plan.stream.profile import lost_profile
from reelmill_server.plan.stream.undecodable import undecodable

_YUV = re.compile(r"yuv(?P<full>j)?(?P<alpha>a)?(?P<chroma>4\d\d)p(?P<depth>9|10|12|14|16)?")
_SEMI_PLANAR = {"nv12": "yuv420p", "nv21": "yuv420p", "nv16": "yuv422p", "p010le": "yuv420p10le", "p210le": "yuv422p10le"}
_CHROMA = {"420": "420", "411": "420", "410": "420", "422": "422", "440": "444", "444": "444"}
_POORER = {"444": "422", "422": "420"}
# Every field pair of frames marked interlaced becomes one frame, so that timestamps stay.
_DEINTERLACE = "bwdif=mode=send_frame:deint=interlaced"
_SQUARE_CODECS = ("vp9", "av1")
VMAF_FILTER = "libvmaf"
"""Name under which a worker reports that it can measure VMAF."""
# Below 40 pixels a side libvmaf's results vary from run to run, below 18 it crashes. Version 3 finds up to 3 points too little
# where the width is below 256 and, as 80 and 144, not a multiple of 32: its ADM is wrong there.
_LEAST_MEASURED, _ANY_WIDTH, _GOOD_WIDTH = 64, 256, 32
_REORDERING, _SLOW = ("h264", "h265"), 10  # half a second has fewer frames than some encoders reorder
_TRANSPARENT = "yuva420p"
# SVT-AV1 never returns if one side is longer than a superblock and the other below 28 pixels (presets 3, 4, 7 and 10).
_SVT_SUPERBLOCK, _SVT_LEAST = 64, 28
_LEAST_SIDES = {"libx265": 16, "libsvtav1": 4}
_HIGHEST_BURST = Fraction(60)  # a rate above this that is not the average is the tick of a variable one
COMMON_RATES = tuple(Fraction(rate) for rate in "24000/1001 24 25 30000/1001 30 48 50 60000/1001 60 120".split())
"""Frame rates that cameras and editors use."""
_ABOUT = Fraction(1, 100)
HIGHEST_RATE = 240
"""More frames a second are not a rate but the tick of a variable one; SVT-AV1 does not open with it."""


def natural_format(source_format: str, takes: Collection[str]) -> str:
    """Return the contract's pixel format in `takes` that is nearest to the source's.

    Anything that is not YUV (RGB, gray, palette) becomes yuv420p, which every player displays.
    """
    match = _YUV.match(_SEMI_PLANAR.get(source_format, source_format))
    if not match:
        return "yuv420p"
    if match["alpha"] and "yuva420p" in takes:
        return "yuva420p"
    chroma, depth = _CHROMA.get(match["chroma"], "420"), "10le" if match["depth"] else ""
    if not any(name.endswith(depth) for name in takes):
        depth = ""
    while f"yuv{chroma}p{depth}" not in takes:
        chroma = _POORER[chroma]
    return f"yuv{chroma}p{depth}"


def _is_rgb(stream: VideoStreamInfo) -> bool:
    return stream.color_space == Matrix.GBR or not _YUV.match(_SEMI_PLANAR.get(stream.pixel_format, stream.pixel_format))


def _colour_filter(stream: VideoStreamInfo, mapped: bool) -> tuple[str, ...]:
    """Return the filters that convert colors: HDR that is to be `mapped` to SDR, and frames that are not YUV to BT.709 in
    limited range.

    YUV keeps its matrix; a full range is stated so that no conversion has to guess it.
    """
    if mapped:
        return hdr.tone_mapping(stream)
    if _is_rgb(stream):
        return ("scale=out_color_matrix=bt709:out_range=tv",)
    return ("scale=out_range=pc",) if _full_range(stream) else ()


def _full_range(stream: VideoStreamInfo) -> bool:
    return stream.color_range == Range.FULL or stream.pixel_format.startswith("yuvj")


def _tick(rate: Fraction, spec: VideoSpec) -> Fraction:
    """Return the time base of a constant rate: between the frames of a slow one lie the times at which some are decoded."""
    reordered = spec.codec in _REORDERING and spec.b_frames != 0
    return 1 / (rate * ceil(_SLOW / rate)) if reordered and rate < _SLOW else 1 / rate


def _colours(stream: VideoStreamInfo, mapped: bool) -> dict[str, int]:
    if mapped or _is_rgb(stream):
        return {
            "color_space": Matrix.BT709,
            "color_range": Range.LIMITED,
            "color_transfer": Transfer.BT709,
            "color_primaries": Primaries.BT709,
        }
    return {
        "color_space": stream.color_space,
        "color_range": Range.FULL if _full_range(stream) else stream.color_range,
        "color_transfer": stream.color_transfer,
        "color_primaries": stream.color_primaries,
    }


def _steady(rate: Fraction, stream: VideoStreamInfo, clock: Clock) -> str:
    """Return the filter that gives video a constant rate; what lasts less than half a frame has one nevertheless."""
    brief = not clock.end_us if stream.still else 0 < clock.reach_us(stream) * rate * 2 < MICROSECONDS
    return f"fps={rate}:start_time=0" + ":eof_action=pass" * brief


def plan_video(
    spec: VideoSpec, stream: VideoStreamInfo, clock: Clock, facts: PlanFacts, field: str
) -> tuple[StreamPlan, tuple[str, ...]]:
    """Return how `stream` is encoded according to `spec`, and warnings; `field` is the path of the TranscodeVideo message.

    Raises InvalidArgument for settings that the codec does not have, InvalidMedia if the stream cannot be decoded,
    ConditionNotMet if the source has less than it must, HardwareUnavailable or UnsupportedFormat if no encoder is available.
    """
    if not stream.decodable or not stream.width or stream.encrypted:
        raise undecodable(stream, f"{field}: the source's {stream.codec or 'unknown'} video")
    source_rate = usual_rate(stream)
    spec = adapted_video(spec, stream, source_rate, field)
    software = video_encoders.takes(video_encoders.VIDEO_ENCODERS[spec.codec][SOFTWARE], facts.capabilities)
    wanted = spec.pixel_format or (
        _TRANSPARENT if stream.transparent and _TRANSPARENT in software else natural_format(stream.pixel_format, software)
    )
    opaque = () if has_alpha(wanted) else on_black(stream)
    geometry = plan_geometry(_square(spec, stream), stream, wanted)
    choice = video_encoders.choose(spec, wanted, facts.capabilities, facts.order, facts.excluded, geometry.size)
    _refuse_thin(choice.encoder, geometry, field)
    rate = spec.frame_rate
    steady = (_steady(rate, stream, clock),) if rate else ()
    mapped = hdr.is_hdr(stream) and not wanted.endswith("10le")
    shape = (*opaque, *geometry.filters, *_colour_filter(stream, mapped))
    # Drop frames before the expensive scaling, repeat frames after it.
    ordered = (*shape, *steady) if rate > source_rate else (*steady, *shape)
    fields = (*header_fields(stream), _DEINTERLACE) if stream.interlaced else ()
    whole = (*header_colours(stream), *fields, *header_crop(stream))
    options = encoder_options.options(choice, replace(spec, pixel_format=wanted))
    stays = hdr.is_hdr(stream) and not mapped
    display, light = hdr.packet_metadata(choice.encoder, stream) if stays else (None, None)
    planned = StreamPlan(
        type=StreamType.VIDEO,
        parts=(PartPlan(stream.index, (*whole, *ordered, f"format={choice.pixel_format}")),),
        codec=video_encoders.LIBAV_CODEC[spec.codec],
        encoder=choice.encoder,
        reason=choice.reason,
        options=hdr.with_metadata(options, choice.encoder, stream) if stays else options,
        video=VideoOutput(
            width=geometry.width,
            height=geometry.height,
            pixel_format=choice.pixel_format,
            time_base=_tick(rate, spec) if rate else _source_tick(stream, clock),
            frame_rate=rate or source_rate or FALLBACK_RATE,
            sample_aspect_ratio=geometry.sample_aspect_ratio,
            **_colours(stream, mapped),
            rotation=spec.rotation,
        ),
        device=choice.device,
        passes=spec.passes,
        expected_us=clock.expected_us(stream),
        slack_us=frame_us(min(rate, source_rate or rate) or source_rate),
        mastering_display=display,
        content_light=light,
    )
    warnings = (
        ON_BLACK * bool(opaque and stream.transparent),
        lost_profile(stream),
        hdr.unasked(spec.codec) * (mapped and not spec.pixel_format),
        hdr.lost_metadata(choice.encoder, stream) if stays else "",
        hdr.unusual(spec.codec) if stays and not spec.pixel_format else "",
    )
    return planned, (*geometry.warnings, *filter(None, warnings))


def _source_tick(stream: VideoStreamInfo, clock: Clock) -> Fraction:
    """Return the ticks of frames that keep their times: finer than the source's for a cut, and for frames of half a second and
    more whose ticks are as long as they are (AVI), as some are decoded between them.
    """
    return finer(stream.time_base) if clock.cuts or stream.time_base * _SLOW > 1 else stream.time_base


def _refuse_thin(encoder: str, geometry: Geometry, field: str) -> None:
    """Refuse frames that are too small for the encoder, or so wide and low, or narrow and high, that it never returns."""
    narrow, wide = sorted(geometry.size)
    if narrow < (least := _LEAST_SIDES.get(encoder, 0)):
        raise UnsupportedFormat(
            f"{field}: {encoder} does not encode {geometry.width}x{geometry.height}: a side has {least} pixels or more: choose "
            "another codec or resolution"
        )
    if encoder == "libsvtav1" and narrow < _SVT_LEAST and wide > _SVT_SUPERBLOCK:
        raise UnsupportedFormat(
            f"{field}: {encoder} does not encode {geometry.width}x{geometry.height}: where one side is above {_SVT_SUPERBLOCK} "
            f"pixels, {_SVT_LEAST} are the least for the other: choose another codec or resolution"
        )


def measured(planned: StreamPlan, facts: PlanFacts, field: str) -> StreamPlan:
    """Return `planned` with VMAF measurement, as `field` requests. Raises UnsupportedFormat if it is not possible."""
    tried = facts.capabilities.get(VMAF_FILTER)
    if tried is None or not tried.available:
        reason = tried.reason if tried else "was not tried on this worker"
        raise UnsupportedFormat(f"{field}: VMAF cannot be measured here: {VMAF_FILTER} {reason}")
    if planned.video and not has_vmaf(planned.video.width, planned.video.height):
        size = f"{planned.video.width}x{planned.video.height}"
        raise UnsupportedFormat(
            f"{field}: VMAF cannot be measured of {size}: {_LEAST_MEASURED} pixels a side are the least, and a width below "
            f"{_ANY_WIDTH} has to be a multiple of {_GOOD_WIDTH}"
        )
    return replace(planned, measured=True)


def has_vmaf(width: int, height: int) -> bool:
    """Return whether libvmaf measures frames of a size rightly."""
    return min(width, height) >= _LEAST_MEASURED and (width >= _ANY_WIDTH or width % _GOOD_WIDTH == 0)


def _square(spec: VideoSpec, stream: VideoStreamInfo) -> VideoSpec:
    """Return `spec` with the displayed size if none is requested and the codec cannot signal a sample aspect ratio.

    Some containers and most players cannot signal one either.
    """
    shaped = stream.sample_aspect_ratio not in (0, 1)
    if not shaped or spec.codec not in _SQUARE_CODECS or spec.width or spec.height:
        return spec
    width, height = displayed_size(stream, spec.rotation)
    return replace(spec, width=width, height=height)


def usual_rate(stream: VideoStreamInfo) -> Fraction:
    """Return the frame rate of `stream`, 0 if unknown. Files of still images claim some rate."""
    if stream.still:
        return FALLBACK_RATE
    rates = (stream.average_rate, stream.frame_rate)
    return next((rate for rate in rates if 0 < rate <= HIGHEST_RATE), Fraction(0))


def burst_rate(stream: VideoStreamInfo) -> Fraction:
    """Return the frames a second that keep those of `stream` where its rate varies: that of its bursts, not the average over
    pauses. Where only the tick of its times is known, as in GIF, none are assumed to be above 60; an average that is a usual
    rate is one whose times are rounded.
    """
    average, burst = usual_rate(stream), Fraction(0) if stream.still else stream.frame_rate
    if burst > _HIGHEST_BURST and 0 < average < _HIGHEST_BURST:
        return average if is_common_rate(average) else _HIGHEST_BURST
    return max(average, burst) if burst <= _HIGHEST_BURST else average


def is_common_rate(rate: Fraction) -> bool:
    """Return whether `rate`, measured on rounded or uneven times, is about one that cameras and editors use."""
    return any(abs(known - rate) <= known * _ABOUT for known in COMMON_RATES)


def frame_us(rate: Fraction) -> int:
    """Return the duration of a frame at `rate` in microseconds."""
    return round(MICROSECONDS / (rate or FALLBACK_RATE))
