"""Let packets of two encoders share one stream of H.264 or H.265: each keeps parameter sets of its own, under other numbers.

Decoders find all of them where the container describes the stream, and choose by the number in each slice. Nothing has to be
sent again where one encoder's packets end and the other's begin.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.media.libav.bits import Bits, aligned, golomb
from reelmill_server.media.libav.nal_units import escaped, length_bytes, parted, plain, split, united

# ITU-T H.264 table 7-1, H.265 table 7-1
_AVC_SPS, _AVC_PPS, _AVC_SEI, _AVC_SLICES = 7, 8, 6, range(1, 6)
_HEVC_VPS, _HEVC_SPS, _HEVC_PPS, _HEVC_SLICES, _HEVC_IRAP = 32, 33, 34, range(32), range(16, 24)
_HEVC_BLA, _HEVC_CRA, _HEVC_SEI, _HEVC_END = 16, 21, 39, b"\x48\x01"
_LAST_HEVC_SPS, _FIRST_HEVC_PPS = 15, 15
"""Numbers of H.265's sets: the highest of a sequence, the lowest whose code has nine bits instead of the one of 0."""
_HEVC_LEVELS, _HEVC_LEVEL_BYTES = {_HEVC_VPS: 6, _HEVC_SPS: 3}, 12  # where sets say their profile, tier and level (7.3.3)
_NOTE = 5  # user data that is not registered: what the encoder says of itself


_BROKEN = "its parameter sets cannot be read"


class Unspliceable(Exception):
    """Raised with the reason why packets of another encoder cannot be put beside those of a stream."""


@dataclass(frozen=True)
class Splice:
    """How packets of an encoder are put into a stream that others continue.

    `extradata`: the parameter sets of both. `length_bytes` precede each unit; 0: units have start codes. `sets`: the encoder's
    own, renumbered, which go into its keyframes where units have start codes; `number`: by which (`spare_number`).
    """

    codec: str
    extradata: bytes
    length_bytes: int
    sets: tuple[bytes, ...]
    number: int

    def packets(self, encoded: Sequence[tuple[bytes, bool]], key: bytes | None) -> list[bytes]:
        """Return encoded packets, which have start codes, as the stream has packets; of each, whether it is a keyframe. `key`:
        the keyframe of the source that follows them, None: none does.
        """
        if self.codec in _BEGIN_ANEW:
            return [data for data, _ in encoded]
        units_out = [self._packet(data, is_key) for data, is_key in encoded]
        if units_out and key is not None and _is_open(self.codec, key, self.length_bytes):
            # It counts on from what is before it although it needs none of that: decoders must be told to begin anew.
            units_out[-1] += united([_HEVC_END], self.length_bytes)
        return units_out

    def copied(self, packet: bytes) -> bytes:
        """Return a keyframe of the source as it must be beside encoded packets; empty: as it is."""
        return b""

    def _packet(self, encoded: bytes, key: bool) -> bytes:
        syntax = _SYNTAX[self.codec]
        units = [syntax.renumbered(unit, self.number) for unit in split(encoded) if syntax.is_kept(unit)]
        return united([*(self.sets if key and not self.length_bytes else ()), *units], self.length_bytes)


def _is_open(codec: str, key: bytes, length: int) -> bool:
    """Return whether a keyframe is one of H.265 that goes on counting (CRA)."""
    syntax = _SYNTAX[codec]
    kinds = (syntax.kind(unit) for unit in parted(key, length))
    return codec == "hevc" and next((kind for kind in kinds if kind in _HEVC_SLICES), None) == _HEVC_CRA


def broken_link(codec: str, extradata: bytes, key: bytes) -> bytes:
    """Return the keyframe in `key` as one that follows other frames than those it followed, where it must be told from one
    that goes on counting them (CRA becomes BLA); empty: nothing is to be changed.
    """
    size = length_bytes(codec, extradata) if codec in _SYNTAX else 0
    if codec not in _SYNTAX or not _is_open(codec, key, size):
        return b""
    cra = _SYNTAX[codec].kind
    units = [
        bytes([unit[0] & 0x81 | _HEVC_BLA << 1]) + unit[1:] if cra(unit) == _HEVC_CRA else unit for unit in parted(key, size)
    ]
    return united(units, size)


def spare_number(codec: str, extradata: bytes) -> int:
    """Return by which number an encoder's parameter sets are known in the stream, whose own have others (of H.265 it is the
    place among those that they may have); of codecs without such sets 0. Raises Unspliceable.
    """
    if codec in _BEGIN_ANEW:
        return 0
    own = own_sets(codec, extradata)
    if not own:
        raise Unspliceable("its parameter sets are not known")
    used = _used(codec, own)
    free = [number for number in _SYNTAX[codec].spare if number not in used]
    if not free:
        raise Unspliceable("its parameter sets leave no number for others")
    return free[0]


def splice(codec: str, extradata: bytes, encoder_extradata: bytes) -> Splice:
    """Return how packets of an encoder with `encoder_extradata` (start codes) go into a stream with `extradata`.

    Raises Unspliceable.
    """
    if codec in _BEGIN_ANEW:
        return Splice(codec, extradata, 0, (), 0)
    number = spare_number(codec, extradata)
    syntax, own = _SYNTAX[codec], own_sets(codec, extradata)
    sets = (unit for unit in split(encoder_extradata) if syntax.kind(unit) in syntax.sets)
    added = tuple(syntax.renumbered(syntax.levelled(unit, own), number) for unit in sets)
    if not added:
        raise Unspliceable("the parameter sets of its encoder are not known")
    if extradata[:1] != b"\1":
        return Splice(codec, b"".join(b"\0\0\0\1" + unit for unit in (*own, *added)), 0, added, number)
    return Splice(codec, syntax.described(extradata, added), length_bytes(codec, extradata), added, number)


def _used(codec: str, sets: Sequence[bytes]) -> set[int]:
    """Return the numbers of parameter sets, which may be broken. Raises Unspliceable."""
    try:
        return {number for unit in sets for number in _SYNTAX[codec].numbers(unit)}
    except (IndexError, ValueError):
        raise Unspliceable(_BROKEN) from None


def own_sets(codec: str, extradata: bytes) -> list[bytes]:
    """Return the parameter sets that describe a stream of H.264 or H.265. Raises Unspliceable."""
    syntax = _SYNTAX[codec]
    try:
        units = split(extradata) if extradata[:1] != b"\1" else [*syntax.listed(extradata)]
    except IndexError:
        raise Unspliceable(_BROKEN) from None
    return [unit for unit in units if syntax.kind(unit) in syntax.sets]  # messages (HDR metadata) may be among them


def _number_at(unit: bytes, bit: int) -> int:
    """Return the number in the code of Golomb at a bit of a unit without escapes."""
    bits = Bits(unit)
    bits.skip(bit)
    return bits.golomb()


def _replaced(unit: bytes, bit: int, old: int, new: str) -> bytes:
    """Return a unit without escapes whose `old` bits at `bit` are the bits `new`. If these are not whole bytes more, it is to
    end with the bit that ends a unit.
    """
    bits = Bits(unit)
    changed = bits.text(0, bit) + new + bits.text(bit + old)
    return aligned(changed if len(changed) % 8 == 0 else changed.rstrip("0"), "0")


class _Avc:
    """H.264, whose encoder takes the number of its parameter sets as an option."""

    sets, spare = (_AVC_SPS, _AVC_PPS), range(31, 0, -1)

    def kind(self, unit: bytes) -> int:
        return unit[0] & 0x1F if unit else -1

    def is_kept(self, unit: bytes) -> bool:
        kind = self.kind(unit)
        return kind in _AVC_SLICES or (kind == _AVC_SEI and unit[1:2] != bytes([_NOTE]))

    def numbers(self, unit: bytes) -> Iterator[int]:
        yield _number_at(plain(unit[:24]), 32 if self.kind(unit) == _AVC_SPS else 8)

    def renumbered(self, unit: bytes, number: int) -> bytes:
        return unit

    def levelled(self, unit: bytes, own: Sequence[bytes]) -> bytes:
        return unit  # its encoder takes a level as an option, and is not held to its bit rate

    def listed(self, extradata: bytes) -> Iterator[bytes]:
        for _, unit in self._entries(extradata):
            yield unit

    def _entries(self, extradata: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield where each set ends, and the set (ISO/IEC 14496-15, 5.3.3.1)."""
        place = 5
        for mask in (0x1F, 0xFF):
            count, place = extradata[place] & mask, place + 1
            for _ in range(count):
                size = int.from_bytes(extradata[place : place + 2])
                place += 2 + size
                yield place, extradata[place - size : place]

    def described(self, extradata: bytes, added: Sequence[bytes]) -> bytes:
        entries = [*self._entries(extradata)]
        return self.of(extradata, [*(unit for _, unit in entries), *added])

    def of(self, extradata: bytes, units: Sequence[bytes]) -> bytes:
        """Return a description with other sets."""
        *_, (end, _) = self._entries(extradata)
        rest = extradata[end:]
        record = extradata[:5]
        for kind, mask in ((_AVC_SPS, 0xE0), (_AVC_PPS, 0)):
            sets = [unit for unit in units if self.kind(unit) == kind]
            record += bytes([mask | len(sets)]) + b"".join(len(unit).to_bytes(2) + unit for unit in sets)
        return record + rest


class _Hevc:
    """H.265, whose encoder numbers its parameter sets from 0.

    Slices name only their picture parameter set: its new number has a code of nine bits where that of 0 has one, so that a
    whole byte is inserted, and all that follows stays aligned to bytes, as the data of slices must be. Such numbers go up,
    those of sequences down.
    """

    sets, spare = (_HEVC_VPS, _HEVC_SPS, _HEVC_PPS), range(_LAST_HEVC_SPS)

    def kind(self, unit: bytes) -> int:
        return unit[0] >> 1 & 0x3F if unit else -1

    def is_kept(self, unit: bytes) -> bool:
        kind = self.kind(unit)
        return kind in _HEVC_SLICES or (kind == _HEVC_SEI and unit[2:3] != bytes([_NOTE]))

    def numbers(self, unit: bytes) -> Iterator[int]:
        bare = plain(unit)
        if self.kind(unit) == _HEVC_VPS:
            yield _LAST_HEVC_SPS - (bare[2] >> 4)
        elif self.kind(unit) == _HEVC_PPS:
            yield _number_at(bare[:16], 16) - _FIRST_HEVC_PPS
        else:
            yield _LAST_HEVC_SPS - _number_at(bare[:64], self._place_in_sps(bare))

    def _place_in_sps(self, bare: bytes) -> int:
        """Return the bit at which a sequence parameter set says its number: behind its profile and level (7.3.2.2)."""
        layers = bare[2] >> 1 & 7
        bits, place = 0, 24 + 96  # the general profile and level
        if layers:
            flags = int.from_bytes(bare[place // 8 : place // 8 + 2])
            place += 16
            for layer in range(layers):
                bits += 88 * (flags >> 15 - 2 * layer & 1) + 8 * (flags >> 14 - 2 * layer & 1)
        return place + bits

    def renumbered(self, unit: bytes, number: int) -> bytes:
        kind, bare = self.kind(unit), plain(unit)
        sequence, picture = _LAST_HEVC_SPS - number, golomb(_FIRST_HEVC_PPS + number)
        if kind in (_HEVC_VPS, _HEVC_SPS):
            bare = bare[:2] + bytes([sequence << 4 | bare[2] & 0xF]) + bare[3:]
        if kind == _HEVC_SPS:
            bare = _replaced(bare, self._place_in_sps(bare), 1, golomb(sequence))
        elif kind == _HEVC_PPS:
            bare = _replaced(bare, 16, 2, picture + golomb(sequence))
        elif kind in _HEVC_SLICES:
            bare = _replaced(bare[:3], 18 if kind in _HEVC_IRAP else 17, 1, picture) + bare[3:]
        return escaped(bare)

    def levelled(self, unit: bytes, own: Sequence[bytes]) -> bytes:
        """Return a set with the profile, tier and level of the stream's `own`. As an option, a level would hold its encoder to
        the level's bit rate, which few streams of a constant quality keep themselves.
        """
        place = _HEVC_LEVELS.get(self.kind(unit))
        source = next((plain(one) for one in own if self.kind(one) == _HEVC_SPS), b"")
        known = source[_HEVC_LEVELS[_HEVC_SPS] :][:_HEVC_LEVEL_BYTES]
        if place is None or len(known) < _HEVC_LEVEL_BYTES:
            return unit
        bare = plain(unit)
        return escaped(bare[:place] + known + bare[place + _HEVC_LEVEL_BYTES :])

    def listed(self, extradata: bytes) -> Iterator[bytes]:
        for _, units in self._arrays(extradata):
            yield from units

    def _arrays(self, extradata: bytes) -> Iterator[tuple[int, list[bytes]]]:
        """Yield the arrays of units: the byte that names their kind, and the units (ISO/IEC 14496-15, 8.3.3.1)."""
        place = 23
        for _ in range(extradata[22]):
            head, count, place = extradata[place], int.from_bytes(extradata[place + 1 : place + 3]), place + 3
            units = []
            for _ in range(count):
                size = int.from_bytes(extradata[place : place + 2])
                units.append(extradata[place + 2 : place + 2 + size])
                place += 2 + size
            yield head, units

    def described(self, extradata: bytes, added: Sequence[bytes]) -> bytes:
        arrays = [*self._arrays(extradata)]
        record = extradata[:22] + bytes([len(arrays)])
        for head, units in arrays:
            sets = [*units, *(unit for unit in added if self.kind(unit) == head & 0x3F)]
            record += bytes([head]) + len(sets).to_bytes(2) + b"".join(len(unit).to_bytes(2) + unit for unit in sets)
        return record


AVC = _Avc()
_SYNTAX: Mapping[str, _Avc | _Hevc] = {"h264": AVC, "hevc": _Hevc()}
# Keyframes say all that decoders must know (of AV1 and MPEG-2: `random_access`), and drop what was before.
_BEGIN_ANEW = ("vp9", "av1", "mpeg2video")
CODECS = (*_SYNTAX, *_BEGIN_ANEW)
"""The codecs of which packets can be spliced, as libav names them."""
