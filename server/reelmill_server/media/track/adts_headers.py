"""Refuse copies of AAC whose frames have headers of their own (ADTS) that differ, where the output has one header for all."""

from typing import Any

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.types import AnyPacket

_KEEPING = ("mpegts",)  # the headers of all frames
_SYNC_MASK, _SYNC = 0xFFF6_0000, 0xFFF0_0000  # of the first four bytes of ADTS; broken packets begin otherwise
_HEADER_MASK = 0xFDC0  # the profile, the sample rate and the channels


def becomes_one_header(codec: str, origin: Any, muxer: str) -> bool:
    """Return whether frames of the stream `origin` have headers, of which `muxer` (libav's name) makes one for all."""
    return codec == "aac" and not origin.codec_context.extradata and muxer not in _KEEPING


class AdtsHeaders:
    """The headers of a stream's frames."""

    def __init__(self) -> None:
        self._header: int | None = None

    def check(self, packet: AnyPacket) -> None:
        """Raise UnsupportedFormat for a packet whose header is not like those before it."""
        head = int.from_bytes(memoryview(packet)[:4])
        if head & _SYNC_MASK != _SYNC:
            return
        header = head & _HEADER_MASK
        if self._header is not None and header != self._header:
            raise UnsupportedFormat(
                "the source's audio changes its sample rate, channels or profile midway, which the output cannot tell: choose "
                "a codec other than copy"
            )
        self._header = header
