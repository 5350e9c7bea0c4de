"""Plan images: which frames to take, their size, and the names of files."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from reelmill_server.errors import InvalidArgument, InvalidMedia, MediaLimitExceeded, UnsupportedFormat, Violation
from reelmill_server.model.image_request import FrameMode, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.plan import FramesPlan, ImagePlan, PartPlan, SheetPlan, StreamPlan, StreamType
from reelmill_server.model.request import ConvertRequest, TargetSpec, VideoSpec
from reelmill_server.model.sizes import ScaleType, in_pixels
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.inputs import Input, Inputs, selected, stream_at
from reelmill_server.plan.output.frame_access import SHARED, choose_access, key_seconds
from reelmill_server.plan.output.naming import MARK, Naming, OutputName, expand, has_extension, variables_in
from reelmill_server.plan.stream import dolby, hdr
from reelmill_server.plan.stream.alpha import ON_BLACK, has_alpha, on_black
from reelmill_server.plan.stream.geometry import Geometry, displayed_size, plan_geometry, tilt_warnings
from reelmill_server.plan.stream.header_facts import header_colours, header_crop, header_fields
from reelmill_server.plan.stream.profile import lost_profile
from reelmill_server.plan.stream.undecodable import undecodable
from reelmill_server.plan.stream.video import burst_rate, usual_rate

_UPRIGHT = "sidedata=mode=delete:type=DISPLAYMATRIX"
# Maximum side of a sheet in pixels: the contract's, and that of WebP (RFC 6386, 9.1: 14 bits).
_MAX_SHEET_SIDE, _MAX_WEBP_SIDE = 16_384, 16_383
_MAX_SIDE = 4096
# From one field alone: a single frame has no neighbors that would show motion.
_DEINTERLACE = "estdif=mode=frame:deint=interlaced"
# Memory for the frames that dHash keeps until it knows the strongest changes.
_KEPT_BYTES = 512 << 20
_NAMING = frozenset({"index", "streamindex", "autoext", "ext"})


@dataclass(frozen=True)
class ImageCodec:
    """How a format is encoded: libav's codec and encoder (`pillow`: that library encodes), and the filters before it.

    `alpha`: the filters for frames with an alpha channel; empty: the format, or this encoder of it, has none.
    """

    codec: str
    encoder: str
    filters: tuple[str, ...]
    alpha: tuple[str, ...] = ()


_EXACT = "scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp"
_RGB, _RGBA = (_EXACT, "format=rgb24"), (_EXACT, "format=rgba")
# JPEG (JFIF) and WebP always have the matrix of BT.601.
_JPEG = ("scale=out_color_matrix=bt601:out_range=pc", "format=yuvj420p")
_WEBP = ("scale=out_color_matrix=bt601:out_range=tv", "format=yuv420p")
_WEBP_ALPHA = ("scale=out_color_matrix=bt601:out_range=tv", "format=yuva420p")
STILLS: Mapping[str, ImageCodec] = {
    "jpg": ImageCodec("mjpeg", "mjpeg", _JPEG),
    "png": ImageCodec("png", "png", _RGB, _RGBA),
    "webp": ImageCodec("webp", "libwebp", _WEBP, _WEBP_ALPHA),
    "avif": ImageCodec("av1", "pillow", _RGB, _RGBA),
}
"""Codecs of single images, by extension."""
_SHEETS = {name: ImageCodec(codec.codec, "pillow", _RGB) for name, codec in STILLS.items()}
ANIMATIONS: Mapping[str, ImageCodec] = {
    "gif": ImageCodec("gif", "gif", ("format=bgra",)),  # the input of palettegen
    "webp": ImageCodec("webp", "libwebp", _WEBP, _WEBP_ALPHA),
    "apng": ImageCodec("apng", "apng", _RGB, _RGBA),
    "avif": ImageCodec("av1", "pillow", _RGB, _RGBA),
}
"""Codecs of animations, by extension."""
_WITH_PROFILES = ("mjpeg", "png", "apng")
"""Encoders that write the color profile of a frame."""
_CODECS = {ImageKind.SNAPSHOT: STILLS, ImageKind.SPRITE: _SHEETS, ImageKind.ANIMATION: ANIMATIONS}


@dataclass(frozen=True)
class ImageContext:
    """A target whose images are planned. `decoded`: numbers of the video streams that are decoded in any case."""

    target: TargetSpec
    inputs: Inputs
    naming: Naming
    decoded: frozenset[int]
    warnings: list[str]

    def warn(self, spec: ImageSpec, text: str) -> None:
        """Add a warning about an image entry."""
        self.warnings.append(f"{self.target.field}.{spec.field}: {text}")


def plan_images(context: ImageContext) -> Iterator[ImagePlan]:
    """Yield the images of a target: one plan per entry and selected video stream.

    Raises InvalidArgument, InvalidMedia, MediaLimitExceeded or UnsupportedFormat, naming the entry.
    """
    if not context.target.images:
        return
    like = next((item for item in (context.inputs.primary, *context.inputs.main) if item.video), None)
    wanted = context.target.video_streams if context.target.container else ()
    numbers = selected(len(like.video), wanted, (0,)) if like else []
    if like is None or not numbers:
        raise InvalidMedia(f"{context.target.field}.image: the source has no video")
    for spec in context.target.images:
        for number in numbers:
            yield _plan_image(context, spec, like, number)


def _plan_image(context: ImageContext, spec: ImageSpec, like: Input, number: int) -> ImagePlan:
    stream = like.video[number]
    for text in (*dolby.encoded_warnings(stream), *tilt_warnings(stream)):
        context.warn(spec, text)
    where = f"{context.target.field}.{spec.field}"
    if not stream.decodable or not stream.width or stream.encrypted:
        raise undecodable(stream, f"{where}: the source's {stream.codec or 'unknown'} video")
    codec = _CODECS[spec.kind][spec.format]
    geometry = _geometry(spec, stream, where)
    sheet = _sheet(context, spec, geometry, number, where)
    shown_us = _shown_us(context.inputs, number)
    frames = _frames(context, spec, shown_us, burst_rate(stream) or FALLBACK_RATE, where)
    rate = usual_rate(stream) or FALLBACK_RATE
    reading = choose_access(frames, context.inputs, number, rate) if number not in context.decoded else SHARED
    name = _name(context, spec, number)
    plan = ImagePlan(
        index=context.target.index,
        kind=spec.kind,
        format=spec.format,
        prefix=name.prefix,
        suffix=name.suffix,
        numbered=name.numbered,
        stream=StreamPlan(
            type=StreamType.VIDEO,
            parts=tuple(_part(spec, item, number, geometry, codec) for item in context.inputs.main),
            codec=codec.codec,
            encoder=codec.encoder,
            reason="pictures",
        ),
        frames=frames,
        width=geometry.width,
        height=geometry.height,
        reading=reading.way,
        reason=reading.reason,
        key_us=round(key_seconds(context.inputs, number) * MICROSECONDS),
        duration_us=shown_us,
        frame_rate=_frame_rate(spec, rate) if spec.kind is ImageKind.ANIMATION else Fraction(0),
        sheet=sheet,
        field=where,
        timed=spec.kind is ImageKind.ANIMATION and not (spec.frame_rate or spec.frames.interval_us),
    )
    most = _KEPT_BYTES // (stream.width * stream.height * 3)
    if spec.frames.mode is FrameMode.DHASH and frames.number > most:
        raise MediaLimitExceeded(f"{where}: the strongest changes are kept in memory: at most {most} of a source of this size")
    for text in _losses([*_sources(context, number)], codec):
        context.warn(spec, text)
    if not name.numbered and spec.kind is not ImageKind.ANIMATION and spec.frames.number != 1:
        context.warn(spec, f"all pictures go to {plan.prefix}: the last one stays (name them apart with {{index}})")
    return plan


def _sources(context: ImageContext, number: int) -> Iterator[VideoStreamInfo]:
    """Yield the streams that images are made of."""
    return (item.video[number] for item in context.inputs.main if number < len(item.video))


def _losses(sources: Sequence[VideoStreamInfo], codec: ImageCodec) -> Iterator[str]:
    """Yield what images of `sources` cannot show."""
    if any(source.transparent for source in sources) and not _shows_alpha(codec):
        yield ON_BLACK
    if codec.encoder not in _WITH_PROFILES:
        yield from dict.fromkeys(filter(None, map(lost_profile, sources)))


def _resolved(length: int | Fraction | None, shown: int) -> int:
    """Return the pixels of a side that is given in pixels or as a ratio of `shown`; 0 if it is not given."""
    return 0 if length is None else max(1, in_pixels(length, shown))


def _geometry(spec: ImageSpec, stream: VideoStreamInfo, where: str) -> Geometry:
    """Return the geometry of an entry's images: upright, in square pixels, as image files are displayed."""
    shown = displayed_size(stream)
    size = (_resolved(spec.width, shown[0]), _resolved(spec.height, shown[1]))
    natural = (stream.height, stream.width) if stream.rotation % 180 else (stream.width, stream.height)
    if not any(size) and shown != natural:
        size = shown
    geometry = plan_geometry(VideoSpec(width=size[0], height=size[1], scale_type=spec.scale_type), stream, "rgb24")
    if max(geometry.size) > _MAX_SIDE and any(size):
        raise InvalidArgument(violations=[Violation(where, f"sides must have at most {_MAX_SIDE} pixels")])
    return geometry


def _part(spec: ImageSpec, item: Input, number: int, geometry: Geometry, codec: ImageCodec) -> PartPlan:
    """Return the filters from a frame of `item` to an image of the size of `geometry`."""
    stream = stream_at(item.video, number)
    if not isinstance(stream, VideoStreamInfo):
        return PartPlan(-1, (), item.number)
    scale_type = ScaleType.FILL if spec.scale_type is ScaleType.FIT or spec.width is spec.height is None else spec.scale_type
    sized = VideoSpec(width=geometry.width, height=geometry.height, scale_type=scale_type)
    own = _geometry(spec, stream, "")
    if (own.width, own.height) != geometry.size:
        own = plan_geometry(sized, stream, "rgb24")
    # FFmpeg 9 writes a turn that frames still claim into PNG and JPEG, and viewers would turn them again.
    upright = (_UPRIGHT,) if stream.turned else ()
    fields = (*header_fields(stream), _DEINTERLACE) if stream.interlaced else ()
    whole = (*upright, *header_colours(stream), *fields, *header_crop(stream))
    light = hdr.tone_mapping(stream) if hdr.is_hdr(stream) else ()
    if _shows_alpha(codec):
        filters = codec.alpha if codec.alpha and has_alpha(stream.pixel_format) else codec.filters
        return PartPlan(stream.index, (*whole, *own.filters, *light, *filters), item.number)
    return PartPlan(stream.index, (*whole, *on_black(stream), *own.filters, *light, *codec.filters), item.number)


def _shows_alpha(codec: ImageCodec) -> bool:
    """Return whether images can be transparent; palettes of GIF have a transparent color."""
    return bool(codec.alpha) or codec.codec == "gif"


def _frame_rate(spec: ImageSpec, rate: Fraction) -> Fraction:
    """Return the frame rate of an animation: the requested one, else that of real-time playback."""
    usual = Fraction(MICROSECONDS, spec.frames.interval_us) if spec.frames.interval_us else rate
    return spec.frame_rate or usual


def _shown_us(inputs: Inputs, number: int) -> int:
    """Return how long there are frames to make images of, in microseconds: audio may go on after the last one; 0: unknown."""
    last = inputs.main[-1]
    stream = stream_at(last.video, number)
    after_us = last.clock.duration_us - last.clock.reach_us(stream) if stream else 0
    return max(inputs.duration_us - after_us, 0)


def needs_length(request: ConvertRequest) -> bool:
    """Return whether images of `request` are spread over its sources, whose length some containers do not state."""
    return any(spec.frames.mode is FrameMode.AVERAGE for target in request.targets for spec in target.images)


def _frames(context: ImageContext, spec: ImageSpec, length_us: int, rate: Fraction, where: str) -> FramesPlan:
    """Return the plan of frames of sources that last `length_us` and have `rate` frames a second where they move."""
    wanted, repeats = spec.frames, spec.kind is ImageKind.ANIMATION
    if length_us and wanted.start_us >= length_us:
        expected = f"must be before the end of the video at {length_us / MICROSECONDS:.3f} s"
        raise InvalidArgument(violations=[Violation(f"{where}.start_time", expected)])
    times: tuple[int, ...] = ()
    if wanted.mode is FrameMode.AVERAGE:
        still = all(item.info.still for item in context.inputs.main)
        if not length_us and not still:
            raise UnsupportedFormat(f"{where}: mode AVERAGE needs a source of known length")
        # The middle of each of as many equal spans, which avoids black at the beginning and the end.
        step = Fraction(length_us - wanted.start_us, wanted.number) if length_us else Fraction(0)
        times = tuple(wanted.start_us + round(step * (2 * place + 1) / 2) for place in range(wanted.number))
        repeats = step * rate >= MICROSECONDS  # else there are fewer frames than that, unless one is shown for long
    return FramesPlan(
        mode=wanted.mode,
        start_us=wanted.start_us,
        interval_us=0 if wanted.mode in (FrameMode.KEYFRAME, FrameMode.AVERAGE) else wanted.interval_us,
        number=wanted.number,
        threshold=wanted.threshold,
        skip_blank=wanted.skip_blank,
        times_us=times,
        repeats=repeats,
    )


@dataclass(frozen=True)
class _ImageName:
    prefix: str
    suffix: str = ""
    numbered: bool = False


def _name(context: ImageContext, spec: ImageSpec, number: int) -> _ImageName:
    """Return the names of an entry's files. A name with neither an extension nor a number gets the numbers of stream and
    image.
    """
    template = spec.uri
    output = OutputName(spec.format, index=MARK, stream_index=number)
    if not variables_in(template) & _NAMING and not has_extension(template):
        template += "_{streamindex}_{index}.{autoext}"
    uri = expand(template, output, *context.naming)
    prefix, mark, suffix = uri.rpartition(MARK)
    return _ImageName(prefix, suffix, numbered=True) if mark else _ImageName(uri)


def _sheet(context: ImageContext, spec: ImageSpec, tile: Geometry, number: int, where: str) -> SheetPlan | None:
    if spec.sheet is None:
        return None
    wanted: SheetSpec = spec.sheet
    lists = [
        expand(uri, OutputName(extension, stream_index=number), *context.naming) if uri else ""
        for uri, extension in ((wanted.web_vtt_uri, "vtt"), (wanted.playlist_uri, "m3u8"))
    ]
    sheet = SheetPlan(wanted.columns, wanted.rows, wanted.pad, wanted.margin, *lists)
    most = _MAX_WEBP_SIDE if spec.format == "webp" else _MAX_SHEET_SIDE
    for name, pixels in zip(("width", "height"), sheet.size(tile.width, tile.height), strict=True):
        if pixels > most:
            expected = f"the sheet's {name} is {pixels} pixels, more than {most}: make the pictures smaller or fewer"
            raise InvalidArgument(violations=[Violation(f"{where}.tile_{name}", expected)])
    return sheet
