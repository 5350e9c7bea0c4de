"""Estimate the single steps of an attempt from the numbers in a plan."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from reelmill_server.model.image_request import FrameMode, ImageKind
from reelmill_server.model.media_info import MediaInfo, VideoStreamInfo
from reelmill_server.model.overlay_plan import BlurPlan, DelogoPlan, OverlayPlan, PicturePlan
from reelmill_server.model.plan import ImagePlan, InputPlan, StreamPlan, VideoOutput
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.codec.channel_layouts import channels_of
from reelmill_server.plan.cost import tables
from reelmill_server.plan.cost.tables import MEGA, MS, Encoder, Encoding

USUAL_PIXEL_BYTES = 1.5
"""Bytes per pixel of 8-bit 4:2:0."""
_CHROMA = {"420": 1.5, "411": 1.5, "410": 1.5, "422": 2.0, "440": 2.0, "444": 3.0}
_FORMAT = re.compile(r"(?P<alpha>a?)p?(?P<chroma>4[124][0124])p?(?P<depth>9|1\d)?")
_UNPLANAR = {"p01": 3.0, "p21": 4.0, "rgb": 4.0, "bgr": 4.0, "gbr": 4.0}
_MOST_IMAGES = 2000  # per entry: a worker's default limit
_MOST_HELD_FRAMES = 24
_OVERLAY_PIXEL_BYTES = 16
_LEAST_SECONDS = 1.0
_LEAST_RATE = 1e-6  # a frame in eleven days; a file may claim less, down to what is 0 as a float
_GIF_KEPT_BYTES, _CHANGES_KEPT_BYTES = 256 << 20, 512 << 20  # bounds in media.image


@dataclass(frozen=True)
class Work:
    """A step: core seconds, shortest possible duration in seconds, bytes of memory while it runs, bytes left on disk."""

    core_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory: float = 0.0
    scratch: float = 0.0

    @classmethod
    def of(cls, milliseconds: float, threads: float = 1.0, memory: float = 0.0, scratch: float = 0.0) -> "Work":
        """Return work of `milliseconds` of CPU, divided among `threads`."""
        return cls(milliseconds * MS, milliseconds * MS / max(threads, 1.0), memory, scratch)


def in_turn(works: Iterable[Work]) -> Work:
    """Return the sum of steps that one thread runs one after the other."""
    all_works = list(works)
    return Work(
        sum(work.core_seconds for work in all_works),
        sum(work.wall_seconds for work in all_works),
        sum(work.memory for work in all_works),
        sum(work.scratch for work in all_works),
    )


def length(plan: InputPlan, info: MediaInfo | None) -> float:
    """Return the duration of an input in seconds: what its container says, else a guess from its size."""
    if plan.duration_us > 0:
        return plan.duration_us / MICROSECONDS
    span = max(plan.end_us - plan.start_us, 0) / MICROSECONDS
    if info and info.duration_seconds > 0:
        seconds = max(info.duration_seconds - plan.start_us / MICROSECONDS, _LEAST_SECONDS)
    elif info and info.size_bytes > 0:
        seconds = info.size_bytes * 8 / tables.ASSUMED_BITRATE
    else:
        seconds = tables.ASSUMED_SECONDS
    return min(seconds, span) if span else seconds


def number(text: str, fallback: float, most: float) -> float:
    """Parse a number from a plan, at most `most`; return `fallback` if it is no number or not positive."""
    try:
        value = float(text or 0)
    except ValueError:
        return fallback
    return min(value, most) if value > 0 else fallback


def output_rate(video: VideoOutput) -> float:
    """Return the frame rate of an output."""
    return float(min(video.frame_rate, Fraction(tables.MOST_RATE))) if video.frame_rate > 0 else tables.ASSUMED_RATE


def rate(stream: VideoStreamInfo) -> float:
    """Return the frame rate of a source."""
    rates = (stream.average_rate, stream.frame_rate)
    return next((float(value) for value in rates if _LEAST_RATE <= value <= tables.MOST_RATE), tables.ASSUMED_RATE)


def pixels(stream: VideoStreamInfo) -> int:
    """Return the number of pixels of a source's frame."""
    return stream.width * stream.height if stream.width > 0 and stream.height > 0 else tables.ASSUMED_PIXELS


def pixel_bytes(pixel_format: str) -> float:
    """Return the bytes that a pixel takes in memory."""
    match = _FORMAT.search(pixel_format)
    if not match:
        return next((size for word, size in _UNPLANAR.items() if word in pixel_format), USUAL_PIXEL_BYTES)
    return (_CHROMA.get(match["chroma"], 3.0) + bool(match["alpha"])) * (2 if match["depth"] else 1)


def frame_bytes(stream: VideoStreamInfo) -> float:
    """Return the bytes that a decoded frame of a source takes in memory."""
    return pixels(stream) * pixel_bytes(stream.pixel_format)


def channels(layout: str) -> int:
    """Return the number of channels of an audio layout: 6 for `5.1`."""
    return len(channels_of(layout)) or 2


def decoding_ms(stream: VideoStreamInfo, megapixels: float, megabits: float) -> float:
    """Return the milliseconds to decode so much of `stream`."""
    table = tables.DECODINGS.get(stream.codec, tables.UNKNOWN_DECODING)
    return (table.pixels * megapixels + table.bits * megabits) * (tables.DEEP if stream.bit_depth > 8 else 1.0)


def copying_ms(bits: float, seconds: float) -> float:
    """Return the milliseconds to write packets and to read them back."""
    return tables.COPY_MS_PER_MEGABIT * bits / MEGA + tables.COPY_MS_PER_SECOND * seconds


def encoder(stream: StreamPlan) -> Encoder:
    """Return the cost table of the encoder of `stream`."""
    known = tables.HARDWARE.get(stream.device) or tables.ENCODERS.get(stream.encoder)
    return known or tables.UNKNOWN_ENCODER


def encoding(stream: StreamPlan) -> Encoding:
    """Return the cost of the encoder of `stream` at its preset; an unknown preset counts as the most expensive."""
    known = encoder(stream)
    return known.presets.get(stream.options.get(known.option, "")) or max(
        known.presets.values(), key=lambda preset: preset.work
    )


def crf(stream: StreamPlan) -> float:
    """Return the quality of `stream` on the contract's CRF scale of 0 to 51."""
    for name, scale in tables.QUALITIES.get(stream.encoder, tables.UNKNOWN_QUALITY).items():
        if name in stream.options:
            return number(stream.options[name], 0.0, 63.0) * 51 / scale
    return tables.USUAL_CRF


def overlay(plan: OverlayPlan, video: VideoOutput, seconds: float) -> Work:
    """Return the work of drawing one overlay on the frames of an output."""
    area = video.width * video.height
    frames = output_rate(video) * seconds
    if isinstance(plan, BlurPlan):
        looks = tables.LOOKS_PER_SECOND * seconds * ((plan.spec.face is not None) + (plan.spec.license_plate is not None))
        memory = min(tables.HELD_BYTES, _MOST_HELD_FRAMES * area * pixel_bytes(video.pixel_format))
        return Work.of(tables.LOOK_MS * looks, 2, tables.DETECTOR_BYTES + memory)
    if isinstance(plan, DelogoPlan | PicturePlan):
        covered = min(max(plan.box.width, 0) * max(plan.box.height, 0), area)
    else:
        covered = round(area * tables.TEXT_SHARE)
    each = tables.DELOGO_MS if isinstance(plan, DelogoPlan) else tables.PICTURE_MS
    return Work.of(each * covered * frames / MEGA, memory=_OVERLAY_PIXEL_BYTES * covered + tables.OVERLAY_BYTES)


def last_asked(image: ImagePlan) -> float:
    """Return the position in seconds of the last requested image, 0 if reading goes on to the end."""
    frames = image.frames
    if frames.times_us:
        return (max(frames.times_us) + image.key_us) / MICROSECONDS
    if frames.mode is not FrameMode.INTERVAL or frames.skip_blank or not frames.number:
        return 0.0
    step = frames.interval_us / MICROSECONDS or 1 / tables.ASSUMED_RATE
    return (frames.start_us + image.key_us) / MICROSECONDS + frames.number * step


def pictures(image: ImagePlan, seconds: float, per_second: float) -> float:
    """Return the maximum number of images of an entry, given the duration and frame rate of its sources."""
    frames = image.frames
    if frames.times_us:
        return len(frames.times_us)
    step = image.key_us if frames.mode is FrameMode.KEYFRAME else frames.interval_us
    most = max(seconds - frames.start_us / MICROSECONDS, 0.0) * (MICROSECONDS / step if step > 0 else per_second) + 1
    bound = frames.number or (_MOST_IMAGES if image.kind is not ImageKind.ANIMATION else most)
    return min(most, bound)


def kept_bytes(image: ImagePlan, count: float, source_pixels: int) -> float:
    """Return the memory that the images of an entry take while frames are selected, tiled, or encoded."""
    area = image.width * image.height
    size = tables.STILL_BYTES + 3 * source_pixels * USUAL_PIXEL_BYTES + 12 * area
    if image.frames.mode is FrameMode.DHASH:
        size += min(count * source_pixels * 3, _CHANGES_KEPT_BYTES)
    if image.sheet is not None:
        size += 6 * area * image.sheet.columns * image.sheet.rows
    if image.kind is ImageKind.ANIMATION:
        # GIF keeps all frames for one palette, AVIF as its encoder needs all at once; others are read back one by one.
        pictures = count * area * 4
        size += {"gif": 1.5 * min(pictures, _GIF_KEPT_BYTES), "avif": pictures}.get(image.format, 0.0)
    return size
