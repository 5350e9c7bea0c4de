"""Where the key frames of a source are, by its index and without reading it."""

import av

from reelmill_server.media.input.source import Location, open_source
from reelmill_server.model.capability import Limits
from reelmill_server.model.time import MICROSECONDS

# These read their index with the header; others, if they have any, build it while they are read.
_INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


def keyframe_times(place: Location, stream: int, limits: Limits) -> tuple[int, ...]:
    """When the key frames of a stream come, microseconds of the source's clock, in ascending order; empty: there is no index.

    MP4 tells when a picture is decoded, which is a few pictures before it is shown. Raises as `open_source` does.
    """
    with open_source(place, limits) as container:
        if container.format.name not in _INDEXED_FORMATS:
            return ()
        video = container.streams[stream]
        if container.format.name == "matroska,webm":
            _read_cues(container)
        base = video.time_base
        if not base:
            return ()
        ticks = {entry.timestamp for entry in video.index_entries if entry.is_keyframe}
    times = sorted(round(tick * base * MICROSECONDS) for tick in ticks)
    return tuple(times) if len(times) > 1 else ()


def _read_cues(container: av.container.InputContainer) -> None:
    """Matroska's index lies behind the media, and is read when something is looked up."""
    try:
        container.seek(max(container.start_time or 0, 0) + 1, backward=True)
    except av.error.FFmpegError:
        pass  # then there is none
