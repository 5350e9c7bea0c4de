"""Loudness: measured as EBU R 128 says, brought to a level by one gain, and peaks kept below their limit."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.loudness import Loudness, LoudnessMode, LoudnessResult, LoudnessSpec
from reelmill_server.model.request import AudioSpec, SegmentFormat, SegmentSpec
from tests import judge, loudness
from tests.media.chunked import Chunked
from tests.media.converter import Converted, Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

MEASURE = LoudnessSpec(LoudnessMode.MEASURE)
# Speech-like: loud bursts over a quiet floor, so that a gain alone would pass full scale.
BURSTS = loudness.tone(*(((-30.0, 0.45), (-3.0, 0.05)) * 16), hz=997)
QUIET = loudness.tone((-40.0, 3.0), (-30.0, 3.0))


def flac(asked: LoudnessSpec) -> AudioSpec:
    """Lossless audio."""
    return AudioSpec("flac", bits_per_sample=24, loudness=asked)


def result(converted: Converted) -> LoudnessResult:
    """What is told of the only audio stream."""
    (stream,) = (stream for stream in converted.artifact.streams if stream.type == "audio")
    assert stream.loudness is not None
    return stream.loudness


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """BURSTS as a file."""
    return loudness.write(tmp_path_factory.mktemp("bursts") / "bursts.wav", BURSTS)


@pytest.mark.sample(every=5)
@pytest.mark.parametrize(("levels", "expected"), [(levels, lufs) for _, levels, lufs in loudness.TECH_3341], ids=lambda x: "")
def test_integrated_loudness_is_that_of_tech_3341(
    convert: Converter, tmp_path: Path, levels: Sequence[tuple[float, float]], expected: float
) -> None:
    path = loudness.write(tmp_path / "tone.wav", loudness.tone(*levels))
    converted = convert(path, target("flac", None, flac(MEASURE)))
    told = result(converted)
    assert told.before.integrated == pytest.approx(expected, abs=0.1)
    assert told.before == told.after and told.gain_db == 0
    assert np.abs(judge.sound(converted.path) - judge.sound(path)).max() < 2**-22  # nothing is changed


@pytest.mark.slow
def test_channels_weigh_as_in_tech_3341(convert: Converter, tmp_path: Path) -> None:
    """Test 6: five channels at levels of their own."""
    levels = (-28.0, -28.0, -24.0, -30.0, -30.0)
    samples = np.concatenate([loudness.tone((level, 20.0), channels=1) for level in levels])
    path = loudness.write(tmp_path / "five.wav", samples, "5.0")
    assert result(convert(path, target("flac", None, flac(MEASURE)))).before.integrated == pytest.approx(-23.0, abs=0.1)


@pytest.mark.sample(every=5)
@pytest.mark.parametrize(("levels", "expected"), [(levels, lu) for _, levels, lu in loudness.TECH_3342], ids=lambda x: "")
def test_loudness_range_is_that_of_tech_3342(
    convert: Converter, tmp_path: Path, levels: Sequence[tuple[float, float]], expected: float
) -> None:
    path = loudness.write(tmp_path / "tone.wav", loudness.tone(*levels))
    assert result(convert(path, target("flac", None, flac(MEASURE)))).before.range == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(("number", "signal", "expected"), loudness.TRUE_PEAKS)
def test_true_peaks_are_those_of_tech_3341(
    convert: Converter, tmp_path: Path, number: str, signal: Callable[[], NDArray[np.float32]], expected: float
) -> None:
    """Between samples, above full scale, and of a single period: +0.2 and -0.4 dB are allowed."""
    path = loudness.write(tmp_path / "sine.wav", signal())
    peak = result(convert(path, target("flac", None, flac(MEASURE)))).before.true_peak
    assert expected - 0.4 <= peak <= expected + 0.2


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("level", [-40.0, -23.0, -16.0, -9.0])
def test_one_gain_brings_all_to_the_level(convert: Converter, tmp_path: Path, level: float) -> None:
    """To 0.1 LU by the judge's measure; where no peak is in the way, the samples are the source's times a number."""
    path = loudness.write(tmp_path / "quiet.wav", QUIET)
    converted = convert(path, target("flac", None, flac(LoudnessSpec(integrated=level))))
    told, before, after = result(converted), judge.sound(path), judge.sound(converted.path)
    assert loudness.heard(converted.path).integrated == pytest.approx(level, abs=0.1)
    assert told.after.integrated == pytest.approx(level, abs=0.1)
    assert told.before.integrated + told.gain_db == pytest.approx(level)
    assert before.shape == after.shape
    assert np.abs(after - before * 10 ** (told.gain_db / 20)).max() < 2**-22
    assert told.limited_samples == 0


@pytest.mark.slow
@pytest.mark.parametrize("peak", [-1.0, -3.0])
def test_peaks_stay_below_the_limit_and_only_they_are_lowered(convert: Converter, source: Path, peak: float) -> None:
    """By the judge's measure; away from the bursts, the samples are the source's times the gain."""
    converted = convert(source, target("flac", None, flac(LoudnessSpec(integrated=-9.0, true_peak=peak))))
    told, heard = result(converted), loudness.heard(converted.path)
    assert heard.true_peak <= peak + 0.1 and told.after.true_peak <= peak
    assert told.after.integrated == pytest.approx(heard.integrated, abs=0.1)
    before, after = judge.sound(source), judge.sound(converted.path)
    assert before.shape == after.shape
    changed = np.abs(after - before * 10 ** (told.gain_db / 20)).max(axis=1) > 2**-22
    positions = np.arange(changed.size) % 24000
    assert told.limited_samples > 0
    assert not changed[(positions > 1000) & (positions < 20000)].any()
    assert any("in place of -9" in text for text in converted.warnings) == (abs(heard.integrated + 9) > 0.5)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("codec", "container"), [("aac", "m4a"), ("mp3", "mp3"), ("opus", "opus"), ("ac3", "ac3"), ("vorbis", "oga")]
)
def test_peaks_stay_below_the_limit_where_they_are_decoded(
    convert: Converter, tmp_path: Path, codec: str, container: str
) -> None:
    """By the judge's decoder and measure: codecs raise peaks, so that the limiter keeps room for that."""
    rng = np.random.default_rng(3)
    syllables = np.abs(np.sin(2 * np.pi * 3 * np.arange(4 * loudness.RATE) / loudness.RATE)) ** 3
    noise = (np.convolve(rng.normal(size=syllables.size), np.ones(8) / 8, "same") * syllables).astype(np.float32)
    path = loudness.write(tmp_path / "noise.wav", np.tile(noise / np.abs(noise).max() / 2, (2, 1)))
    asked = LoudnessSpec(integrated=-12.0, true_peak=-1.0)
    converted = convert(path, target(container, None, AudioSpec(codec, bitrate=None, loudness=asked)))
    told = result(converted)
    assert told.limited_samples > 0
    assert loudness.heard(converted.path).true_peak <= -1.0 + 0.1
    assert loudness.heard(converted.path).true_peak > -2.0, "no more room than the codec needs"
    assert not any("decoded" in text for text in converted.warnings)


@pytest.mark.slow
def test_peaks_of_joined_and_grouped_audio_stay_below_the_limit(convert: Converter, source: Path) -> None:
    """Each variant's audio is tried as it is encoded."""
    asked = LoudnessSpec(integrated=-9.0, true_peak=-1.0)
    variants = [
        replace(
            target("mp4", None, AudioSpec("aac", bitrate=bits, loudness=asked)),
            uri=f"file:///out/{bits}/v.m3u8",
            segment=SegmentSpec(SegmentFormat.HLS, 2_000_000),
            group=0,
            member=number,
        )
        for number, bits in enumerate((64_000, 128_000))
    ]
    converted = convert(source, *variants, group_uris=("file:///out/main.m3u8",))
    for name in ("64000", "128000"):
        assert loudness.heard(converted.published / name / "v.m3u8").true_peak <= -1.0 + 0.1


def test_silence_stays_silent_with_a_warning(convert: Converter, tmp_path: Path) -> None:
    path = loudness.write(tmp_path / "silence.wav", np.zeros((2, 48000), np.float32))
    converted = convert(path, target("flac", None, flac(LoudnessSpec())))
    assert not judge.sound(converted.path).any()
    assert result(converted) == LoudnessResult(Loudness(), Loudness())
    assert any("is silent" in text and "loudness" in text for text in converted.warnings)


@pytest.mark.slow
def test_audio_keeps_its_place_beside_video(convert: Converter) -> None:
    """Clicks stay where they are, also where a limiter looks ahead; so does the number of samples."""
    clip = Clip("matroska", (Video(seconds=4),), (Audio("flac", seconds=4, clicks=(0.5, 1.5, 3.2)),))
    plain = convert(clip, target("mkv", encoded(), AudioSpec("flac")))
    converted = convert(clip, target("mkv", encoded(), AudioSpec("flac", loudness=LoudnessSpec(integrated=-20.0))))
    assert result(converted).limited_samples > 0
    assert judge.clicks(converted.path, threshold=0.2) == judge.clicks(plain.path, threshold=0.2)
    assert judge.sound(converted.path).shape == judge.sound(plain.path).shape
    assert judge.sound_start(converted.path) == judge.sound_start(plain.path)


@pytest.mark.slow
def test_each_target_has_its_own_level(convert: Converter, tmp_path: Path) -> None:
    """Of one decode; lossy ones within 0.5 LU."""
    source = loudness.write(tmp_path / "quiet.wav", QUIET)
    levels = {"flac": -23.0, "aac": -16.0, "opus": -19.0, "ac3": -27.0, "mp3": -23.0}
    wanted = [target(name, None, AudioSpec(name, loudness=LoudnessSpec(integrated=level))) for name, level in levels.items()]
    converted = convert(source, *wanted, target("flac", None, AudioSpec("flac")))
    for path, level in zip(converted.paths, levels.values(), strict=False):
        assert loudness.heard(path).integrated == pytest.approx(level, abs=0.5)
    assert np.abs(judge.sound(converted.paths[-1]) - judge.sound(source)).max() < 2**-14
    assert converted.artifacts[-1].streams[0].loudness is None


@pytest.mark.slow
def test_segments_speed_mixing_and_mono(convert: Converter) -> None:
    """The level is that of what is heard in the end."""
    clip = Clip("matroska", (Video(seconds=6),), (Audio(seconds=6, hz=500), Audio(seconds=6, hz=900, layout="mono")))
    asked = LoudnessSpec(integrated=-21.0)
    segment = SegmentSpec(SegmentFormat.HLS, 2_000_000)
    hls = replace(target("ts", encoded(), AudioSpec("aac", loudness=asked)), uri="file:///out/x.m3u8", segment=segment)
    mixed = replace(target("mkv", None, AudioSpec("flac", mixing=True, loudness=asked)), audio_streams=(101,))
    slow = replace(target("mkv", encoded(), AudioSpec("flac", loudness=asked)), speed=Fraction(1, 2))
    dual = AudioSpec("flac", channels=1, loudness=replace(asked, dual_mono=True))
    converted = convert(clip, mixed, slow, target("mkv", None, dual), hls)
    for path in converted.paths[:2]:
        assert loudness.heard(path).integrated == pytest.approx(-21.0, abs=0.2)
    assert loudness.heard(converted.paths[2], options=":dualmono=true").integrated == pytest.approx(-21.0, abs=0.2)
    assert loudness.heard(next(converted.published.glob("*.m3u8"))).integrated == pytest.approx(-21.0, abs=0.5)


def test_chunks_share_one_gain(convert: Converter, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Measured over the whole, in the chunk that has all of the audio: the packets are those of a single pass."""
    chunked = Chunked(convert, lambda: tmp_path_factory.mktemp("chunked"))
    clip = Clip("mp4", (Video(seconds=6, gop=25),), (Audio(seconds=6, clicks=(1.0, 4.5)),))
    wanted = target("mkv", encoded(), AudioSpec("aac", loudness=LoudnessSpec(integrated=-18.0)))
    once, parts = convert(clip, wanted), chunked(clip, wanted)
    assert result(once) == result(parts)
    assert result(once).gain_db != 0
    assert [packet.checksum for packet in judge.packets(once.path, "a:0")] == [
        packet.checksum for packet in judge.packets(parts.path, "a:0")
    ]


def test_copied_audio_is_refused_by_name(convert: Converter, source: Path) -> None:
    with pytest.raises(InvalidArgument, match=r"targets\[0\]\.audio\.filter_audio\.loudness"):
        convert(source, target("mkv", None, AudioSpec(loudness=LoudnessSpec())))


def test_floats_above_full_scale_are_not_cut_off(convert: Converter, tmp_path: Path) -> None:
    """Of a source that is lowered, also into 16 bits."""
    samples: NDArray[np.float32] = loudness.tone((6.0, 3.0))
    path = loudness.write(tmp_path / "hot.wav", samples)
    converted = convert(
        path, target("flac", None, AudioSpec("flac", bits_per_sample=16, loudness=LoudnessSpec(integrated=-20.0)))
    )
    expected = samples.T * 10 ** (result(converted).gain_db / 20)
    assert np.abs(judge.sound(converted.path) - expected).max() < 2**-14
