"""The order in which characters of both directions stand on a line: the Unicode Bidirectional Algorithm (UAX #9) without
explicit embeddings and without bracket pairs."""

import unicodedata
from itertools import groupby

_STRONG = {"L": 0, "R": 1, "AL": 1}
_MARKS = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def without_marks(text: str) -> str:
    """`text` without the characters that only give directions, explicit ones of which are not followed."""
    return "".join(character for character in text if character not in _MARKS)


def direction(line: str) -> int:
    """0 for a line from left to right, 1 from right to left: that of its first strong character."""
    return next((_STRONG[kind] for kind in map(unicodedata.bidirectional, line) if kind in _STRONG), 0)


def levels(line: str) -> list[int]:
    """The embedding level of each character: even runs from left to right, odd from right to left."""
    kinds = [unicodedata.bidirectional(character) or "L" for character in line]
    base = direction(line)
    kinds = _neutrals(_weak(kinds, "LR"[base]), base)
    raised = {0: {"R": 1, "AN": 2, "EN": 2}, 1: {"L": 1, "AN": 1, "EN": 1}}[base]
    return [base + raised.get(kind, 0) for kind in kinds]


def _weak(kinds: list[str], before: str) -> list[str]:
    """Rules W1 to W7: what numbers and what stands at them become."""
    kinds, strong, last = list(kinds), before, before
    for place in range(len(kinds)):
        if kinds[place] in ("NSM", "BN"):
            kinds[place] = last
        if kinds[place] in _STRONG:
            strong = kinds[place]
        elif kinds[place] == "EN" and strong == "AL":
            kinds[place] = "AN"
        last = kinds[place]
    kinds = ["R" if kind == "AL" else kind for kind in kinds]
    for place in range(1, len(kinds) - 1):
        around = {kinds[place - 1], kinds[place + 1]}
        if (kinds[place] in ("ES", "CS") and around == {"EN"}) or (kinds[place] == "CS" and around == {"AN"}):
            kinds[place] = around.pop()
    kinds = _terminators(kinds)
    strong = before
    for place, kind in enumerate(kinds):
        strong = kind if kind in ("L", "R") else strong
        if kind == "EN" and strong == "L":
            kinds[place] = "L"
    return kinds


def _terminators(kinds: list[str]) -> list[str]:
    """Rule W5: signs such as of percent and currency belong to the number that they stand at."""
    runs = [(kind, len(list(group))) for kind, group in groupby(kinds)]
    turned: list[str] = []
    for place, (kind, length) in enumerate(runs):
        beside = [runs[other][0] for other in (place - 1, place + 1) if 0 <= other < len(runs)]
        turned += ["EN" if kind == "ET" and "EN" in beside else kind] * length
    return turned


def _neutrals(kinds: list[str], base: int) -> list[str]:
    """Rules N1 and N2: what has no direction takes that of both sides if they agree, else the line's."""
    own = "LR"[base]
    runs = [
        (kind, len(list(group))) for kind, group in groupby(kind if kind in ("L", "R", "EN", "AN") else "" for kind in kinds)
    ]

    def side(place: int) -> str:
        kind = runs[place][0] if 0 <= place < len(runs) else own
        return "R" if kind in ("EN", "AN") else kind

    turned: list[str] = []
    for place, (kind, length) in enumerate(runs):
        around = side(place - 1) if side(place - 1) == side(place + 1) else own
        turned += [kind or around] * length
    return turned


def visual_order(found: list[int]) -> list[int]:
    """Rule L2: the order from left to right of runs with these levels."""
    order = list(range(len(found)))
    for level in range(max(found, default=0), 0, -1):
        place = 0
        while place < len(order):
            end = place
            while end < len(order) and found[order[end]] >= level:
                end += 1
            order[place:end] = reversed(order[place:end])
            place = max(end, place + 1)
    return order
