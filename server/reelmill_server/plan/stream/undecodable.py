"""Say why streams cannot be decoded, and what helps."""

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.model.media_info import StreamInfo

SETTING = "--decoder, REELMILL_DECODER"
"""The setting that allows more decoders; planning runs in children, too, which load no settings."""

ENCRYPTED = "it is encrypted; decrypt the source first"


def undecodable(stream: StreamInfo, what: str) -> InvalidMedia | UnsupportedFormat:
    """Return the error for a stream, described by `what`, that has no decoder, or none that is allowed."""
    return (UnsupportedFormat if stream.barred or stream.encrypted else InvalidMedia)(f"{what} cannot be decoded{hint(stream)}")


def hint(stream: StreamInfo) -> str:
    """Return what follows the statement that a stream cannot be decoded."""
    if stream.encrypted:
        return f": {ENCRYPTED}"
    return f": its decoder is not one that this server allows ({SETTING})" if stream.barred else ""
