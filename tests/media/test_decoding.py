"""Sources of which packets cannot be decoded: each stream is judged by itself."""

import os
import subprocess
from collections.abc import Collection
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.request import AudioSpec, TargetSpec
from tests import judge
from tests.media.chunked import Chunked
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video, picture

pytestmark = pytest.mark.media

# Ten packets of audio for one of video.
CLIP = Clip("matroska", (Video("mjpeg", fps=Fraction(5), seconds=20.0, pixel_format="yuvj420p"),), (Audio(seconds=20.0),))
WANTED = target("mp4", encoded(), AudioSpec("aac"))
FRAMES = 100
MOST = [number for number in range(FRAMES) if number % 13 > 2]


@pytest.fixture(scope="module")
def chunked(convert: Converter, tmp_path_factory: pytest.TempPathFactory) -> Chunked:
    """Converts in chunks."""
    return Chunked(convert, lambda: tmp_path_factory.mktemp("chunked"))


def spoilt(shelf: Shelf, name: str, broken: Collection[int], kind: str = "video") -> Path:
    """CLIP, but the packets `broken` (by number) of one stream hold zeros."""
    path, unfinished = shelf.folder / f"{name}.mkv", shelf.folder / f"{name}-{os.getpid()}.tmp"
    with av.open(shelf.get(CLIP)) as source, av.open(unfinished, "w", format="matroska") as output:
        streams = {stream.index: output.add_stream_from_template(stream, opaque=True) for stream in source.streams}
        counts = dict.fromkeys(streams, 0)
        for packet in source.demux():
            if not packet.size:
                continue
            number = counts[packet.stream_index]
            counts[packet.stream_index] += 1
            written: Any = packet
            if packet.stream.type == kind and number in broken:
                written = av.Packet(bytes(packet.size))
                written.pts, written.dts, written.duration = packet.pts, packet.dts, packet.duration
                written.time_base, written.is_keyframe = packet.time_base, packet.is_keyframe
            written.stream = streams[packet.stream_index]
            output.mux(written)
    unfinished.replace(path)  # other processes may read it
    return path


@pytest.mark.slow
def test_video_that_mostly_cannot_be_decoded_is_refused_however_much_audio_there_is(
    convert: Converter, chunked: Chunked, shelf: Shelf
) -> None:
    """They are 7 % of all packets, and three quarters of the video."""
    path = spoilt(shelf, "mostly", MOST)
    text = r"sources\[0\], stream 0 \(video\): 76 of 100 packets could not be decoded"
    for way in (convert, chunked):
        with pytest.raises(InvalidMedia, match=text):
            way(path, WANTED)


@pytest.mark.slow
def test_audio_is_judged_by_itself(convert: Converter, shelf: Shelf) -> None:
    """What is encoded of the video makes no difference, and what is not read of it neither."""
    path = spoilt(shelf, "silence", range(300, 500), "audio")
    for wanted in (WANTED, target("m4a", None, AudioSpec("aac"))):
        with pytest.raises(InvalidMedia, match=r"stream 1 \(audio\): \d+ of \d+ packets could not be decoded"):
            convert(path, wanted)
    assert convert(path, target("mp4", encoded(), None)).warnings == ()


@pytest.mark.slow
def test_a_few_broken_packets_are_a_warning_that_names_the_stream(convert: Converter, chunked: Chunked, shelf: Shelf) -> None:
    """Also where they all lie in one chunk, of which they are too many: all chunks together are judged."""
    path = spoilt(shelf, "few", range(40, 48))
    for way in (convert, chunked):
        (warning,) = way(path, WANTED).warnings
        assert warning.startswith("sources[0], stream 0 (video): 8 of 100 packets could not be decoded (")


ENTRIES = {
    "seek": FramesSpec(interval_us=5_000_000),
    "through": FramesSpec(interval_us=1_000_000),
    "keyframes": FramesSpec(mode=FrameMode.KEYFRAME),
}


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside an encode"])
@pytest.mark.parametrize("reading", ENTRIES)
def test_images_of_a_stream_that_mostly_cannot_be_decoded_are_refused(
    convert: Converter, shelf: Shelf, reading: str, beside: bool
) -> None:
    """They would show other moments than those that were asked for."""
    images = (ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", ENTRIES[reading]),)
    alone = TargetSpec(0, "", "", images=images, subtitle="none")
    path = spoilt(shelf, "gone", range(20, 97))
    with pytest.raises(InvalidMedia, match=r"sources\[0\], stream 0 \(video\): \d+ of \d+ packets could not be decoded"):
        convert(path, replace(WANTED, images=images) if beside else alone)


def test_images_name_the_stream_of_a_few_broken_packets(convert: Converter, shelf: Shelf) -> None:
    images = (ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", ENTRIES["through"]),)
    converted = convert(spoilt(shelf, "few", range(40, 48)), TargetSpec(0, "", "", images=images, subtitle="none"))
    (warning,) = converted.warnings
    assert "targets[0]" in warning and "sources[0], stream 0 (video): 8 of" in warning


def test_frames_that_share_a_pes_packet_are_all_shown(convert: Converter, tmp_path: Path) -> None:
    """MPEG-PS gives the first of them a time only; a copy has none to give, and is refused."""
    path = tmp_path / "a.mpg"
    source = convert.shelf.get(Clip("matroska", (Video("libx264", seconds=0.5, gop=50),), ()))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-vf", "scale=64:64", "-c:v", "libx264"]
    subprocess.run([*command, "-bf", "2", "-f", "mpeg", path], check=True, capture_output=True)
    converted = convert(path, target("mkv", encoded(), None))
    assert len(judge.frames(converted.path)) == len(judge.frames(source))
    apart = [float(time - judge.times(converted.path)[0]) for time in judge.times(converted.path)]
    assert apart == pytest.approx([number / 25 for number in range(len(apart))], abs=0.002)
    with pytest.raises(UnsupportedFormat, match="have no time"):
        convert(path, target("mkv", audio=None))


def test_a_copy_that_would_leave_a_frame_out_is_refused(convert: Converter, tmp_path: Path) -> None:
    """A few frames share a PES packet, here as something was put before its delimiter: later ones refer to them."""
    path, source = tmp_path / "a.ts", convert.shelf.get(Clip("matroska", (Video(seconds=1, gop=5),), ()))
    inserted = "h264_metadata=display_orientation=insert:flip=horizontal"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-c", "copy", "-bsf:v", inserted, path]
    subprocess.run(command, check=True, capture_output=True)
    assert len(judge.times(convert(path, target("mp4", encoded(), None)).path)) == 25
    with pytest.raises(UnsupportedFormat, match="have no time"):
        convert(path, target("mp4", audio=None))


def test_an_avi_that_was_written_as_a_stream_is_whole(convert: Converter, tmp_path: Path) -> None:
    """Without a length and an index: it was refused as truncated, by the length that libav guesses."""
    path, source = tmp_path / "a.avi", convert.shelf.get(Clip("matroska", (Video(seconds=0.4),), ()))
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", source, "-c:v", "ffv1", "-f", "avi", "-"]
    path.write_bytes(subprocess.run(command, check=True, capture_output=True).stdout)
    assert judge.numbers(convert(path, target("mp4", encoded(), None)).path) == [*range(10)]


RAW_DV = Clip("dv", (Video("dvvideo", size=(720, 576), seconds=1, gop=1),), (Audio("pcm_s16le", seconds=1),))


def test_raw_dv_is_converted(convert: Converter) -> None:
    """From the front, and from a start on."""
    asked = target("mp4", encoded(), AudioSpec("aac"))
    whole, cut = convert(RAW_DV, asked), convert(RAW_DV, asked, start=0.4, duration=0.4)
    assert judge.numbers(whole.path) == list(range(25))
    assert judge.numbers(cut.path) == list(range(10, 20))
    assert len(judge.sound(whole.path)) == pytest.approx(48000, abs=1100)


def test_uncompressed_frames_of_y4m_are_converted(convert: Converter) -> None:
    """From the front, and from a start on; libav names the format otherwise than its files are."""
    frames = [picture(Video(), number) for number in range(12)]
    gray = [b"FRAME\n" + frame.tobytes() + bytes([128]) * (96 * 64 // 2) for frame in frames]
    path = convert.shelf.put("code.y4m", b"YUV4MPEG2 W96 H64 F25:1 Ip A1:1 C420jpeg\n" + b"".join(gray))
    asked = target("mp4", encoded(), None)
    assert judge.numbers(convert(path, asked).path) == list(range(12))
    assert judge.numbers(convert(path, asked, start=0.2, duration=0.2).path) == list(range(5, 10))


@pytest.mark.parametrize("container", ["mov", "avi"])
def test_raw_dv_is_copied(convert: Converter, container: str) -> None:
    """It claims its ticks as frame rate, and PCM is cut anew into packets."""
    copied = convert(RAW_DV, target(container)).path
    assert judge.numbers(copied) == list(range(25))
    assert len(judge.sound(copied)) == 48000


def test_an_uncompressed_frame_that_ends_early_shows_no_memory(convert: Converter, tmp_path: Path) -> None:
    """In 8 bits libav's decoder takes a packet of any size, and shows what lay behind it: such packets are broken."""
    path = tmp_path / "short.avi"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:d=1"]
    subprocess.run([*command, "-c:v", "smc", "-pix_fmt", "pal8", path], check=True)  # AVI has no code for it: it reads as raw
    with pytest.raises(InvalidMedia, match=r"25 of 25 packets could not be decoded \(.*ends early"):
        convert(path, target("mkv", encoded(), None))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("pixel_format", ["pal8", "monow", "gray", "rgb555le", "bgr24", "yuv420p", "yuyv422"])
def test_whole_uncompressed_frames_are_decoded(convert: Converter, tmp_path: Path, pixel_format: str) -> None:
    """Of odd sizes and of fewer than 8 bits, too."""
    for container, size in (("avi", "98x66"), ("nut", "97x65")):
        path = tmp_path / f"{pixel_format}.{container}"
        command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", f"testsrc2=s={size}:d=1"]
        subprocess.run([*command, "-c:v", "rawvideo", "-pix_fmt", pixel_format, path], check=True)
        converted = convert(path, target("mkv", encoded(), None))
        assert len(judge.frames(converted.path)) == 25


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuyv422", "gray", "nv12", "yuv422p"])
def test_uncompressed_frames_are_copied_with_the_code_of_their_pixels(
    convert: Converter, tmp_path: Path, pixel_format: str
) -> None:
    """Matroska has none of its own."""
    path = tmp_path / "raw.avi"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-f", "lavfi", "-i", "testsrc2=s=96x64:d=1"]
    subprocess.run([*command, "-c:v", "rawvideo", "-pix_fmt", pixel_format, path], check=True)
    converted = convert(path, target("mkv", audio=None))
    assert pixel_format in judge.describe(converted.path).of("Video")[0].rest
    assert np.array_equal(judge.pictures(converted.path), judge.pictures(path))


def test_a_program_stream_may_begin_within_a_frame_of_audio(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """What is left of that is no frame: it is neither copied nor told as damage."""
    whole = shelf.get(Clip("vob", (Video("mpeg2video", seconds=4),), (Audio("ac3", seconds=4, clicks=(3.5,)),)))
    source = tmp_path / "front.vob"
    source.write_bytes(whole.read_bytes()[20_000:])
    for asked in (target("mp4"), target("mkv", encoded(), AudioSpec("flac"))):
        converted = convert(source, asked)
        assert not any("could not be decoded" in warning for warning in converted.warnings)
        assert judge.clicks(converted.path)[-1] - float(judge.times(converted.path)[-1]) == pytest.approx(
            3.5 - 99 / 25, abs=0.01
        )


@pytest.mark.parametrize("codec", [pytest.param("ac3", marks=pytest.mark.matrix), "mp2"])
def test_a_program_stream_that_begins_within_a_group_of_frames_is_copied(convert: Converter, shelf: Shelf, codec: str) -> None:
    """From the first keyframe on: nothing decodes what is before it, whose times libav guesses."""
    whole = shelf.get(Clip("vob", (Video("mpeg2video", b_frames=2, gop=12),), (Audio(codec, clicks=(0.5, 1.0, 1.5)),)))
    source = shelf.put("front.vob", whole.read_bytes()[3333:])
    heard = []
    for asked in (target("mkv"), target("mkv", encoded(), AudioSpec("flac"))):
        converted = convert(source, asked)
        assert judge.numbers(converted.path) == [*range(24, 50)] and not converted.warnings
        heard.append([click - float(judge.times(converted.path)[0]) for click in judge.clicks(converted.path)])
    assert heard[0] == pytest.approx(heard[1], abs=0.003)


@pytest.mark.parametrize("asked", [target("mkv"), target("mkv", encoded(), AudioSpec("flac"))], ids=["copied", "encoded"])
@pytest.mark.parametrize("begin", [2500, 6500])
def test_small_frames_of_a_program_stream_that_begins_among_them_are_in_time(
    convert: Converter, shelf: Shelf, asked: TargetSpec, begin: int
) -> None:
    """Many share a packet with one time, from which libav counted on before it knew how long they are."""
    video, audio = Video("mpeg2video", size=(48, 48), b_frames=2, gop=12), Audio("mp2", clicks=(0.5, 1.0, 1.5))
    source = shelf.put("small.vob", shelf.get(Clip("vob", (video,), (audio,))).read_bytes()[begin:])
    path = convert(source, asked).path
    with av.open(path) as result:
        times = [float(frame.pts * frame.time_base) for frame in result.decode(video=0)]
    assert np.diff(times) == pytest.approx(1 / 25, abs=0.002)
    # The last frame is that of 1.96 s, and the last click that of 1.5 s.
    assert times[-1] - judge.clicks(path)[-1] == pytest.approx(1.96 - 1.5, abs=0.02)


@pytest.mark.parametrize("asked", [target("mkv"), target("mkv", encoded(), AudioSpec("flac"))], ids=["copied", "encoded"])
def test_a_program_stream_without_a_frame_that_says_its_time_is_refused(
    convert: Converter, shelf: Shelf, asked: TargetSpec
) -> None:
    """libav would show the only keyframe 0.1 s early beside the audio."""
    video, audio = Video("mpeg2video", size=(48, 48), seconds=1), Audio("mp2", seconds=1)
    source = shelf.put("tail.vob", shelf.get(Clip("vob", (video,), (audio,))).read_bytes()[1500:])
    with pytest.raises(InvalidMedia, match="have no time"):
        convert(source, asked)


@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_a_recording_that_lacks_packets_is_copied(convert: Converter, shelf: Shelf, tmp_path: Path, container: str) -> None:
    """What remains of a frame of AAC is left out, where libav makes a header of it; the rest stays in its place."""
    data = shelf.get(Clip("mpegts", (Video(gop=25),), (Audio("aac", bitrate=192_000),))).read_bytes()
    packets = [data[begin : begin + 188] for begin in range(0, len(data), 188)]
    audio = [number for number, packet in enumerate(packets) if packet[1:3] in (b"\x01\x01", b"\x41\x01")]
    lost = set(audio[len(audio) // 2 : len(audio) // 2 + 7])
    source = tmp_path / "lost.ts"
    source.write_bytes(b"".join(packet for number, packet in enumerate(packets) if number not in lost))
    converted = convert(source, target(container))
    assert judge.numbers(converted.path) == [*range(50)]
    if container != "ts":  # where frames keep their headers, nothing need be left out
        assert any("packets of audio are damaged: left out" in text for text in converted.warnings)
    assert judge.describe(converted.path).duration == pytest.approx(2, abs=0.1)
