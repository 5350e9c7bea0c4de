"""Ask an accelerator for what only some of them have: each feature by opening an encoder that needs it."""

import re
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import av
import av.logging

from reelmill_server.media.libav.encoder import configure_video, hardware_frames, is_full
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.log import LogLine, captured_log, driver_words
from reelmill_server.model.capability import Feature, FrameSizes
from reelmill_server.model.plan import VideoOutput
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.codec import encoder_options, video_encoders

_SECONDS = 8.0  # for all encoders of a family: their child is waited for 20 s
_USUAL = (256, 256)
_SIZES = ((128, 72), (4096, 2160), (7680, 4320))
_USUAL_SETTINGS: Mapping[str, Any] = {}
_LOSSLESS: Mapping[str, Any] = {"crf": 0.0}
_RATES: Mapping[str, Mapping[str, Any]] = {
    "bitrate": {"bitrate": 300_000},
    "max_bitrate": {"max_bitrate": 300_000, "buffer_size": 600_000},
}
"""Ways to control the rate that not every driver of VAAPI has."""
_CARD = re.compile(r"GPU #\d+ - < (?P<nvenc>.+?) >|VAAPI driver: (?P<vaapi>.+?)\.?$|Implementation: (?P<qsv>.+)$", re.MULTILINE)
"""Where FFmpeg's log names the card, or its driver."""
_BEYOND = 16384
"""More pixels on a side than any accelerator takes: the refusal names the limit."""
_MOST = re.compile(r"(?:Width|Height) \d+ exceeds (\d+)")
_RANGES = re.compile(r"constraints: width (\d+)-(\d+) height (\d+)-(\d+)")
"""How FFmpeg tells the limits of NVENC, and of VAAPI."""
_SMALL = (16, 32, 34, 48, 50, 64, 96, 128, 130, 144, 146, 160, 192, 256)
"""Sides that are asked for to find the least; NVENC takes 145x49 in H.264, and 129x33 in H.265."""
_MOST_B_FRAMES = re.compile(r"Max B-frames \d+ exceed (\d+)")
_MANY_B_FRAMES: Mapping[str, Any] = {"b_frames": 16}


class _Unknown(Exception):
    """Raised when there is no time left, or no session: what was not answered stays unknown."""


@dataclass
class Budget:
    """The time for questions to all encoders of a family: cards that start slowly must not be lost over them."""

    until: float = field(default_factory=lambda: time.monotonic() + _SECONDS)

    @property
    def spent(self) -> bool:
        """Whether there is no time left."""
        return time.monotonic() > self.until


@dataclass
class FeatureTrials:
    """Trials of one encoder, which works in `pixel_format` without the options in `lacks`; `card` is known after them.

    Nothing is encoded: drivers refuse when they are opened.
    """

    codec: str
    device: str
    encoder: str
    pixel_format: str
    lacks: tuple[str, ...]
    budget: Budget = field(default_factory=Budget)
    card: str = ""

    def features(self) -> Iterator[Feature]:
        """Yield what it was asked for."""
        trials: list[tuple[str, tuple[int, int], Mapping[str, Any]]] = [("x".join(map(str, size)), size, {}) for size in _SIZES]
        if self.device == "nvenc" and self.codec in video_encoders.LOSSLESS_NVENC:
            trials.insert(0, ("lossless", _USUAL, _LOSSLESS))
        if self.device == "vaapi":
            trials = [*((name, _USUAL, settings) for name, settings in _RATES.items()), *trials]
        for name, size, settings in trials:
            try:
                yield Feature(name, self._refusal(size, settings))
            except _Unknown:
                return

    def sizes(self) -> FrameSizes:
        """Return the limits of frames, as far as it tells them or can be asked in time."""
        try:
            wide = self._refusal((_BEYOND, _USUAL[1]))
            if ranges := _RANGES.search(wide):
                return FrameSizes(int(ranges[1]), int(ranges[3]), int(ranges[2]), int(ranges[4]))
            most = _MOST.search(wide), _MOST.search(self._refusal((_USUAL[0], _BEYOND)))
            width, height = (int(match[1]) if match else 0 for match in most)
        except _Unknown:
            return FrameSizes()
        least = self._least(lambda side: (side, _USUAL[1])), self._least(lambda side: (_USUAL[0], side))
        return FrameSizes(*least, width, height)

    def max_b_frames(self) -> int:
        """Return how many B-frames in a row it takes, if it tells; 0: unknown, or none."""
        if "bf" in self.lacks or self.codec in video_encoders.WITHOUT_REFERENCES:
            return 0
        try:
            refusal = self._refusal(_USUAL, _MANY_B_FRAMES)
        except _Unknown:
            return 0
        match = _MOST_B_FRAMES.search(refusal)
        return int(match[1]) if match else 0

    def _least(self, size: Callable[[int], tuple[int, int]]) -> int:
        """Return a side below which frames are refused; 0: unknown, or none that was asked for."""
        try:
            first = bisect_left(_SMALL, True, hi=len(_SMALL) - 1, key=lambda side: not self._refusal(size(side)))
        except _Unknown:
            return 0
        return _SMALL[first - 1] + 1 if first else 0

    def _refusal(self, size: tuple[int, int], settings: Mapping[str, Any] = _USUAL_SETTINGS) -> str:
        """Open an encoder; return why that failed, in its driver's words, or nothing. Raises _Unknown."""
        if self.budget.spent:
            raise _Unknown
        choice = video_encoders.EncoderChoice(self.encoder, self.device, self.pixel_format, "trial", self.lacks)
        output = VideoOutput(*size, self.pixel_format, time_base=1 / FALLBACK_RATE, frame_rate=FALLBACK_RATE)
        with captured_log(av.logging.VERBOSE) as lines:
            try:
                context: Any = av.CodecContext.create(self.encoder, "w", hwaccel=hardware_frames(self.device, self.encoder))
                configure_video(context, output, self.encoder)
                context.options = encoder_options.options(choice, VideoSpec(self.codec, preset="ultrafast", **settings))
                context.open(strict=False)
            except (*LIBAV_ERRORS, OSError) as error:
                words = driver_words(error, lines, self.encoder)
                if is_full(self.device, words):
                    raise _Unknown from error
                return words
            finally:
                self.card = self.card or _card(lines)
        return ""


def _card(lines: Iterable[LogLine]) -> str:
    match = _CARD.search("\n".join(text.strip() for _, _, text in lines))
    return next(filter(None, match.groups()), "") if match else ""
