"""Read what H.264 says of frames before their data: parameter sets, headers of slices, recovery points (ITU-T H.264, 7.3)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.media.libav.bits import Bits
from reelmill_server.media.libav.nal_units import parted, plain

IDR, SEI, SPS, PPS = 5, 6, 7, 8
SLICES = (1, IDR)
DROP_SHORT = 1
"""The operation by which a frame drops another that was to be referred to."""
_RECOVERY_POINT = 6
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
    says whether frame numbers may be missing. `usual`: it has no fields, scaling matrices, nor cropping at the top or left.
    """

    number: int
    frame_bits: int
    order_bits: int
    references: int
    gaps_at: int
    has_chroma: bool
    usual: bool

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
            usual = chroma < 3
            bits.skip_golombs(2)
            usual = not bits.number(2) and usual  # a transform that is left out, scaling matrices
        frame_bits, kind = bits.golomb() + 4, bits.golomb()
        order_bits = bits.golomb() + 4 if kind == 0 else 0
        if not usual or kind == 1:
            return cls(number, frame_bits, order_bits, 0, 0, bool(chroma), False)
        references, gaps_at = bits.golomb(), bits.place
        bits.skip(1)
        bits.skip_golombs(2)
        usual = bool(bits.number(1))
        bits.skip(1)
        if bits.number(1):
            left, _, top, _ = (bits.golomb() for _ in range(4))
            usual = usual and not left and not top
        return cls(number, frame_bits, order_bits, references, gaps_at, bool(chroma), usual)


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
    operations on frames that were to be referred to, and their first operand.
    """

    frame: int
    order: int
    referred: bool
    drops: tuple[tuple[int, int], ...]

    @classmethod
    def of(cls, unit: bytes, sequence: SequenceSet, pictures: Mapping[int, PictureSet]) -> "Slice":
        """Read a unit. Raises ValueError or KeyError if it is broken."""
        is_idr, referred = kind_of(unit) == IDR, bool(unit[0] & 0x60)
        bits = Bits(plain(unit[:_HEADER_BYTES]))
        bits.skip(8)
        bits.golomb()
        kind, picture = bits.golomb() % 5, pictures[bits.golomb()]
        frame = bits.number(sequence.frame_bits)
        bits.skip_golombs(is_idr)
        order = bits.number(sequence.order_bits)
        bits.skip_golombs((picture.has_bottom_order and sequence.order_bits > 0) + picture.redundant)
        _skip_lists(bits, kind, picture, sequence.has_chroma)
        return cls(frame, order, referred, tuple(_drops(bits)) if referred and not is_idr else ())


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
            announced = announced or any(kind == _RECOVERY_POINT and Bits(body).golomb() == 0 for kind, body in _messages(unit))
        elif kind_of(unit) in SLICES:
            bits = Bits(plain(unit[:16]))
            bits.skip(8)
            bits.golomb()
            kinds.add(bits.golomb() % 5)
    return announced and kinds == {_I}


def _messages(unit: bytes) -> Iterator[tuple[int, bytes]]:
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
