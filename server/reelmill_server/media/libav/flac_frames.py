"""Find the frames in a packet of raw FLAC of which libav's parser has not found the ends: where another recording follows."""

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

from av import Packet

from reelmill_server.media.libav.timestamps import exact

_SYNC = re.compile(rb"\xff[\xf8\xf9](?=.{4})", re.DOTALL)
_MARKER = b"fLaC"  # what follows is the header of another recording
# Block sizes by their codes (RFC 9639, 9.1.1); 6 and 7: so many bytes at the end of the header say one less than it.
_BLOCKS: Mapping[int, int] = {
    1: 192,
    **{code: 144 << code for code in range(2, 6)},
    **{code: 1 << code for code in range(8, 16)},
}
_BLOCK_BYTES = {6: 1, 7: 2}
_RATE_BYTES = {12: 1, 13: 2, 14: 2}

HEADER_BYTES = 16
"""As long as a frame's header is at most."""


def split_packets(packets: Iterator[Any]) -> Iterator[Any]:
    """Yield the packets of raw FLAC; each frame of one without a time follows the one before it."""
    end = 0
    for packet in packets:
        if packet.stream.type != "audio":  # a cover picture
            yield packet
            continue
        if packet.pts is None and packet.size and packet.stream.codec_context.sample_rate:
            tick = 1 / (exact(packet.time_base) * packet.stream.codec_context.sample_rate)
            for frame, samples in frames_of(bytes(packet)):
                part = Packet(frame)
                part.stream, part.time_base, part.is_keyframe = packet.stream, packet.time_base, True
                part.pts = part.dts = end
                part.duration = round(samples * tick)
                end += part.duration
                yield part
            continue
        end = end if packet.pts is None else packet.pts + (packet.duration or 0)
        yield packet


class Header(NamedTuple):
    """The header of a frame `at` a position: its number, or that of its first sample, and how many samples it has."""

    at: int
    number: int
    samples: int


def frames_of(data: bytes) -> Iterator[tuple[bytes, int]]:
    """Yield the frames in `data`, which begins with one, and how many samples each has; not what follows the last one."""
    end = data.find(_MARKER)
    data = data if end < 0 else data[:end]
    for header, following in pairwise([*headers_in(data), Header(len(data), 0, 0)]):
        yield data[header.at : following.at], header.samples


def frame_number(data: bytes) -> int:
    """Return the number of the frame, or of its first sample, that begins with `data`; 0 for anything else."""
    header = next(headers_in(data), None)
    return 0 if header is None or header.at else header.number


def headers_in(data: bytes) -> Iterator[Header]:
    """Yield what look like headers of frames."""
    for match in _SYNC.finditer(data):
        if (header := _header(match.start(), data[match.start() : match.start() + HEADER_BYTES])) is not None:
            yield header


def _header(at: int, header: bytes) -> Header | None:
    length = 4 + (8 - (header[4] ^ 0xFF).bit_length() or 1)  # with the number, which is coded as in UTF-8
    block, rate = header[2] >> 4, header[2] & 15
    sized, rated = _BLOCK_BYTES.get(block, 0), _RATE_BYTES.get(rate, 0)
    end = length + sized + rated + 1
    if length == 5 + 7 or rate == 15 or header[3] & 1 or end > len(header) or _crc8(header[:end]):
        return None
    samples = _BLOCKS.get(block) or (int.from_bytes(header[length : length + sized]) + 1 if sized else 0)
    number = header[4] & (0x7F >> (length - 4 if length > 5 else 0))
    for byte in header[5:length]:
        number = number << 6 | byte & 0x3F
    return Header(at, number, samples) if samples else None


def _crc8(data: bytes) -> int:
    """Return the checksum of a header, 0 where it ends with its own."""
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc << 1 ^ 0x107 if crc & 0x80 else crc << 1
    return crc
