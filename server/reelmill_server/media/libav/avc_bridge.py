"""Let H.264 encoded here be followed by a source's recovery point, a keyframe that counts frames and their order on.

Nothing tells a decoder to begin anew there. So the encoded frames take the source's sequence parameter set, and count so that
the recovery point goes on where they end: the last of them have the numbers of those that the source had before it. What the
source drops of those by their numbers is kept until then, all else is dropped before. The first of the encoded frames is an IDR
frame, numbered 0; the two behind it refer to nothing, so that numbers may be missing between them, as one bit allows that is
set in the parameter set (`gaps_in_frame_num_value_allowed_flag`). No frame shown after the recovery point refers to one before.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from reelmill_server.media.libav.avc_headers import DROP_SHORT, IDR, PPS, SLICES, SPS, PictureSet, SequenceSet, Slice, kind_of
from reelmill_server.media.libav.bits import Bits, aligned, golomb
from reelmill_server.media.libav.nal_units import escaped, length_bytes, parted, plain, split, united
from reelmill_server.media.libav.parameter_sets import AVC, Splice, Unspliceable, own_sets, spare_number

_OPTIONS = "weightp=0:ref=1"  # headers of slices have as little as can be
_LEAST_FRAMES = 8  # before a recovery point, so that their order can be counted up to its own in steps that decoders follow
_LOOKED_AT = 32  # frames after a recovery point that may drop frames before it
_BROKEN, _UNUSUAL = (
    "its parameter sets cannot be read",
    "its keyframes are recovery points of a kind that nothing can lead into",
)
_UNUSUAL_FIELDS = "its frames are interlaced, and its parameter sets of a kind that an encoder's cannot stand beside"
_OTHER_BLOCKS = "the encoder's frames have other blocks"
_BROKEN_SLICE = "the header of a keyframe that is a recovery point cannot be read"
_MARK_IDR, _MARK_OTHER = 2, 1  # bits by which the encoder says that it drops nothing
_P = 0
_IDR_NUMBER = 4095  # an IDR frame of the source that follows has another


def check_fields(extradata: bytes) -> None:
    """Raise Unspliceable if frames may be coded as fields, but nothing that is encoded can have the sequence parameter set."""
    own = own_sets("h264", extradata)
    try:
        sets = [SequenceSet.of(unit) for unit in own if kind_of(unit) == SPS]
    except (ValueError, IndexError):
        raise Unspliceable(_BROKEN) from None
    if any(facts.fields for facts in sets) and not (len(sets) == 1 and sets[0].usual):
        raise Unspliceable(_UNUSUAL_FIELDS)


def is_lone_field(packet: bytes, extradata: bytes) -> bool:
    """Return whether a packet has one field, and another packet the other one of its frame."""
    sets = _field_sets(extradata)
    if sets is None:
        return False
    units = parted(packet, length_bytes("h264", extradata))
    try:
        fields = {Slice.of(unit, *sets).field for unit in units if kind_of(unit) in SLICES}
    except (KeyError, ValueError):
        return False
    return len(fields) == 1 and fields != {0}


@lru_cache(maxsize=4)
def _field_sets(extradata: bytes) -> tuple[SequenceSet, Mapping[int, PictureSet]] | None:
    """Return the parameter sets of a stream whose frames may be coded as fields; None: they are not, or it is unusual."""
    try:
        own = own_sets("h264", extradata)
        sequence = _sequence(own)
        return (sequence, _pictures(own)) if sequence.fields else None
    except Unspliceable:
        return None


def options(extradata: bytes) -> str:
    """Return what x264 must be told, behind which field is first, so that its slices can be those of a stream with `extradata`:
    where pairs of blocks may be fields, they say whether they are. Frames beside others that are coded as fields are whole.
    """
    try:
        facts = _sequence(own_sets("h264", extradata))
    except Unspliceable:
        return _OPTIONS
    return f"interlaced={int(facts.adaptive)}:{_OPTIONS}"


class RecoveryPoint:
    """Find out what leads into a recovery point, from the packets of the source from it on.

    `held`: by how much the numbers of frames before it that the source drops later are less than its own.
    """

    def __init__(self, extradata: bytes) -> None:
        """Raises Unspliceable if nothing can lead into this stream's recovery points."""
        own = own_sets("h264", extradata)
        self._sequence, self._length = _sequence(own), length_bytes("h264", extradata)
        self._pictures = _pictures(own)
        self._number: int | None = None
        self._left = _LOOKED_AT
        self._held: set[int] = set()
        self._since = 0  # how many numbers later than the recovery point

    @property
    def is_known(self) -> bool:
        """Return whether no more packets need to be seen."""
        return self._left <= 0

    @property
    def held(self) -> tuple[int, ...]:
        """Return what is known now. Raises Unspliceable."""
        if self._held and 1 not in self._held:
            raise Unspliceable(_UNUSUAL)
        return tuple(sorted(self._held))

    @property
    def least_frames(self) -> int:
        """Return how many frames must be encoded before it."""
        return _least_frames(self._held)

    def see(self, packet: bytes) -> None:
        """Take a packet, in the order of decoding. Raises Unspliceable."""
        unit = next((unit for unit in parted(packet, self._length) if kind_of(unit) in SLICES), b"")
        if not unit or self.is_known:
            return
        if kind_of(unit) == IDR:
            self._left = 0
            return
        try:
            piece = Slice.of(unit, self._sequence, self._pictures)
        except (KeyError, ValueError):
            raise Unspliceable(_BROKEN) from None
        if piece.field:
            raise Unspliceable(_UNUSUAL)
        if self._number is None:
            self._number = piece.frame
        self._since += (piece.frame - self._number) % (1 << self._sequence.frame_bits)
        self._number, self._left = piece.frame, self._left - 1
        for operation, operand in piece.drops:
            if operation != DROP_SHORT:
                raise Unspliceable(_UNUSUAL)
            if operand + 1 > self._since:
                self._held.add(operand + 1 - self._since)


def _least_frames(held: Collection[int]) -> int:
    return max(_LEAST_FRAMES, max(held, default=0) + 2)


def _sequence(sets: Sequence[bytes]) -> SequenceSet:
    units = [unit for unit in sets if kind_of(unit) == SPS]
    try:
        facts = [SequenceSet.of(unit) for unit in units]
    except ValueError:
        raise Unspliceable(_BROKEN) from None
    if len(facts) != 1 or not facts[0].usual or not facts[0].references:
        raise Unspliceable(_UNUSUAL)
    return facts[0]


def _pictures(sets: Sequence[bytes]) -> Mapping[int, PictureSet]:
    try:
        picture_sets = [PictureSet.of(unit) for unit in sets if kind_of(unit) == PPS]
    except ValueError:
        raise Unspliceable(_BROKEN) from None
    return {facts.number: facts for facts in picture_sets if facts.usual}


def bridge(extradata: bytes, encoder_extradata: bytes, held: Sequence[int], continues: bool) -> "Bridge":
    """Return how packets of an encoder with `encoder_extradata` (start codes) go into a stream with `extradata`.

    `continues`: encoded frames lead into recovery points of it; `held` as `RecoveryPoint` has it. Raises Unspliceable.
    """
    own = own_sets("h264", extradata)
    number, facts = spare_number("h264", extradata), _sequence(own)
    (sequence,), (picture,) = ([unit for unit in split(encoder_extradata) if kind_of(unit) == kind] for kind in (SPS, PPS))
    theirs, encoded = PictureSet.of(picture), SequenceSet.of(sequence)
    if (encoded.adaptive, encoded.rows) != (facts.adaptive, facts.rows):
        raise Unspliceable(_OTHER_BLOCKS)
    rest = Bits(plain(picture)).text(theirs.rest_at).rstrip("0")
    added = escaped(picture[:1] + aligned(golomb(number) + golomb(facts.number) + rest, "0"))
    sets = [*(map(_lenient, own) if continues else own), added]
    size = length_bytes("h264", extradata)
    described = AVC.of(extradata, sets) if size else united(sets, 0)
    return Bridge("h264", described, size, tuple(sets), number, facts, encoded, theirs, _pictures(own), tuple(held))


def _lenient(unit: bytes) -> bytes:
    """Return a parameter set that allows frame numbers to be missing."""
    if kind_of(unit) != SPS:
        return unit
    bits = Bits(plain(unit))
    try:
        place = SequenceSet.of(unit).gaps_at
    except ValueError:
        place = 0
    if not place:  # broken, or of a kind that no recovery point of these streams has
        return unit
    return escaped(aligned(f"{bits.text(0, place)}1{bits.text(place + 1)}", "0"))


@dataclass(frozen=True)
class _Place:
    """Number an encoded frame as the source's stream would: `frame` is its `frame_num`, `order` its picture order count.

    `drops`: which earlier frames are no longer referred to from it on, by how much less their `frame_num` is; None: it is no
    reference itself.
    """

    frame: int
    order: int
    drops: tuple[int, ...] | None = ()


@dataclass(frozen=True)
class Bridge(Splice):
    """A `Splice` that leads into recovery points; `number` is that of the encoder's picture parameter set. `own`, `pictures`:
    the source's parameter sets; `sequence`, `picture`: the encoder's.
    """

    own: SequenceSet
    sequence: SequenceSet
    picture: PictureSet
    pictures: Mapping[int, PictureSet]
    held: tuple[int, ...]

    def packets(self, encoded: Sequence[tuple[bytes, bool]], key: bytes | None) -> list[bytes]:
        """Return encoded packets as `Splice` does. Raises Unspliceable if they cannot lead into `key`."""
        places = self._places(len(encoded), key)
        return [self._written(data, is_key, place) for (data, is_key), place in zip(encoded, places, strict=True)]

    def copied(self, packet: bytes) -> bytes:
        units = [*parted(packet, self.length_bytes)]
        changed = [*map(_lenient, units)]
        return united(changed, self.length_bytes) if changed != units else b""

    def _places(self, count: int, key: bytes | None) -> list[_Place]:
        unit = next((unit for unit in parted(key or b"", self.length_bytes) if kind_of(unit) in SLICES), b"")
        if not unit or kind_of(unit) == IDR:
            return [_Place(place, 2 * place) for place in range(count)]
        try:
            piece = Slice.of(unit, self.own, self.pictures)
        except (KeyError, ValueError):
            raise Unspliceable(_BROKEN_SLICE) from None
        if count < _least_frames(self.held):
            raise Unspliceable("too few frames before a keyframe that is a recovery point can be decoded")
        frames, orders = 1 << self.own.frame_bits, 1 << self.own.order_bits
        # The order of the keyframe is counted on from that of the last frame: it is the least one behind all that are encoded.
        last = piece.order + -(-(2 * count - piece.order) // orders) * orders
        numbers = [0, *((piece.frame - count + place) % frames for place in range(1, count))]
        places = [_Place(0, 0)]
        if not numbers[1]:  # frames that others refer to must not have one number behind each other
            places.append(_Place(1, last // count, None))
        missing = range((numbers[len(places)] - 1) % frames + 1)  # decoders fill them in, and hold the last of them
        drops = [numbers[len(places)] - number for number in missing[-self.own.references :]]
        references: list[int] = []
        for place in range(len(places), count):
            needless = [other for other in references if count - other not in self.held]
            drops += [place - other for other in needless]
            places.append(_Place(numbers[place], place * last // count, tuple(drop % frames for drop in drops)))
            references, drops = [*(other for other in references if other not in needless), place], []
        return places

    def _written(self, data: bytes, is_key: bool, place: _Place) -> bytes:
        units = [self._slice(unit, place) for unit in split(data) if kind_of(unit) in SLICES]
        return united([*(self.sets if is_key and not self.length_bytes else ()), *units], self.length_bytes)

    def _slice(self, unit: bytes, place: _Place) -> bytes:
        """Return a slice of the encoder as one of the source's sequence."""
        whole, is_idr = plain(unit), kind_of(unit) == IDR
        bits = Bits(whole)
        bits.skip(8)
        first, kind, _ = bits.golomb(), bits.golomb(), bits.golomb()
        bits.skip(self.sequence.frame_bits + self.sequence.fields)  # they are of frames
        text = golomb(first) + golomb(kind) + golomb(self.number) + _fixed(place.frame, self.own.frame_bits)
        text += "0" * self.own.fields
        begins = is_idr and not place.order  # another IDR frame becomes one that refers to nothing
        bits.skip_golombs(is_idr)
        text += golomb(_IDR_NUMBER) if begins else ""
        bits.skip(self.sequence.order_bits)
        begin, second = bits.place, bits.signed_golomb() if self.picture.has_bottom_order else 0
        text += _fixed(place.order - min(second, 0), self.own.order_bits) + bits.text(begin, bits.place)
        if kind % 5 == _P:
            begin = bits.place
            bits.skip_golombs(bits.number(1))  # of one frame, how many are referred to
            if bits.number(1):
                raise Unspliceable("the encoder changes the order of what it refers to")
            text += bits.text(begin, bits.place)
        marking = bits.text(bits.place, bits.place + (_MARK_IDR if is_idr else _MARK_OTHER))
        bits.skip(len(marking))
        text += marking if begins else _marking(place.drops)
        begin, head = bits.place, unit[:1] if begins else bytes([unit[0] & 0x60 * (place.drops is not None) | 1])
        if not self.picture.arithmetic:
            return escaped(head + aligned(text + bits.text(begin).rstrip("0"), "0"))
        bits.skip_golombs(1 + (kind % 5 == _P))
        if self.picture.deblocking and bits.golomb() != 1:
            bits.skip_golombs(2)
        return escaped(head + aligned(text + bits.text(begin, bits.place), "1") + whole[-(-bits.place // 8) :])


def _marking(drops: Sequence[int] | None) -> str:
    if not drops:
        return "" if drops is None else "0"
    return "1" + "".join(golomb(DROP_SHORT) + golomb(drop - 1) for drop in drops) + golomb(0)


def _fixed(number: int, count: int) -> str:
    return f"{number % (1 << count):0{count}b}" if count else ""
