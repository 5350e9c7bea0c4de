"""H.264 whose frames are coded as two fields each (PAFF), as camcorders and broadcasters do and no encoder at hand does."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av

from reelmill_server.media.libav.bits import aligned, golomb
from reelmill_server.media.libav.nal_units import escaped, united
from tests.sources import Video, picture

_FRAME_BITS, _ORDER_BITS = 4, 6
_IDR, _OTHER = 0x65, 0x61
_I, _P = 7, 5  # slices of which all are such
_RAW = {_I: golomb(25), _P: golomb(0) + golomb(30)}  # blocks that are not predicted
_BLOCK = 16


def _sequence(width: int, height: int) -> bytes:
    """The sequence parameter set: Main, level 3, one reference, frames of fields."""
    sizes = golomb(1) + "0" + golomb(width // _BLOCK - 1) + golomb(height // (2 * _BLOCK) - 1)
    counts = golomb(0) + golomb(_FRAME_BITS - 4) + golomb(0) + golomb(_ORDER_BITS - 4)
    return bytes((0x67, 77, 0, 30)) + aligned(f"{counts}{sizes}" + "001" + "0" + "0" + "1", "0")


def _pictures() -> bytes:
    """The picture parameter set: CAVLC, deblocking may be turned off."""
    return b"\x68" + aligned(golomb(0) * 2 + "00" + golomb(0) * 3 + "000" + golomb(0) * 3 + "100" + "1", "0")


def _field(rows: list[bytes], number: int, gop: int, bottom: bool) -> bytes:
    """A slice of a whole field; `rows`: its lines of luma."""
    place = number % gop
    begins = not place and not bottom
    kind = _P if place else _I
    head = golomb(0) + golomb(kind) + golomb(0) + f"{place % (1 << _FRAME_BITS):0{_FRAME_BITS}b}" + f"1{int(bottom)}"
    head += (golomb(number // gop % 2) if begins else "") + f"{(2 * place + bottom) % (1 << _ORDER_BITS):0{_ORDER_BITS}b}"
    head += "0" + "0" if kind == _P else ""  # as many references as said before, in their order
    head += ("00" if begins else "0") + golomb(0) + golomb(1)
    data, text = b"", head
    for top in range(0, len(rows), _BLOCK):
        for left in range(0, len(rows[0]), _BLOCK):
            data += aligned(text + _RAW[kind], "0")
            data += b"".join(row[left : left + _BLOCK] for row in rows[top : top + _BLOCK]) + bytes([128]) * 128
            text = ""
    return escaped(bytes([_IDR if begins else _OTHER]) + data + b"\x80")


def _frames(video: Video, count: int, gop: int) -> Iterator[list[bytes]]:
    """The units of each frame."""
    for number in range(count):
        luma = picture(video, number)
        rows = [line.tobytes() for line in luma]
        fields = [_field(rows[bottom::2], number, gop, bool(bottom)) for bottom in range(2)]
        yield [*((_sequence(*video.size), _pictures()) if number % gop == 0 else ()), *fields]


def write(path: Path, video: Video, count: int = 75, gop: int = 25) -> Path:
    """A file of `count` frames at 25 a second, each of which is coded as two fields, with a keyframe each `gop`."""
    raw = path.with_suffix(".264")
    raw.write_bytes(b"".join(united(units, 0) for units in _frames(video, count, gop)))
    with av.open(raw) as source, av.open(path, "w") as result:
        stream = result.add_stream_from_template(source.streams.video[0])
        for number, units in enumerate(_frames(video, count, gop)):
            packet = av.Packet(united(units, 0))
            packet.pts = packet.dts = number * 3600
            packet.duration, packet.time_base, packet.is_keyframe = 3600, Fraction(1, 90000), number % gop == 0
            packet.stream = stream
            result.mux(packet)
    return path
