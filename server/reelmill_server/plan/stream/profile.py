"""Color profiles of images (ICC), by which no colors are converted."""

from reelmill_server.model.media_info import VideoStreamInfo


def lost_profile(stream: VideoStreamInfo) -> str:
    """Return the warning that goes with an output which does not have the profile of a source; empty: it has none."""
    if not stream.color_profile:
        return ""
    profile = f'the profile "{stream.color_profile}"'
    return f"the colors of the source are those of {profile}, which this output does not keep: they are shown as those of sRGB"
