"""Audio whose decoder leaves times out, whose last frame is padded, or whose times begin again."""

import hashlib
import os
import struct
import subprocess
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, SegmentFormat, SegmentSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_joined import Joiner, join
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media
__all__ = ["join"]

LOSSLESS = target("flac", None, AudioSpec("flac"))


def made(shelf: Shelf, name: str, *arguments: str, seconds: str = "1.23", begin: str = "0") -> Path:
    """A tone of 440 Hz that the judge encodes, from `begin` on, in a place of its own."""
    digest = hashlib.sha256(repr((arguments, seconds, begin)).encode()).hexdigest()[:16]
    path, unfinished = shelf.folder / f"{digest}-{name}", shelf.folder / f"{os.getpid()}-{name}"  # other processes may read it
    tone = f"aevalsrc=sin(880*PI*(t+{begin}))/4:d={seconds}:s=48000"
    whole = ["-f", "lavfi", "-i", tone, "-ac", "2", *arguments, "-y", str(unfinished)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *whole], check=True)
    unfinished.replace(path)
    return path


@pytest.mark.parametrize(
    ("form", "codec"), [("wav", "pcm_s16le"), ("w64", "pcm_s16le"), ("caf", "pcm_s16be"), ("mp3", "libmp3lame")]
)
def test_truncated_audio_that_is_taken_for_whole_is_told(
    shelf: Shelf, convert: Converter, tmp_path: Path, form: str, codec: str
) -> None:
    """Headers say how long it would be. Streams, whose headers say nothing or too much, are whole."""
    whole, path = made(shelf, f"whole.{form}", "-c:a", codec), tmp_path / f"broken.{form}"
    path.write_bytes(whole.read_bytes()[:-6000])
    assert any("sources[0] is truncated" in text for text in convert(path, LOSSLESS).warnings)
    assert not convert(whole, LOSSLESS).warnings
    if form == "wav":
        streamed, data = tmp_path / "streamed.wav", bytearray(whole.read_bytes())
        place = data.index(b"data") + 4
        data[place : place + 4] = b"\xff" * 4
        streamed.write_bytes(data)
        assert not convert(streamed, LOSSLESS).warnings


def test_tta_is_not_copied(shelf: Shelf, convert: Converter) -> None:
    """Its decoder learns from Matroska's length, in milliseconds, how many samples the last frame has: mostly not so many."""
    source = made(shelf, "a.mka", "-c:a", "tta")
    with pytest.raises(UnsupportedFormat, match="is tta, which mkv does not hold"):
        convert(source, target("mkv", None))
    assert np.array_equal(judge.sound(convert(source, LOSSLESS).path), judge.sound(source))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("codec", "container"),
    [("adpcm_ms", "wav"), ("wmav1", "asf"), ("wmav2", "asf"), ("aac", "mp4"), ("libmp3lame", "mp4"), ("real_144", "rm")],
)
def test_every_sample_that_the_decoder_gives_is_converted(shelf: Shelf, convert: Converter, codec: str, container: str) -> None:
    rate = ("-ar", "8000", "-ac", "1") if codec == "real_144" else ()
    source = made(shelf, f"samples-{codec}.{container}", "-c:a", codec, *rate)
    result = convert(source, LOSSLESS, limits=Limits(more_decoders=("real_144",)))
    expected, got = judge.sound(source), judge.sound(result.path)
    assert len(got) == len(expected)
    assert np.abs(got - expected).max() < 0.01
    assert not result.warnings


@pytest.mark.sample(every=2)
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


def wave_file(shelf: Shelf, name: str, samples: bytes, kind: int, bits: int, claimed: int | None = None) -> Path:
    """A WAV of one channel at 48 kHz that claims so many bytes."""
    size = len(samples) if claimed is None else claimed
    form = struct.pack("<HHIIHH", kind, 1, 48000, 48000 * bits // 8, bits // 8, bits)
    head = b"RIFF" + struct.pack("<I", min(size + 36, 0xFFFFFFFF)) + b"WAVEfmt " + struct.pack("<I", 16) + form
    return shelf.put(name, head + b"data" + struct.pack("<I", size) + samples)


@pytest.mark.parametrize("codec", ["mp3", "aac", "flac", "opus"])
def test_samples_that_are_not_numbers_are_silent(shelf: Shelf, convert: Converter, codec: str) -> None:
    wave = np.sin(np.arange(24000) / 17).astype(np.float32) / 2
    wave[6000:6010], wave[6010:6020], wave[6020:6030] = np.nan, np.inf, -1e30
    source = wave_file(shelf, "numbers.wav", wave.tobytes(), 3, 32)
    result = convert(source, target("mkv", None, AudioSpec(codec)))
    assert result.warnings == (
        "sources[0], stream 0 (audio): 30 samples are not numbers, infinite or beyond 1e6 times full scale: they are silent",
    )
    got = judge.sound(result.path)
    assert np.isfinite(got).all()
    assert np.abs(got).max() < 0.7


@pytest.mark.parametrize("wanted", [LOSSLESS, target("mkv", None)], ids=["encoded", "copied"])
def test_a_recording_that_was_not_closed_is_not_damaged(shelf: Shelf, convert: Converter, wanted: object) -> None:
    source = wave_file(shelf, "open.wav", bytes(2 * 30_001), 1, 16, claimed=0xFFFFFFFF)
    result = convert(source, wanted)  # type: ignore[arg-type]
    assert not result.warnings
    assert len(judge.sound(result.path)) == 30_001


def test_a_packet_cut_by_seeking_is_not_broken(shelf: Shelf, convert: Converter) -> None:
    video, audio = Video("mpeg2video", seconds=6), Audio("ac3", seconds=6)
    result = convert(Clip("vob", (video,), (audio,)), target("mkv", encoded(), AudioSpec("flac")), start=3.2)
    assert not result.warnings


def test_a_stream_that_begins_late_is_found(convert: Converter) -> None:
    clip = Clip("mpegts", (Video(seconds=12, fps=Fraction(5)),), (Audio(seconds=11, start=9),))
    result = convert(clip, target("mkv", encoded(), AudioSpec("flac")))
    assert len(judge.sound(result.path)) > 48000


@pytest.mark.parametrize(("pause", "told"), [(1.0, False), (3.0, True)])
def test_audio_that_is_mostly_silence_for_its_gaps_is_told(convert: Converter, pause: float, told: bool) -> None:
    """A recording may pause, but a source with wrong times looks alike."""
    clip = Clip("matroska", (), (Audio("pcm_s16le", rate=8000, layout="mono", seconds=4, gaps=((0.5, 0.5 + pause),)),))
    result = convert(clip, target("mkv", None, AudioSpec("flac")))
    assert ("of 4.0 s of the audio are silence" in " ".join(result.warnings)) == told


def test_slides_are_packaged(convert: Converter) -> None:
    clip = Clip("mp4", (Video(times=tuple(map(Fraction, (0, 7, 14)))),), (Audio(seconds=15),))
    hls = replace(target("ts", encoded(gop_size=0), AudioSpec("aac")), segment=SegmentSpec(SegmentFormat.HLS, 10_000_000))
    assert convert(clip, hls).artifacts


@pytest.mark.parametrize("wanted", [target("mp4", encoded()), target("mp4"), target("mkv")], ids=["encoded", "mp4", "mkv"])
def test_frames_of_equal_times_are_all_shown(convert: Converter, wanted: object) -> None:
    moments = tuple(Fraction(number - (number % 5 == 4), 25) + Fraction(number % 5 == 4, 10_000) for number in range(50))
    clip = Clip("matroska", (Video(times=moments, b_frames=0),), (Audio(),))
    result = convert(clip, wanted)  # type: ignore[arg-type]
    assert judge.numbers(result.path) == list(range(50))
    times = judge.times(result.path)
    assert max(abs(time - times[0] - Fraction(number, 25)) for number, time in enumerate(times)) <= Fraction(41, 1000)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_packets_shorter_than_a_tick_are_copied_in_time(shelf: Shelf, convert: Converter, container: str) -> None:
    source = made(shelf, "short.mkv", "-c:a", "flac", "-frame_size", "40")  # 0.83 ms, in ticks of 1 ms
    copy = convert(source, target(container, None, AudioSpec()))
    assert len(judge.sound(copy.path)) == len(judge.sound(source))
    before, after = judge.packets(source, "a:0"), judge.packets(copy.path, "a:0")
    assert len(before) == len(after)
    assert max(abs(old.pts - new.pts) for old, new in zip(before, after, strict=True)) <= Fraction(1, 1000)


@pytest.mark.parametrize("samples", [1, 37, 1001])
def test_audio_of_few_samples_ends_with_the_last_one(shelf: Shelf, convert: Converter, samples: int) -> None:
    source = wave_file(shelf, f"few-{samples}.wav", bytes(range(1, 3)) * samples, 1, 16)
    assert len(judge.sound(convert(source, target("m4a", None, AudioSpec("aac"))).path)) == samples


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("codec", "form"), [("eac3", "avi"), ("dca", "avi"), ("libvorbis", "avi"), ("flac", "avi"), ("flac", "asf")]
)
def test_audio_whose_times_mislead_follows_its_lengths(shelf: Shelf, convert: Converter, codec: str, form: str) -> None:
    """AVI counts their bytes in ticks as long as frames; libav's parser of FLAC looks ten frames ahead."""
    source = made(shelf, f"misled-{codec}.{form}", "-c:a", codec, "-strict", "-2")
    expected = judge.sound(source)
    got = judge.sound(convert(source, LOSSLESS).path)
    assert len(got) == len(expected)
    assert np.abs(got - expected).max() < 0.01
    times = [unit.pts for unit in judge.packets(convert(source, target("mkv", None)).path, "a:0")]
    assert float(times[-1] - times[0]) == pytest.approx(1.23, abs=0.05)
    assert max(float(latter - former) for former, latter in pairwise(times)) < 0.04


def test_a_cut_of_audio_whose_times_mislead(shelf: Shelf, convert: Converter) -> None:
    source = made(shelf, "misled-cut.avi", "-c:a", "eac3")
    got = judge.sound(convert(source, LOSSLESS, start=0.5, duration=0.5).path)
    assert np.abs(got - judge.sound(source)[24000:48000]).max() < 0.01


def test_extended_ac3_of_nut_is_told_from_ac3(shelf: Shelf, convert: Converter) -> None:
    """NUT has one code for both, with which Matroska would name it wrongly."""
    source = made(shelf, "extended.nut", "-c:a", "eac3")
    assert probe_file(str(source), Limits()).audio[0].codec == "eac3"
    with pytest.raises(UnsupportedFormat, match="nut describes eac3"):
        convert(source, target("mkv", None))
    plain = made(shelf, "plain.nut", "-c:a", "ac3")
    assert len(judge.sound(convert(plain, target("mkv", None)).path)) == len(judge.sound(plain))


def test_video_that_begins_late_is_copied_to_asf(shelf: Shelf, convert: Converter) -> None:
    """libav tells the length of the file as that of each of its streams."""
    video = Video(times=tuple(Fraction(number + 5, 25) for number in range(25)), b_frames=0)
    clip = Clip("matroska", (video,), (Audio(seconds=1.3),))
    assert judge.numbers(convert(clip, target("asf")).path) == [*range(25)]


@pytest.mark.parametrize("spec", ["ts", "mp4", "hls", "dash"])
def test_dts_is_copied_to_broadcast_and_mp4(shelf: Shelf, convert: Converter, spec: str) -> None:
    source = made(shelf, "dts.ts", "-c:a", "dca", "-strict", "-2")
    segment = None if spec in ("ts", "mp4") else SegmentSpec(SegmentFormat(spec), 600_000)
    wanted = replace(target("ts" if spec == "ts" else "mp4", None), segment=segment)
    done = convert(source, wanted)
    path = done.path if segment is None else next(done.published.glob("x.m*"))
    assert judge.describe(path).of("Audio")[0].codec == "dts"
    assert np.abs(judge.sound(path) - judge.sound(source)).max() == 0


def test_cuts_of_g722_are_where_they_are_asked_for(shelf: Shelf, convert: Converter) -> None:
    """libav seeks in WAV to twice the place."""
    source = made(
        shelf, "g722.wav", "-af", "volume='between(t,0.8,0.9)':eval=frame", "-ar", "16000", "-ac", "1", "-c:a", "g722"
    )
    heard = np.flatnonzero(np.abs(judge.sound(convert(source, LOSSLESS, start=0.7, duration=0.4).path)[:, 0]) > 0.05)
    assert heard[0] / 16000 == pytest.approx(0.1, abs=0.03) and heard[-1] / 16000 == pytest.approx(0.2, abs=0.03)


def test_samples_of_24_bits_in_32_are_integers(shelf: Shelf, convert: Converter) -> None:
    """libav reads them as floating point: noise, and silence where that is no number. Behind other chunks, too."""
    plain = made(shelf, "plain.wav", "-c:a", "pcm_s24le")
    samples = judge.sound(plain)
    content = (samples * 2**31).astype("<i4").tobytes()
    form = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 48000, 384000, 8, 32, 22, 24, 3) + struct.pack("<H", 1)
    chunks = (b"JUNK", bytes(3) + b"\0"), (b"fmt ", form + bytes.fromhex("000000001000800000aa00389b71")), (b"data", content)
    body = b"".join(kind + struct.pack("<I", 3 if kind == b"JUNK" else len(data)) + data for kind, data in chunks)
    source = shelf.put("24in32.wav", b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    converted = convert(source, LOSSLESS)
    assert np.abs(judge.sound(converted.path) - samples).max() < 1e-6 and not converted.warnings
    copied = convert(source, target("mkv", None)).path
    assert np.abs(judge.sound(copied) - samples).max() < 1e-6


def test_an_empty_packet_is_no_damage(shelf: Shelf, convert: Converter) -> None:
    """The FLAC encoder gives a last packet without audio, which NUT keeps."""
    source = made(shelf, "empty-packet.nut", "-c:a", "flac")
    done = convert(source, LOSSLESS)
    assert len(judge.sound(done.path)) == len(judge.sound(source))
    assert not done.warnings


def test_copied_packets_without_a_length_last_as_long_as_those_before(shelf: Shelf, convert: Converter) -> None:
    """As those of Vorbis in NUT."""
    source = made(shelf, "lengthless.nut", "-c:a", "libvorbis")
    path = convert(source, target("mkv", None)).path
    assert len(judge.sound(path)) == pytest.approx(len(judge.sound(source)), abs=2048)


def test_flac_in_ogg_is_heard_at_its_time(convert: Converter) -> None:
    """Of the first page, libav gives wrong times: where it has sought, and where audio begins later than video."""
    source = Clip("ogg", (), (Audio("flac", seconds=3, clicks=(1.5, 2.0, 2.5)),))
    for asked in (LOSSLESS, target("mkv", None)):
        assert judge.clicks(convert(source, asked, start=1.4).path) == pytest.approx([0.1, 0.6, 1.1], abs=0.022)
    video = ("-f", "lavfi", "-i", "color=s=64x48:d=2", "-map", "1", "-map", "0", "-c:v", "libtheora")
    late = made(convert.shelf, "late.ogv", *video, "-af", "asetpts=PTS+0.3/TB", "-c:a", "flac", seconds="2")
    converted = convert(late, target("mkv", encoded(), AudioSpec("flac")))
    heard = np.abs(judge.sound(converted.path)[:, 0]) > 0.01
    assert float(judge.sound_start(converted.path)) + np.argmax(heard) / 48000 == pytest.approx(0.3, abs=0.01)
    assert heard[15000:90000].reshape(-1, 500).any(axis=1).all()  # without a gap
