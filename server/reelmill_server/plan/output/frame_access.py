"""Choose how the frames for images are read: in the way that decodes the fewest frames."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.model.image_request import FrameMode
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.plan import FrameAccess, FramesPlan, ImagePlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import UNINDEXED_FORMATS
from reelmill_server.plan.inputs import Inputs, stream_at

_USUAL_KEY_SECONDS = 5.0  # distance of keyframes if the container has no index: that of common encoder settings
# Cost of a seek in frames, besides those decoded up to the wanted one (measured: 3 to 5 at 720p).
_SEEK_FRAMES = 4.0


@dataclass(frozen=True)
class AccessChoice:
    """A way to read frames, and why it was chosen."""

    way: FrameAccess
    reason: str


SHARED = AccessChoice(FrameAccess.SHARED, "another output of the task decodes all of it")


def choose_access(frames: FramesPlan, inputs: Inputs, number: int, rate: Fraction) -> AccessChoice:
    """Return how to read the frames of video stream `number`, which has `rate` frames per second, if nothing else decodes
    it.
    """
    if any(item.info.format in UNINDEXED_FORMATS for item in inputs.main):
        return AccessChoice(FrameAccess.SEQUENTIAL, "nothing can be looked up in video without a container")
    if frames.mode is FrameMode.KEYFRAME:
        return AccessChoice(FrameAccess.KEYFRAMES, "only key frames are decoded")
    wanted = _wanted(frames, inputs.duration_us / MICROSECONDS, float(rate))
    if wanted is None:
        return AccessChoice(FrameAccess.SEQUENTIAL, "the length of the sources is not known")
    first, last, count = wanted
    jump = key_seconds(inputs, number) * float(rate) / 2 + _SEEK_FRAMES
    gap = (last - first) * float(rate) / max(count - 1, 1)
    # A frame near the previous one is reached by decoding on instead of seeking.
    seek, through = jump + (count - 1) * min(jump, gap), last * float(rate)
    text = f"about {round(seek)} frames when sought, {round(through)} in a row"
    return AccessChoice(FrameAccess.SEEK, text) if seek < through else AccessChoice(FrameAccess.SEQUENTIAL, text)


def _wanted(frames: FramesPlan, total: float, rate: float) -> tuple[float, float, int] | None:
    """Return the first and the last requested time in seconds, and their number; None if the duration is unknown."""
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
    """Return whether reading can stop after the requested number of frames.

    It cannot for dHash and for blank frames to skip: which frames are taken is known only after more were seen.
    """
    return bool(frames.number) and frames.mode is FrameMode.INTERVAL and not frames.skip_blank


def key_seconds(inputs: Inputs, number: int) -> float:
    """Return the mean distance of keyframes over all sources in seconds."""
    streams = [stream_at(item.video, number) for item in inputs.main]
    known = [stream.key_seconds or _USUAL_KEY_SECONDS for stream in streams if isinstance(stream, VideoStreamInfo)]
    return sum(known) / len(known) if known else _USUAL_KEY_SECONDS


def with_shared_reading(images: Sequence[ImagePlan]) -> list[ImagePlan]:
    """Return `images` with those that would read alone sharing the frames of another entry that decodes all of the same
    streams.
    """
    leading: dict[tuple[tuple[int, int], ...], ImagePlan] = {}
    for image in images:
        if image.reading is FrameAccess.SEQUENTIAL and not _bounded(image.frames):
            leading.setdefault(_streams(image), image)
    return [
        replace(image, reading=SHARED.way, reason="other images of the task decode all of it")
        if leading.get(_streams(image), image) is not image
        else image
        for image in images
    ]


def _streams(image: ImagePlan) -> tuple[tuple[int, int], ...]:
    return tuple((part.input, part.stream) for part in image.stream.parts)
