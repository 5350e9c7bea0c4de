"""The order of characters of both directions (capital letters stand for Hebrew in what is expected)."""

import pytest

from reelmill_server.media.overlay import bidi

HEBREW = {chr(ord("A") + number): chr(0x5D0 + number) for number in range(26)}


def shown(text: str) -> str:
    """`text` as it stands from left to right; capital letters are from right to left."""
    line = "".join(HEBREW.get(character, character) for character in text)
    levels = bidi.levels(line)
    return "".join(text[place] for place in bidi.visual_order(levels))


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


def test_arabic_letters_make_numbers_arabic_and_marks_go_with_their_letters() -> None:
    """Levels: 1 for letters and marks, 2 for numbers."""
    assert bidi.levels("\u0645\u064e 12") == [1, 1, 1, 2, 2]


def test_marks_of_direction_are_left_out() -> None:
    """They would be drawn as boxes."""
    assert bidi.without_marks("a\u200fb\u202ec") == "abc"
