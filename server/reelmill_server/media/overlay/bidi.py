"""Order the characters of a line with both writing directions by the Unicode Bidirectional Algorithm (UAX #9), by fpdf2."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

_FROM_RIGHT = frozenset(("R", "AL", "AN", "RLE", "RLO", "RLI"))


@dataclass(frozen=True)
class Span:
    """Characters `start` to `end` (exclusive) of a line, all written in one direction."""

    start: int
    end: int
    from_right: bool


@dataclass(frozen=True)
class Layout:
    """Spans from left to right; `from_right`: the line as a whole begins at the right edge."""

    spans: Sequence[Span]
    from_right: bool


def layout(line: str) -> Layout:
    """Return the order in which the characters of `line` are shown; its first letter says where the line begins."""
    if not any(unicodedata.bidirectional(character) in _FROM_RIGHT for character in line):
        return Layout([Span(0, len(line), False)] if line else [], False)
    # Imported here: it loads all of a PDF library, half a second that only such lines should cost.
    from fpdf.bidi import BidiParagraph

    paragraph = BidiParagraph(line)
    # Direction marks and joiners have no position of their own: each belongs to the character before it.
    begins = [character.character_index for character in paragraph.get_characters()]
    ends = dict(zip(begins, [*begins[1:], len(line)], strict=True))
    spans = []
    for level, group in groupby(paragraph.get_reordered_characters(), lambda character: character.embedding_level):
        indices = [character.character_index for character in group]
        spans.append(Span(min(indices), ends[max(indices)], level % 2 == 1))
    return Layout(spans, paragraph.base_embedding_level == 1)
