"""Texts from strangers are read or refused, whatever they are; `make fuzz-texts` looks further."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.mutations import mutate
from tests.fuzz.texts import EXAMPLES, READERS


@pytest.mark.slow
@pytest.mark.parametrize("name", READERS)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_any_text(name: str, data: st.DataObject) -> None:
    """Without any order, and of the pieces that the reader knows."""
    pieces = [piece for text in EXAMPLES[name] for piece in (text, *text.replace("=", "= ").split(), *text)]
    READERS[name](data.draw(st.text(max_size=60) | st.lists(st.sampled_from(pieces), max_size=20).map("".join)))


@pytest.mark.parametrize("name", READERS)
def test_broken_texts(name: str) -> None:
    """As files are broken, always in the same ways."""
    for number in range(400):
        chance = random.Random(f"{name}-{number}")
        text = chance.choice(EXAMPLES[name])
        READERS[name](mutate(text.encode(), text.encode(), chance).decode(errors="replace"))


@pytest.mark.parametrize("change", [('timescale="1"', 'timescale="0"'), ('r="2"', 'r="999999999999"'), ('id="0"', 'id="x"')])
def test_numbers_of_manifests_are_bounded(change: tuple[str, str]) -> None:
    """One that would divide by zero or fill the memory is refused."""
    READERS["manifest"](EXAMPLES["manifest"][0].replace(*change))
