"""Signals of EBU Tech 3341 and 3342, synthesized, and what the judge hears of a file."""

import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

RATE = 48000
_VALUES = {"integrated": "I", "range": "LRA", "true_peak": "Peak"}


@dataclass(frozen=True)
class Heard:
    """What the judge measures: LUFS, LU, dBTP."""

    integrated: float
    range: float
    true_peak: float


def heard(path: Path, stream: int = 0, options: str = "") -> Heard:
    """The loudness of an audio stream, as another FFmpeg prints it."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-nostdin", "-i", str(path), "-map", f"0:a:{stream}"]
    measured = [*command, "-af", f"ebur128=peak=true:framelog=quiet{options}", "-f", "null", "-"]
    text = subprocess.run(measured, capture_output=True, check=True, text=True).stderr.rpartition("Summary:")[2]
    results = {name: re.search(rf"{word}:\s+(-?[\d.]+|-?inf)", text) for name, word in _VALUES.items()}
    return Heard(**{name: float(match[1]) for name, match in results.items() if match})


def tone(*levels: tuple[float, float], hz: float = 1000.0, channels: int = 2, rate: int = RATE) -> NDArray[np.float32]:
    """A sine in all channels, at `levels`: (dBFS of its peaks, seconds) behind each other. Rows are channels."""
    level = np.concatenate([np.full(round(seconds * rate), 10 ** (decibel / 20)) for decibel, seconds in levels])
    wave = level * np.sin(2 * np.pi * hz * np.arange(level.size) / rate)
    return np.tile(wave.astype(np.float32), (channels, 1))


def write(path: Path, samples: NDArray[np.float32], layout: str = "stereo", rate: int = RATE, codec: str = "pcm_f32le") -> Path:
    """Write samples, rows of one for each channel, into a container that takes `codec`."""
    with av.open(path, "w") as container:
        stream = container.add_stream(codec, rate=rate, layout=layout)
        for begin in range(0, samples.shape[1], 4096):
            piece = np.ascontiguousarray(samples[:, begin : begin + 4096].T.reshape(1, -1))
            frame = av.AudioFrame.from_ndarray(piece, "flt", layout)
            frame.sample_rate, frame.pts = rate, begin
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def peaks(phase_degrees: float, divisor: int, amplitude: float, seconds: float = 2.0) -> NDArray[np.float32]:
    """A sine at 1/divisor of the sample rate, whose samples miss its peaks, faded in and out."""
    count = round(seconds * RATE)
    wave = amplitude * np.sin(2 * np.pi * np.arange(count) / divisor + np.radians(phase_degrees))
    return np.tile(_faded(wave, 0.1 * RATE).astype(np.float32), (2, 1))


def lone_peak(offset: int, seconds: float = 1.0) -> NDArray[np.float32]:
    """One period of a sine at a quarter of the sample rate and full scale, between quieter ones at a sixth of it, made at four
    times the rate; each fourth sample is taken, from `offset` on, so that its peak lies elsewhere between them.
    """
    quiet = 0.5 * np.sin(2 * np.pi * np.arange(round(seconds * 4 * RATE)) / 24)
    wave = _faded(np.concatenate([quiet, np.sin(2 * np.pi * np.arange(16) / 16), quiet]), 0.01 * 4 * RATE)
    spectrum = np.fft.rfft(wave)
    spectrum[len(spectrum) // 4 :] = 0
    return np.tile(np.fft.irfft(spectrum, wave.size)[offset::4].astype(np.float32), (2, 1))


def _faded(wave: NDArray[np.float64], samples: float) -> NDArray[np.float64]:
    """A wave that fades in and out over so many samples."""
    place = np.arange(wave.size)
    faded: NDArray[np.float64] = wave * np.minimum(1, np.minimum(place, place[::-1]) / samples)
    return faded


TECH_3341: Sequence[tuple[str, tuple[tuple[float, float], ...], float]] = (
    ("1", ((-23, 20),), -23.0),
    ("2", ((-33, 20),), -33.0),
    ("3", ((-36, 10), (-23, 60), (-36, 10)), -23.0),
    ("4", ((-72, 10), (-36, 10), (-23, 60), (-36, 10), (-72, 10)), -23.0),
    ("5", ((-26, 20), (-20, 20.1), (-26, 20)), -23.0),
)
"""Number of the test, levels, integrated loudness."""
TECH_3342: Sequence[tuple[str, tuple[tuple[float, float], ...], float]] = (
    ("1", ((-20, 20), (-30, 20)), 10.0),
    ("2", ((-20, 20), (-15, 20)), 5.0),
    ("3", ((-40, 20), (-20, 20)), 20.0),
    ("4", ((-50, 20), (-35, 20), (-20, 20), (-35, 20), (-50, 20)), 15.0),
)
"""Number of the test, levels, loudness range."""
TRUE_PEAKS: Sequence[tuple[str, Callable[[], NDArray[np.float32]], float]] = (
    ("15", partial(peaks, 0.0, 4, 0.5), -6.0),
    ("16", partial(peaks, 45.0, 4, 0.5), -6.0),
    ("17", partial(peaks, 60.0, 6, 0.5), -6.0),
    ("18", partial(peaks, 67.5, 8, 0.5), -6.0),
    ("19", partial(peaks, 45.0, 4, 1.41), 3.0),
    *((str(20 + offset), partial(lone_peak, offset), 0.0) for offset in range(4)),
)
"""Number of the test, what makes its signal, true peak."""
