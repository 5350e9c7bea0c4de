"""Files as people have them: converted, verified and read by the judge. Skipped without REELMILL_REAL_MEDIA."""

import os
from pathlib import Path

import pytest

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec
from reelmill_server.model.sizes import ScaleType
from tests import judge
from tests.media.converter import Converter, encoded, target

FOLDER = os.environ.get("REELMILL_REAL_MEDIA", "")
FILES = sorted(path for path in Path(FOLDER).glob("*.mp4")) if FOLDER else []

pytestmark = [pytest.mark.real_media, pytest.mark.skipif(not FILES, reason="REELMILL_REAL_MEDIA names no folder of media")]


@pytest.mark.parametrize("path", FILES or [Path("none")], ids=lambda path: path.stem)
def test_a_copy_keeps_every_packet(convert: Converter, path: Path) -> None:
    """Into Matroska: as many packets per stream, clean to decode, in sync."""
    converted = convert(path, target("mkv"))
    judge.check(converted.path)
    for kind in ("v:0", "a:0"):
        if judge.describe(path).of("Video" if kind == "v:0" else "Audio"):
            before, after = judge.packets(path, kind), judge.packets(converted.path, kind)
            assert [packet.size for packet in after] == [packet.size for packet in before]


@pytest.mark.parametrize("path", FILES or [Path("none")], ids=lambda path: path.stem)
def test_two_seconds_are_encoded_exactly(convert: Converter, path: Path) -> None:
    """A cut, made small: the pictures of the span, the sound of the span."""
    info = probe_file(str(path), Limits())
    video = encoded(width=160, height=120, scale_type=ScaleType.FIT) if info.pictures else None
    audio = AudioSpec("flac") if info.audio else None
    start, length = min(1.0, info.duration_seconds / 4), min(2.0, info.duration_seconds / 2)
    converted = convert(path, target("mkv", video, audio), start=start, duration=length)
    judge.check(converted.path)
    if video:
        expected = [time for time in judge.times(path) if start - 1e-5 <= time < start + length - 1e-5]
        assert [float(time) for time in judge.times(converted.path)] == pytest.approx(
            [float(time) - start for time in expected], abs=0.001
        )
    if audio:
        heard = judge.sound(converted.path).shape[0] / judge.sample_rate(converted.path)
        assert heard == pytest.approx(length, abs=0.002)
