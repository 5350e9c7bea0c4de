"""The order of characters of both directions (capital letters stand for Hebrew in what is given and expected)."""

import pytest

from reelmill_server.media.overlay import bidi
from reelmill_server.media.overlay.bidi import Span

HEBREW = {chr(ord("A") + number): chr(0x5D0 + number) for number in range(26)}


def shown(text: str) -> str:
    """Return `text` as it stands from left to right."""
    layout = bidi.layout("".join(HEBREW.get(character, character) for character in text))
    return "".join(text[span.start : span.end][:: -1 if span.from_right else 1] for span in layout.spans)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc def", "abc def"),
        ("ABC DEF", "FED CBA"),
        ("abc DEF ghi", "abc FED ghi"),
        ("ABC def GHI", "IHG def CBA"),
        ("ABC 123 DEF", "FED 123 CBA"),
        ("abc DEF 12", "abc 12 FED"),
        ("ABC 45% DEF", "FED 45% CBA"),
        ("ABC 1.5-2 DEF", "FED 1.5-2 CBA"),
        ("ABC, def!", "!def ,CBA"),
        ("abc (DEF) ghi", "abc (FED) ghi"),
        ("", ""),
        ("123", "123"),
    ],
)
def test_runs_are_ordered_as_the_algorithm_says(text: str, expected: str) -> None:
    """Examples worked out by UAX #9."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # The expected brackets are those of the text: HarfBuzz mirrors them where they are drawn from the right.
        ("abc (DEF) GHI 2", "abc (FED) 2 IHG"),
        ("ABC def (ghi) JKL", "LKJ def (ghi) CBA"),
        ("abc [DEF] GHI", "abc [FED] IHG"),
    ],
)
def test_a_pair_of_brackets_stays_a_pair(text: str, expected: str) -> None:
    """Both take the direction of what is around or in them, not each that of its neighbors."""
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("abc \u202edef\u202c ghi", "abc fed ghi"),  # an override turns letters around
        ("abc \u2067DEF!\u2069 ghi", "abc !FED ghi"),  # an isolate keeps its sign
        ("abc DEF!\u200f", "abc !FED"),  # a mark is a letter that is not seen
    ],
)
def test_explicit_directions_are_followed(text: str, expected: str) -> None:
    """Marks themselves are not compared: nothing is drawn for them."""
    marks = dict.fromkeys(map(ord, "\u200f\u202e\u202c\u2067\u2069"))
    assert shown(text).translate(marks) == expected


def test_joiners_stay_with_the_letters_that_they_join() -> None:
    """In the middle of a word and at its end."""
    assert bidi.layout("\u0645\u06cc\u200c\u062e \u0647\u200d").spans == [Span(0, 7, True)]


def test_a_line_begins_where_its_first_letter_says() -> None:
    """Whatever digits and signs stand before it."""
    assert [bidi.layout(line).from_right for line in ("12 \u05d0 a", "12 a \u05d0", "12", "\u0661", "")] == [
        True,
        False,
        False,
        False,
        False,
    ]
