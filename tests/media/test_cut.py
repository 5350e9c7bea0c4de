"""Cuts: which pictures and samples of the source are in the output, and when."""

import math
import re
import subprocess
from fractions import Fraction
from math import ceil
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.request import AlignMode, AudioSpec, TargetSpec, VideoSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_joined import Joiner, beside, join
from tests.sources import Audio, Clip, Video

__all__ = ["join"]

pytestmark = pytest.mark.media

CLICKS = (0.5, 1.0, 1.25, 1.5, 2.0, 2.5)
PICTURES = 75
EXACT = target("mkv", encoded(), AudioSpec("flac"))


def source(form: str, b_frames: int = 2, gop: int = 12, offset: float = 0.0) -> Clip:
    """Three seconds at 25 pictures/s, with clicks."""
    codec = {"matroska": "flac", "mpegts": "libmp3lame"}.get(form, "aac")
    sound = Audio(codec, clicks=CLICKS, seconds=3)
    return Clip(form, (Video(seconds=3, gop=gop, b_frames=b_frames),), (sound,), offset=offset)


CLIPS = {
    "mp4": source("mp4"),
    "mp4 without B frames": source("mp4", b_frames=0),
    "mp4 in one group": source("mp4", gop=250),
    "mkv": source("matroska"),
    "mov": source("mov"),
    "ts from 10 s": source("mpegts", offset=10.04),
    "ts in one group": source("mpegts", gop=250, offset=1.4),
}
# Start and duration in seconds: between pictures, on a key frame, tiny, beyond the end.
SPANS = [(0, 1), (1, 0.5), (0.5, 1), (0.51, 1), (0.96, 0.96), (1.92, 0), (1.99, 0.04), (2.9, 5), (0.05, 0.1), (2.96, 0)]


@pytest.mark.sample(every=93)
@pytest.mark.parametrize("name", CLIPS)
@pytest.mark.parametrize(("start", "duration"), SPANS)
def test_a_cut_has_exactly_the_pictures_and_samples_of_its_span(
    convert: Converter, name: str, start: float, duration: float
) -> None:
    """Pictures with start <= t < end, at t - start; samples from start to end, clicks where they were."""
    clip = CLIPS[name]
    path = convert.shelf.get(clip)
    # The span counts from the earliest timestamp, which in a transport stream may be that of the sound.
    begin = judge.describe(path).start if clip.format == "mpegts" else 0.0
    times = [float(time) - begin for time in judge.times(path)]
    end = start + duration if duration else math.inf
    expected = [(number, time - start) for number, time in enumerate(times) if start - 1e-5 <= time < end - 1e-5]
    converted = convert(clip, EXACT, start=start, duration=duration)
    assert judge.numbers(converted.path) == [number for number, _ in expected]
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx([time for _, time in expected], abs=0.001)
    length = judge.sound(converted.path).shape[0] / 48000
    if end < 3:
        assert length == pytest.approx(duration, abs=1.5 / 48000)
    else:
        assert 3 - start - 0.002 <= length <= 3 - start + 0.06
    assert judge.sound_start(converted.path) == 0
    clicks = [click - begin - start for click in judge.clicks(path)]
    expected_clicks = [click for click in clicks if -1e-4 <= click < end - start - 1e-3]
    assert judge.clicks(converted.path) == pytest.approx(expected_clicks, abs=0.001)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("codec", ["aac", "libopus", "libmp3lame"])
@pytest.mark.parametrize("start", [0.96, 1.0, 1.44])
def test_the_sound_of_a_cut_is_whole_from_its_first_sample(convert: Converter, codec: str, start: float) -> None:
    """Lossy sound needs what lies before the cut for its first samples: the tone has full strength, at a key frame too."""
    clip = Clip("mp4", (Video(),), (Audio(codec, sample_format="flt" if codec == "libopus" else "", bitrate=128000),))
    whole = judge.sound(convert(clip, target("mkv", None, AudioSpec("flac"))).path)
    part = judge.sound(convert(clip, EXACT, start=start, duration=0.4).path)
    begin = round(start * 48000)
    assert np.abs(part[:9600] - whole[begin : begin + 9600]).max() < 0.01


def test_a_cut_of_sound_alone_is_exact_to_the_sample(convert: Converter) -> None:
    """A span of a file without video."""
    clip = Clip("mp4", (), (Audio("aac", clicks=CLICKS, seconds=3),))
    converted = convert(clip, target("flac", None, AudioSpec("flac")), start=0.75, duration=1.0).path
    assert judge.sound(converted).shape[0] == 48000
    assert judge.clicks(converted) == pytest.approx([0.25, 0.5, 0.75], abs=0.001)


VARIABLE = Video(
    gop=4, times=tuple(Fraction(ms, 1000) for ms in (0, 33, 50, 300, 333, 1000, 1016, 1040, 1500, 2200)), last=Fraction(4, 10)
)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska"])
@pytest.mark.parametrize(
    ("start", "duration", "numbers"), [(0.3, 0.8, [3, 4, 5, 6, 7]), (0.6, 0.5, [4, 5, 6, 7]), (1.0, 0, [5, 6, 7, 8, 9])]
)
def test_a_cut_of_a_variable_rate_keeps_each_picture_at_its_time(
    convert: Converter, form: str, start: float, duration: float, numbers: list[int]
) -> None:
    """Variable frame rate: a cut that begins in the middle of a long picture shows that one first."""
    converted = convert(Clip(form, (VARIABLE,), ()), target("mp4", encoded(), None), start=start, duration=duration)
    assert judge.numbers(converted.path) == numbers
    expected = [max(float(VARIABLE.times[number]) - start, 0) for number in numbers]
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx(expected, abs=0.001)


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
def test_a_copied_cut_begins_at_the_key_frame_with_sound_in_sync(convert: Converter, form: str) -> None:
    """Copied video begins at the key frame at or before the start and says so; copied sound begins with it."""
    clip = source(form, gop=25)
    path = convert.shelf.get(clip)
    converted = convert(clip, target("mkv"), start=1.5, duration=1.0)
    assert "key frame" in converted.warnings[0]
    # A TS begins with the sound's preroll, so that its key frame is some milliseconds later than in the others.
    assert re.search(
        r"begins at 1\.0\d\d s of the source, 0\.(4[789]|50)\d* s before the requested start", converted.warnings[1]
    )
    judge.check(converted.path)
    begin = judge.describe(path).start if form == "mpegts" else 0.0
    last = max(number for number, time in enumerate(judge.times(path)) if time - begin < 2.5 - 1e-5)
    numbers = judge.numbers(converted.path)
    assert numbers == list(range(25, 25 + len(numbers)))
    assert last <= numbers[-1] <= last + 1  # one more when B frames of the span need it
    lag = float(judge.times(path)[25] - judge.times(converted.path)[0])
    clicks = [click - lag for click in judge.clicks(path) if 1.1 < click - begin < 2.4]
    assert judge.clicks(converted.path)[: len(clicks)] == pytest.approx(clicks, abs=0.003)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_copied_cut_with_b_frames_fits_every_container(convert: Converter, container: str) -> None:
    """Matroska gives no decoding times after a seek: a cut is still written with good ones."""
    for form in ("matroska", "mp4"):
        converted = convert(source(form, gop=25), target(container, audio=AudioSpec("aac")), start=1.2, duration=0.8)
        judge.check(converted.path)
        assert judge.numbers(converted.path) == list(range(25, 50))


def test_copied_video_and_encoded_sound_stay_in_sync(convert: Converter) -> None:
    """Both begin at the key frame."""
    clip = source("mp4", gop=25)
    converted = convert(clip, target("mp4", audio=AudioSpec("aac")), start=1.3, duration=1).path
    assert judge.numbers(converted)[0] == 25
    assert judge.clicks(converted)[:4] == pytest.approx([0.0, 0.25, 0.5, 1.0], abs=0.003)
    assert judge.times(converted)[0] == 0


def test_encoded_video_and_copied_sound_stay_in_sync(convert: Converter) -> None:
    """Pictures are cut exactly, sound begins with the packet in which the cut lies or the next, at its own time."""
    clip = source("mp4", gop=25)
    converted = convert(clip, target("mp4", encoded()), start=1.3, duration=1).path
    assert judge.numbers(converted)[0] == 33
    assert float(judge.times(converted)[0]) == pytest.approx(0.02, abs=0.001)
    assert judge.clicks(converted) == pytest.approx([0.2, 0.7], abs=0.003)


def test_several_targets_of_a_cut_begin_each_as_they_must(convert: Converter) -> None:
    """In one task a copy begins at the key frame and an encode exactly."""
    converted = convert(source("mp4", gop=25), target("mkv"), EXACT, start=1.5, duration=0.6)
    assert judge.numbers(converted.paths[0])[0] == 25
    assert judge.numbers(converted.paths[1]) == list(range(38, 53))
    assert judge.clicks(converted.paths[1]) == pytest.approx([0.0, 0.5], abs=0.001)


def test_a_recording_that_begins_without_a_key_frame_can_be_cut(convert: Converter) -> None:
    """A capture that was switched on in the middle of a group: pictures come from the first key frame on."""
    content = convert.shelf.get(Clip("mpegts", (Video(seconds=3, gop=25, b_frames=0),), ())).read_bytes()
    packets = [content[place : place + 188] for place in range(0, len(content), 188)]
    tables, pictures = packets[:3], packets[3:]
    begins = [place for place, packet in enumerate(pictures) if packet[1] & 0x40 and packet[2] == 0]
    path = convert.shelf.put("headless.ts", b"".join(tables + pictures[begins[3] :]))
    converted = convert(path, target("mkv", encoded(), None), start=0.2, duration=1.6).path
    numbers = judge.numbers(converted)
    assert numbers[0] in (8, 25)
    assert numbers[-5:] == list(range(numbers[-1] - 4, numbers[-1] + 1))


def test_a_start_beyond_the_end_is_refused(convert: Converter) -> None:
    """Nothing lies there."""
    with pytest.raises(InvalidArgument, match="before the end"):
        convert(source("mp4"), EXACT, start=3.5)


def test_a_span_between_two_pictures_shows_the_first(convert: Converter) -> None:
    """For as long as was asked."""
    converted = convert(source("mp4"), EXACT, start=0.05, duration=0.01)
    assert judge.numbers(converted.path) == [1]
    assert judge.describe(converted.path).duration == pytest.approx(0.01, abs=0.005)


def test_chapters_move_with_a_cut(convert: Converter) -> None:
    """A chapter keeps what of it lies in the span."""
    clip = Clip("mp4", (Video(),), (Audio(),), chapters=((0, 0.5, "a"), (0.5, 1.5, "b"), (1.5, 2.0, "c")))
    converted = convert(clip, EXACT, start=1.0, duration=0.8).path
    assert [value for pair in judge.describe(converted).chapters for value in pair] == pytest.approx(
        [0, 0.5, 0.5, 0.8], abs=0.001
    )
    assert [judge.metadata(converted)[f"chapter{index}"]["title"] for index in range(2)] == ["b", "c"]


PAUSED = Clip("matroska", (Video(seconds=2),), (Audio("flac", seconds=2, gaps=((0.4, 1.6),)),))


@pytest.mark.parametrize("asked", [target("mkv", encoded(), AudioSpec("flac")), target("flac", None, AudioSpec("flac"))])
@pytest.mark.parametrize(("start", "seconds", "heard"), [(1.0, 0.9, (0.6, 0.9)), (0.8, 0.4, None), (1.0, 0.0, (0.6, 1.0))])
def test_a_cut_may_begin_in_a_gap_of_the_audio(
    convert: Converter, asked: TargetSpec, start: float, seconds: float, heard: tuple[float, float] | None
) -> None:
    """What the cut has of the gap is silent; a warning says so if that is all."""
    converted = convert(PAUSED, asked, start=start, duration=seconds)
    sound = judge.sound(converted.path)[:, 0]
    assert len(sound) / 48000 == pytest.approx(seconds or 1, abs=0.002)
    loud = np.flatnonzero(np.abs(sound) > 0.05) / 48000
    assert (loud[0], loud[-1]) == pytest.approx(heard, abs=0.11) if heard else not len(loud)
    silent = "targets[0].audio: the source has none in the span: it is silent"
    assert converted.warnings == (() if heard else (silent,))


@pytest.mark.parametrize(
    ("clip", "begin"),
    [
        (Clip("mp4", (Video(seconds=2),), (Audio("aac", seconds=0.5),)), 1),
        (Clip("matroska", (Video(seconds=2),), (Audio("aac", seconds=0.5),)), 1),
        (Clip("mpegts", (Video(seconds=2),), (Audio("aac", seconds=0.5, start=1.5),)), 0.4),
    ],
    ids=["behind its end", "behind the end that Matroska's tags tell", "before its beginning"],
)
def test_a_cut_where_the_audio_has_nothing_has_none(convert: Converter, clip: Clip, begin: float) -> None:
    """And says so: it was refused."""
    converted = convert(clip, target("mp4", encoded(), AudioSpec("aac")), start=begin, duration=0.8)
    first = round(begin * 25)
    assert judge.numbers(converted.path) == list(range(first, first + 20)) and not judge.describe(converted.path).of("Audio")
    assert any("has nothing in the span: left out" in text for text in converted.warnings)


LATE_VIDEO = tuple(Fraction(number, 25) + Fraction(3, 2) for number in range(25))


@pytest.mark.parametrize("form", ["mp4", "mov", "matroska", "mpegts", "flv"])
def test_a_cut_before_the_video_begins_keeps_the_audio_there(convert: Converter, form: str) -> None:
    """Seeking leads to the first keyframe, past it."""
    clip = Clip(form, (Video(times=LATE_VIDEO, gop=25),), (Audio("aac", clicks=CLICKS, seconds=3),))
    begin = judge.describe(convert.shelf.get(clip)).start
    clicks = [click - begin - 0.8 for click in judge.clicks(convert.shelf.get(clip)) if click - begin > 0.8]
    for wanted in (EXACT, target("m4a", None, AudioSpec("aac")), target("mkv")):
        converted = convert(clip, wanted, start=0.8)
        heard = judge.clicks(converted.path)
        assert [click - judge.describe(converted.path).start for click in heard] == pytest.approx(clicks, abs=0.04)


def test_audio_before_late_video_is_repeated_with_it(join: Joiner) -> None:
    """Where a source is read from its front again."""
    late = Clip("mp4", (Video(times=LATE_VIDEO, gop=25),), (Audio("aac", clicks=CLICKS, seconds=2.5),))
    mute = Clip("mp4", (Video(seconds=5),), ())
    _, (path,) = join([mute, (late, beside(AlignMode.LOOP))], target("mkv", None, AudioSpec("flac")))
    assert len(judge.clicks(path)) == 2 * len([click for click in CLICKS if click < 2.5])


@pytest.mark.parametrize(("start", "gop"), [(0.1, 250), (1.5, 250), (1.5, 25)])
@pytest.mark.parametrize("asked", [target("mkv"), EXACT], ids=["copy", "encode"])
def test_audio_that_lies_before_the_keyframe_in_the_file_is_in_the_cut(
    convert: Converter, tmp_path: Path, asked: TargetSpec, start: float, gop: int
) -> None:
    """Seeking in Matroska passes over all before a keyframe of video: 0.3 s of audio here."""
    sound = Audio("pcm_s16le", clicks=(0.05, 0.15, 1.05, 1.15, 1.55, 2.5), seconds=3)
    path = tmp_path / "ahead.mkv"
    shelved = convert.shelf.get(Clip("matroska", (Video(seconds=3, gop=gop, b_frames=0),), (sound,)))
    with av.open(str(shelved)) as source, av.open(str(path), "w") as ahead:
        streams = {stream.index: ahead.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                if packet.stream.type == "audio":
                    assert packet.dts is not None
                    packet.dts -= round(Fraction(3, 10) / packet.time_base)  # by which the muxer sorts them
                ahead.mux(packet)
    converted = convert(path, asked, start=start)
    begin = judge.numbers(converted.path)[0] / 25 - float(judge.times(converted.path)[0])
    heard = [click + begin for click in judge.clicks(converted.path)]
    first = judge.numbers(converted.path)[0] / 25
    wanted = [click for click in judge.clicks(path) if click >= max(first, 0 if asked.video == VideoSpec() else start)]
    assert heard == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("duration", [0.4, pytest.param(0.54, marks=pytest.mark.matrix)])
def test_frames_after_the_end_of_a_copied_cut_are_hidden_or_told(convert: Converter, duration: float) -> None:
    """Those that are decoded before others that refer to them: 12 before 9 here."""
    clip = Clip("mp4", (Video(b_frames=3, gop=50),), ())
    for container in ("mp4", "mov", "mkv"):
        copied = convert(clip, target(container, audio=None), duration=duration)
        numbers = judge.numbers(copied.path)
        told = [text for text in copied.warnings if "frames that are shown after the end" in text]
        if container == "mkv":
            assert numbers[: ceil(duration * 25)] == [*range(ceil(duration * 25))]
            assert told and len(numbers) > ceil(duration * 25)
        else:
            assert numbers == [*range(ceil(duration * 25))] and not told
            assert judge.describe(copied.path).duration == pytest.approx(duration, abs=0.011)


@pytest.mark.parametrize("form", ["mpegts", pytest.param("flv", marks=pytest.mark.matrix)])
def test_audio_far_ahead_in_the_file_is_in_the_cut(convert: Converter, form: str) -> None:
    """Seeking leads to a keyframe of video: more than a second of audio lies before it in the file."""
    sound = Audio("aac", clicks=(0.5, 1.5, 2.1, 2.5), seconds=3)
    data = convert.shelf.get(Clip(form, (Video(seconds=3, gop=25, b_frames=0),), (sound,))).read_bytes()
    units, at = [data[: 13 * (form == "flv")]], 13 * (form == "flv")
    while at < len(data):
        length = 188 if form == "mpegts" else int.from_bytes(data[at + 1 : at + 4]) + 15
        units.append(data[at : at + length])
        at += length
    heard = [(unit[2:3] == b"\x01") if form == "mpegts" else unit[:1] == b"\x08" for unit in units]  # PID 257, tag 8
    pending = [unit for unit, audible in zip(units, heard, strict=True) if audible]
    many = len(pending) // 2
    order, first = [], True
    for unit, audible in zip(units, heard, strict=True):
        for _ in range(many if audible and first else 1 if audible else 0):
            order += pending[:1]
            del pending[:1]
        first = first and not audible
        order += [] if audible else [unit]
    path = convert.shelf.put(f"ahead.{form}", b"".join(order))
    for asked in (target("mkv"), EXACT):
        converted = convert(path, asked, start=2.04)
        begin = judge.numbers(converted.path)[0] / 25 - float(judge.times(converted.path)[0])
        wanted = (2.1, 2.5)
        assert [click + begin for click in judge.clicks(converted.path)] == pytest.approx(wanted, abs=0.03)


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize("b_frames", [0, 2])
def test_a_cut_of_gradually_refreshed_video_has_all_its_frames(convert: Converter, form: str, b_frames: int) -> None:
    """What libav takes for a keyframe begins a refresh, until whose end decoders show nothing."""
    refreshed = Video(seconds=4, gop=20, b_frames=b_frames, options=(("x264-params", "intra-refresh=1"),))
    clip = Clip(form, (refreshed,), ())
    for start, first in ((0.9, 23), (1.9, 48)):
        converted = convert(clip, target("mkv", encoded(), None), start=start, duration=0.8)
        assert judge.numbers(converted.path) == list(range(first, first + 20))


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_cut_copy_may_begin_among_frames_that_an_edit_list_hides(convert: Converter, container: str) -> None:
    """As of a video that a phone has trimmed: with the keyframe before what is shown, which a warning says."""
    clip = Clip("mp4", (Video(gop=50),), (Audio("aac"),), offset=-0.6)
    converted = convert(clip, target(container), start=0.3, duration=0.6)
    assert judge.numbers(converted.path)[:37] == list(range(37))
    assert any("0.900 s before the requested start" in text for text in converted.warnings)


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_short_cut_copy_has_the_frames_that_others_need(convert: Converter, container: str) -> None:
    """Matroska does not say when the first frames were decoded: one that is shown behind the end comes before those in it."""
    layered = (("x264-params", "b-adapt=0:b-pyramid=normal:scenecut=0"),)
    clip = Clip("matroska", (Video(b_frames=3, options=layered),), ())
    converted = convert(clip, target(container, audio=None), duration=0.12)
    assert judge.numbers(converted.path)[:3] == [0, 1, 2]


def test_a_cut_copy_may_end_with_a_long_packet(tmp_path: Path, convert: Converter) -> None:
    """Those of Vorbis are of unequal length: the one in which the cut ends is longer than they are on average."""
    path = tmp_path / "clicks.ogg"
    tones = "aevalsrc='0.5*lt(mod(t,1),0.1)*sin(2000*t)':s=48000:d=4"
    judge_command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", tones, "-c:a", "libvorbis", str(path)]
    subprocess.run(judge_command, check=True)
    with av.open(str(path)) as source:
        packets = [(packet.pts, packet.duration or 0) for packet in source.demux() if packet.pts is not None]
    longest = max(duration for _, duration in packets)
    middle = next(pts for pts, duration in packets if duration == longest and pts > 96000)
    converted = convert(path, target("mkv", None), duration=(middle + 10) / 48000)
    assert len(judge.sound(converted.path)) == pytest.approx(middle + longest, abs=100)


@pytest.mark.skipif("webp_anim" not in av.formats_available, reason="FFmpeg 9 is the first that reads animated WebP")
def test_an_animated_webp_is_cut(convert: Converter, tmp_path: Path) -> None:
    """libav says that it has ended wherever it looks for a time in it."""
    images = [Image.new("RGB", (64, 48), (20 * number, 0, 0)) for number in range(10)]
    images[0].save(tmp_path / "red.webp", save_all=True, append_images=images[1:], duration=100, lossless=True)
    converted = convert(tmp_path / "red.webp", target("mkv", encoded(), None), start=0.3, duration=0.4)
    reds = [picture[..., 0].mean() for picture in judge.pictures(converted.path, "rgb24")]
    assert reds == pytest.approx([60, 80, 100, 120], abs=4)


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
def test_a_cut_copy_in_a_gap_of_the_audio_is_no_longer_than_its_video(convert: Converter, tmp_path: Path, form: str) -> None:
    """MP4 has the packet before a gap last until the one behind it; no file has a stream without packets."""
    sound = "sine=d=4:r=48000,aselect='lt(t,1.2)+gt(t,3)'"
    given = ["-f", "lavfi", "-i", "testsrc2=s=64x48:d=4:r=25", "-f", "lavfi", "-i", sound, "-g", "5", "-bf", "0"]
    path = tmp_path / "gap"
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac", "-f", form]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", *given, *coded, str(path)], check=True)
    for container in ("mp4", "mkv", "ts"):
        converted = convert(path, target(container), start=1.6, duration=1)
        assert any("the audio has a gap in all of the span" in text for text in converted.warnings)
        assert judge.describe(converted.path).duration == pytest.approx(1, abs=0.25)
        assert len(judge.sound(converted.path)) <= 3 * 1024
