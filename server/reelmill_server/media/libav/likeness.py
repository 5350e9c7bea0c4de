"""Tell whether an accelerator's pictures are those that went in, by a few samples of each frame.

The bounds are below what encoders make of any video, at CRF 51 too: docs/hardware.md has the measurements.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from itertools import islice
from math import log10

from av import VideoFrame

GRID = 16  # samples of a plane's row, and rows
PLANE = GRID * GRID
_WHITE_SQUARED = 255**2
_UNLIKE = _WHITE_SQUARED / 10**0.85
"""Mean squared error at 8.5 dB. A green picture for a gray one has 7; noise over the full range that an encoder flattens may
have 6, but then that is its own variance.
"""
_VARIANCES = 1.25
_BLURRED = _WHITE_SQUARED / 10**2
"""At 20 dB: what is nearer is the same picture, or so little of it moves that an encoder may leave it out."""
_NEARER = 8
"""Of two frames, the one that is so many times nearer is the one that is shown. Encoders that leave noise out reach 3.4."""
_REMEMBERED = 600
_BEGINNING = 32
_FEW = 8


def samples_of(frame: VideoFrame) -> bytes:
    """Return `PLANE` samples of each plane of a frame, of 8 bits each; gray ones for planes that it lacks."""
    # Here, as it loads numpy, which a child without an accelerator may not need.
    from reelmill_server.media.libav.picture_samples import sample

    return sample(frame, GRID)


def squared_error(sample: bytes, other: bytes) -> float:
    """Return the mean squared error between the samples of two pictures, 0 to 65,025."""
    return sum([(a - b) ** 2 for a, b in zip(sample, other, strict=True)]) / len(sample)


def _variance(samples: bytes) -> float:
    """Return the mean squared error of a picture whose planes each have one color."""
    planes = [samples[begin : begin + PLANE] for begin in range(0, len(samples), PLANE)]
    return sum(squared_error(plane, bytes((sum(plane) // PLANE,)) * PLANE) for plane in planes) / len(planes)


def mistaken(shown: bytes, given: bytes, before: Iterable[bytes]) -> str:
    """Return what is wrong with a picture for which `given` went in, after `before`; empty: nothing that can be told."""
    error = squared_error(shown, given)
    if error > _UNLIKE and error > _VARIANCES * _variance(given):
        return f"it is unlike the frame that went in ({10 * log10(_WHITE_SQUARED / error):.1f} dB)"
    if error > _BLURRED and any(_NEARER * squared_error(shown, other) < error for other in before):
        return "it shows a frame that went in before"
    return ""


class GivenFrames:
    """Samples of the frames that an accelerator was given: the first ones, and the latest."""

    def __init__(self) -> None:
        self._first: list[bytes] = []
        self._latest: deque[bytes] = deque(maxlen=_REMEMBERED)

    def add(self, frame: VideoFrame) -> bytes:
        """Add a frame, in the order in which they are shown; return its samples."""
        samples = samples_of(frame)
        if len(self._first) < _BEGINNING:
            self._first.append(samples)
        self._latest.append(samples)
        return samples

    def mistaken_now(self, shown: VideoFrame, given: bytes) -> str:
        """Return what is wrong with a picture that came out lately; empty: nothing."""
        return mistaken(samples_of(shown), given, islice(self._latest, max(0, len(self._latest) - 1)))

    def mistaken_first(self, shown: Sequence[bytes]) -> str:
        """Return what is wrong with the first pictures; empty: nothing."""
        return _first_mistake(shown[: len(self._first)], self._first)

    def mistaken_last(self, shown: Sequence[bytes]) -> str:
        """Return what is wrong with the last pictures; empty: nothing."""
        return _first_mistake(shown[-len(self._latest) :], list(self._latest), max(0, len(self._latest) - len(shown)))


def _first_mistake(shown: Sequence[bytes], given: Sequence[bytes], begin: int = 0) -> str:
    """Return what is wrong with a few of the pictures for which `given` went in from number `begin` on."""
    every = max(1, len(shown) // _FEW)
    for number in sorted({*range(0, len(shown), every), len(shown) - 1} - {-1}):
        if text := mistaken(shown[number], given[begin + number], given[: begin + number]):
            return text
    return ""
