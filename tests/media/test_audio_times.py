"""Audio whose decoder leaves times out, whose last frame is padded, or whose times begin again."""

import subprocess
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from reelmill_server.model.request import AudioSpec
from tests import judge
from tests.media.converter import Converter, target
from tests.media.test_joined import Joiner, join
from tests.sources import Shelf

pytestmark = pytest.mark.media
__all__ = ["join"]

LOSSLESS = target("flac", None, AudioSpec("flac"))


def made(shelf: Shelf, name: str, *arguments: str, seconds: str = "1.23", begin: str = "0") -> Path:
    """A tone of 440 Hz that the judge encodes, from `begin` on."""
    path, tone = shelf.folder / name, f"aevalsrc=sin(880*PI*(t+{begin}))/4:d={seconds}:s=48000"
    whole = ["-f", "lavfi", "-i", tone, "-ac", "2", *arguments, "-y", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *whole], check=True)
    return path


@pytest.mark.parametrize(
    ("codec", "container"),
    [("adpcm_ms", "wav"), ("wmav1", "asf"), ("wmav2", "asf"), ("aac", "mp4"), ("libmp3lame", "mp4"), ("real_144", "rm")],
)
def test_every_sample_that_the_decoder_gives_is_converted(shelf: Shelf, convert: Converter, codec: str, container: str) -> None:
    rate = ("-ar", "8000", "-ac", "1") if codec == "real_144" else ()
    source = made(shelf, f"samples-{codec}.{container}", "-c:a", codec, *rate)
    result = convert(source, LOSSLESS)
    expected, got = judge.sound(source), judge.sound(result.path)
    assert len(got) == len(expected)
    assert np.abs(got - expected).max() < 0.01
    assert not result.warnings


@pytest.mark.parametrize(("codec", "container"), [("libmp3lame", "mp3"), ("aac", "m4a"), ("libopus", "opus")])
def test_padding_of_the_last_frame_is_left_out_at_seams(shelf: Shelf, join: Joiner, codec: str, container: str) -> None:
    parts = [made(shelf, f"seam-{number}.{container}", "-c:a", codec, seconds="1", begin=str(number)) for number in range(3)]
    _, (path,) = join(parts, LOSSLESS)
    expected, got = np.concatenate([judge.sound(part) for part in parts]), judge.sound(path)
    assert len(got) == len(expected) == 3 * 48000
    assert np.abs(got - expected).max() < 0.01


def test_a_copy_ends_where_its_source_does(shelf: Shelf, convert: Converter) -> None:
    source = made(shelf, "copied-end.m4a", "-c:a", "aac")
    copy = convert(source, target("m4a", None, AudioSpec()))
    assert len(judge.sound(copy.path)) == len(judge.sound(source)) == round(1.23 * 48000)
