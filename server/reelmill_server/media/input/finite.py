"""Silence audio samples that are not numbers: encoders fail on them, or crash."""

from collections.abc import Iterable
from typing import Any

from av import AudioFrame
from av.audio.plane import AudioPlane

# libav's sample formats that are floating point, and numpy's names of them.
_TYPES = {name: "f4" if "flt" in name else "f8" for name in ("flt", "fltp", "dbl", "dblp")}
# So many times full scale is no sound either; encoders take it for infinity.
_LOUDEST = 1e6


def silence_invalid(frames: Iterable[AudioFrame]) -> int:
    """Set every sample of `frames` to 0 that is not a number, infinite or absurdly large; return how many there were."""
    return sum(_silence(frame) for frame in frames if frame.format.name in _TYPES)


def _silence(frame: AudioFrame) -> int:
    import numpy as np  # here, as a child that only copies does without

    kind, found = _TYPES[frame.format.name], 0
    channels, planar = frame.layout.nb_channels, frame.format.is_planar
    per_plane = frame.samples if planar else frame.samples * channels
    # Not `frame.planes`: of eight planes PyAV 18 makes nine, as it looks for the end of a list that is full, and 19 fails.
    planes: list[Any] = [AudioPlane(frame, number) for number in range(channels if planar else 1)]
    for plane in planes:
        samples: Any = np.frombuffer(plane, kind, per_plane)
        if samples.size == 0 or np.abs(samples).max() < _LOUDEST:  # false where one is not a number
            continue
        invalid = ~(np.abs(samples) < _LOUDEST)
        found += int(np.count_nonzero(invalid))
        whole = np.frombuffer(plane, np.uint8).copy()
        whole[: samples.nbytes] = np.where(invalid, 0, samples).astype(kind).view(np.uint8)
        plane.update(whole.tobytes())
    return found
