"""Read packets of MPEG-TS, and find out what its tables say of streams that become others midway.

libav goes on with the codec and the PID that it found first: what follows under another codec is noise, and what follows under
another PID is a stream of its own. Samples all over the file are read, of small files all bytes; tables are repeated several
times a second.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

# With the time of arrival before them, or a checksum behind them, packets are longer.
_PACKETS, _SYNC = (188, 192, 204), 0x47
_PACKET_BYTES, _HEADER_BYTES = 188, 4
_STARTS, _SCRAMBLED, _ADAPTED, _HAS_PAYLOAD = 0x40, 0xC0, 0x20, 0x10
_NULL_PID, _STUFFING = 0x1FFF, 0xFF
_PAT, _PMT = 0, 2
_SHORTEST_PAT, _SHORTEST_PMT, _CRC_BYTES = 12, 16, 4
_POLYNOMIAL = 0x04C11DB7
_MOST_PROGRAMS = 256  # of which one stream is looked at
# Codecs by stream type (ISO 13818-1, ATSC A/53), of those that are private by descriptor (EN 300 468). MPEG-1 and MPEG-2 have
# types of their own, which are mixed up.
_CODECS: Mapping[int, str] = {
    0x01: "mpeg2video",
    0x02: "mpeg2video",
    0x03: "mp2",
    0x04: "mp2",
    0x0F: "aac",
    0x10: "mpeg4",
    0x11: "aac_latm",
    0x1B: "h264",
    0x24: "hevc",
    0x33: "vvc",
    0x81: "ac3",
    0x82: "dts",
    0x83: "truehd",
    0x84: "eac3",
    0x85: "dts",
    0x87: "eac3",
    0x8A: "dts",
    0xEA: "vc1",
}
_PRIVATE, _PRIVATE_CODECS = 0x06, {0x6A: "ac3", 0x7A: "eac3", 0x7B: "dts"}
_REGISTRATION, _REGISTERED = 0x05, {b"AC-3": "ac3", b"EAC3": "eac3", b"Opus": "opus", b"BSSD": "s302m"}
_AUDIO_CODECS = ("mp2", "aac", "aac_latm", "ac3", "eac3", "dts", "truehd", "opus", "s302m")  # packets of some do not tell
_PES, _AUDIO_IDS, _VIDEO_IDS = b"\x00\x00\x01", range(0xC0, 0xE0), range(0xE0, 0xF0)

_Span = list[int]  # where something is first, and last, in the file


class Change(NamedTuple):
    """The codec to which a stream changes; at least up to `last`, a place in the file, it has another one, and from `first` on
    this one.
    """

    codec: str
    last: int
    first: int


@dataclass
class Tables:
    """Facts from samples of MPEG-TS: `spans`, the first and last place in the file of each PID's packets; `kinds`, "video" or
    "audio" for PIDs that carry it; `codecs`, for each PID, the places at which a program (by number) claims which codec for it;
    `pmts`, the PIDs of programs' tables; `scrambled` and `clear`, those with packets that are encrypted, and that are not.
    """

    spans: dict[int, _Span] = field(default_factory=dict)
    kinds: dict[int, str] = field(default_factory=dict)
    codecs: dict[int, dict[tuple[int, str], _Span]] = field(default_factory=dict)
    pmts: set[int] = field(default_factory=set)
    scrambled: set[int] = field(default_factory=set)
    clear: set[int] = field(default_factory=set)
    _gaps: list[int] = field(default_factory=list)  # where reading went on behind what was not read
    _read: int = 0

    def read(self, sample: bytes, place: int) -> None:
        """Read a sample that lies at `place` in the file."""
        unfinished: dict[int, bytes] = {}
        self._gaps += [] if place == self._read else [place]
        self._read = place + len(sample)
        for begin in packets(sample):
            pid = (sample[begin + 1] & 0x1F) << 8 | sample[begin + 2]
            if pid == _NULL_PID or not sample[begin + 3] & _HAS_PAYLOAD:
                continue
            _extend(self.spans, pid, place + begin)
            (self.scrambled if sample[begin + 3] & _SCRAMBLED else self.clear).add(pid)
            starts = sample[begin + 1] & _STARTS
            if pid == _PAT or pid in self.pmts:
                payload = _payload(sample, begin)
                data = (
                    payload[1 + payload[0] :] if starts and payload else unfinished.get(pid, b"") and unfinished[pid] + payload
                )
                *whole, unfinished[pid] = _sections(data)
                for section in whole:
                    self._take(section, place + begin)
            elif starts and pid not in self.kinds:
                self._name(pid, _payload(sample, begin))

    def _name(self, pid: int, payload: bytes) -> None:
        if payload.startswith(_PES) and len(payload) > len(_PES):
            number = payload[len(_PES)]
            self.kinds[pid] = "video" if number in _VIDEO_IDS else "audio" if number in _AUDIO_IDS else ""

    def _take(self, section: bytes, place: int) -> None:
        table, is_current = section[0], len(section) > 5 and section[5] & 1
        if not is_current or checksum(section):
            return
        if table == _PAT and len(section) >= _SHORTEST_PAT:
            for at in range(8, len(section) - _CRC_BYTES, 4):
                if section[at : at + 2] != b"\0\0":
                    self.pmts.add((section[at + 2] & 0x1F) << 8 | section[at + 3])
        elif table == _PMT and len(section) >= _SHORTEST_PMT:
            program = section[3] << 8 | section[4]
            for pid, codec in _streams(section):
                _extend(self.codecs.setdefault(pid, {}), (program, codec), place)

    def changes(self) -> dict[int, Change]:
        """Return by PID how a stream changes: of one program, or of programs that follow each other."""
        found: dict[int, Change] = {}
        for pid, told in self.codecs.items():
            begun = sorted(told.items(), key=lambda item: item[1][0])[:_MOST_PROGRAMS]
            for number, ((program, codec), span) in enumerate(begun):
                earlier = (item for item in begun[:number] if item[0][1] != codec)
                ends = [
                    min(end, span[0])
                    for (other, _), (begin, end) in earlier
                    if begin < span[0] and (other == program or end < span[0])
                ]
                if ends:
                    gap = any(max(ends) < place <= span[0] for place in self._gaps)
                    found.setdefault(pid, Change(codec, max(ends) if gap else span[0], span[0]))
        return found

    def moves(self) -> dict[str, int]:
        """Return by kind where in the file it goes on under other PIDs only: after the last packet of the ones before, or, of
        one program, after the last table that lists those.

        Programs beside each other overlap, whichever begins later or ends earlier.
        """
        found: dict[str, int] = {}
        for kind in ("video", "audio"):
            listed: dict[int, dict[int, _Span]] = {}
            for pid, told in self.codecs.items():
                for (program, _), span in told.items() if self._kind(pid) == kind else ():
                    spans = listed.setdefault(program, {})
                    for place in span:
                        _extend(spans, pid, place)
            carried = [span for pid, span in self.spans.items() if self._kind(pid) == kind]
            places = [place for spans in (carried, *map(dict.values, listed.values())) if (place := _followed(spans))]
            if places:
                found[kind] = min(places)
        return found

    def _kind(self, pid: int) -> str:
        codecs = {codec for _, codec in self.codecs.get(pid, ())}
        if codecs:
            return "audio" if codecs & {*_AUDIO_CODECS} else "video"
        return self.kinds.get(pid, "")


def _followed(spans: Iterable[_Span]) -> int:
    """Return where the first of `spans` begins before which all others end; 0: nowhere."""
    reached = None
    for begin, end in sorted(spans):
        if reached is not None and begin > reached:
            return begin
        reached = max(reached or 0, end)
    return 0


def tables_of(samples: Iterable[tuple[int, bytes]]) -> Tables:
    """Return what is found in samples of a file, each with its place."""
    tables = Tables()
    for place, sample in samples:
        tables.read(sample, place)
    return tables


def packets(sample: bytes) -> Iterator[int]:
    """Yield where packets begin, past what is none: damage, or where a recording that broke off ends."""
    begin, length = _synchronized(sample)
    while length and begin <= len(sample) - length:
        if sample[begin] != _SYNC:
            ahead, length = _synchronized(sample[begin:])
            begin += ahead
            continue
        yield begin
        begin += length


def _synchronized(sample: bytes) -> tuple[int, int]:
    """Return where a transport packet begins and how long each is; 0, 0: nowhere."""
    for length in _PACKETS:
        for begin in range(min(length, len(sample) - 4 * length)):
            if all(sample[begin + ahead * length] == _SYNC for ahead in range(5)):
                return begin, length
    return 0, 0


def _extend(spans: dict[Any, _Span], key: object, place: int) -> None:
    span = spans.get(key)
    if span is None:
        spans[key] = [place, place]
    else:
        span[1] = place


def _payload(sample: bytes, begin: int) -> bytes:
    adaptation = 1 + sample[begin + _HEADER_BYTES] if sample[begin + 3] & _ADAPTED else 0
    return sample[begin + _HEADER_BYTES + adaptation : begin + _PACKET_BYTES]


def _sections(data: bytes) -> Iterator[bytes]:
    """Yield the whole sections in `data`, and last what is left of it without stuffing."""
    while len(data) > 3 and data[0] != _STUFFING and len(data) >= (length := 3 + ((data[1] & 0x0F) << 8 | data[2])):
        yield data[:length]
        data = data[length:]
    yield b"" if data[:1] == bytes((_STUFFING,)) else data


def _streams(pmt: bytes) -> Iterator[tuple[int, str]]:
    """Yield the PIDs of a program's streams, and their codecs, where they are known."""
    at = 12 + ((pmt[10] & 0x0F) << 8 | pmt[11])
    while at + 5 <= len(pmt) - _CRC_BYTES:
        pid = (pmt[at + 1] & 0x1F) << 8 | pmt[at + 2]
        end = at + 5 + ((pmt[at + 3] & 0x0F) << 8 | pmt[at + 4])
        codec = _private_codec(pmt[at + 5 : end]) if pmt[at] == _PRIVATE else _CODECS.get(pmt[at], "")
        if codec:
            yield pid, codec
        at = end


def _private_codec(descriptors: bytes) -> str:
    at = 0
    while at + 2 <= len(descriptors):
        tag, content = descriptors[at], descriptors[at + 2 : at + 6]
        if codec := _REGISTERED.get(content, "") if tag == _REGISTRATION else _PRIVATE_CODECS.get(tag, ""):
            return codec
        at += 2 + descriptors[at + 1]
    return ""


@lru_cache(64)  # tables are repeated
def checksum(section: bytes) -> int:
    """Return the checksum of a section with the one at its end: 0 if they agree."""
    remainder = 0xFFFFFFFF
    for byte in section:
        remainder ^= byte << 24
        for _ in range(8):
            remainder = (remainder << 1 ^ (_POLYNOMIAL if remainder & 0x80000000 else 0)) & 0xFFFFFFFF
    return remainder
