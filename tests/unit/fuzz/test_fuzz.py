"""The fuzzer itself: its cases can be had again, and what goes wrong is found."""

import asyncio
import random
from pathlib import Path

import pytest

from reelmill_server.errors import EncoderCrashed, InvalidMedia, ReelmillError
from tests.fuzz.mutations import MUTATIONS, mutate
from tests.fuzz.reading import Reader

_CONTENT, _OTHER = bytes(range(256)) * 8, b"other" * 100


def test_the_same_seed_breaks_the_same_bytes() -> None:
    """And another one others."""
    results = {mutate(_CONTENT, _OTHER, random.Random(seed)) for seed in (1, 1, 2, 3)}
    assert len(results) == 3 and _CONTENT not in results


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_short_files_can_be_broken_too(mutation: object) -> None:
    """Down to one byte."""
    for seed in range(20):
        mutation(bytearray(b"x"), random.Random(seed), _OTHER)


@pytest.mark.parametrize(
    ("error", "wrong"),
    [
        (InvalidMedia("the file is damaged"), ""),
        (EncoderCrashed("killed by SIGSEGV"), "killed by SIGSEGV"),
        (InvalidMedia(""), "a poor message: ''"),
        (ZeroDivisionError("x"), "ZeroDivisionError: x"),
    ],
)
def test_what_is_wrong_is_told_from_what_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, wrong: str
) -> None:
    """A refusal that blames the file is right; a child that dies is not."""

    async def act(self: Reader, path: Path, action: str) -> None:
        raise error

    monkeypatch.setattr(Reader, "_act", act)
    verdict = asyncio.run(Reader(tmp_path, 1).read(tmp_path / "x.mp4", "probe"))
    assert verdict.wrong == wrong and verdict.code == (error.code if isinstance(error, ReelmillError) else "")
