"""Writes H.264 whose pictures are coded field by field (PAFF), as broadcasters do: no encoder here makes it.

Every macroblock is I_PCM, so the pictures are exact (ITU-T H.264, 7.3).
"""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from tests.sources import Video, picture

_MACROBLOCK = 16
_SEQUENCE, _PICTURE, _IDR, _OTHER = 0x67, 0x68, 0x65, 0x61  # of bytes that begin NAL units
_I_PCM, _I_SLICE = 25, 7


class _Bits:
    """Bits of a NAL unit."""

    def __init__(self) -> None:
        self._bits: list[str] = []
        self._count = 0  # since the last block

    def fixed(self, *pairs: tuple[int, int]) -> None:
        """Numbers of so many bits: (value, bits)."""
        for value, bits in pairs:
            self._bits.append(f"{value:0{bits}b}")
            self._count += bits

    def golomb(self, *values: int) -> None:
        """Exponential Golomb codes of numbers from 0."""
        for value in values:
            self.fixed((value + 1, 2 * (value + 1).bit_length() - 1))

    def block(self, content: bytes) -> None:
        """Bytes, aligned."""
        self._bits.append("0" * (-self._count % 8))
        self._bits += [f"{byte:08b}" for byte in content]
        self._count = 0

    def unit(self, first: int) -> bytes:
        """The NAL unit: closed, with start code, and bytes that look like one escaped."""
        self.fixed((1, 1))
        text = "".join(self._bits)
        text += "0" * (-len(text) % 8)
        content, zeros = bytearray([first]), 0
        for byte in int(text, 2).to_bytes(len(text) // 8, "big"):
            if zeros >= 2 and byte <= 3:
                content.append(3)
                zeros = 0
            content.append(byte)
            zeros = zeros + 1 if byte == 0 else 0
        return b"\0\0\0\1" + bytes(content)


def _parameters(width: int, height: int) -> bytes:
    sequence, common = _Bits(), _Bits()
    sequence.fixed((77, 8), (0, 8), (30, 8))  # Main, level 3
    sequence.golomb(0, 0, 2, 1)  # frame numbers of 4 bits; shown in order of decoding; one reference
    sequence.fixed((0, 1))
    sequence.golomb(width // _MACROBLOCK - 1, height // 2 // _MACROBLOCK - 1)
    sequence.fixed((0, 1), (0, 1), (1, 1), (0, 1), (1, 1))  # not only frames, none that mixes both, no crop, more follows
    sequence.fixed((0, 4), (1, 1), (1, 32), (50, 32), (1, 1), (0, 4))  # 50 fields a second
    common.golomb(0, 0)
    common.fixed((0, 1), (0, 1))
    common.golomb(0, 0, 0)
    common.fixed((0, 1), (0, 2))
    common.golomb(0, 0, 0)
    common.fixed((1, 1), (0, 1), (0, 1))
    return sequence.unit(_SEQUENCE) + common.unit(_PICTURE)


def _field(luma: NDArray[np.uint8], number: int, bottom: bool, first: bool) -> bytes:
    bits = _Bits()
    bits.golomb(0, _I_SLICE, 0)
    bits.fixed((0, 4), (1, 1), (int(bottom), 1))
    if first:
        bits.golomb(number % 2)
        bits.fixed((0, 2))
    else:
        bits.fixed((0, 1))
    bits.golomb(0, 1)  # no change of quantizer, no deblocking
    for top in range(0, luma.shape[0], _MACROBLOCK):
        for left in range(0, luma.shape[1], _MACROBLOCK):
            bits.golomb(_I_PCM)
            bits.block(luma[top : top + _MACROBLOCK, left : left + _MACROBLOCK].tobytes() + bytes([128]) * 128)
    return bits.unit(_IDR if first else _OTHER)


def _fields(video: Video) -> Iterator[bytes]:
    parameters = _parameters(*video.size)
    bottoms = (False, True) if video.fields == "tt" else (True, False)
    for number in range(len(video.moments())):
        for place, bottom in enumerate(bottoms):
            luma = np.ascontiguousarray(picture(video, 2 * number + place)[int(bottom) :: 2])
            yield (parameters if place == 0 else b"") + _field(luma, number, bottom, place == 0)


def write_field_pictures(video: Video, path: Path, form: str) -> None:
    """Writes `video`, of 25 pictures a second in `fields`, to `path`; each field is a packet of its own."""
    with av.open(str(path), "w", format=form) as container:
        stream: Any = container.add_mux_stream("h264", width=video.size[0], height=video.size[1], time_base=Fraction(1, 90_000))
        for number, content in enumerate(_fields(video)):
            packet = av.Packet(content)
            packet.stream, packet.time_base = stream, Fraction(1, 90_000)
            packet.pts = packet.dts = number * 1800
            packet.is_keyframe = number % 2 == 0
            container.mux(packet)
