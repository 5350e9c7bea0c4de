"""Encode the frames of MPEG-2 at an edge of a cut."""

from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

from av import VideoFrame

from reelmill_server.media.libav.mpeg2 import Headers, as_sequence
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.edge_encoder import Edge, EdgeCodec
from reelmill_server.model.smart_cut import CutEdges

_AS_FIELDS = "+ildct+ilme"
_BLOCK_ROWS = 16


class Mpeg2Edge(Edge):
    """An edge whose frames keep the order of their fields. Each is coded by frames or fields, as it was.

    The encoder begins anew where that changes, or the sequence header of the source does.
    """

    def __init__(
        self, codec: EdgeCodec, edges: CutEdges, wanted: Callable[[Fraction], bool], begin: Fraction | None = None
    ) -> None:
        super().__init__(codec, edges, wanted, begin)
        self._headers: dict[int, Headers] = {}
        self._read = Headers()  # of the last packet
        self._shown: list[tuple[int, Headers]] = []
        self._opened_for = (b"", True)  # the sequence header, and whether frames are coded as such

    def feed(self, packet: AnyPacket, base: Any, free: bool) -> None:
        headers = Headers.of(bytes(packet))
        self._read = replace(headers, sequence=headers.sequence or self._read.sequence)
        if packet.pts is not None:
            self._headers[packet.pts] = self._read
        super().feed(packet, base, free)

    def _open(self) -> Any:
        return self._codec.encoder(flags="" if self._opened_for[1] else _AS_FIELDS)

    def _encode(self, frame: VideoFrame | None) -> None:
        before = len(self._encoded)
        if frame is not None and frame.pts is not None:
            headers = self._headers.get(frame.pts, self._read)  # decoders may guess the time of a broken frame
            wanted = self._needed(headers, frame.height)
            if self._encoder is not None and wanted != self._opened_for:
                super()._encode(None)
                self._encoder = None
            self._opened_for = wanted
            self._shown.append((frame.pts, headers))  # the encoder takes few rates: it is given frames by number
            frame.pts = len(self._shown)
        super()._encode(frame)
        for number, packet in enumerate(self._encoded[before:], before):
            packet.pts, _ = self._shown[number]

    def _needed(self, headers: Headers, height: int) -> tuple[bytes, bool]:
        """Return what the encoder must be opened for. Frames of which fields are of two moments have an even number of rows of
        blocks, as the others of a sequence that has such.
        """
        whole = headers.is_progressive_sequence or -(-height // _BLOCK_ROWS) % 2 == 0
        return headers.sequence, headers.is_progressive and whole

    def _data(self, number: int) -> bytes:
        _, headers = self._shown[number]
        return as_sequence(super()._data(number), headers.sequence, headers.order)

    def _begins(self, packet: AnyPacket) -> bool:
        return bool(packet.is_keyframe)
