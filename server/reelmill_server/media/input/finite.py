"""Silence audio samples that are not numbers: encoders fail on them, or crash."""

import sys
from collections.abc import Iterable
from itertools import count
from typing import Any

from av import AudioFrame
from av.audio.plane import AudioPlane

# libav's sample formats that are floating point, and numpy's names of them.
_TYPES = {name: "f4" if "flt" in name else "f8" for name in ("flt", "fltp", "dbl", "dblp")}
# So many times full scale is no sound either; encoders take it for infinity.
_LOUDEST = 1e6
# The first bytes, by width, of samples that are quieter than an eighth of that: their sign, and most of their exponent.
_QUIET = {
    4: bytes(byte for byte in range(256) if byte & 0x7F < 0x49),
    8: bytes(byte for byte in range(256) if byte & 0x7F < 0x41),
}
# Loading numpy takes longer than looking at so many frames, or blocks of them, without it.
_MANY_FRAMES = 1000
_frames_seen = count()


def silence_invalid(frames: Iterable[AudioFrame]) -> int:
    """Set every sample of `frames` to 0 that is not a number, infinite or absurdly large; return how many there were."""
    return sum(_silence(frame) for frame in frames if frame.format.name in _TYPES)


def _silence(frame: AudioFrame) -> int:
    count, width = 0, frame.format.bytes
    channels, planar = frame.layout.nb_channels, frame.format.is_planar
    per_plane = frame.samples if planar else frame.samples * channels
    # Not `frame.planes`: of eight planes PyAV 18 makes nine, as it looks for the end of a list that is full, and 19 fails.
    planes: list[Any] = [AudioPlane(frame, number) for number in range(channels if planar else 1)]
    if next(_frames_seen) < _MANY_FRAMES and all(_is_quiet(plane, per_plane, width) for plane in planes):
        return 0
    import numpy as np  # here, as most children do without

    kind = _TYPES[frame.format.name]
    for plane in planes:
        samples: Any = np.frombuffer(plane, kind, per_plane)
        if samples.size == 0 or np.abs(samples).max() < _LOUDEST:  # false where one is not a number
            continue
        invalid = ~(np.abs(samples) < _LOUDEST)
        count += int(np.count_nonzero(invalid))
        whole = np.frombuffer(plane, np.uint8).copy()
        whole[: samples.nbytes] = np.where(invalid, 0, samples).astype(kind).view(np.uint8)
        plane.update(whole.tobytes())
    return count


def _is_quiet(plane: Any, samples: int, width: int) -> bool:
    """Return whether all samples of a plane are numbers far from `_LOUDEST`, by the byte of each that holds its exponent."""
    first = width - 1 if sys.byteorder == "little" else 0
    return not bytes(plane)[first : samples * width : width].translate(None, _QUIET[width])
