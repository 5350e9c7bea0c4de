"""Ask an accelerator for what only some of them have: each feature by opening an encoder that needs it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import av

from reelmill_server.media.libav.encoder import configure_video, hardware_frames
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.log import LogLine, captured_log, driver_words
from reelmill_server.model.capability import Feature
from reelmill_server.model.plan import VideoOutput
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.time import FALLBACK_RATE
from reelmill_server.plan.codec import video_encoders

_USUAL = (256, 256)
_SIZES = ((128, 72), (4096, 2160), (7680, 4320))
_LOSSLESS: Mapping[str, Any] = {"crf": 0.0}
_CARD = re.compile(r"GPU #\d+ - < (?P<nvenc>.+?) >|VAAPI driver: (?P<vaapi>.+?)\.?$|Implementation: (?P<qsv>.+)$", re.MULTILINE)
"""Where FFmpeg's log names the card, or its driver."""


@dataclass
class FeatureTrials:
    """Trials of one encoder, which works in `pixel_format` without the options in `lacks`; `card` is known after them."""

    codec: str
    device: str
    encoder: str
    pixel_format: str
    lacks: tuple[str, ...]
    card: str = ""

    def features(self) -> Iterator[Feature]:
        """Yield what it was asked for. Nothing is encoded: drivers refuse when they are opened."""
        if self.device == "nvenc" and self.codec in video_encoders.LOSSLESS_NVENC:
            yield Feature("lossless", self._refusal(_USUAL, _LOSSLESS))
        for size in _SIZES:
            yield Feature("x".join(map(str, size)), self._refusal(size, {}))

    def _refusal(self, size: tuple[int, int], settings: Mapping[str, Any]) -> str:
        """Open an encoder; return why that failed, in its driver's words, or nothing."""
        choice = video_encoders.EncoderChoice(self.encoder, self.device, self.pixel_format, "trial", self.lacks)
        output = VideoOutput(*size, self.pixel_format, time_base=1 / FALLBACK_RATE, frame_rate=FALLBACK_RATE)
        with captured_log(verbose=True) as lines:
            try:
                context: Any = av.CodecContext.create(self.encoder, "w", hwaccel=hardware_frames(self.device))
                configure_video(context, output, self.encoder)
                context.options = video_encoders.options(choice, VideoSpec(self.codec, preset="ultrafast", **settings))
                context.open(strict=False)
            except (*LIBAV_ERRORS, OSError) as error:
                return driver_words(error, lines, self.encoder)
            finally:
                self.card = self.card or _card(lines)
        return ""


def _card(lines: Iterable[LogLine]) -> str:
    found = _CARD.search("\n".join(text.strip() for _, _, text in lines))
    return next(filter(None, found.groups()), "") if found else ""
