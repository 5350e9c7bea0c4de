"""Follows what is found from picture to picture, so that nothing shows between detections.

Pictures are counted from 0. Detections come in rising order and not of every picture; a track links those of one thing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from reelmill_server.media.overlay.privacy.boxes import Box

# A detection belongs to the track whose expected place is nearer than this many times their size, and so much more for each
# picture since the track's last one …
_NEAR, _DRIFT = 0.8, 0.15
# … and whose size differs by less than this factor.
_SIZE_FACTOR = 2.0
# Of its size, what a box grows with each picture that it is off a detection: nobody knows where the thing went.
_GROWTH = 0.02
# Pictures over which speed is measured at a track's ends.
_SPEED_SPAN = 4
# Detections before the picture that is asked for which a track keeps: its speed is told by them.
_KEPT = 4


@dataclass(eq=False)
class Track:
    """The detections of one thing by the number of their picture, in rising order. `sure`: one of them was sure enough."""

    found: dict[int, Box] = field(default_factory=dict)
    sure: bool = False

    @property
    def first(self) -> int:
        """The first picture in which it was found."""
        return next(iter(self.found))

    @property
    def last(self) -> int:
        """The last picture in which it was found."""
        return next(reversed(self.found))

    def at(self, number: int) -> Box:
        """Where the thing is in a picture: between two detections on the straight way, beyond them on with their speed."""
        if number in self.found:
            return self.found[number]
        if self.first < number < self.last:
            before = max(known for known in self.found if known < number)
            after = min(known for known in self.found if known > number)
            return self.found[before].towards(self.found[after], (number - before) / (after - before))
        end = self.first if number < self.first else self.last
        x, y = self._speed(end)
        away = number - end
        return self.found[end].moved(x * away, y * away).grown(1 + _GROWTH * abs(away))

    def _speed(self, end: int) -> tuple[float, float]:
        """Pixels per picture near the detection in picture `end`, which is the first or the last one."""
        others = [known for known in self.found if known != end]
        if not others:
            return 0.0, 0.0
        # The nearest that is far enough away for a jitter of the detector not to look like speed.
        other = min(others, key=lambda known: (abs(known - end) < _SPEED_SPAN, abs(abs(known - end) - _SPEED_SPAN)))
        steps, here, there = other - end, self.found[end], self.found[other]
        return (there.x - here.x) / steps, (there.y - here.y) / steps

    def distance(self, number: int, box: Box) -> float:
        """How far `box` is from where the track would be, in sizes; infinite when it cannot be the same thing."""
        own = self.at(number)
        if not 1 / _SIZE_FACTOR < box.size / own.size < _SIZE_FACTOR:
            return float("inf")
        return float(((box.x - own.x) ** 2 + (box.y - own.y) ** 2) ** 0.5 / max(box.size, own.size))

    def forget(self, number: int) -> None:
        """Drops the detections before picture `number` that say nothing about it or what follows."""
        known = [key for key in self.found if key < number]
        for key in known[:-_KEPT]:
            del self.found[key]


class Tracker:
    """The tracks of one kind of thing.

    `reach`: pictures before its first and after its last detection in which a thing is there all the same; two detections of
    one thing are at most as far apart. `confidence`: a track counts once one of its detections is as sure.
    """

    def __init__(self, reach: int, confidence: float) -> None:
        self._reach, self._confidence = reach, confidence
        self._tracks: list[Track] = []
        self._closed: list[tuple[int, int, Track]] = []  # with the first and the last picture of their shot
        self._shot = 0

    def cut(self, number: int) -> None:
        """Another shot begins with picture `number`: no track goes on."""
        self._closed += [(self._shot, number - 1, track) for track in self._tracks]
        self._tracks, self._shot = [], number

    def add(self, number: int, boxes: Iterable[Box]) -> None:
        """What was found in picture `number`."""
        open_tracks = [track for track in self._tracks if number - track.last <= self._reach]
        left = list(boxes)
        pairs = sorted(
            ((track.distance(number, box), order, track, box) for order, track in enumerate(open_tracks) for box in left),
            key=lambda pair: pair[:2],
        )
        taken: set[int] = set()
        for distance, _, track, box in pairs:
            if distance < _NEAR + _DRIFT * (number - track.last) and id(track) not in taken and id(box) not in taken:
                taken |= {id(track), id(box)}
                self._note(track, number, box)
        for box in left:
            if id(box) not in taken:
                self._tracks.append(Track())
                self._note(self._tracks[-1], number, box)

    def _note(self, track: Track, number: int, box: Box) -> None:
        track.found[number] = box
        track.sure |= box.score >= self._confidence

    def at(self, number: int) -> Sequence[Box]:
        """Where things are in picture `number`; pictures before it are not asked for any more."""
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
