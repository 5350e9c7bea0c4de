"""Pictures and sound stay together, whatever a source's clock, edit lists, gaps and seams are like; nothing is lost."""

from dataclasses import replace
from fractions import Fraction
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.plan import COPY
from reelmill_server.model.request import AudioSpec, TargetSpec
from tests import judge
from tests.media.converter import CLIP, Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

FRAME = 1 / 25
CLICKS = (0.5, 1.5)
ENCODE, REMUX, REMUX_MKV = target("mp4", encoded(), AudioSpec("aac")), target("mp4"), target("mkv")


def heard(path: Path, expected: tuple[float, ...] = CLICKS, first: int = 0) -> list[float]:
    """How much later clicks are heard than the pictures of their moments are shown, seconds; each picture is there, in time."""
    times, numbers = judge.times(path), judge.numbers(path)
    assert numbers == [*range(first, 50)]
    begin = float(times[0]) - first * FRAME
    assert [float(time) - begin for time in times] == pytest.approx([number * FRAME for number in numbers], abs=0.0011)
    clicks = judge.clicks(path, threshold=0.3)
    assert len(clicks) == len(expected)
    return [click - begin - moment for click, moment in zip(clicks, expected, strict=True)]


def clip(form: str, codec: str, offset: float = 0, video_late: float = 0, audio_late: float = 0) -> Clip:
    """Fifty pictures and two clicks, each stream late by as much as said."""
    late = Fraction(video_late).limit_denominator(1000)
    video = "libvpx-vp9" if form == "webm" else "libx264"
    times = tuple(Fraction(number, 25) + late for number in range(50)) if late else ()
    sound = Audio(codec, clicks=tuple(moment + audio_late for moment in CLICKS), start=audio_late)
    return Clip(form, (Video(video, times=times),), (sound,), offset=offset)


@pytest.mark.sample(every=16)
@pytest.mark.parametrize(
    "asked",
    [ENCODE, target("mkv", encoded(), AudioSpec("opus")), target("ts", encoded(), AudioSpec("mp3")), REMUX, REMUX_MKV],
    ids=lambda asked: f"{asked.container}-{asked.audio.codec}",
)
@pytest.mark.parametrize(
    ("form", "codec"),
    [("mp4", "aac"), ("mp4", "libmp3lame"), ("mpegts", "aac"), ("matroska", "libopus"), ("webm", "libopus"), ("flv", "aac")],
)
def test_priming_and_b_frames_delay_nothing(convert: Converter, form: str, codec: str, asked: TargetSpec) -> None:
    """What encoders put before the sound, and decoding times before 0, change nothing between sound and pictures."""
    converted = convert(clip(form, codec), asked)
    assert heard(converted.path) == pytest.approx([0, 0], abs=0.002)


@pytest.mark.sample(every=25)
@pytest.mark.parametrize("asked", [ENCODE, REMUX, REMUX_MKV, target("ts")], ids=["encode", "mp4", "mkv", "ts"])
@pytest.mark.parametrize(
    ("form", "late"),
    [
        *product(("mp4", "matroska", "mpegts"), ((10.04, 0, 0), (0, 0.52, 0), (10.04, 0, 0.7))),
        *product(("matroska", "mpegts"), ((-0.6, 0, 0),)),  # in MP4 it is an edit list: see below
    ],
)
def test_late_and_negative_starts_keep_their_distance(
    convert: Converter, form: str, late: tuple[float, float, float], asked: TargetSpec
) -> None:
    """A file that begins late, one stream that does (in MP4 by an empty edit), or a file that is moved to begin at 0."""
    converted = convert(clip(form, "aac", *late), asked)
    lag = late[2] - late[1]
    assert heard(converted.path, (0.5 + lag, 1.5 + lag)) == pytest.approx([0, 0], abs=0.003)
    assert 0 <= judge.describe(converted.path).start < 0.1


@pytest.mark.parametrize("asked", [ENCODE, REMUX, target("ts")], ids=["encode", "mp4", "ts"])
def test_the_clock_of_a_transport_stream_wraps(convert: Converter, asked: TargetSpec) -> None:
    """33 bits at 90 kHz end after 26.5 hours: a recording over that moment goes on."""
    converted = convert(clip("mpegts", "aac", offset=95443.7177 - 2.4), asked)
    assert heard(converted.path) == pytest.approx([0, 0], abs=0.004)
    assert judge.describe(converted.path).duration < 2.2


def loud(path: Path) -> tuple[float, float]:
    """When the first and the last sample of a tone are heard, seconds."""
    samples = np.flatnonzero(np.abs(judge.sound(path)[:, 0]) > 0.05)
    return samples[0] / 48000, samples[-1] / 48000


def test_a_recording_shortly_before_its_clock_wraps_is_slowed_down_and_joined(convert: Converter) -> None:
    """libav counts down to the moment of the wrap: all times are negative."""
    early = convert.shelf.get(clip("mpegts", "aac", offset=95443.7177 - 10))
    slow = convert(early, replace(ENCODE, speed=Fraction(1, 2)))
    assert judge.describe(slow.path).duration == pytest.approx(4, abs=0.1)
    cut = replace(CLIP, start_us=1_000_000)
    joined = convert.concat([(early, cut), (early, cut)], target("mkv", encoded(), AudioSpec("aac")))
    assert judge.describe(joined.path).duration == pytest.approx(2, abs=0.15)


@pytest.mark.parametrize(("speed", "start"), [(Fraction(1, 2), 0), (Fraction(2), 0.4)])
def test_audio_that_begins_late_keeps_its_distance_at_another_speed(convert: Converter, speed: Fraction, start: float) -> None:
    """What comes before it is stretched, too."""
    late = Clip("matroska", (Video(seconds=2),), (Audio("flac", seconds=1, start=0.9),))
    converted = convert(late, replace(target("mkv", encoded(), AudioSpec("flac")), speed=speed), start=start)
    assert loud(converted.path)[0] == pytest.approx((0.9 - start) / speed, abs=0.01)


def test_audio_whose_rate_changes_is_whole_at_another_speed(convert: Converter, tmp_path: Path) -> None:
    """Each rate has a tempo filter of its own."""
    both = tmp_path / "both.aac"
    clips = [Clip("adts", (), (Audio(rate=rate, seconds=1, hz=hz),)) for rate, hz in ((48000, 440), (44100, 880))]
    both.write_bytes(b"".join(convert.shelf.get(one).read_bytes() for one in clips))
    slow = convert(both, replace(target("flac", None, AudioSpec("flac")), speed=Fraction(1, 2)))
    for second, hz in ((1.6, 440), (2.2, 880), (3.6, 880)):
        begin = round(second * 48000)
        assert judge.pitch(judge.sound(slow.path)[begin : begin + 12000, 0], 48000) == pytest.approx(hz, abs=4)


def test_audio_that_outlasts_the_video_is_whole_at_another_speed(convert: Converter) -> None:
    """Nothing is joined, so that nothing needs to end with the video."""
    longer = Clip("mp4", (Video(seconds=1),), (Audio(seconds=1.4),))
    slow = convert(longer, replace(target("mkv", encoded(), AudioSpec("flac")), speed=Fraction(1, 2)))
    assert loud(slow.path)[1] == pytest.approx(2.8, abs=0.03)


def test_audio_that_ends_before_the_video_gets_no_silence_at_another_speed(convert: Converter) -> None:
    """As at its own speed, in the file of the video and in one beside it."""
    shorter = Clip("mp4", (Video(seconds=1.4),), (Audio(seconds=1),))
    asked = [replace(target("mkv", video, AudioSpec("flac")), speed=Fraction(1, 2)) for video in (encoded(), None)]
    for path in convert(shorter, *asked).paths:
        assert len(judge.sound(path)) == pytest.approx(2 * 48000, abs=2400)


TRIMMED = clip("mp4", "aac", offset=-0.6)


def test_what_an_edit_list_cuts_is_neither_shown_nor_heard(convert: Converter) -> None:
    """MP4 that begins in the middle of a group of pictures; a copy to MP4 hides it again."""
    for asked in (ENCODE, REMUX, target("ts", encoded(), AudioSpec("aac"))):
        assert heard(convert(TRIMMED, asked).path, (1.5,), first=15) == pytest.approx([0], abs=0.002)


@pytest.mark.parametrize("container", ["mkv", "ts"])
def test_pictures_that_cannot_be_hidden_are_told(convert: Converter, container: str) -> None:
    """They are needed by those after them; the sound before the first one stays away."""
    converted = convert(TRIMMED, target(container))
    assert f"targets[0]: the source hides its first 3 frames, which {container} cannot: they are shown" in converted.warnings
    assert judge.numbers(converted.path) == [*range(12, 50)]
    shown = float(judge.times(converted.path)[0])
    assert judge.clicks(converted.path)[-1] - shown == pytest.approx(1.5 - 12 * FRAME, abs=0.002)
    assert judge.sound_start(converted.path) - judge.times(converted.path)[0] > -0.05
    mixed = convert(TRIMMED, target(container, encoded(), AudioSpec()))
    assert not mixed.warnings
    assert judge.clicks(mixed.path)[-1] - float(judge.times(mixed.path)[0]) == pytest.approx(1.5 - 15 * FRAME, abs=0.002)


@pytest.mark.parametrize("asked", [REMUX_MKV, target("mkv", encoded(), AudioSpec())], ids=["copy", "encode"])
def test_copied_audio_is_heard_from_the_beginning_where_more_is_hidden_before(convert: Converter, asked: TargetSpec) -> None:
    """With FFmpeg 9, Matroska has players skip as much as the source's edit list does: that much has to be there."""
    loud = Audio("aac", hz=440)
    converted = convert(Clip("mp4", (Video(time_base=Fraction(1, 100)),), (loud,), offset=-0.46), asked)
    begin = float(judge.times(converted.path)[0])
    rate, samples = judge.sample_rate(converted.path), judge.sound(converted.path)
    first = float(judge.sound_start(converted.path))
    early = samples[max(0, round((begin - first) * rate)) :][: rate // 10]
    assert first <= begin + 0.03
    assert float(abs(early).max()) > 0.05
    assert not converted.warnings


def test_hidden_audio_may_end_before_the_video(convert: Converter) -> None:
    """With FFmpeg 9, Matroska's length has what players skip of the audio, and is not that of the video."""
    clip = Clip("mp4", (Video(seconds=1.5, gop=99),), (Audio("aac", seconds=1.4),), offset=-0.76)
    assert judge.numbers(convert(clip, REMUX_MKV).path) == [*range(38)]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_frames_that_are_hidden_up_to_a_keyframe_are_left_out(convert: Converter, container: str) -> None:
    """None that is shown needs them; what is left out is booked."""
    source = Clip("mp4", (Video(time_base=Fraction(1, 100)),), (Audio("aac", clicks=CLICKS),), offset=-0.46)
    converted = convert(source, target(container))
    assert heard(converted.path, first=12) == pytest.approx([0, 0], abs=0.025)
    assert len(judge.packets(converted.path, "v:0")) == 38
    assert not converted.warnings
    told = [one for stream in converted.artifact.streams for one in stream.adjustments if "hidden" in one.reason]
    assert [(one.count, one.added) for one in told] == [(12, False)]


def test_a_copy_may_hide_most_of_its_frames(convert: Converter) -> None:
    """A long group of pictures whose end is shown: what decodes to nothing is no damage."""
    source = Clip("mp4", (Video(seconds=1.2, gop=250),), (Audio(seconds=1.2),), offset=-0.84)
    converted = convert(source, REMUX)
    assert judge.numbers(converted.path) == [*range(21, 30)]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("gap", [(0.8, 0.83), (0.8, 0.86), (0.8, 1.2)])
@pytest.mark.parametrize("codec", ["aac", "flac"])
def test_a_gap_of_any_length_is_silence(convert: Converter, gap: tuple[float, float], codec: str) -> None:
    """Lost packets leave a hole, and all sound after it where it was."""
    source = Clip("matroska", (Video(),), (Audio(clicks=CLICKS, gaps=(gap,)),))
    converted = convert(source, target("mkv", encoded(), AudioSpec(codec)))
    assert heard(converted.path) == pytest.approx([0, 0], abs=0.002)


@pytest.fixture
def recorded_twice(shelf: Shelf) -> Path:
    """Two recordings behind each other: the sound of the second begins before that of the first has ended."""
    parts = [Clip("mpegts", (Video(seconds=1),), (Audio(seconds=1, clicks=(0.5,)),), offset=late) for late in (0, 1.04)]
    return shelf.join("recorded-twice.ts", *(shelf.get(part) for part in parts))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("asked", [ENCODE, REMUX, REMUX_MKV, target("ts")], ids=["encode", "mp4", "mkv", "ts"])
def test_overlapping_sound_of_a_joined_recording_is_left_out(
    convert: Converter, recorded_twice: Path, asked: TargetSpec
) -> None:
    """Each click stays with its picture; a copy says that it left a packet out."""
    converted = convert(recorded_twice, asked)
    times = judge.times(converted.path)
    assert judge.numbers(converted.path) == [*range(25), *range(25)]
    clicks = judge.clicks(converted.path, threshold=0.3)
    assert [click - float(times[place]) for click, place in zip(clicks, (0, 25), strict=True)] == pytest.approx(
        [0.5, 0.5], abs=0.004
    )
    copied = converted.plan.targets[0].streams[0].encoder == COPY
    assert copied == any("packets of audio of the source go back in time: left out" in text for text in converted.warnings)


@pytest.mark.parametrize(("rates", "layouts"), [((48000, 44100), ("stereo", "mono")), ((32000, 48000), ("mono", "5.1"))])
def test_a_change_of_the_sample_rate_loses_no_sound(
    convert: Converter, shelf: Shelf, rates: tuple[int, int], layouts: tuple[str, str]
) -> None:
    """Broadcasts change it between programmes: the second click is heard where the second part has it."""
    parts = [
        Clip("mpegts", (), (Audio("ac3", rate=rate, layout=layout, seconds=1, clicks=(0.5,)),), offset=late)
        for rate, layout, late in zip(rates, layouts, (0, 1), strict=True)
    ]
    joined = shelf.join(f"rates-{rates[0]}.ts", *(shelf.get(part) for part in parts))
    converted = convert(joined, target("flac", None, AudioSpec("flac")))
    begin = convert(shelf.get(parts[0]), target("flac", None, AudioSpec("flac")))
    first = judge.clicks(begin.path, threshold=0.2)[0]
    clicks = judge.clicks(converted.path, threshold=0.2)
    assert clicks[0] == pytest.approx(first, abs=0.001)
    assert clicks[1] == pytest.approx(1.5, abs=0.01)
    assert judge.sound(converted.path).shape[0] == pytest.approx(2 * judge.sample_rate(converted.path), abs=2200)


def test_a_change_of_raw_aac_loses_no_sound(convert: Converter, shelf: Shelf) -> None:
    """libav gives all its frames the length of the first ones; a copy could tell one sample rate only."""
    parts = [Clip("adts", (), (Audio("aac", rate=rate, seconds=1, clicks=(0.5,)),)) for rate in (48000, 24000)]
    joined = shelf.join("rates.aac", *(shelf.get(part) for part in parts))
    converted = convert(joined, target("flac", None, AudioSpec("flac")))
    length = sum(judge.sound(shelf.get(part)).shape[0] / judge.sample_rate(shelf.get(part)) for part in parts)
    assert judge.sound(converted.path).shape[0] / judge.sample_rate(converted.path) == pytest.approx(length, abs=0.002)
    assert len(judge.clicks(converted.path, threshold=0.2)) == 2
    with pytest.raises(UnsupportedFormat, match="changes its sample rate"):
        convert(joined, target("m4a", None))
    convert(joined, target("ts", None))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("container", "codec"),
    [("mp3", "mp3"), ("opus", "opus"), ("flac", "flac"), ("m4a", "aac"), ("oga", "opus"), ("wav", "flac")],
)
def test_sound_alone_is_exact_to_the_sample(convert: Converter, container: str, codec: str) -> None:
    """From MP4 with AAC: neither the delay of the decoder nor that of the encoder is heard."""
    source = Clip("mp4", (), (Audio(clicks=CLICKS),))
    converted = convert(source, target(container, None, AudioSpec(codec)))
    clicks = [click - float(judge.sound_start(converted.path)) for click in judge.clicks(converted.path, threshold=0.3)]
    assert clicks == pytest.approx([0.5, 1.5], abs=2 / 48000)


def hiding(convert: Converter, path: Path, *pictures: Video) -> Path:
    """Write four seconds of which Matroska has decoders leave out the first: so is an edit list copied by FFmpeg 9."""
    source = Clip("matroska", pictures, (Audio(seconds=4.0, clicks=(2.1, 2.3, 3.5)),))
    head, name, tail = convert.shelf.get(source).read_bytes().partition(b"\x56\xaa\x84")  # CodecDelay
    assert name
    path.write_bytes(head + name + (10**9).to_bytes(4) + tail[4:])  # nanoseconds
    return path


@pytest.mark.parametrize("pictures", [(), (Video(seconds=4.0),)], ids=["audio", "video"])
def test_cuts_lose_no_audio_where_the_front_hides_some(convert: Converter, tmp_path: Path, pictures: tuple[Video, ...]) -> None:
    """Decoders leave out as much wherever reading begins."""
    path = hiding(convert, tmp_path / "hiding.mkv", *pictures)
    converted = convert(path, target("mkv", encoded() if pictures else None, AudioSpec("flac")), start=1.0)
    assert judge.clicks(converted.path) == pytest.approx([click - 1 for click in judge.clicks(path)], abs=0.005)


@pytest.mark.parametrize("codec", ["aac", "libmp3lame", "ac3"])
def test_players_hear_the_first_packet_of_a_copied_cut(convert: Converter, codec: str) -> None:
    """FFmpeg 9 tells Matroska of the encoder's priming, which is not in it."""
    converted = convert(Clip("mp4", (), (Audio(codec, hz=440),)), target("mkv", None, AudioSpec()), start=1.0)
    assert judge.sound_start(converted.path) == judge.packets(converted.path, "a:0")[0].pts


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_players_skip_nothing_of_a_copied_cut(convert: Converter, tmp_path: Path, container: str) -> None:
    """What the front hides is not in it."""
    path = hiding(convert, tmp_path / "hiding.mkv")
    converted = convert(path, target(container, None, AudioSpec()), start=1.0)
    assert judge.clicks(converted.path) == pytest.approx([click - 1 for click in judge.clicks(path)], abs=0.025)
    assert not converted.warnings


def test_nut_that_begins_late_is_whole(convert: Converter) -> None:
    """libav says when it ends, not how long it lasts."""
    source = Clip("nut", (Video("mpeg4", seconds=0.4),), (), offset=5.0)
    assert judge.numbers(convert(source, target("mp4", encoded(), None)).path) == list(range(10))


@pytest.mark.parametrize("codec", ["alac", "flac"])
def test_a_short_last_frame_is_whole_where_the_beginning_is_hidden(convert: Converter, tmp_path: Path, codec: str) -> None:
    """FFmpeg 9 has decoders drop what would be missing to a whole frame if more than a second is hidden."""
    path, hidden, rate = tmp_path / "hidden.mp4", 1.1, 48000
    shelved = convert.shelf.get(Clip("mp4" if codec == "flac" else "mov", (), (Audio(codec, seconds=2, clicks=(1.5, 1.97)),)))
    data = bytearray(shelved.read_bytes())

    def less(kind: bytes, at: int, ticks: float) -> None:
        place = data.index(kind) + 4 + at
        data[place : place + 4] = (int.from_bytes(data[place : place + 4]) - round(ticks)).to_bytes(4)

    scale = int.from_bytes(data[(place := data.index(b"mvhd") + 16) : place + 4])
    for kind, at in ((b"mvhd", 16), (b"tkhd", 20), (b"elst", 8)):
        less(kind, at, hidden * scale)
    less(b"elst", 12, -hidden * rate)
    path.write_bytes(data)
    converted = convert(path, target("mkv", None, AudioSpec("flac")))
    assert len(judge.sound(converted.path)) == pytest.approx((2 - hidden) * rate, abs=2)
    assert judge.clicks(converted.path) == pytest.approx([1.5 - hidden, 1.97 - hidden], abs=0.001)
