"""Read what H.264 says of frames before their data: parameter sets, headers of slices, recovery points (ITU-T H.264, 7.3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.media.libav.bits import Bits, aligned
from reelmill_server.media.libav.nal_units import escaped, parted, plain

IDR, SEI, SPS, PPS = 5, 6, 7, 8
SLICES = (1, IDR)
DROP_SHORT = 1
"""The operation by which a frame drops another that was to be referred to."""
_PICTURE_TIMING, _RECOVERY_POINT = 1, 6
_EXTENDED_SHAPE, _FULL_CHROMA, _SMALL_MATRICES = 255, 3, 6
# By how a frame is shown (`pic_struct`): as which frame the fields 1 and 2 are, and how many clocks there are (D.2.3).
_FRAME_OF_FIELD = {1: 3, 2: 4}
_CLOCKS = (1, 1, 1, 2, 2, 3, 3, 2, 3)
_HIGH = (100, 110, 122, 244, 44, 83, 86, 118, 128)
_P, _B, _I = 0, 1, 2
_END_OF_LISTS = 3
_HEADER_BYTES = 512  # of a slice, with the weights of all that it refers to
_OPERANDS = {DROP_SHORT: 1, 2: 1, 3: 2, 4: 1, 5: 0, 6: 1}


def kind_of(unit: bytes) -> int:
    """Return the type of a unit."""
    return unit[0] & 0x1F if unit else 0


@dataclass(frozen=True)
class SequenceSet:
    """A sequence parameter set. `order_bits` 0: the order of frames is not in the headers of slices. `gaps_at`: the bit that
    says whether frame numbers may be missing. `usual`: it has no scaling matrices, nor cropping at the top or left, and frames
    have no order of another kind.

    `fields`: frames may be coded as fields, `adaptive`: also pairs of blocks of them (MBAFF). `rows` of blocks. `delay_bits`:
    how many there are in a message of its time before how a frame is shown (`pic_struct`); None: that is not said.
    """

    number: int
    frame_bits: int
    order_bits: int
    references: int
    gaps_at: int
    has_chroma: bool
    usual: bool
    fields: bool = False
    adaptive: bool = False
    rows: int = 0
    delay_bits: int | None = None

    @classmethod
    def of(cls, unit: bytes) -> "SequenceSet":
        """Read a unit. Raises ValueError if it is broken."""
        bits = Bits(plain(unit))
        bits.skip(8)
        profile = bits.number(8)
        bits.skip(16)
        number, usual, chroma = bits.golomb(), True, 1
        if profile in _HIGH:
            chroma = bits.golomb()
            bits.skip(chroma == _FULL_CHROMA)
            bits.skip_golombs(2)
            without_transform, matrices = bits.number(1), bits.number(1)
            usual = chroma != _FULL_CHROMA and not without_transform and not matrices
            for place in range(matrices * (12 if chroma == _FULL_CHROMA else 8)):
                _skip_matrix(bits, 16 if place < _SMALL_MATRICES else 64)
        frame_bits, kind = bits.golomb() + 4, bits.golomb()
        order_bits = bits.golomb() + 4 if kind == 0 else 0
        if kind == 1:
            bits.skip(1)
            bits.skip_golombs(2)
            bits.skip_golombs(bits.golomb())
        references, gaps_at = bits.golomb(), bits.place
        bits.skip(1)
        bits.skip_golombs(1)
        rows, fields = bits.golomb() + 1, not bits.number(1)
        adaptive = fields and bool(bits.number(1))
        bits.skip(1)
        if bits.number(1):
            left, _, top, _ = (bits.golomb() for _ in range(4))
            usual = usual and not left and not top
        delays = _delay_bits(bits)
        usual, rows = usual and kind != 1, rows * (1 + fields)
        return cls(number, frame_bits, order_bits, references, gaps_at, bool(chroma), usual, fields, adaptive, rows, delays)


def _skip_matrix(bits: Bits, size: int) -> None:
    """Skip a scaling matrix, if there is one (7.3.2.1.1.1)."""
    last, following = 8, 8 * bits.number(1)
    for _ in range(size):
        if following:
            following = (last + bits.signed_golomb()) % 256
            last = following or last


def _delay_bits(bits: Bits) -> int | None:
    """Read how video is to be shown, as far as `SequenceSet.delay_bits` needs it. It may be broken: nothing else needs it."""
    try:
        return _told_delay_bits(bits) if bits.number(1) else None
    except ValueError:
        return None


def _told_delay_bits(bits: Bits) -> int | None:
    """Return `SequenceSet.delay_bits` (E.1.1)."""
    if bits.number(1) and bits.number(8) == _EXTENDED_SHAPE:
        bits.skip(32)
    bits.skip(bits.number(1))
    if bits.number(1):
        bits.skip(4)
        bits.skip(24 * bits.number(1))
    bits.skip_golombs(2 * bits.number(1))
    bits.skip(65 * bits.number(1))
    delays = [_buffer_delay_bits(bits) for _ in range(2) if bits.number(1)]
    bits.skip(bool(delays))
    return (delays or [0])[-1] if bits.number(1) else None


def _buffer_delay_bits(bits: Bits) -> int:
    """Read what a sequence says of buffers (E.1.2); return how many bits both delays have."""
    buffers = bits.golomb() + 1
    bits.skip(8)
    for _ in range(buffers):
        bits.skip_golombs(2)
        bits.skip(1)
    bits.skip(5)
    delays = bits.number(5) + 1 + bits.number(5) + 1
    bits.skip(5)
    return delays


@dataclass(frozen=True)
class PictureSet:
    """A picture parameter set. `listed`: how many frames slices refer to if they do not say; `weighs_b`: slices with B say
    weights; `rest_at`: the bit behind both of its numbers; `usual`: there are no groups of slices.
    """

    number: int
    rest_at: int
    arithmetic: bool
    has_bottom_order: bool
    usual: bool
    listed: tuple[int, int]
    weighs_p: bool
    weighs_b: bool
    deblocking: bool
    redundant: bool

    @classmethod
    def of(cls, unit: bytes) -> "PictureSet":
        """Read a unit. Raises ValueError if it is broken."""
        bits = Bits(plain(unit))
        bits.skip(8)
        number, _ = bits.golomb(), bits.golomb()
        rest_at, arithmetic, bottom = bits.place, bool(bits.number(1)), bool(bits.number(1))
        usual, listed = not bits.golomb(), (bits.golomb() + 1, bits.golomb() + 1)
        weighs_p, weighs_b = bool(bits.number(1)), bits.number(2) == 1
        bits.skip_golombs(3)
        deblocking, _, redundant = (bool(bits.number(1)) for _ in range(3))
        return cls(number, rest_at, arithmetic, bottom, usual, listed, weighs_p, weighs_b, deblocking, redundant)


@dataclass(frozen=True)
class Slice:
    """The header of a slice: of which frame, by its number and its place in the order; whether others may refer to it. `drops`:
    operations on frames that were to be referred to, and their first operand. `field`: 1 and 2 are slices of the field at the
    top and the bottom, 0 of a frame.
    """

    frame: int
    order: int
    referred: bool
    drops: tuple[tuple[int, int], ...]
    field: int = 0

    @classmethod
    def of(cls, unit: bytes, sequence: SequenceSet, pictures: Mapping[int, PictureSet]) -> "Slice":
        """Read a unit. Raises ValueError or KeyError if it is broken."""
        is_idr, referred = kind_of(unit) == IDR, bool(unit[0] & 0x60)
        bits = Bits(plain(unit[:_HEADER_BYTES]))
        bits.skip(8)
        bits.golomb()
        kind, picture = bits.golomb() % 5, pictures[bits.golomb()]
        frame = bits.number(sequence.frame_bits)
        field = 1 + bits.number(1) if sequence.fields and bits.number(1) else 0
        bits.skip_golombs(is_idr)
        order = bits.number(sequence.order_bits)
        if picture.has_bottom_order and sequence.order_bits and not field:
            order += min(bits.signed_golomb(), 0)  # that of the field that is shown first
        bits.skip_golombs(picture.redundant)
        _skip_lists(bits, kind, picture, sequence.has_chroma)
        return cls(frame, order, referred, tuple(_drops(bits)) if referred and not is_idr else (), field)


def _skip_lists(bits: Bits, kind: int, picture: PictureSet, has_chroma: bool) -> None:
    """Skip what a slice refers to: how much, in which order, with which weights."""
    counts, lists = [*picture.listed], {_P: 1, _B: 2}.get(kind, 0)
    bits.skip(kind == _B)
    if lists and bits.number(1):
        counts[:lists] = [bits.golomb() + 1 for _ in range(lists)]
    for _ in range(lists):
        if bits.number(1):
            while bits.golomb() != _END_OF_LISTS:
                bits.golomb()
    if (kind == _P and picture.weighs_p) or (kind == _B and picture.weighs_b):
        bits.skip_golombs(1 + has_chroma)
        for _ in range(sum(counts[:lists])):
            bits.skip_golombs(2 * bits.number(1))
            bits.skip_golombs(4 * bits.number(1) if has_chroma else 0)


def _drops(bits: Bits) -> Iterator[tuple[int, int]]:
    if bits.number(1):
        while operation := bits.golomb():
            operands = [bits.golomb() for _ in range(_OPERANDS[operation])]
            yield operation, operands[0] if operands else 0


def recovers(data: bytes, length: int) -> bool:
    """Return whether a packet of H.264 is a recovery point from which on all that is shown is whole (D.2.8); one that is broken
    is none.
    """
    try:
        return _recovers(data, length)
    except ValueError:
        return False


def _recovers(data: bytes, length: int) -> bool:
    announced, kinds = False, set()
    for unit in parted(data, length):
        if kind_of(unit) == SEI:
            announced = announced or any(kind == _RECOVERY_POINT and Bits(body).golomb() == 0 for kind, body in messages(unit))
        elif kind_of(unit) in SLICES:
            bits = Bits(plain(unit[:16]))
            bits.skip(8)
            bits.golomb()
            kinds.add(bits.golomb() % 5)
    return announced and kinds == {_I}


def refreshes(data: bytes, length: int) -> bool:
    """Return whether a packet of H.264 is a recovery point only some frames after which all that is shown is whole."""
    try:
        units = [unit for unit in parted(data, length) if kind_of(unit) == SEI]
        points = [body for unit in units for kind, body in messages(unit) if kind == _RECOVERY_POINT]
        return any(Bits(body).golomb() > 0 for body in points)
    except (ValueError, IndexError):
        return False


def timing_of(data: bytes, length: int, delay_bits: int) -> bytes:
    """Return a unit that says how a frame is shown, as the one in `data` says of the frame or its first field, without clocks;
    empty: it says nothing.
    """
    units = (unit for unit in parted(data, length) if kind_of(unit) == SEI)
    body = next((body for unit in units for kind, body in messages(unit) if kind == _PICTURE_TIMING), b"")
    if len(body) * 8 < delay_bits + 4:
        return b""
    bits = Bits(body)
    bits.skip(delay_bits)
    shown = bits.number(4)
    shown = _FRAME_OF_FIELD.get(shown, shown)
    text = f"{bits.text(0, delay_bits)}{shown:04b}{'0' * (*_CLOCKS, *[0] * 7)[shown]}"
    payload = aligned(text + "1" * (len(text) % 8 > 0), "0")
    return escaped(bytes([SEI, _PICTURE_TIMING, len(payload)]) + payload + b"\x80")


def messages(unit: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the kinds and bodies of a unit of messages (7.3.2.3.1)."""
    data, place = plain(unit), 1
    while place + 2 < len(data):
        sizes: Sequence[int] = []
        for _ in range(2):
            size = 0
            while place < len(data) and data[place] == 0xFF:
                size, place = size + 255, place + 1
            if place >= len(data):
                return
            sizes = [*sizes, size + data[place]]
            place += 1
        yield sizes[0], data[place : place + sizes[1]]
        place += sizes[1]
