"""Containers that say when frames are decoded, not when they are shown: with B-frames these differ."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import AudioSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media


def clip(form: str, codec: str = "libx264", b_frames: int = 2) -> Clip:
    """Two seconds with clicks at every half second."""
    clicks = Audio("libmp3lame", clicks=(0.5, 1.0, 1.5))
    return Clip(form, (Video(codec, b_frames=b_frames),), (clicks,))


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("form", ["avi", "asf"])
@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_frames_are_shown_in_order(convert: Converter, form: str, codec: str) -> None:
    """All of them, at even distances, beside their audio: the clicks are as late as MP3 decoders are."""
    converted = convert(clip(form, codec), target("mkv", encoded(), AudioSpec("flac")))
    assert judge.numbers(converted.path) == [*range(50)]
    times = [float(time) for time in judge.times(converted.path)]
    assert [time - times[0] for time in times] == pytest.approx([number / 25 for number in range(50)], abs=0.002)
    (first,) = (click for click in judge.clicks(converted.path)[:1])
    assert first - times[0] == pytest.approx(0.5, abs=0.03)
    assert converted.warnings == ()
    assert judge.describe(converted.path).duration == pytest.approx(2, abs=0.1)


def test_video_alone_begins_at_0(convert: Converter) -> None:
    """libav takes the first packet for one that is shown later."""
    converted = convert(Clip("avi", (Video(),), ()), target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == [*range(50)]
    assert judge.times(converted.path)[0] == 0


@pytest.mark.parametrize("form", ["avi", "asf"])
def test_a_cut_shows_the_same_frames(convert: Converter, form: str) -> None:
    """Reading begins at a keyframe, from which the delay of the decoder is measured anew."""
    converted = convert(clip(form), target("mkv", encoded(), None), start=1.0, duration=0.4)
    assert judge.numbers(converted.path) == [*range(25, 35)]


@pytest.mark.parametrize("codec", ["mpeg2video", "mpeg4"])
def test_a_cut_of_asf_may_begin_right_before_a_keyframe(convert: Converter, codec: str) -> None:
    """Its frame is decoded after the keyframe, and refers to the one before it. In ASF the first frame is shown at 0.04 s."""
    source = Clip("asf", (Video(codec, size=(64, 48), gop=10, seconds=0.8),), ())
    for number in (10, 11):
        converted = convert(source, target("mkv", encoded(), None), start=(number + 1) / 25, duration=0.12)
        assert judge.numbers(converted.path) == [number, number + 1, number + 2]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("form", "mode", "numbers"),
    [
        ("avi", FrameMode.KEYFRAME, [0, 12, 24, 36, 48]),
        ("asf", FrameMode.KEYFRAME, [0, 12, 24, 36, 48]),
        ("avi", FrameMode.INTERVAL, [0, 16, 32, 48]),
        ("asf", FrameMode.INTERVAL, [0, 15, 31, 47]),
    ],
)
def test_snapshots_are_those_frames(convert: Converter, form: str, mode: FrameMode, numbers: list[int]) -> None:
    """Found by seeking. In ASF, which begins with the audio, video begins 23 ms later."""
    entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", FramesSpec(mode=mode, interval_us=640_000))
    converted = convert(clip(form), TargetSpec(0, "", "", images=(entry,), subtitle="none"))
    results = [converted.published / artifact.uri.removeprefix("file:///out/") for artifact in converted.artifacts]
    assert [judge.numbers(path)[0] for path in results] == numbers


@pytest.mark.parametrize("form", ["avi", "asf"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_a_copy_that_would_need_decoding_is_refused(convert: Converter, form: str, container: str) -> None:
    """By name, before work starts; without B-frames it is copied."""
    with pytest.raises(UnsupportedFormat, match=f"h264 has B-frames, and {form} does not say when they are shown"):
        convert(clip(form), target(container, audio=None))
    converted = convert(clip(form, b_frames=0), target(container, audio=None))
    assert judge.numbers(converted.path) == [*range(50)]


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_delay_without_b_frames_is_none(convert: Converter, container: str) -> None:
    """libav adds one to H.264 whose header leaves room for reordering; frames are shown when they are decoded."""
    source = Clip("avi", (Video(b_frames=0),), (Audio("aac", clicks=(0.5, 1.0, 1.5)),))
    converted = convert(source, target(container))
    path = convert.shelf.get(source)
    before, after = judge.times(path), judge.times(converted.path)
    assert [time - after[0] for time in after] == pytest.approx([time - before[0] for time in before], abs=0.002)
    assert judge.clicks(converted.path)[0] - after[0] == pytest.approx(judge.clicks(path)[0] - before[0], abs=0.003)


@pytest.mark.parametrize("codec", ["mpeg4", "mpeg2video"])
def test_b_frames_that_libav_knows_are_copied(convert: Converter, codec: str) -> None:
    """At even distances; the last packet of ASF, too, which nothing follows that would tell when it is shown."""
    for clips in (clip("avi", codec), clip("asf", codec, 0)):
        assert_even(convert(clips, target("mkv", audio=None)).path)


@pytest.mark.parametrize(
    ("codec", "start"), [("mpeg4", 0.0), pytest.param("mpeg2video", 0.0, marks=pytest.mark.matrix), ("mpeg4", 0.96)]
)
def test_a_copy_of_avi_keeps_the_distance_of_audio(convert: Converter, codec: str, start: float) -> None:
    """Which begins with the first packet of video, that is, before the first frame is decoded."""
    converted = convert(clip("avi", codec), target("mkv"), start=start)
    first = judge.numbers(converted.path)[0]
    zero = float(judge.times(converted.path)[0]) - first / 25
    clicks = [click - zero for click in judge.clicks(converted.path)]
    assert clicks == pytest.approx([second for second in (0.5, 1.0, 1.5) if second > first / 25], abs=0.03)
    assert converted.warnings == () or start


def test_a_cut_of_mpeg4_in_avi_is_beside_its_audio(convert: Converter) -> None:
    """It begins with a keyframe before which two frames are shown that the decoder leaves out."""
    converted = convert(clip("avi", "mpeg4"), target("mkv", encoded(), AudioSpec("flac")), start=0.96)
    assert judge.numbers(converted.path) == [*range(24, 50)] and judge.times(converted.path)[0] == 0
    assert judge.clicks(converted.path) == pytest.approx([0.04, 0.54], abs=0.03)


@pytest.mark.parametrize("container", ["avi", "mkv"])
def test_slow_video_of_avi_is_copied(convert: Converter, container: str) -> None:
    """A frame is half a second; the last one ends within a reordered group."""
    source = Clip("avi", (Video("mpeg4", fps=Fraction(2), b_frames=2, seconds=6),), (Audio("mp3", clicks=(0.5, 1.5)),))
    converted = convert(source, target(container))
    times = [float(time) for time in judge.times(converted.path)]
    assert judge.numbers(converted.path) == [*range(12)]
    assert [time - times[0] for time in times] == pytest.approx([number / 2 for number in range(12)], abs=0.002)
    if container == "mkv":
        assert [click - times[0] for click in judge.clicks(converted.path)] == pytest.approx([0.5, 1.5], abs=0.03)


def test_video_of_a_frame_a_second_is_encoded(convert: Converter) -> None:
    """Its ticks are as long as its frames, of which some are decoded between others."""
    converted = convert(Clip("avi", (Video(fps=Fraction(1), b_frames=0, seconds=6),), ()), target("mkv", encoded(), None))
    assert judge.numbers(converted.path) == [*range(6)]
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx([*range(6)], abs=0.002)


@pytest.mark.parametrize("form", ["avi", "asf"])
def test_room_for_b_frames_is_not_a_pause(convert: Converter, form: str) -> None:
    """MPEG-1 and MPEG-2 always leave it: libav shows the first frame at once, the second two steps later."""
    assert_even(convert(clip(form, "mpeg1video", 0), target("mkv", audio=None)).path)


def assert_even(path: Path) -> None:
    """Assert that the frames are those of `clip`, 25 a second."""
    assert judge.numbers(path) == [*range(50)]
    times = [float(time) for time in judge.times(path)]
    assert [time - times[0] for time in times] == pytest.approx([number / 25 for number in range(50)], abs=0.002)


def test_the_last_frames_are_those_of_their_stream(convert: Converter, tmp_path: Path) -> None:
    """They leave the decoder at the end, also of a video stream that is not the first stream."""
    path = tmp_path / "behind.avi"
    with av.open(str(convert.shelf.get(clip("avi")))) as source, av.open(str(path), "w") as swapped:
        streams = {
            stream.index: swapped.add_stream_from_template(stream, opaque=True)
            for stream in (source.streams.audio[0], source.streams.video[0])
        }
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                swapped.mux(packet)
    converted = convert(path, target("mp4", encoded(), AudioSpec("aac")))
    assert judge.numbers(converted.path) == [*range(50)]


def packed(source: Path, path: Path) -> Path:
    """The frames of an AVI of MPEG-4 as DivX and XviD pack them: a frame and the one shown before it in one packet, and an
    empty frame instead of that in the next.
    """
    begin, tag, empty = b"\0\0\1\xb6", b"\0\0\1\xb2DivX503b1393p", b"\0\0\1\xb6\x50\x40\x7f"
    with av.open(str(source)) as read, av.open(str(path), "w", format="avi") as written:
        streams = [written.add_stream_from_template(stream, opaque=True) for stream in read.streams]
        streams[0].codec_context.extradata = bytes(read.streams[0].codec_context.extradata or b"") + tag
        packets = [packet for packet in read.demux() if packet.size]
        frames = [packet for packet in packets if packet.stream_index == 0]
        datas: list[bytes] = []
        for data in map(bytes, frames):
            if data[data.find(begin) + len(begin)] >> 6 == 2:  # a B-frame
                datas[-1] += data
                datas.append(empty)
            else:
                datas.append(data.replace(begin, tag + begin, 1))
        for packet in packets:
            number = frames.index(packet) if packet in frames else None
            copy = av.Packet(bytes(packet) if number is None else datas[number])
            copy.stream, copy.time_base, copy.is_keyframe = streams[packet.stream_index], packet.time_base, packet.is_keyframe
            copy.pts = copy.dts = packet.dts if number is None else number
            written.mux(copy)
    return path


@pytest.mark.parametrize("start", [0.0, 0.36, pytest.param(0.5, marks=pytest.mark.matrix)])
def test_packed_frames_are_shown_at_their_time(convert: Converter, tmp_path: Path, start: float) -> None:
    """Also where reading begins with a keyframe: the frame in its packet that is shown before it cannot be decoded then."""
    clips = Clip(
        "avi",
        (Video("mpeg4", size=(64, 48), b_frames=1, gop=10, seconds=1),),
        (Audio("libmp3lame", seconds=1, clicks=(0.8,)),),
    )
    source = packed(convert.shelf.get(clips), tmp_path / "packed.avi")
    converted = convert(source, target("mkv", encoded(), AudioSpec("flac")), start=start)
    first = -(-round(start * 100) // 4)
    assert judge.numbers(converted.path) == [*range(first, 25)] and not converted.warnings
    assert judge.clicks(converted.path) == pytest.approx([0.823 - start], abs=0.003)  # with the delay of MP3
    assert judge.times(converted.path)[0] == Fraction(first, 25) - Fraction(str(start))
    with pytest.raises(UnsupportedFormat, match="does not say when they are shown"):
        convert(source, target("mkv"))


@pytest.mark.parametrize("layered", ["b-pyramid=none", "b-pyramid=normal"])
def test_mxf_claims_that_frames_are_shown_when_they_are_decoded(convert: Converter, layered: str) -> None:
    """As libav writes H.264 with B-frames. Each frame is shown in its turn, in cuts, too; a copy is refused."""
    video = Video("libx264", b_frames=3, options=(("x264-params", f"b-adapt=0:scenecut=0:{layered}"),))
    source = Clip("mxf", (video,), ())
    asked = target("mp4", encoded(), None)
    whole, cut = convert(source, asked), convert(source, asked, start=0.8, duration=0.6)
    assert judge.numbers(whole.path) == list(range(50)) and not whole.warnings
    assert [float(time) for time in judge.times(whole.path)] == pytest.approx([number / 25 for number in range(50)], abs=0.002)
    assert judge.numbers(cut.path) == list(range(20, 35))
    with pytest.raises(UnsupportedFormat, match="mxf does not say when they are shown"):
        convert(source, target("mkv", audio=None))


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("start", [1, 5, 8])
@pytest.mark.parametrize(("form", "late"), [("mxf", 0), ("avi", 0), ("asf", 0.023)])
def test_a_cut_of_open_gops_without_times_begins_with_its_frame(convert: Converter, form: str, late: float, start: int) -> None:
    """Frames before a keyframe that are decoded after it are counted where reading begins with it."""
    video = Video(size=(64, 48), seconds=0.9, gop=6, b_frames=2, options=(("x264-params", "b-adapt=0:scenecut=0:open-gop=1"),))
    audio = Audio("pcm_s16le" if form == "mxf" else "libmp3lame", seconds=0.9, clicks=(0.8,))
    converted = convert(Clip(form, (video,), (audio,)), target("mkv", encoded(), AudioSpec("flac")), start=start / 25 + late)
    assert judge.numbers(converted.path) == [*range(start, 22)] and not converted.warnings
    begin, delay = float(judge.times(converted.path)[0]), 0.023 if form == "avi" else 0
    assert judge.clicks(converted.path)[0] - begin == pytest.approx(0.8 - start / 25 + delay, abs=0.003)


def test_images_of_such_mxf_are_those_of_their_time(convert: Converter) -> None:
    """Keyframes alone would not tell when they are shown."""
    video = Video(size=(64, 48), seconds=0.9, gop=6, b_frames=2, options=(("x264-params", "b-adapt=0:scenecut=0:open-gop=1"),))
    frames = FramesSpec(mode=FrameMode.KEYFRAME)
    entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", frames)
    converted = convert(Clip("mxf", (video,), ()), TargetSpec(0, "", "", images=(entry,), subtitle="none"))
    results = [converted.published / artifact.uri.removeprefix("file:///out/") for artifact in converted.artifacts]
    assert [judge.numbers(path)[0] for path in results] == [0, 6, 12, 18]


def test_mxf_that_tells_when_frames_are_shown_is_believed(convert: Converter) -> None:
    """MPEG-2 says it itself."""
    source = Clip("mxf", (Video("mpeg2video", b_frames=2),), ())
    for asked in (target("mp4", encoded(), None), target("mkv", audio=None)):
        assert judge.numbers(convert(source, asked).path) == list(range(50))
