"""Blur faces and license plates as an overlay of a video."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from av import VideoFormat, VideoFrame
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

from reelmill_server.media.overlay.base import writable
from reelmill_server.media.overlay.privacy.blur import Region, blur
from reelmill_server.media.overlay.privacy.detect import Detector, FaceDetector, PlateDetector
from reelmill_server.media.overlay.privacy.tracking import Tracker
from reelmill_server.model.overlay_request import DesensitizationRule, DesensitizationSpec
from reelmill_server.model.plan import VideoOutput

# A detection costs as much as encoding several frames: so many per second see an object before it moves by its own width.
_LOOKS_PER_SECOND = 8
# How long before its first and after its last detection an object is blurred.
_REACH_SECONDS = Fraction(2, 5)
_REACH = range(4, 25)  # the fewest and the most frames for that
_MOST_ENLARGING = 2.0  # of small frames, so that detectors see small objects
_MOST_HELD_BYTES = 256 << 20  # of frames held back; fewer are held of large ones
_FEWEST_HELD = 3
# Between two frames of one shot, small and gray, the mean difference (of 255) is below this.
_CUT = 25.0
_SMALL = (32, 18)


@dataclass(frozen=True)
class Pace:
    """How often detectors run: on every `step`-th frame; an object is blurred in `reach` frames around those in which it is
    found.
    """

    step: int
    reach: int

    @property
    def held(self) -> int:
        """Return how many frames are held back for detections in later ones."""
        return self.reach + self.step

    @classmethod
    def of(cls, rate: Fraction, frame_bytes: int) -> "Pace":
        """Return the pace for so many frames per second of so many bytes each."""
        most = max(_FEWEST_HELD, _MOST_HELD_BYTES // max(frame_bytes, 1))
        reach = min(max(round(rate * _REACH_SECONDS), _REACH[0]), _REACH[-1], most * 2 // 3)
        # One of two detections may fail, and the object is still tracked.
        return cls(max(1, min(round(rate / _LOOKS_PER_SECOND), reach // 2)), reach)


class Watch:
    """Detect one kind of object, and blur it as a rule says."""

    def __init__(self, detector: Detector, rule: DesensitizationRule, pace: Pace) -> None:
        self.tracker = Tracker(pace.reach, rule.confidence)
        self._detector, self._rule = detector, rule
        self._reformatter = VideoReformatter()

    def look(self, number: int, frame: VideoFrame) -> None:
        """Run the detector on frame `number`."""
        ratio = min(_MOST_ENLARGING, self._detector.longest_side / max(frame.width, frame.height))
        width, height = max(1, round(frame.width * ratio)), max(1, round(frame.height * ratio))
        small = self._reformatter.reformat(frame, width, height, "rgb24")
        across, down = frame.width / width, frame.height / height
        self.tracker.add(number, [box.scaled(across, down) for box in self._detector(small.to_ndarray())])

    def regions(self, number: int) -> Iterator[Region]:
        """Return what is to be blurred in frame `number`."""
        rule = self._rule
        for box in self.tracker.at(number):
            if min(box.width, box.height) >= rule.min_size and rule.transparency < 1:
                yield Region(box.grown(rule.scale_ratio), rule.blur_radius, 1 - rule.transparency)


def watches(spec: DesensitizationSpec, pace: Pace) -> tuple[Watch, ...]:
    """Return a watch for each kind of object that `spec` names."""
    kinds: tuple[tuple[type[Detector], DesensitizationRule | None], ...] = (
        (FaceDetector, spec.face),
        (PlateDetector, spec.license_plate),
    )
    return tuple(Watch(detector(), rule, pace) for detector, rule in kinds if rule is not None)


class Privacy:
    """Hold frames back until the following ones have been searched, and yield them blurred, in order."""

    def __init__(self, watching: Sequence[Watch], pace: Pace) -> None:
        self._watching, self._pace = watching, pace
        self._held: deque[tuple[int, VideoFrame]] = deque()
        self._next = 0  # number of the next frame
        self._looked = -1  # the last frame that was searched
        self._cuts = Cuts()

    @classmethod
    def of(cls, spec: DesensitizationSpec, video: VideoOutput) -> "Privacy":
        """Return the overlay that blurs what `spec` names in frames of `video`."""
        components = VideoFormat(video.pixel_format, video.width, video.height).components
        frame_bytes = sum(part.width * part.height * (2 if part.bits > 8 else 1) for part in components)
        pace = Pace.of(video.frame_rate, frame_bytes)
        return cls(watches(spec, pace), pace)

    def push(self, frame: VideoFrame) -> Iterator[VideoFrame]:
        """Yield the frames that are ready once `frame` went in."""
        number = self._next
        self._next += 1
        if self._cuts.begins(frame):
            self._look_at_last()
            for watch in self._watching:
                watch.tracker.cut(number)
            self._look(number, frame)
        elif number >= self._looked + self._pace.step or number == 0:
            self._look(number, frame)
        self._held.append((number, frame))
        if len(self._held) > self._pace.held:
            yield self._release()

    def flush(self) -> Iterator[VideoFrame]:
        """Yield the frames that are left."""
        self._look_at_last()
        while self._held:
            yield self._release()

    def _look_at_last(self) -> None:
        """Search the last frame of a shot, too: no later frame tells where its objects go."""
        if self._held and self._held[-1][0] > self._looked:
            self._look(*self._held[-1])

    def _look(self, number: int, frame: VideoFrame) -> None:
        for watch in self._watching:
            watch.look(number, frame)
        self._looked = number

    def _release(self) -> VideoFrame:
        number, frame = self._held.popleft()
        regions = [region for watch in self._watching for region in watch.regions(number)]
        if regions:
            frame = writable(frame)
            blur(frame, regions)
        return frame


class Cuts:
    """Find where a shot begins: the whole frame changes."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()
        self._last: NDArray[np.int16] | None = None

    def begins(self, frame: VideoFrame) -> bool:
        """Return whether `frame` begins a shot."""
        small = self._reformatter.reformat(frame, *_SMALL, format="gray", interpolation="AREA").to_ndarray().astype(np.int16)
        last, self._last = self._last, small
        return last is not None and float(np.abs(small - last).mean()) > _CUT
