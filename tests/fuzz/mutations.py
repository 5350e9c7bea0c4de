"""Ways to break a file. All chance comes from the generator that is passed: the same seed breaks the same bytes."""

import random
from collections.abc import Callable, Sequence

_INTERESTING = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
_HEADER = 512  # most of what a demuxer believes stands in the first bytes
Mutation = Callable[[bytearray, random.Random, bytes], None]


def mutate(content: bytes, other: bytes, chance: random.Random) -> bytes:
    """Return `content` broken in one to eight places; `other` is another file, of which parts may get in."""
    broken = bytearray(content)
    for _ in range(chance.choice((1, 1, 2, 3, 5, 8))):
        chance.choice(MUTATIONS)(broken, chance, other)
        if not broken:
            break
    return bytes(broken)


def _place(broken: bytearray, chance: random.Random) -> int:
    """Return a position, in the header half of the time."""
    return chance.randrange(min(len(broken), _HEADER) if chance.random() < 0.5 else len(broken))


def _flip(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Change single bits."""
    for _number in range(chance.choice((1, 4, 16))):
        broken[_place(broken, chance)] ^= 1 << chance.randrange(8)


def _number(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Write a number at the ends of its range, as a length, a count or a time would be."""
    size = chance.choice((1, 2, 4, 8))
    value = chance.choice(_INTERESTING) % 256**size
    place = _place(broken, chance)
    broken[place : place + size] = value.to_bytes(size, chance.choice(("big", "little")))


def _noise(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Write random bytes over a stretch."""
    place, count = _place(broken, chance), chance.choice((4, 32, 256))
    broken[place : place + count] = chance.randbytes(count)


def _cut_off(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """End the file early."""
    del broken[_place(broken, chance) :]


def _remove(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Leave out a stretch."""
    place = _place(broken, chance)
    del broken[place : place + chance.choice((1, 3, 16, 200))]


def _repeat(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Have a stretch twice, or many times."""
    place = _place(broken, chance)
    piece = broken[place : place + chance.choice((4, 64, 500))]
    broken[place:place] = piece * chance.choice((1, 2, 50))


def _swap(broken: bytearray, chance: random.Random, _: bytes) -> None:
    """Exchange two stretches, as if boxes, pages or packets came in another order."""
    size = chance.choice((4, 32, 188))
    one, two = _place(broken, chance), _place(broken, chance)
    if abs(one - two) >= size and max(one, two) + size <= len(broken):
        broken[one : one + size], broken[two : two + size] = broken[two : two + size], broken[one : one + size]


def _graft(broken: bytearray, chance: random.Random, other: bytes) -> None:
    """Put in a part of another file."""
    begin, place = chance.randrange(len(other)), _place(broken, chance)
    broken[place:place] = other[begin : begin + chance.choice((16, 256, 4096))]


def _splice(broken: bytearray, chance: random.Random, other: bytes) -> None:
    """Go on as another file does."""
    place = _place(broken, chance)
    broken[place:] = other[min(place, len(other)) :]


MUTATIONS: Sequence[Mutation] = (_flip, _number, _noise, _cut_off, _remove, _repeat, _swap, _graft, _splice)
