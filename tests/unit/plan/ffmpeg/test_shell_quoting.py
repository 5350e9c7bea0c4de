"""Arguments survive the shell, and nothing in them reaches the terminal that shows them."""

import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reelmill_server.plan.ffmpeg.shell import line, quoted

HOSTILE = (
    "a b",
    "it's",
    '"',
    "-y",
    "$(touch x)",
    "`id`",
    "a\\b",
    "a\nb",
    "\x1b[2J",
    "tab\there",
    "*",
    "~",
    "",
    "é 漢 \u202e",
    "#",
    "!x",
)


def _parsed(text: str) -> list[str]:
    """The words that a shell makes of a command line."""
    done = subprocess.run(["bash", "-c", f"printf '%s\\0' {text}"], capture_output=True, check=True)
    return done.stdout.decode().split("\0")[:-1]


def test_every_argument_survives_the_shell() -> None:
    """Spaces, quotes, substitutions, line breaks and signs of control."""
    assert _parsed(line(HOSTILE)) == list(HOSTILE)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=8), min_size=1))
def test_whatever_is_in_it(words: list[str]) -> None:
    """Any text that an argument can hold."""
    assert _parsed(line(words)) == words


@pytest.mark.parametrize("hostile", ["a\nb", "\x1b[2J", "\x9b31m", "\u2028", "\u202egpj", "\r"])
def test_what_cannot_be_seen_is_written_out(hostile: str) -> None:
    """No line break, and nothing that moves the cursor or turns the text around."""
    assert quoted(hostile).isprintable()


def test_what_is_plain_stays_plain() -> None:
    """Specifiers, filters without separators, and names that need no quotes."""
    plain = ("-c:v", "libx264", "scale=96:64:flags=bicubic,setsar=1", "/in/a-b_c.mp4", "%d.jpg", "+faststart", "0:1")
    assert line(plain) == " ".join(plain)
