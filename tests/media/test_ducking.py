"""Ducking: music gives way to an attached voice and returns, to the sample as long as without."""

import threading
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelmill_server.errors import InvalidArgument
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.ducking import DuckingSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import AlignMode, AudioSpec, ConvertRequest, SourceSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests import judge, loudness
from tests.media.converter import capabilities, target

pytestmark = pytest.mark.media

RATE = loudness.RATE
MUSIC_HZ, VOICE_HZ = 400, 1500
MIXED = AudioSpec("flac", mixing=True)


def tone(hz: int, *levels: tuple[float, float]) -> np.ndarray:
    """A tone of two channels at these levels, dBFS, each for so many seconds."""
    return loudness.tone(*levels, hz=hz)


def plan(spec: AudioSpec, paths: list[Path], align: AlignMode = AlignMode.NONE) -> Plan:
    """The plan of a mix of the first file with the others, which are attached."""
    infos = tuple(probe_file(str(path), Limits()) for path in paths)
    sources = tuple(
        SourceSpec(f"file:///in/{number}.wav", attached=number > 0, align_mode=align if number else AlignMode.NONE)
        for number in range(len(paths))
    )
    request = ConvertRequest("task", "project", sources, (target("flac", None, spec),))
    return make_plan(request, PlanFacts(infos, capabilities()))


def mixed(spec: AudioSpec, paths: list[Path], folder: Path, align: AlignMode = AlignMode.NONE) -> np.ndarray:
    """What is heard of the mix, samples in rows of channels."""
    folder.mkdir()
    result, _ = Conversion(
        plan(spec, paths, align), tuple(map(str, paths)), folder, limits=Limits(), stop=threading.Event()
    ).run()
    return judge.sound(Path(result[0].path))


def level(samples: np.ndarray, seconds: float, hz: int) -> float:
    """The level in dBFS of a tone around a moment."""
    begin = round((seconds - 0.05) * RATE)
    part = samples[begin : begin + RATE // 10, 0]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(part.size))) * 4 / part.size
    return float(20 * np.log10(spectrum[round(hz * part.size / RATE)] + 1e-9))


@pytest.fixture
def music(tmp_path: Path) -> Path:
    """Six seconds at -20 dBFS."""
    return loudness.write(tmp_path / "music.wav", tone(MUSIC_HZ, (-20.0, 6.0)))


@pytest.fixture
def voice(tmp_path: Path) -> Path:
    """One second of it, after two of silence; it ends two seconds before the music."""
    return loudness.write(tmp_path / "voice.wav", tone(VOICE_HZ, (-120.0, 2.0), (-10.0, 1.0), (-120.0, 1.0)))


def test_music_gives_way_to_a_voice_and_returns(music: Path, voice: Path, tmp_path: Path) -> None:
    """By what the ratio leaves of 20 dB above the threshold; before the voice and after it, nothing changes."""
    plain = mixed(MIXED, [music, voice], tmp_path / "plain")
    ducked = mixed(replace(MIXED, ducking=DuckingSpec(ratio=4)), [music, voice], tmp_path / "ducked")
    assert ducked.shape == plain.shape == (6 * RATE, 2)
    for moment in (1.0, 1.9, 5.0, 5.9):
        assert level(ducked, moment, MUSIC_HZ) == pytest.approx(level(plain, moment, MUSIC_HZ), abs=0.2)
    lowered = level(plain, 2.8, MUSIC_HZ) - level(ducked, 2.8, MUSIC_HZ)
    assert lowered == pytest.approx((30 - 10) * 3 / 4, abs=3)
    assert level(ducked, 2.8, VOICE_HZ) == pytest.approx(level(plain, 2.8, VOICE_HZ), abs=0.2)
    assert level(plain, 3.1, MUSIC_HZ) - level(ducked, 3.1, MUSIC_HZ) > 3, "the release takes 0.4 s"


def test_a_voice_below_the_threshold_lowers_nothing(music: Path, voice: Path, tmp_path: Path) -> None:
    """Ratio and threshold are those that are asked for."""
    spec = replace(MIXED, ducking=DuckingSpec(threshold_db=-5))
    plain, ducked = mixed(MIXED, [music, voice], tmp_path / "a"), mixed(spec, [music, voice], tmp_path / "b")
    assert np.abs(plain - ducked).max() < 2**-12


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("align", [AlignMode.NONE, AlignMode.LOOP, AlignMode.PAD])
def test_lengths_are_those_of_a_mix(music: Path, tmp_path: Path, align: AlignMode) -> None:
    """Of a voice that is longer than the music, repeated, or filled up; and of two voices."""
    long = loudness.write(tmp_path / "long.wav", tone(VOICE_HZ, (-12.0, 7.0)))
    short = loudness.write(tmp_path / "short.wav", tone(VOICE_HZ, (-12.0, 1.5)))
    paths = [music, long, short]
    plain = mixed(MIXED, paths, tmp_path / "plain", align)
    ducked = mixed(replace(MIXED, ducking=DuckingSpec()), paths, tmp_path / "ducked", align)
    assert ducked.shape == plain.shape
    assert level(ducked, 5.7, MUSIC_HZ) < level(plain, 5.7, MUSIC_HZ) - 6, "to the end of the music"


def test_without_a_voice_it_is_refused_by_name(music: Path, voice: Path, tmp_path: Path) -> None:
    """Nothing attached, and nothing mixed."""
    asked = replace(MIXED, ducking=DuckingSpec())
    with pytest.raises(InvalidArgument, match=r"targets\[0\]\.audio\.filter_audio\.ducking: needs audio in the sources"):
        plan(asked, [music])
    with pytest.raises(InvalidArgument, match=r"targets\[0\]\.audio\.filter_audio\.ducking: needs mixing"):
        plan(replace(asked, mixing=False), [music, voice])
