"""Measure loudness (EBU R 128), and limit true peaks."""

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import AudioFrame
from av.filter import Graph
from numpy.typing import NDArray

from reelmill_server.model.loudness import LOUDNESS_FORMAT, SILENCE_DBTP, SILENCE_LUFS, Loudness

Samples = NDArray[np.float64]
"""Samples in rows of one for each channel, 1.0 is full scale."""
_PHASES, _TAPS = 4, 24  # times oversampled, as BS.1770 asks, and samples around each that an interpolated one is made of
_LOOK_AHEAD_SECONDS = 0.005
_LIMITED = 10 ** (-0.01 / 20)
# Between the samples the gain is interpolated, too: what the limiter aims below its limit.
_MARGIN = 10 ** (-0.02 / 20)


def _interpolators() -> Samples:
    """Return the filters that make the samples between two others, in rows: a sinc in a Kaiser window."""
    offsets = np.arange(1 - _TAPS // 2, _TAPS // 2 + 1)
    rows = []
    for phase in range(1, _PHASES):
        distance = offsets - phase / _PHASES
        row = np.sinc(distance) * np.kaiser(2 * _TAPS + 1, 6.0)[np.round(_TAPS + 2 * distance).astype(int)]
        rows.append(row / row.sum())
    return np.array(rows)


_INTERPOLATORS = _interpolators()


def samples_of(frame: AudioFrame) -> Samples:
    """Return the samples of a frame in `LOUDNESS_FORMAT`."""
    packed: Samples = frame.to_ndarray().astype(np.float64)
    return packed.reshape(-1, len(frame.layout.channels))


def frame_of(samples: Samples, like: AudioFrame) -> AudioFrame:
    """Return a frame in `LOUDNESS_FORMAT` of samples at the time of the frame `like`."""
    frame = AudioFrame.from_ndarray(samples.astype(np.float32).reshape(1, -1), LOUDNESS_FORMAT, like.layout.name)
    frame.sample_rate, frame.pts, frame.time_base = like.sample_rate, like.pts, like.time_base
    return frame


def decibels(level: float) -> float:
    """Return a level, 1.0 is full scale, in dB."""
    return max(20 * float(np.log10(level)), SILENCE_DBTP) if level > 0 else SILENCE_DBTP


class _TruePeaks:
    """The highest level at or next to each sample, four times oversampled, of all channels."""

    def __init__(self) -> None:
        self._past: Samples | None = None

    def of(self, samples: Samples) -> Samples:
        """Return the peaks of the samples half an interpolator before `samples`, one for each of them: the first ones belong
        to silence.
        """
        if self._past is None:
            self._past = np.zeros((_TAPS - 1, samples.shape[1]))
        whole = np.concatenate([self._past, samples])
        self._past = whole[len(samples) :]
        half = _TAPS // 2 - 1
        peaks: Samples = np.abs(whole[half : half + len(samples)]).max(axis=1, initial=0.0)
        for channel in range(whole.shape[1]):
            for filter_ in _INTERPOLATORS:
                between = np.abs(np.convolve(whole[:, channel], filter_[::-1], "valid"))
                np.maximum(peaks, between, out=peaks)
        return peaks


class TruePeakMeter:
    """Measure the highest true peak of all samples that it is given."""

    def __init__(self) -> None:
        self._peaks, self._peak = _TruePeaks(), 0.0

    def give(self, samples: Samples) -> None:
        """Measure samples."""
        self._peak = max(self._peak, float(self._peaks.of(samples).max(initial=0.0)))

    def finish(self, channels: int) -> float:
        """Return the highest true peak in dBTP."""
        self.give(np.zeros((_TAPS, channels)))
        return round(decibels(self._peak), 3)


class LoudnessMeter:
    """Measure the loudness of all samples that it is given."""

    def __init__(self, rate: int, layout: str, dual_mono: bool) -> None:
        self._graph, self._peak = Graph(), TruePeakMeter()
        self._source = self._graph.add_abuffer(
            sample_rate=rate, format=LOUDNESS_FORMAT, layout=layout, time_base=Fraction(1, rate)
        )
        # Its own true peaks have three decimals, too few of quiet audio.
        meter = self._graph.add("ebur128", f"metadata=1:framelog=quiet:dualmono={int(dual_mono)}")
        self._source.link_to(meter)
        meter.link_to(self._graph.add("abuffersink"))
        self._graph.configure()
        self._rate, self._given, self._metadata = rate, 0, {"lavfi.r128.I": str(SILENCE_LUFS), "lavfi.r128.LRA": "0"}

    def give(self, frame: AudioFrame, samples: Samples) -> None:
        """Measure a frame, and its samples."""
        alone = frame_of(samples, frame)
        alone.pts, alone.time_base = self._given, Fraction(1, self._rate)  # gaps in time have no loudness
        self._given += frame.samples
        self._peak.give(samples)
        self._source.push(alone)
        self._drain()

    def finish(self, channels: int) -> Loudness:
        """Return the loudness of all."""
        self._source.push(None)
        self._drain()
        integrated = float(self._metadata["lavfi.r128.I"])
        return Loudness(
            max(integrated, SILENCE_LUFS) if np.isfinite(integrated) else SILENCE_LUFS,
            float(self._metadata["lavfi.r128.LRA"]),
            self._peak.finish(channels),
        )

    def _drain(self) -> None:
        while True:
            try:
                measured: Any = self._graph.pull()
            except (av.error.BlockingIOError, av.error.EOFError):
                return
            self._metadata |= measured.metadata


class TruePeakLimiter:
    """Lower samples where a true peak would pass a limit, and around it by as much as keeps the gain smooth.

    It gives as many samples as it takes, later: `push` returns those that are ready, `flush` the rest.
    """

    def __init__(self, limit_db: float, rate: int, channels: int) -> None:
        self._limit, self._channels = 10 ** (limit_db / 20) * _MARGIN, channels
        self._reach = max(1, round(_LOOK_AHEAD_SECONDS * rate))
        window = np.hanning(2 * self._reach + 3)[1:-1]
        self._window = window / window.sum()
        self._peaks = _TruePeaks()
        self.limited = 0
        # What waits: samples, and the gains that they need; before the first one nothing is needed.
        self._samples = np.zeros((0, channels))
        self._needed = np.ones(2 * self._reach)
        self._early = _TAPS // 2  # peaks before the first sample, which belong to silence

    def push(self, samples: Samples) -> Samples:
        """Return the samples that are ready once `samples` went in."""
        self._samples = np.concatenate([self._samples, samples])
        peaks = self._peaks.of(samples)
        dropped, self._early = min(self._early, len(peaks)), max(self._early - len(peaks), 0)
        with np.errstate(divide="ignore"):
            needed = np.minimum(1.0, self._limit / peaks[dropped:])
        self._needed = np.concatenate([self._needed, needed])
        return self._ready()

    def flush(self) -> Samples:
        """Return the samples that were held back."""
        rest = len(self._samples)
        given = self.push(np.zeros((2 * self._reach + _TAPS // 2, self._channels)))
        self._samples = np.zeros((0, self._channels))
        return given[:rest]

    def _ready(self) -> Samples:
        """Return the samples around which all needed gains are known: each is lowered by the smoothed least gain."""
        count = len(self._needed) - 4 * self._reach
        if count <= 0:
            return np.zeros((0, self._channels))
        if self._needed.min() >= 1.0:
            gains = np.ones(count)
        else:
            least = np.lib.stride_tricks.sliding_window_view(self._needed, 2 * self._reach + 1).min(axis=1)
            gains = np.convolve(least, self._window, "valid")
        self._needed = self._needed[count:]
        ready, self._samples = self._samples[:count], self._samples[count:]
        self.limited += int((gains[: len(ready)] < _LIMITED).sum())
        return ready * gains[: len(ready), None]


def as_gain(decibel: float) -> float:
    """Return a gain in dB as a factor."""
    return float(10 ** (decibel / 20))
