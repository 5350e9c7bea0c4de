"""Measure a stream's loudness, and bring it to a level, on the way to its encoder."""

from collections import deque
from collections.abc import Iterator

import numpy as np
from av import AudioFrame, AudioResampler

from reelmill_server.media.libav.loudness import (
    LoudnessMeter,
    Samples,
    TruePeakLimiter,
    as_gain,
    frame_of,
    samples_of,
)
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.loudness import LoudnessPlan, LoudnessResult
from reelmill_server.model.plan import AudioOutput


class LoudnessStage:
    """Measure frames in the working format, apply the planned gain to them, and give them in the encoder's format.

    Frames keep their number of samples and their times; a limiter holds some of them back for its look-ahead.
    """

    def __init__(self, plan: LoudnessPlan, output: AudioOutput, written: StreamStats) -> None:
        """The result goes to `written`."""
        self._plan, self._output, self._written = plan, output, written
        # Of a trial only what the encoder makes of it is asked.
        self._meter = None if plan.tries else LoudnessMeter(output.sample_rate, output.layout, plan.asked.dual_mono)
        self._resampler = AudioResampler(output.sample_format, output.layout, output.sample_rate)
        self._gain = as_gain(plan.gain_db)
        self._limiter: TruePeakLimiter | None = None
        self._waiting: deque[AudioFrame] = deque()
        self._ready: Samples | None = None
        self._channels = 0

    def push(self, frame: AudioFrame) -> Iterator[AudioFrame]:
        """Yield the frames that are ready once `frame` went in."""
        samples = samples_of(frame)
        if self._limiter is None and self._limits:
            self._limiter = TruePeakLimiter(self._plan.ceiling_db, self._output.sample_rate, samples.shape[1])
        self._channels = samples.shape[1]
        self._waiting.append(frame)
        louder = samples if self._gain == 1.0 else samples * self._gain
        yield from self._give(self._limiter.push(louder) if self._limiter else louder)

    def flush(self) -> Iterator[AudioFrame]:
        """Yield the frames that were held back, and note the loudness."""
        if self._limiter is not None:
            yield from self._give(self._limiter.flush())
        after = self._meter.finish(self._channels) if self._meter and self._channels else None
        if after is not None:
            limited = self._limiter.limited if self._limiter else 0
            self._written.loudness = LoudnessResult(self._plan.before or after, after, self._plan.gain_db, limited)

    @property
    def _limits(self) -> bool:
        """Whether the gain would pass the limit."""
        plan = self._plan
        if plan.before is None or not plan.normalizes or plan.before.silent:
            return False
        return plan.peak_db > plan.ceiling_db

    def _give(self, samples: Samples) -> Iterator[AudioFrame]:
        """Yield the waiting frames that are whole with `samples`."""
        ready = samples if self._ready is None else np.concatenate([self._ready, samples])
        while self._waiting and len(ready) >= self._waiting[0].samples:
            frame = self._waiting.popleft()
            own, ready = ready[: frame.samples], ready[frame.samples :]
            if self._meter:
                self._meter.give(frame, own)
            yield from self._resampler.resample(frame_of(own, frame))
        self._ready = ready
