"""A source is decoded by as few threads as its encodes need not wait for."""

import os
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.media.input.decoder_threads import decoder_threads


def _stream(width: int, height: int, codec: str = "h264") -> Any:
    kind = SimpleNamespace(canonical_name=codec)
    return SimpleNamespace(
        codec_context=SimpleNamespace(width=width, height=height, codec=kind),
        container=SimpleNamespace(format=SimpleNamespace(name="matroska,webm")),
        average_rate=Fraction(25),
        guessed_rate=Fraction(25),
        base_rate=Fraction(25),
    )


def _encode(width: int, height: int, rate: int = 25, speed: int = 1, device: str = "software") -> Any:
    video = SimpleNamespace(width=width, height=height, frame_rate=Fraction(rate))
    return SimpleNamespace(video=video, device=device, speed=Fraction(speed))


_HD, _360P = (1920, 1080), (640, 360)
_COPY = SimpleNamespace(video=None, device="", speed=Fraction(1))


@pytest.mark.parametrize(
    ("stream", "encodes", "cores", "threads"),
    [
        (_stream(*_HD), [_encode(*_HD)], 1, 0),
        (_stream(*_HD), [_encode(*_HD)], 2, 1),
        (_stream(*_HD), [_encode(*_HD)], 16, 6),
        (_stream(*_HD), [_encode(*_HD), _encode(*_HD), _COPY], 16, 3),
        (_stream(*_HD), [_encode(*_360P)], 16, 0),  # most of the work is to decode
        (_stream(*_HD), [_encode(*_HD)], 64, 0),
        (_stream(*_HD), [_encode(*_HD, rate=1)], 2, 0),
        (_stream(*_HD), [_encode(*_HD, rate=25, speed=25)], 2, 0),
        (_stream(*_HD), [_encode(*_HD, device="nvenc")], 2, 0),
        (_stream(*_HD), [_COPY], 2, 0),
        (_stream(*_HD, "prores"), [_encode(*_HD)], 2, 0),
        (_stream(0, 0), [_encode(*_HD)], 2, 0),
    ],
)
def test_threads(monkeypatch: Any, stream: Any, encodes: list[Any], cores: int, threads: int) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    assert decoder_threads(stream, encodes) == threads
