"""Say when the streams of MP4 and QuickTime files claim to end, which libav sums up wrongly in two cases."""

from typing import Any

from reelmill_server.media.input.movie_lengths import has_segment_index, movie_lengths
from reelmill_server.media.libav.timestamps import exact

_MOVIES = "mov,mp4,m4a,3gp,3g2,mj2"


def claimed_end(stream: Any) -> int:
    """Return when a stream claims to end, in its ticks.

    libav's duration is that end where an index of fragments tells it, and has in it what an edit list waits for the stream.
    """
    start, length = stream.start_time or 0, stream.duration or 0
    file = getattr(getattr(stream.container, "file", None), "file", None)  # none where libav opened it itself, by its name
    if start <= 0 or file is None or stream.container.format.name != _MOVIES:
        return int(start + length)
    position = file.tell()
    try:
        if not stream.frames:
            return int(max(start, length) if has_segment_index(file) else start + length)
        shown = next((track for track in movie_lengths(file).tracks if track.number == stream.id), None)
    finally:
        file.seek(position)  # libav goes on there
    if shown is None or shown.edits is None:
        return int(start + length)
    return int(start + min(length, round((shown.edits - shown.delay) / exact(stream.time_base))))
