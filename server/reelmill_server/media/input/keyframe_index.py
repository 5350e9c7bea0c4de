"""Find the keyframes of a source in its index, without reading the source."""

import av

from reelmill_server.media.input.source import Location, open_source
from reelmill_server.media.libav.errors import check_memory
from reelmill_server.model.capability import Limits
from reelmill_server.model.time import MICROSECONDS

# These demuxers read the index with the header; others build one while they read, if at all.
_INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")


def keyframe_times(location: Location, stream: int, limits: Limits) -> tuple[int, ...]:
    """Return when the keyframes of a stream are, microseconds of the source's clock, ascending; empty: there is no index.

    MP4's index has decode timestamps, a few frames before the frame is shown. Raises as `open_source` does.
    """
    with open_source(location, limits) as container:
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
    """Make libav read Matroska's index: it lies behind the media, and is read by the first seek."""
    try:
        container.seek(max(container.start_time or 0, 0) + 1, backward=True)
    except av.error.FFmpegError as error:
        check_memory(error)  # else there is no index
