"""Choose how many threads decode a source of which encodes are made."""

import os
from collections.abc import Iterable
from fractions import Fraction
from math import ceil
from typing import Any

from reelmill_server.media.input.source import average_rate
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.time import FALLBACK_RATE

# To decode a pixel takes no more CPU than a third of what it takes to scale and encode one in the cheapest way.
_CHEAP_CODEC, _CHEAPER = "h264", 3
_MOST_THREADS = 16  # that libav starts by itself


def decoder_threads(stream: Any, encodes: Iterable[StreamPlan]) -> int:
    """Return by how many threads to decode a stream of video so that its `encodes` need not wait; 0: libav's choice.

    Threads that decode several frames at once take up to 15 % more CPU than one, which the encoders use as well.
    """
    context, rate = stream.codec_context, average_rate(stream) or FALLBACK_RATE
    pixels: Fraction = context.width * context.height * rate
    made = sum(map(_pixels, encodes), Fraction(0))
    if canonical_name(context) != _CHEAP_CODEC or not made or not pixels:
        return 0
    cores = os.cpu_count() or 1
    threads = ceil(pixels * cores / (made * _CHEAPER))
    return threads if threads < min(cores, _MOST_THREADS) else 0


def _pixels(planned: StreamPlan) -> Fraction:
    """Return how many pixels this machine's cores encode for each second of the source."""
    video = planned.video
    if video is None or planned.device not in ("", SOFTWARE):
        return Fraction(0)
    return video.width * video.height * video.frame_rate / planned.speed
