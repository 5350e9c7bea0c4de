"""Chooses how the frames for pictures are found: the way that decodes the fewest frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.plan import FrameAccess, FramesPlan, ImagePlan
from reelmill_server.model.request import FrameMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import UNINDEXED_FORMATS
from reelmill_server.plan.inputs import Inputs, stream_at

_USUAL_KEY_SECONDS = 5.0  # the distance of key frames where the container has no index: that of common encoder settings
# What a seek costs beside the frames that are decoded up to the wanted one, in frames (measured: 3 to 5 at 720p).
_SEEK_FRAMES = 4.0


@dataclass(frozen=True)
class Reading:
    """A way to the frames, and why it is taken."""

    way: FrameAccess
    reason: str


SHARED = Reading(FrameAccess.SHARED, "another output of the task decodes all of it")


def choose_reading(frames: FramesPlan, inputs: Inputs, number: int, rate: Fraction) -> Reading:
    """How the frames of video stream `number`, which has `rate` frames a second, are found when nothing else decodes it."""
    if any(item.info.format in UNINDEXED_FORMATS for item in inputs.main):
        return Reading(FrameAccess.SEQUENTIAL, "nothing can be looked up in video without a container")
    if frames.mode is FrameMode.KEYFRAME:
        return Reading(FrameAccess.KEYFRAMES, "only key frames are decoded")
    wanted = _wanted(frames, inputs.duration_us / MICROSECONDS, float(rate))
    if wanted is None:
        return Reading(FrameAccess.SEQUENTIAL, "the length of the sources is not known")
    first, last, count = wanted
    jump = key_seconds(inputs, number) * float(rate) / 2 + _SEEK_FRAMES
    gap = (last - first) * float(rate) / max(count - 1, 1)
    # A picture that lies near the one before it is reached by decoding on.
    seek, through = jump + (count - 1) * min(jump, gap), last * float(rate)
    text = f"about {round(seek)} frames when sought, {round(through)} in a row"
    return Reading(FrameAccess.SEEK, text) if seek < through else Reading(FrameAccess.SEQUENTIAL, text)


def _wanted(frames: FramesPlan, total: float, rate: float) -> tuple[float, float, int] | None:
    """The first and the last asked time, seconds, and how many there are; None: nobody knows."""
    start = frames.start_us / MICROSECONDS
    if frames.times_us:
        return frames.times_us[0] / MICROSECONDS, frames.times_us[-1] / MICROSECONDS, len(frames.times_us)
    step = frames.interval_us / MICROSECONDS or 1 / rate
    bounded = _bounded(frames)
    if not bounded and not total:
        return None
    count = max(1, int((total - start) / step) + 1) if total else frames.number
    count = min(count, frames.number) if bounded else count
    return start, start + (count - 1) * step, count


def _bounded(frames: FramesPlan) -> bool:
    """Whether what follows the number of pictures need not be looked at: the strongest changes, and the first picture that is
    not blank, are known only when more was."""
    return bool(frames.number) and frames.mode is FrameMode.INTERVAL and not frames.skip_blank


def key_seconds(inputs: Inputs, number: int) -> float:
    """The mean distance of key frames over all sources."""
    streams = [stream_at(item.video, number) for item in inputs.main]
    known = [stream.key_seconds or _USUAL_KEY_SECONDS for stream in streams if isinstance(stream, VideoStreamInfo)]
    return sum(known) / len(known) if known else _USUAL_KEY_SECONDS


def with_shared_reading(images: Sequence[ImagePlan]) -> list[ImagePlan]:
    """`images` where those that would read by themselves take from what another one decodes all of."""
    leading: dict[tuple[tuple[int, int], ...], ImagePlan] = {}
    for image in images:
        if image.reading is FrameAccess.SEQUENTIAL and not _bounded(image.frames):
            leading.setdefault(_streams(image), image)
    return [
        replace(image, reading=SHARED.way, reason="other pictures of the task decode all of it")
        if leading.get(_streams(image), image) is not image
        else image
        for image in images
    ]


def _streams(image: ImagePlan) -> tuple[tuple[int, int], ...]:
    return tuple((part.input, part.stream) for part in image.stream.parts)
