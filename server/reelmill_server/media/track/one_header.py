"""Refuse copies of streams whose headers change midway, where the output has one header for all: AAC whose frames have headers
of their own (ADTS), recordings of Vorbis or Theora behind each other, and FLV that tells new parameters of a codec.
"""

from typing import Any, Protocol

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.libav.xiph_headers import CODECS, changed_setup

_KEEPING = ("mpegts",)  # the headers of all frames
_DESCRIBING = ("mp4", "mov", "flv")  # new parameters, if they are not in segments
_FRAMED = ("aac", "mpegts")  # in which what has no header is what remains of a damaged frame
_SYNC_MASK, _SYNC = 0xFFF6_0000, 0xFFF0_0000  # of the first four bytes of ADTS; broken packets begin otherwise
_HEADER_MASK = 0xFDC0  # the profile, the sample rate and the channels


class Headers(Protocol):
    """The headers of a stream."""

    def check(self, packet: AnyPacket) -> bool:
        """Return whether a packet is a frame. Raises UnsupportedFormat for one whose header is not like those before it."""


def headers_of(codec: str, origin: Any, muxer: str) -> Headers | None:
    """Return what is to check the packets of `origin`, of whose headers `muxer` (libav's name) makes one for all; None: they
    have none.
    """
    if codec == "aac" and not origin.codec_context.extradata and muxer not in _KEEPING:
        return _AdtsHeaders(origin.container.format.name in _FRAMED)
    if codec in CODECS and origin.container.format.name == "ogg":
        return _XiphHeaders(bytes(origin.codec_context.extradata or b""))
    if origin.container.format.name == "flv" and muxer not in _DESCRIBING:
        return _Parameters(codec, bytes(origin.codec_context.extradata or b""))
    return None


class _Parameters:
    def __init__(self, codec: str, extradata: bytes) -> None:
        self._codec, self._extradata = codec, extradata

    def check(self, packet: AnyPacket) -> bool:
        # Looking for any comes first: asking for a kind takes longer than reading the packet does.
        if any(packet.iter_sidedata()) and packet.has_sidedata("new_extradata"):
            parameters = bytes(packet.get_sidedata("new_extradata"))
            if self._extradata and parameters != self._extradata:
                raise UnsupportedFormat(
                    f"the parameters of the source's {self._codec} change midway, of which the output would have the first "
                    "ones only: choose a codec other than copy"
                )
            self._extradata = parameters
        return True


class _AdtsHeaders:
    def __init__(self, framed: bool) -> None:
        self._framed = framed
        self._header: int | None = None

    def check(self, packet: AnyPacket) -> bool:
        head = int.from_bytes(memoryview(packet)[:4])
        if head & _SYNC_MASK != _SYNC:
            return not self._framed
        header = head & _HEADER_MASK
        if self._header is not None and header != self._header:
            raise UnsupportedFormat(
                "the source's audio changes its sample rate, channels or profile midway, which the output cannot signal: "
                "choose a codec other than copy"
            )
        self._header = header
        return True


class _XiphHeaders:
    def __init__(self, extradata: bytes) -> None:
        self._extradata = extradata

    def check(self, packet: AnyPacket) -> bool:
        if changed_setup(packet, self._extradata) is not None:
            raise UnsupportedFormat(
                "the source's recordings behind each other were encoded with different settings, of which the output has one: "
                "choose a codec other than copy"
            )
        return True
