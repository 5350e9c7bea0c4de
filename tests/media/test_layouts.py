"""Channel layouts: a tone in each channel of the source comes out of the same channel, or the task says that it was mixed."""

import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest

from reelmill_server.errors import InvalidArgument, UnsupportedFormat
from reelmill_server.model.request import AudioSpec
from reelmill_server.plan.codec.channel_layouts import CHANNELS
from tests import judge
from tests.media.converter import Converter, target
from tests.sources import Audio, Clip

pytestmark = pytest.mark.media

SECONDS, RATE = 0.6, 48000
BEYOND_WAV = ("binaural", "7.2.3", "9.1.6", "hexadecagonal", "22.2")  # it has no words for them
# The same speakers under another name.
SAME = {"SL": "BL", "SR": "BR", "BL": "SL", "BR": "SR", "DL": "FL", "DR": "FR"}


def test_the_table_is_libavs() -> None:
    """Names and order of the channels of each layout."""
    assert {name: " ".join(names(name)) for name in CHANNELS} == {name: " ".join(own) for name, own in CHANNELS.items()}


def names(layout: str) -> list[str]:
    """The channels of a layout, as libav says."""
    return [channel.name for channel in av.AudioLayout(layout).channels]


def tone(channel: str, number: int) -> float:
    """The frequency in a channel: one that it can have, and that no other one has."""
    return {"LFE": 60.0, "LFE2": 100.0}.get(channel, 300.0 + 100 * number)


def clip(layout: str) -> Clip:
    """A WAV file with a tone in each channel."""
    tones = tuple(tone(channel, number) for number, channel in enumerate(names(layout)))
    return Clip("wav", (), (Audio("pcm_s16le", RATE, layout, SECONDS, channels_hz=tones),))


def levels(wave: np.ndarray, hz: float) -> np.ndarray:
    """How strong a tone is in each channel; 1 in the source."""
    middle = wave[len(wave) // 2 - 9600 : len(wave) // 2 + 9600]
    turns = np.exp(-2j * np.pi * hz * np.arange(len(middle)) / RATE) * np.hanning(len(middle))
    return np.abs(turns @ middle) / (np.hanning(len(middle)).sum() / 2 / 8)


def heard(path: Path, source: str) -> dict[str, list[str]]:
    """In which channels of a file each tone of the source is heard, the loudest first."""
    wave, outer = judge.sound(path), names(judge.layout(path))
    results = {}
    for number, channel in enumerate(names(source)):
        loud = levels(wave, tone(channel, number))
        results[channel] = [outer[place] for place in np.argsort(-loud) if loud[place] > 0.02]
    return results


def plain(layout: str) -> str:
    """Without where the surround channels are: FFmpeg 8 and 9 call those of an AAC file with seven channels differently."""
    return layout.replace("(back)", "").replace("(side)", "")


WITHIN_WAV = [name for name in CHANNELS if name not in BEYOND_WAV]
# Each layout in each codec, which decides of what it is mixed to; every third in further containers of a codec, and in MP3,
# which mixes all to stereo.
CELLS = [
    *((layout, *cell) for layout in WITHIN_WAV for cell in (("mp4", "aac"), ("ts", "ac3"), ("mkv", "opus"), ("mkv", "flac"))),
    *((layout, "mkv", "vorbis") for layout in WITHIN_WAV),
    *((layout, *cell) for layout in WITHIN_WAV[::3] for cell in (("ts", "opus"), ("mp4", "flac"), ("oga", "flac"))),
    *((layout, "ts", "aac") for layout in WITHIN_WAV[2::3]),
    *((layout, "mp3", "mp3") for layout in WITHIN_WAV[1::3]),
]


@pytest.mark.sample(every=23)
@pytest.mark.parametrize(("layout", "container", "codec"), CELLS)
def test_each_channel_keeps_its_place_or_is_said_to_be_mixed(
    convert: Converter, layout: str, container: str, codec: str
) -> None:
    """For every layout and codec; the layout in the plan is the one that is read back."""
    bitrate = {"opus": 510_000, "aac": 300_000}.get(codec) if len(names(layout)) > 2 else None
    quality = 90 if codec == "vorbis" else None
    converted = convert(clip(layout), target(container, None, AudioSpec(codec, bitrate=bitrate, quality=quality)))
    assert converted.plan.targets[0].streams[0].audio
    assert plain(judge.layout(converted.path)) == plain(converted.plan.targets[0].streams[0].audio.layout)
    mixed = [text for text in converted.warnings if "is mixed to" in text]
    for channel, places in heard(converted.path, layout).items():
        if mixed:
            assert places or (channel.startswith("LFE") and "low-frequency" in mixed[0])
        elif layout != "mono":
            assert places == [channel] or places == [SAME[channel]]
    assert not [text for text in converted.warnings if text not in mixed and "own Vorbis encoder" not in text]


@pytest.mark.sample(every=4)
@pytest.mark.parametrize(
    ("codec", "layout", "expected"),
    [
        ("aac", "2.1", "5.1"),
        ("aac", "quad", "5.0"),
        ("aac", "6.0", "6.1"),
        ("ac3", "2.1", "2.1"),
        ("ac3", "3.1", "3.1"),
        ("opus", "5.0(side)", "5.0"),
        ("opus", "4.0", "6.1"),
        ("flac", "7.0", "7.0"),
        ("mp3", "2.1", "stereo"),
        ("aac", "7.1.4", "7.1"),
    ],
)
def test_the_smallest_layout_that_holds_all_is_taken(convert: Converter, codec: str, layout: str, expected: str) -> None:
    """Not the usual one of as many channels."""
    converted = convert(clip(layout), target("mkv", None, AudioSpec(codec)))
    assert plain(judge.layout(converted.path)) == expected


@pytest.mark.parametrize("container", ["ts", "aac"])
def test_eight_channels_are_more_than_adts_can_signal(convert: Converter, container: str) -> None:
    """They are mixed to seven with a warning; to ask for eight, or to copy them, is refused by name."""
    converted = convert(clip("7.1"), target(container, None, AudioSpec("aac")))
    assert plain(judge.layout(converted.path)) == "6.1" and "is mixed to" in "".join(converted.warnings)
    with pytest.raises(InvalidArgument, match=f"at most 7 channels in {container}"):
        convert(clip("7.1"), target(container, None, AudioSpec("aac", channels=8)))
    source = convert(clip("7.1"), target("mkv", None, AudioSpec("aac"))).path
    with pytest.raises(UnsupportedFormat, match=r"has 7\.1"):
        convert(source, target(container, None))


def unmasked(path: Path, channels: int) -> Path:
    """A WAV file that does not say which channel is which."""
    wave = np.stack([np.sin(2 * np.pi * tone("", n) * np.arange(round(SECONDS * RATE)) / RATE) / 8 for n in range(channels)])
    data = (wave.T * 32767).astype("<i2").tobytes()
    fields = [(16, 4), (1, 2), (channels, 2), (RATE, 4), (RATE * channels * 2, 4), (channels * 2, 2), (16, 2)]
    head = b"".join(value.to_bytes(size, "little") for value, size in fields)
    body = b"WAVEfmt " + head + b"data" + len(data).to_bytes(4, "little") + data
    path.write_bytes(b"RIFF" + len(body).to_bytes(4, "little") + body)
    return path


@pytest.mark.sample(every=4)
@pytest.mark.parametrize(("codec", "channels"), [("aac", 3), ("aac", 4), ("ac3", 4), ("opus", 5), ("flac", 8), ("mp3", 2)])
def test_channels_without_names_keep_their_order(convert: Converter, tmp_path: Path, codec: str, channels: int) -> None:
    """A WAV file without a mask: no tone is lost, none is taken for another one; which they are taken for is said."""
    converted = convert(unmasked(tmp_path / "x.wav", channels), target("mkv", None, AudioSpec(codec)))
    wave = judge.sound(converted.path)
    assert wave.shape[1] == channels
    assert [int(np.argmax(levels(wave, tone("", n)))) for n in range(channels)] == list(range(channels))
    told = f"{channels} channels that do not say which they are: they are taken for those of {judge.layout(converted.path)}"
    assert [told in text for text in converted.warnings] == [True] * (channels > 2)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(("codec", "channels"), [("mp3", 3), ("aac", 9), ("opus", 16)])
def test_more_channels_without_names_are_all_heard(convert: Converter, tmp_path: Path, codec: str, channels: int) -> None:
    """And the task says so."""
    converted = convert(unmasked(tmp_path / "x.wav", channels), target("mkv", None, AudioSpec(codec)))
    wave = judge.sound(converted.path)
    assert all(levels(wave, tone("", n))[0] > 0.5 / channels for n in range(channels))
    assert "all are mixed" in " ".join(converted.warnings)


def test_channels_that_are_not_asked_for_are_mixed_without_a_word(convert: Converter) -> None:
    """Whoever asks for stereo knows."""
    converted = convert(clip("5.1"), target("mp4", None, AudioSpec("aac", channels=2)))
    assert judge.layout(converted.path) == "stereo"
    assert not converted.warnings


@pytest.mark.slow
def test_a_long_gap_in_eight_channels_is_silence(convert: Converter) -> None:
    """Made without writing beyond the eight planes of a frame."""
    audio = Audio("aac", RATE, "7.1", 6.0, bitrate=400_000, gaps=((1.0, 5.0),))
    converted = convert(Clip("matroska", (), (audio,)), target("mkv", None, AudioSpec("aac", bitrate=400_000)))
    wave = judge.sound(converted.path)
    assert wave.shape[1] == 8
    assert np.abs(wave[round(1.5 * RATE) : round(4.5 * RATE)]).max() < 0.001
    assert np.abs(wave[round(5.5 * RATE) :]).max() > 0.1


@pytest.mark.parametrize(("layout", "kept"), [("2.1", False), ("5.1", True), ("4.0", False)])
def test_a_copy_of_flac_that_loses_its_layout_is_refused(convert: Converter, layout: str, kept: bool) -> None:
    """MP4 does not tell the layout beside FLAC's frames, and they only the usual ones."""
    tones = tuple(tone(channel, number) for number, channel in enumerate(names(layout)))
    source = Clip("matroska", (), (Audio("flac", RATE, layout, SECONDS, channels_hz=tones, sample_format="s16"),))
    if not kept:
        with pytest.raises(UnsupportedFormat, match=layout):
            convert(source, target("mp4", None))
        return
    assert heard(convert(source, target("mp4", None)).path, layout)["FC"] == ["FC"]


# CAF, AIFF and MOV name each channel, so their order may be any; these are what the judge writes into them.
@pytest.mark.sample(every=5)
@pytest.mark.parametrize(("container", "codec"), [("caf", "pcm_s24le"), ("aiff", "pcm_s16be"), ("mov", "pcm_s16le")])
def test_channels_in_an_order_of_their_own_are_read_and_put_in_their_places(
    convert: Converter, tmp_path: Path, container: str, codec: str
) -> None:
    """PyAV 18 frees such a layout twice: nothing may be left to that."""
    source = tmp_path / f"a.{container}"
    wav = convert.shelf.get(clip("7.1"))
    subprocess.run(
        [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", wav, "-c:a", codec, source], check=True, capture_output=True
    )
    converted = convert(source, target("mkv", None, AudioSpec("flac")))
    assert judge.layout(converted.path) == "7.1"
    result = heard(converted.path, "7.1")
    said = names(judge.layout(source))  # in CAF and AIFF the judge swaps the names of two pairs
    assert {channel: places[0] for channel, places in result.items()} == dict(zip(names("7.1"), said, strict=True))


def test_a_copy_of_pcm_is_refused_where_its_channels_would_be_taken_for_others(convert: Converter) -> None:
    """Matroska tells their number alone."""
    with pytest.raises(UnsupportedFormat, match="the source has quad, and mkv holds pcm_s16le in mono, stereo"):
        convert(clip("quad"), target("mkv", None))
    assert judge.layout(convert(clip("5.1"), target("mkv", None)).path) == "5.1"


@pytest.mark.parametrize("own", ["BL+BR", "SL", "FL+BL", "FL+FR+FC+LFE+BL+BR+FRC"])
def test_channels_that_libav_does_not_mix_keep_their_places(convert: Converter, own: str) -> None:
    """None in front, or half a pair: its mixer refuses them."""
    found = heard(convert(clip(own), target("flac", None, AudioSpec("flac"))).path, own)
    assert all(SAME.get(channel, channel) in places or channel in places for channel, places in found.items())
    assert all(len(places) == 1 for places in found.values())


def test_half_a_pair_that_the_codec_has_no_place_for_is_mixed(convert: Converter) -> None:
    """The channel right of the center is heard at the right."""
    converted = convert(clip("FL+FR+FRC"), target("mp4", None, AudioSpec("aac")))
    assert heard(converted.path, "FL+FR+FRC")["FRC"] == ["FR"]
    assert any("is mixed to 3.0" in text for text in converted.warnings)


def test_mp3_of_a_low_rate_is_not_copied_to_mp4(convert: Converter) -> None:
    """libav does not write it, without a word why."""
    source = Clip("mp3", (), (Audio("libmp3lame", 11025, seconds=0.3),))
    with pytest.raises(UnsupportedFormat, match="the source has 11025 Hz, and mp4 holds mp3 at 16000"):
        convert(source, target("mp4", None))
    assert judge.sample_rate(convert(source, target("mp4", None, AudioSpec("mp3"))).path) == 16000
