"""The settings of WebVTT cues: libav keeps them beside the text of a packet."""

import io
from functools import lru_cache
from typing import Final

import av
from av.packet import PacketSideData

from reelmill_server.media.libav.types import AnyPacket

_KIND: Final = "webvtt_settings"
_CUE = b"WEBVTT\n\n00:00.000 --> 00:01.000 %s\n.\n"


def settings_of(packet: AnyPacket) -> bytes:
    """Return the settings of a packet's cue; empty: none."""
    return next((bytes(data) for data in packet.iter_sidedata() if data.data_type == _KIND), b"")


@lru_cache(maxsize=64)
def settings_data(settings: bytes) -> PacketSideData:
    """Return `settings` as a packet holds them. PyAV makes no side data: libav reads a cue that has these."""
    with av.open(io.BytesIO(_CUE % settings), "r", format="webvtt") as container:
        return PacketSideData.from_packet(next(packet for packet in container.demux() if packet.size), _KIND)
