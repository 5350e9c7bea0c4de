"""Steps of an attempt, and what the numbers of a plan say of their cost."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from reelmill_server.model.media_info import MediaInfo, VideoStreamInfo
from reelmill_server.model.plan import (
    BlurPlan,
    DelogoPlan,
    ImagePlan,
    InputPlan,
    OverlayPlan,
    PicturePlan,
    StreamPlan,
    VideoOutput,
)
from reelmill_server.model.request import FrameMode, ImageKind
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.cost import tables
from reelmill_server.plan.cost.tables import MEGA, MS, Encoder, Encoding

USUAL_PIXEL_BYTES = 1.5
"""Of 8 bits in 4:2:0."""
_CHROMA = {"420": 1.5, "411": 1.5, "410": 1.5, "422": 2.0, "440": 2.0, "444": 3.0}
_FORMAT = re.compile(r"(?P<alpha>a?)p?(?P<chroma>4[124][0124])p?(?P<depth>9|1\d)?")
_UNPLANAR = {"p01": 3.0, "p21": 4.0, "rgb": 4.0, "bgr": 4.0, "gbr": 4.0}
_CHANNELS = {"mono": 1, "stereo": 2, "quad": 4}
_MOST_PICTURES = 2000  # the limit of an entry, as a worker sets it by default
_MOST_HELD_PICTURES = 24
_OVERLAY_PIXEL_BYTES = 16
_LEAST_SECONDS = 1.0
_GIF_KEPT_BYTES, _CHANGES_KEPT_BYTES = 256 << 20, 512 << 20  # what those two ways keep at most


@dataclass(frozen=True)
class Work:
    """One step: core seconds, how long they last at best, and the bytes that it holds in memory and leaves on disk."""

    core_seconds: float = 0.0
    wall_seconds: float = 0.0
    memory: float = 0.0
    scratch: float = 0.0

    @classmethod
    def of(cls, milliseconds: float, threads: float = 1.0, memory: float = 0.0, scratch: float = 0.0) -> "Work":
        """Work that so many threads share."""
        return cls(milliseconds * MS, milliseconds * MS / max(threads, 1.0), memory, scratch)


def in_turn(works: Iterable[Work]) -> Work:
    """Steps of one thread: none runs beside another."""
    done = list(works)
    return Work(
        sum(work.core_seconds for work in done),
        sum(work.wall_seconds for work in done),
        sum(work.memory for work in done),
        sum(work.scratch for work in done),
    )


def length(plan: InputPlan, info: MediaInfo | None) -> float:
    """Seconds of an input: what its container promises, else a guess by its size."""
    if plan.duration_us > 0:
        return plan.duration_us / MICROSECONDS
    asked = max(plan.end_us - plan.start_us, 0) / MICROSECONDS
    if info and info.duration_seconds > 0:
        told = max(info.duration_seconds - plan.start_us / MICROSECONDS, _LEAST_SECONDS)
    elif info and info.size_bytes > 0:
        told = info.size_bytes * 8 / tables.ASSUMED_BITRATE
    else:
        told = tables.ASSUMED_SECONDS
    return min(told, asked) if asked else told


def number(text: str, fallback: float, most: float) -> float:
    """The number that a plan's text stands for, at most `most`; `fallback` for what is none, or not above 0."""
    try:
        value = float(text or 0)
    except ValueError:
        return fallback
    return min(value, most) if value > 0 else fallback


def output_rate(video: VideoOutput) -> float:
    """Pictures a second of an output."""
    return float(min(video.frame_rate, Fraction(tables.MOST_RATE))) if video.frame_rate > 0 else tables.ASSUMED_RATE


def rate(stream: VideoStreamInfo) -> float:
    """Pictures a second of a source."""
    told = (stream.average_rate, stream.frame_rate)
    return next((float(value) for value in told if 0 < value <= tables.MOST_RATE), tables.ASSUMED_RATE)


def pixels(stream: VideoStreamInfo) -> int:
    """Of one picture of a source."""
    return stream.width * stream.height if stream.width > 0 and stream.height > 0 else tables.ASSUMED_PIXELS


def pixel_bytes(pixel_format: str) -> float:
    """Bytes of a pixel in memory."""
    match = _FORMAT.search(pixel_format)
    if not match:
        return next((size for word, size in _UNPLANAR.items() if word in pixel_format), USUAL_PIXEL_BYTES)
    return (_CHROMA.get(match["chroma"], 3.0) + bool(match["alpha"])) * (2 if match["depth"] else 1)


def frame_bytes(stream: VideoStreamInfo) -> float:
    """Of one decoded picture of a source."""
    return pixels(stream) * pixel_bytes(stream.pixel_format)


def channels(layout: str) -> int:
    """How many an audio layout has: `5.1` has 6."""
    front, _, low = layout.partition("(")[0].partition(".")
    return _CHANNELS.get(layout) or (int(front) + int(low) if front.isdecimal() and low.isdecimal() else 2)


def decoding_ms(stream: VideoStreamInfo, megapixels: float, megabits: float) -> float:
    """What decoding so much of `stream` takes."""
    table = tables.DECODINGS.get(stream.codec, tables.UNKNOWN_DECODING)
    return (table.pixels * megapixels + table.bits * megabits) * (tables.DEEP if stream.bit_depth > 8 else 1.0)


def copying_ms(bits: float, seconds: float) -> float:
    """What writing packets and reading them back takes."""
    return tables.COPY_MS_PER_MEGABIT * bits / MEGA + tables.COPY_MS_PER_SECOND * seconds


def encoder(stream: StreamPlan) -> Encoder:
    """What the encoder of `stream` costs."""
    known = tables.HARDWARE.get(stream.device) or tables.ENCODERS.get(stream.encoder)
    return known or tables.UNKNOWN_ENCODER


def encoding(stream: StreamPlan) -> Encoding:
    """What the encoder of `stream` costs at its preset; one that is not known counts as the most expensive."""
    known = encoder(stream)
    return known.presets.get(stream.options.get(known.option, "")) or max(
        known.presets.values(), key=lambda preset: preset.work
    )


def crf(stream: StreamPlan) -> float:
    """The quality that `stream` is encoded with, on the contract's scale of 0 to 51."""
    for name, scale in tables.QUALITIES.get(stream.encoder, tables.UNKNOWN_QUALITY).items():
        if name in stream.options:
            return number(stream.options[name], 0.0, 63.0) * 51 / scale
    return tables.USUAL_CRF


def overlay(plan: OverlayPlan, video: VideoOutput, seconds: float) -> Work:
    """What changing the pictures of an output takes."""
    area = video.width * video.height
    frames = output_rate(video) * seconds
    if isinstance(plan, BlurPlan):
        looks = tables.LOOKS_PER_SECOND * seconds * ((plan.spec.face is not None) + (plan.spec.license_plate is not None))
        held = min(tables.HELD_BYTES, _MOST_HELD_PICTURES * area * pixel_bytes(video.pixel_format))
        return Work.of(tables.LOOK_MS * looks, 2, tables.DETECTOR_BYTES + held)
    if isinstance(plan, DelogoPlan | PicturePlan):
        covered = min(max(plan.box.width, 0) * max(plan.box.height, 0), area)
    else:
        covered = round(area * tables.TEXT_SHARE)
    each = tables.DELOGO_MS if isinstance(plan, DelogoPlan) else tables.PICTURE_MS
    return Work.of(each * covered * frames / MEGA, memory=_OVERLAY_PIXEL_BYTES * covered + tables.OVERLAY_BYTES)


def last_asked(image: ImagePlan) -> float:
    """Seconds up to the last picture that is asked for; 0: until the end."""
    frames = image.frames
    if frames.times_us:
        return (max(frames.times_us) + image.key_us) / MICROSECONDS
    if frames.mode is not FrameMode.INTERVAL or frames.skip_blank or not frames.number:
        return 0.0
    step = frames.interval_us / MICROSECONDS or 1 / tables.ASSUMED_RATE
    return (frames.start_us + image.key_us) / MICROSECONDS + frames.number * step


def pictures(image: ImagePlan, seconds: float, per_second: float) -> float:
    """How many pictures an entry takes, at most, from so many seconds with so many frames each."""
    frames = image.frames
    if frames.times_us:
        return len(frames.times_us)
    step = image.key_us if frames.mode is FrameMode.KEYFRAME else frames.interval_us
    most = max(seconds - frames.start_us / MICROSECONDS, 0.0) * (MICROSECONDS / step if step > 0 else per_second) + 1
    bound = frames.number or (_MOST_PICTURES if image.kind is not ImageKind.ANIMATION else most)
    return min(most, bound)


def kept_bytes(image: ImagePlan, count: float, source_pixels: int) -> float:
    """What the pictures of an entry hold in memory while they are chosen, drawn together, or encoded."""
    area = image.width * image.height
    held = tables.STILL_BYTES + 3 * source_pixels * USUAL_PIXEL_BYTES + 12 * area
    if image.frames.mode is FrameMode.DHASH:
        held += min(count * source_pixels * 3, _CHANGES_KEPT_BYTES)
    if image.sheet is not None:
        held += 6 * area * image.sheet.columns * image.sheet.rows
    if image.kind is ImageKind.ANIMATION:
        # GIF keeps them for one palette, AVIF because its encoder takes all at once, others are read back one by one.
        kept = count * area * 4
        held += {"gif": 1.5 * min(kept, _GIF_KEPT_BYTES), "avif": kept}.get(image.format, 0.0)
    return held
