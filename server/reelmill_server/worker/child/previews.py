"""Report some of the frames that are encoded, so that people see what an encode makes of their media."""

import base64
import time
from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING

from av import VideoFrame

from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.thumbnail import thumbnail
from reelmill_server.worker.messages import Previewed

if TYPE_CHECKING:
    from reelmill_server.media.output.base import Output
    from reelmill_server.media.track.base import Track

FIRST_SECONDS, LEAST_SECONDS = 1.0, 5.0
_SHARE = 0.1  # of the time since the beginning: what takes hours changes slowly


class Previews:
    """Takes frames of the first video that is encoded: one after a second, then more and more rarely."""

    def __init__(self, wanted: bool) -> None:
        self._begun = time.monotonic()
        self._next = self._begun + FIRST_SECONDS if wanted else float("inf")
        self._asked: Track | None = None

    def take(self, outputs: Iterable["Output"]) -> Previewed | None:
        """Return a preview if one is due. Call this often: one call asks for a frame, and a later one returns it."""
        now = time.monotonic()
        if now < self._next:
            return None
        if self._asked is None:
            tracks = (track for output in outputs for track in output.tracks)
            self._asked = next((track for track in tracks if track.sample), None)
            if self._asked and self._asked.sample:
                self._asked.sample.ask()
            return None
        track = self._asked
        frame = track.sample.take() if track.sample else None
        if frame is None:
            return None
        self._asked = None
        self._next = now + max(LEAST_SECONDS, (now - self._begun) * _SHARE)
        return _preview(frame, track)


def _preview(frame: VideoFrame, track: "Track") -> Previewed | None:
    """Return the preview of a frame; None where none can be made, which is no reason for an attempt to fail."""
    try:
        jpeg = thumbnail(frame, track.plan.video.sample_aspect_ratio if track.plan.video else Fraction(1))
    except (*LIBAV_ERRORS, MemoryError):
        return None
    seconds = max(0.0, float((frame.pts or 0) * (frame.time_base or 0)))
    return Previewed(seconds, base64.b64encode(jpeg).decode()) if jpeg else None
