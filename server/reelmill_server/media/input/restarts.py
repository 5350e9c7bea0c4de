"""Find out without reading all of a file whether its times begin again: then no time can be looked up in it.

Samples all over the file are compared: in a single recording they rise. Only formats of which files can be put behind each
other are looked at.
"""

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from itertools import pairwise
from typing import Any, TypeVar

from av.container import InputContainer

from reelmill_server.media.input.audio_clock import counts_bytes
from reelmill_server.media.input.followers import next_avi
from reelmill_server.media.input.transport import Tables, packets, tables_of
from reelmill_server.media.libav.flac_frames import headers_in

_SAMPLES, _SAMPLE_BYTES = 16, 1 << 18
# Times of one recording lie no further apart than this, seconds; those of two samples so many times the usual distance more.
_PAUSE, _UNUSUAL = 10.0, 8
_CLOCK, _USUAL_RATE = 90_000, 44_100
_PACK = re.compile(rb"\x00\x00\x01\xba", re.DOTALL)
_OGG_PAGE = struct.Struct("<4sBBqI")
_OGG_BEGIN = 0x02  # of a stream
_EBML_HEADER, _EBML_SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"

_TRANSPORT = "mpegts"

_Found = TypeVar("_Found")
# A clock's name (several may run in one file) and the seconds or ticks that it shows.
_Reading = tuple[int, float]


def begins_again(source: InputContainer) -> bool:
    """Return whether the times of a source may begin again or jump, or count something else."""
    if counts_bytes(source):
        return True
    check = _CHECKS.get(source.format.name)
    return check is not None and bool(_looked_at(source, check))


def transport_tables(source: InputContainer) -> Tables | None:
    """Return what samples of a source say of its streams; None: it is no MPEG-TS."""
    if source.format.name != _TRANSPORT:
        return None
    return _looked_at(source, lambda file, size: tables_of(_placed_samples(file, size)))


def _looked_at(source: InputContainer, look: Callable[[Any, int], _Found]) -> _Found | None:
    """Return what a look at the file of a source finds; None: its size is not known."""
    if source.size <= 0:
        return None
    file: Any = source.file.file  # as open_stream gave it
    position = file.tell()
    try:
        return look(file, source.size)
    finally:
        file.seek(position)  # libav goes on there


def _samples(file: Any, size: int) -> Iterator[bytes]:
    return (sample for _, sample in _placed_samples(file, size))


def _placed_samples(file: Any, size: int) -> Iterator[tuple[int, bytes]]:
    step = max((size - _SAMPLE_BYTES) / (_SAMPLES - 1), _SAMPLE_BYTES) if size > _SAMPLE_BYTES else size
    for number in range(min(_SAMPLES, -(-size // _SAMPLE_BYTES))):
        place = int(number * step)
        file.seek(place)
        yield place, _read(file, _SAMPLE_BYTES)


def _read(file: Any, size: int) -> bytes:
    pieces = bytearray()
    while len(pieces) < size and (piece := file.read(size - len(pieces))):
        pieces += piece
    return bytes(pieces)


def _clocks_jump(readings: Callable[[bytes], Iterator[_Reading]]) -> Callable[[Any, int], bool]:
    """Return a check whether a clock goes back or jumps from one of a file's samples to the next, or within one."""

    def check(file: Any, size: int) -> bool:
        firsts: dict[int, list[float]] = {}
        for sample in _samples(file, size):
            times: dict[int, list[float]] = {}
            for clock, seconds in readings(sample):
                times.setdefault(clock, []).append(seconds)
            if any(_jump(read, 0.0) for read in times.values()):
                return True
            for clock, read in times.items():
                firsts.setdefault(clock, []).append(read[0])
        return any(_jump(read, _UNUSUAL * _usual(read)) for read in firsts.values())

    return check


def _usual(times: list[float]) -> float:
    steps = sorted(latter - former for former, latter in pairwise(times))
    return steps[len(steps) // 2] if steps else 0.0


def _jump(times: list[float], usual: float) -> bool:
    return any(latter < former or latter > former + _PAUSE + usual for former, latter in pairwise(times))


def _transport_clocks(sample: bytes) -> Iterator[_Reading]:
    """Yield the program clock references of MPEG-TS, by PID."""
    for begin in packets(sample):
        # With an adaptation field that is long enough and has a clock reference.
        if sample[begin + 3] & 0x20 and sample[begin + 4] >= 7 and sample[begin + 5] & 0x10:
            pid = (sample[begin + 1] & 0x1F) << 8 | sample[begin + 2]
            yield pid, (int.from_bytes(sample[begin + 6 : begin + 11]) >> 7) / _CLOCK


def _program_clocks(sample: bytes) -> Iterator[_Reading]:
    """Yield the system clock references of MPEG-PS."""
    for match in _PACK.finditer(sample, 0, len(sample) - 14):
        stamp = int.from_bytes(sample[match.end() : match.end() + 5])
        if stamp >> 38 == 1:  # MPEG-2: 3, 15 and 15 bits, with a marker behind each, after two bits
            parts = stamp >> 35 & 0x7, stamp >> 19 & 0x7FFF, stamp >> 3 & 0x7FFF
        else:  # MPEG-1, after four bits
            parts = stamp >> 33 & 0x7, stamp >> 17 & 0x7FFF, stamp >> 1 & 0x7FFF
        yield 0, (parts[0] << 30 | parts[1] << 15 | parts[2]) / _CLOCK


def _flac_clock(sample: bytes) -> Iterator[_Reading]:
    """Yield about when the frames of raw FLAC begin. What looks like a header is one if the next number follows."""
    for former, latter in pairwise(headers_in(sample)):
        if latter.number - former.number in (1, former.samples):
            yield 0, former.number * (former.samples if latter.number == former.number + 1 else 1) / _USUAL_RATE


def _ogg_restarts(file: Any, size: int) -> bool:
    """Return whether Ogg has streams that do not begin at its front, or positions that go back."""
    begun: set[int] = set()
    last: dict[int, int] = {}
    for number, sample in enumerate(_samples(file, size)):
        for match in re.finditer(b"OggS", sample):
            if match.start() + _OGG_PAGE.size > len(sample):
                break
            _, version, flags, position, serial = _OGG_PAGE.unpack_from(sample, match.start())
            if version:
                continue
            if number == 0 and flags & _OGG_BEGIN and not last:
                begun.add(serial)
            elif serial not in begun or flags & _OGG_BEGIN or -1 < position < last.get(serial, 0):
                return True
            elif position > 0:
                last[serial] = position
    return False


def _matroska_restarts(file: Any, size: int) -> bool:
    """Return whether another file follows the segment."""
    file.seek(0)
    head = _read(file, 1024)
    begin = head.find(_EBML_SEGMENT)
    if begin < 0 or begin + 12 > len(head):
        return False
    begin += len(_EBML_SEGMENT)
    width = 9 - head[begin].bit_length()  # a number says by its leading zeros how many bytes it has
    if width > 8:
        return False
    length = int.from_bytes(head[begin : begin + width]) & ((1 << 7 * width) - 1)
    end = begin + width + length
    if length == (1 << 7 * width) - 1 or end >= size:
        return False
    file.seek(end)
    return _read(file, 4) == _EBML_HEADER


def _is_unfinished(file: Any, size: int) -> bool:
    """Return whether an AVI was written as a stream, without its length and index, of which libav guesses the length, or
    another one follows, which libav reads.
    """
    file.seek(4)
    return _read(file, 4) in (bytes(4), b"\xff" * 4) or next_avi(file, size) > 0


_CHECKS: Mapping[str, Callable[[Any, int], bool]] = {
    _TRANSPORT: _clocks_jump(_transport_clocks),
    "mpeg": _clocks_jump(_program_clocks),
    "ogg": _ogg_restarts,
    "flac": _clocks_jump(_flac_clock),
    "matroska,webm": _matroska_restarts,
    "avi": _is_unfinished,
}
