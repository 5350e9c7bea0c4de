"""Sound: rates, channels, bit rates, and where it is against the picture."""

import numpy as np
import pytest

from reelmill_server.errors import ConditionNotMet, InvalidArgument
from reelmill_server.model.request import Adapt, AudioSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, capabilities, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

TONE = Clip("matroska", (), (Audio("flac"),))
# Front left, front right, centre, LFE, back left, back right.
SURROUND_HZ = (300.0, 500.0, 700.0, 60.0, 1100.0, 1300.0)
SURROUND = Clip("matroska", (), (Audio("flac", layout="5.1", channels_hz=SURROUND_HZ, sample_format="s16"),))


def strength(wave: np.ndarray, rate: int, hz: float) -> float:
    """How strong a tone is in a channel: 1 is as in the source."""
    moments = np.arange(len(wave)) / rate
    return float(abs(np.mean(wave * np.exp(-2j * np.pi * hz * moments))) * 2 * 8)


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("codec", ["aac", "mp3", "opus", "flac"])
@pytest.mark.parametrize("rate", [8000, 16000, 24000, 44100, 48000, 96000])
def test_a_sample_rate_is_met_or_refused(convert: Converter, codec: str, rate: int) -> None:
    """The tone keeps its pitch; a rate that the codec does not have is refused with those that it has."""
    refused = (codec, rate) in (("mp3", 96000), ("opus", 44100), ("opus", 96000))
    asked = target("mkv", None, AudioSpec(codec, sample_rate=rate))
    if refused:
        with pytest.raises(InvalidArgument, match="Hz"):
            convert(TONE, asked)
        return
    converted = convert(TONE, asked).path
    # Opus always decodes to 48 kHz.
    assert judge.sample_rate(converted) == (48000 if codec == "opus" else rate)
    sound = judge.sound(converted)[:, 0]
    assert judge.pitch(sound[len(sound) // 4 : -len(sound) // 4], judge.sample_rate(converted)) == pytest.approx(440, abs=3)
    assert len(sound) / judge.sample_rate(converted) == pytest.approx(2, abs=0.2 if rate < 16000 else 0.08)


@pytest.mark.parametrize(
    ("codec", "rate", "expected"),
    [("opus", 44100, 48000), ("mp3", 96000, 48000), ("aac", 96000, 96000), ("flac", 44100, 44100)],
)
def test_without_a_sample_rate_the_next_that_the_codec_has_is_taken(
    convert: Converter, codec: str, rate: int, expected: int
) -> None:
    """As the source, else the next higher, else the highest."""
    clip = Clip("matroska", (), (Audio("flac", rate=rate),))
    converted = convert(clip, target("mkv", None, AudioSpec(codec)))
    assert judge.sample_rate(converted.path) == expected
    assert converted.artifact.streams[0].sample_rate == expected


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("codec", ["aac", "mp3", "opus", "flac"])
@pytest.mark.parametrize("channels", range(1, 9))
def test_each_number_of_channels_is_made_or_refused(convert: Converter, codec: str, channels: int) -> None:
    """One to eight, as far as the codec goes."""
    asked = target("mkv", None, AudioSpec(codec, channels=channels))
    if codec == "mp3" and channels > 2:
        with pytest.raises(InvalidArgument, match="channels"):
            convert(TONE, asked)
        return
    converted = convert(TONE, asked)
    judge.check(converted.path)
    assert judge.channels(converted.path) == channels
    assert converted.artifact.streams[0].channels == channels


def test_surround_is_mixed_down_with_every_voice(convert: Converter) -> None:
    """5.1 to stereo: left has left, centre and back left; right the others; nothing clips."""
    converted = convert(SURROUND, target("mkv", None, AudioSpec("flac", channels=2))).path
    sound = judge.sound(converted)[4800:-4800]
    left, right = ([strength(sound[:, side], 48000, hz) for hz in SURROUND_HZ] for side in (0, 1))
    assert left[0] > 0.3
    assert right[1] > 0.3
    assert left[2] == pytest.approx(right[2], rel=0.05)
    assert left[2] > 0.2
    assert left[4] > 0.2
    assert right[5] > 0.2
    assert max(left[1], left[5], right[0], right[4]) < 0.02
    assert np.abs(sound).max() < 1


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("codec", ["aac", "opus", "flac"])
def test_surround_stays_in_its_channels(convert: Converter, codec: str) -> None:
    """5.1 stays 5.1, with every tone where it was."""
    converted = convert(SURROUND, target("mkv", None, AudioSpec(codec, bitrate=None if codec == "flac" else 500_000))).path
    sound = judge.sound(converted)[4800:-4800]
    assert judge.channels(converted) == 6
    for channel, hz in enumerate(SURROUND_HZ):
        levels = [strength(sound[:, other], 48000, hz) for other in range(6)]
        assert int(np.argmax(levels)) == channel


def test_mono_becomes_stereo_on_both_sides(convert: Converter) -> None:
    """One voice on two sides, not louder."""
    clip = Clip("matroska", (), (Audio("flac", layout="mono"),))
    sound = judge.sound(convert(clip, target("mkv", None, AudioSpec("flac", channels=2))).path)
    assert np.array_equal(sound[:, 0], sound[:, 1])
    assert np.abs(sound).max() < 0.13


@pytest.mark.parametrize(("codec", "bitrate"), [("aac", 96_000), ("mp3", 64_000), ("opus", 96_000)])
def test_a_bitrate_is_met(convert: Converter, codec: str, bitrate: int) -> None:
    """The mean of the packets is near what was asked for."""
    noise = tuple(300.0 + 37 * index for index in range(2))
    clip = Clip("matroska", (), (Audio("flac", channels_hz=noise, seconds=3),))
    converted = convert(clip, target("mkv", None, AudioSpec(codec, bitrate=bitrate))).path
    assert sum(packet.size for packet in judge.packets(converted, "a:0")) * 8 / 3 == pytest.approx(
        bitrate, rel=0.4 if codec == "opus" else 0.1
    )


@pytest.mark.parametrize(("sample_format", "bits"), [("s16", "s16"), ("s32", "s32 (24 bit)")])
def test_lossless_stays_lossless(convert: Converter, sample_format: str, bits: str) -> None:
    """FLAC of 16 and of 24 bits comes out sample for sample."""
    clip = Clip("matroska", (), (Audio("flac", sample_format=sample_format),))
    converted = convert(clip, target("flac", None, AudioSpec("flac"))).path
    assert bits in judge.describe(converted).of("Audio")[0].rest
    assert np.array_equal(judge.sound(converted), judge.sound(convert.shelf.get(clip)))


LATE = Clip("mp4", (Video(),), (Audio(start=0.5, seconds=1.5, clicks=(0.7, 1.2, 1.7)),))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("container", "codec"), [("mp4", "aac"), ("mp4", "opus"), ("mkv", "flac"), ("ts", "mp3"), ("mkv", "copy")]
)
def test_sound_that_begins_late_stays_late(convert: Converter, container: str, codec: str) -> None:
    """Clicks are where they were against the picture."""
    converted = convert(LATE, target(container, encoded(), AudioSpec(codec))).path
    begin = float(judge.times(converted)[0])
    assert [click - begin for click in judge.clicks(converted)] == pytest.approx([0.7, 1.2, 1.7], abs=0.003)


def test_late_sound_of_a_cut_stays_in_sync(convert: Converter) -> None:
    """A cut that begins before the sound does."""
    converted = convert(LATE, target("mkv", encoded(), AudioSpec("flac")), start=0.2, duration=1.2).path
    assert judge.clicks(converted) == pytest.approx([0.5, 1.0], abs=0.003)
    assert judge.numbers(converted) == list(range(5, 35))


@pytest.mark.parametrize("gap", [(0.8, 1.1), (0.8, 0.86)])
def test_a_gap_in_the_sound_is_silence(convert: Converter, gap: tuple[float, float]) -> None:
    """Lost packets do not pull what follows forward."""
    clip = Clip("matroska", (Video(),), (Audio("flac", clicks=(0.5, 1.2, 1.7), gaps=(gap,)),))
    converted = convert(clip, target("mkv", encoded(), AudioSpec("flac"))).path
    assert judge.clicks(converted) == pytest.approx([0.5, 1.2, 1.7], abs=0.003)
    assert judge.sound(converted).shape[0] == 96000


def test_a_change_of_channels_midway_is_followed(convert: Converter) -> None:
    """Broadcasts change between mono and stereo: the output keeps one layout and all of the sound."""
    mono = convert.shelf.get(Clip("mpegts", (), (Audio("aac", layout="mono", seconds=1, clicks=(0.5,)),)))
    stereo = convert.shelf.get(Clip("mpegts", (), (Audio("aac", seconds=1, start=1.1, clicks=(1.6,)),)))
    joined = convert.shelf.join("layouts.ts", mono, stereo)
    converted = convert(joined, target("mkv", None, AudioSpec("flac"))).path
    clicks = judge.clicks(converted, threshold=0.2)
    assert len(clicks) == 2
    assert clicks[1] - clicks[0] == pytest.approx(1.1, abs=0.03)


def test_a_lossless_codec_takes_no_bitrate(convert: Converter) -> None:
    """FLAC's size is what it is."""
    with pytest.raises(InvalidArgument, match="lossless"):
        convert(TONE, target("flac", None, AudioSpec("flac", bitrate=100_000)))


# What a listener would call music: partials that drift, so that no encoder finds it easy.
MUSIC = Clip("matroska", (), (Audio("flac", seconds=3, pattern="music"),))
LOSSY = ["aac", "mp3", "opus", "vorbis", "ac3", "amr"]


@pytest.mark.slow
@pytest.mark.sample(every=4)
@pytest.mark.parametrize("codec", LOSSY)
def test_more_quality_gives_more_bits(convert: Converter, codec: str) -> None:
    """From 0 to 100 it never gets less, and at the end several times as much; the rate is that of the documents."""
    sizes = []
    for quality in (0, 25, 50, 75, 100):
        converted = convert(MUSIC, target("mov" if codec == "amr" else "mkv", None, AudioSpec(codec, quality=quality))).path
        judge.check(converted)
        sizes.append(sum(packet.size for packet in judge.packets(converted, "a:0")))
    assert sizes == sorted(sizes)
    assert len(set(sizes)) == 5
    assert sizes[-1] > 2 * sizes[0]


@pytest.mark.parametrize(
    ("codec", "settings", "reason"),
    [
        ("flac", {"quality": 50}, "lossless"),
        ("ac3", {"channels": 7}, "at most 6 channels"),
        ("ac3", {"sample_rate": 24000}, "32000, 44100, 48000"),
        ("ac3", {"bitrate": 48_000}, "at least 64000"),
        ("amr", {"channels": 2}, "at most 1 channels"),
        ("amr", {"sample_rate": 16000}, "AMR-WB"),
        ("amr", {"bitrate": 4000}, "at least 4750"),
        ("mp3", {"sample_rate": 22050, "bitrate": 320_000}, "at most 160000"),
    ],
)
def test_what_a_codec_cannot_do_is_refused(convert: Converter, codec: str, settings: dict[str, int], reason: str) -> None:
    """With what it can."""
    with pytest.raises(InvalidArgument, match=reason):
        convert(TONE, target("mov" if codec == "amr" else "mkv", None, AudioSpec(codec, **settings)))  # type: ignore[arg-type]


def test_vorbis_is_stereo_where_libav_has_only_its_own(convert: Converter) -> None:
    """One channel becomes two, unless one is asked for; a bit rate is no setting of this encoder, and two differ at a price."""
    if capabilities()["libvorbis"].available:
        pytest.skip("this build has libvorbis")
    mono = Clip("matroska", (), (Audio("flac", layout="mono"),))
    converted = convert(mono, target("oga", None, AudioSpec("vorbis")))
    assert (judge.channels(converted.path), converted.warnings) == (2, ())
    assert "distorts what the right channel has" in convert(TONE, target("oga", None, AudioSpec("vorbis"))).warnings[0]
    with pytest.raises(InvalidArgument, match="2 channels only"):
        convert(mono, target("oga", None, AudioSpec("vorbis", channels=1)))
    with pytest.raises(InvalidArgument, match="set quality"):
        convert(mono, target("oga", None, AudioSpec("vorbis", bitrate=96_000)))


@pytest.mark.parametrize(("codec", "asked", "given"), [("ac3", 200_000, 192_000), ("amr", 8_000, 7_950)])
def test_a_bitrate_between_steps_is_the_lower_step(convert: Converter, codec: str, asked: int, given: int) -> None:
    """As the codec has no other."""
    converted = convert(MUSIC, target("mov" if codec == "amr" else "mkv", None, AudioSpec(codec, bitrate=asked)))
    assert converted.plan.targets[0].streams[0].options["b"] == str(given)
    # AMR chunk_files its modes into whole bytes.
    size = sum(packet.size for packet in judge.packets(converted.path, "a:0"))
    assert size * 8 / 3 == pytest.approx(given, rel=0.08)


@pytest.mark.parametrize(("source", "bits", "said"), [("s32", 16, "s16"), ("s16", 24, "s32 (24 bit)")])
def test_flac_has_the_bits_that_are_asked_for(convert: Converter, source: str, bits: int, said: str) -> None:
    """16 from a deep source, 24 from a shallow one; what is heard is the same."""
    clip = Clip("matroska", (), (Audio("flac", sample_format=source),))
    converted = convert(clip, target("flac", None, AudioSpec("flac", bits_per_sample=bits))).path
    assert said in judge.describe(converted).of("Audio")[0].rest
    assert np.abs(judge.sound(converted) - judge.sound(convert.shelf.get(clip))).max() < 2**-15


@pytest.mark.parametrize("codec", ["aac", "mp3", "flac"])
def test_a_full_mix_does_not_clip(convert: Converter, codec: str) -> None:
    """All five voices at full scale at once reach full scale in the mix, by the coefficients of BS.775, and no more."""
    clip = Clip("matroska", (), (Audio("flac", layout="5.1", sample_format="s16", clicks=(0.5, 1.0)),))
    sound = judge.sound(convert(clip, target("mkv", None, AudioSpec(codec, channels=2))).path)
    assert 0.3 < np.abs(sound).max() < 1


def test_the_mix_has_the_coefficients_of_bs_775(convert: Converter) -> None:
    """Front 1, centre and surround 0.707, all by 1/2.414; the LFE is left out."""
    sound = judge.sound(convert(SURROUND, target("mkv", None, AudioSpec("flac", channels=2))).path)[4800:-4800]
    left = [strength(sound[:, 0], 48000, hz) for hz in SURROUND_HZ]
    assert left == pytest.approx([0.4142, 0, 0.2929, 0, 0.2929, 0], abs=0.01)


def test_stereo_in_surround_stays_in_front(convert: Converter) -> None:
    """Two channels in six: the others are silent."""
    clip = Clip("matroska", (), (Audio("flac", channels_hz=(300.0, 500.0)),))
    sound = judge.sound(convert(clip, target("mkv", None, AudioSpec("flac", channels=6))).path)[4800:-4800]
    assert strength(sound[:, 0], 48000, 300) == pytest.approx(1, abs=0.02)
    assert strength(sound[:, 1], 48000, 500) == pytest.approx(1, abs=0.02)
    assert np.abs(sound[:, 2:]).max() == 0


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["matroska", "mp4"])
@pytest.mark.parametrize("kind", ["audio", "video"])
def test_the_bitrate_of_a_poorer_source_stays_or_fails(convert: Converter, form: str, kind: str) -> None:
    """Matroska does not tell it, MP4 does: measured or read, it is the mean of the packets. A richer source changes nothing."""
    clip = Clip(form, (Video(seconds=2),), (Audio("aac", bitrate=64_000),))
    path = convert.shelf.get(clip)
    real = sum(packet.size for packet in judge.packets(path, "a:0" if kind == "audio" else "v:0")) * 8 / 2

    def asked(option: Adapt, bitrate: int) -> TargetSpec:
        if kind == "audio":
            return target("mkv", None, AudioSpec("aac", bitrate=bitrate, bitrate_option=option))
        return target("mkv", encoded(bitrate=bitrate, bitrate_option=option), None)

    kept = convert(clip, asked(Adapt.ADAPTIVE, 250_000)).plan.targets[0].streams[0].options["b"]
    assert int(kept) == pytest.approx(real, rel=0.05)
    assert convert(clip, asked(Adapt.FIXED, 250_000)).plan.targets[0].streams[0].options["b"] == "250000"
    with pytest.raises(ConditionNotMet, match="bitrate"):
        convert(clip, asked(Adapt.FALL, 250_000))
    lower = round(real / 2)
    assert convert(clip, asked(Adapt.FALL, lower)).plan.targets[0].streams[0].options["b"] == str(lower)


@pytest.mark.parametrize("codec", ["amr", "aac", "ac3"])
def test_a_file_without_a_header_is_as_long_as_its_packets(convert: Converter, codec: str) -> None:
    """Not as its first bit rate makes libav guess."""
    artifact = convert(MUSIC, target(codec, None, AudioSpec(codec))).artifact
    assert artifact.duration_seconds == artifact.streams[0].duration_seconds
