"""How far times of an output may lie from where they should, and why."""

from fractions import Fraction

from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS

MILLISECONDS = Fraction(2, 1000)
"""Matroska, FLV, ASF and edit lists of MP4 count milliseconds, in the source and in the output."""
RESAMPLING = Fraction(2, 100)
"""Where timestamps of audio and its samples disagree, aresample lets them: up to this, it corrects nothing."""
PRIMING = Fraction(1, 10)
"""Encoders and copies begin audio before its 0: the longest are Opus's pre-roll, 0.08 s, and HE-AAC's delay."""
_SLOW = Fraction(1, 50)  # half a frame at 25 fps: a slow frame rate is no excuse for audio that is late


def half_frame(planned: StreamPlan) -> Fraction:
    """Return half of what a frame of video lasts, but no less than containers round to."""
    return max(min(Fraction(planned.slack_us, 2 * MICROSECONDS), _SLOW), MILLISECONDS)


def rate_step(planned: StreamPlan) -> Fraction:
    """Return how long a frame of video at a constant rate lasts, seconds; 0 where the rate is that of the source."""
    fixed = planned.counted or planned.steady
    return Fraction(planned.video.frame_rate) ** -1 if planned.video and fixed else Fraction(0)


def audio_frame(planned: StreamPlan, written: StreamStats, given: StreamTotals | None = None) -> Fraction:
    """Return how long a frame of audio is, seconds, in the source or in the output, whichever is longer."""
    read = given.covered / given.items / planned.speed if given and given.items else Fraction(0)
    mean = (written.extent.last - (written.extent.first or 0)) / written.packets if written.packets else Fraction(0)
    return max(read, mean) if planned.type == StreamType.AUDIO else Fraction(0)


def overlap(given: StreamTotals) -> Fraction:
    """Return how much of what was read lies over what came before it, seconds of the source; less is in order."""
    return max(given.overlap - RESAMPLING, Fraction(0))
