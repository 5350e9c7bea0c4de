"""What to say of streams that cannot be decoded."""

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.model.media_info import StreamInfo
from reelmill_server.settings.reference import SETTINGS


def undecodable(stream: StreamInfo, what: str) -> InvalidMedia | UnsupportedFormat:
    """Return the error for a stream, described by `what`, that has no decoder, or none that is allowed."""
    return (UnsupportedFormat if stream.barred else InvalidMedia)(f"{what} cannot be decoded{hint(stream)}")


def hint(stream: StreamInfo) -> str:
    """Return what follows the statement that a stream cannot be decoded."""
    setting = SETTINGS["decoder"]
    return f": its decoder is not one that this server allows ({setting.flag}, {setting.variable})" if stream.barred else ""
