"""Names of codecs. A decoder that could not be opened has none any more, and PyAV 19 reads it there all the same."""

import errno
from typing import Any

import av
from av.codec.codec import UnknownCodecError


def codec_name(context: Any) -> str:
    """Return libav's name of a context's decoder or encoder; "" if there is none, or none any more."""
    codec = _codec(context)
    return codec.name if codec else ""


def canonical_name(context: Any) -> str:
    """Return the name of a context's codec, whatever decodes it; "" if there is none, or none any more."""
    codec = _codec(context)
    return codec.canonical_name if codec else ""


def long_name(context: Any) -> str:
    """Return what a context's codec is called for people; "" if there is none, or none any more."""
    codec = _codec(context)
    return codec.long_name if codec else ""


def check_decoder(context: Any) -> None:
    """Raise InvalidDataError for a decoder that could not be opened: trying again would end the process."""
    if context and not context.is_open and _codec(context) is None:
        raise av.error.InvalidDataError(errno.EINVAL, "the decoder cannot be opened")


def _codec(context: Any) -> Any:
    try:
        return context.codec if context else None
    except UnknownCodecError:
        return None
