"""Track detections from frame to frame, so that nothing shows between them.

Frames are counted from 0. Detections come in increasing order and not for every frame; a track links those of one object.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reelmill_server.media.overlay.privacy.boxes import Box

# A detection belongs to the track whose expected position is nearer than this many times their size, and so much more for each
# frame since the track's last one …
_NEAR, _DRIFT = 0.8, 0.15
# … and whose size differs by less than this factor.
_SIZE_FACTOR = 2.0
# A box grows by this share of its size with each frame away from a detection: its position becomes uncertain.
_GROWTH = 0.02
# Frames over which speed is measured at a track's ends.
_SPEED_SPAN = 4
# Detections that a track keeps before the frame asked for: they determine its speed.
_KEPT = 4


@dataclass(eq=False)
class Track:
    """The detections of one object by frame number, in increasing order. `sure`: one of them was sure enough."""

    boxes: dict[int, Box] = field(default_factory=dict)
    sure: bool = False

    @property
    def first(self) -> int:
        """Return the number of the first frame in which it was found."""
        return next(iter(self.boxes))

    @property
    def last(self) -> int:
        """Return the number of the last frame in which it was found."""
        return next(reversed(self.boxes))

    def at(self, number: int) -> Box:
        """Return the box in a frame: interpolated between two detections, extrapolated at their speed beyond them."""
        if number in self.boxes:
            return self.boxes[number]
        if self.first < number < self.last:
            before = max(known for known in self.boxes if known < number)
            after = min(known for known in self.boxes if known > number)
            return self.boxes[before].towards(self.boxes[after], (number - before) / (after - before))
        end = self.first if number < self.first else self.last
        x, y = self._speed(end)
        away = number - end
        return self.boxes[end].moved(x * away, y * away).grown(1 + _GROWTH * abs(away))

    def _speed(self, end: int) -> tuple[float, float]:
        """Return pixels per frame near the detection in frame `end`, which is the first or the last one."""
        others = [known for known in self.boxes if known != end]
        if not others:
            return 0.0, 0.0
        # The nearest one far enough away for the detector's jitter not to look like speed.
        other = min(others, key=lambda known: (abs(known - end) < _SPEED_SPAN, abs(abs(known - end) - _SPEED_SPAN)))
        steps, here, there = other - end, self.boxes[end], self.boxes[other]
        return (there.x - here.x) / steps, (there.y - here.y) / steps

    def distance(self, number: int, box: Box) -> float:
        """Return how far `box` is from where the track would be, in sizes; infinite when it cannot be the same object."""
        own = self.at(number)
        if not 1 / _SIZE_FACTOR < box.size / own.size < _SIZE_FACTOR:
            return float("inf")
        return float(((box.x - own.x) ** 2 + (box.y - own.y) ** 2) ** 0.5 / max(box.size, own.size))

    def forget(self, number: int) -> None:
        """Drop the detections before frame `number` that say nothing about it or later ones."""
        known = [key for key in self.boxes if key < number]
        for key in known[:-_KEPT]:
            del self.boxes[key]


class Tracker:
    """Track the objects of one kind.

    `reach`: for so many frames before its first and after its last detection an object counts as present; two detections of
    one object are at most as far apart. `confidence`: a track counts once one of its detections is as sure.
    """

    def __init__(self, reach: int, confidence: float) -> None:
        self._reach, self._confidence = reach, confidence
        self._tracks: list[Track] = []
        self._closed: list[tuple[int, int, Track]] = []  # with the first and the last frame of their shot
        self._shot = 0

    def cut(self, number: int) -> None:
        """End all tracks: another shot begins with frame `number`."""
        self._closed += [(self._shot, number - 1, track) for track in self._tracks]
        self._tracks, self._shot = [], number

    def add(self, number: int, boxes: Iterable[Box]) -> None:
        """Add the detections in frame `number`."""
        open_tracks = [track for track in self._tracks if number - track.last <= self._reach]
        left = list(boxes)
        pairs = sorted(
            ((track.distance(number, box), order, track, box) for order, track in enumerate(open_tracks) for box in left),
            key=lambda pair: pair[:2],
        )
        matched: set[int] = set()
        for distance, _, track, box in pairs:
            if distance < _NEAR + _DRIFT * (number - track.last) and id(track) not in matched and id(box) not in matched:
                matched |= {id(track), id(box)}
                self._note(track, number, box)
        for box in left:
            if id(box) not in matched:
                self._tracks.append(Track())
                self._note(self._tracks[-1], number, box)

    def _note(self, track: Track, number: int, box: Box) -> None:
        track.boxes[number] = box
        track.sure |= box.score >= self._confidence

    def at(self, number: int) -> Sequence[Box]:
        """Return where objects are in frame `number`. Earlier frames must not be asked for any more."""
        self._forget(number)
        spans = [*self._closed, *((self._shot, number, track) for track in self._tracks)]
        return [
            track.at(number)
            for first, last, track in spans
            if track.sure and first <= number <= last and track.first - self._reach <= number <= track.last + self._reach
        ]

    def _forget(self, number: int) -> None:
        self._closed = [span for span in self._closed if span[1] >= number]
        self._tracks = [track for track in self._tracks if track.last + self._reach >= number]
        for track in (*self._tracks, *(span[2] for span in self._closed)):
            track.forget(number)
