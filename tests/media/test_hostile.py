"""Files that strangers wrote: each ends in an error of ours or in a conversion, never in a crash, and opens no other file."""

import builtins
import random
import struct
import zlib
from collections.abc import Iterator
from contextlib import nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from reelmill_server.address_space import peak_bytes
from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, ReelmillError, UnsupportedFormat
from reelmill_server.media.input.damage import check_copied
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.libav import errors
from reelmill_server.model.capability import Limits
from reelmill_server.model.overlay_request import WatermarkSpec
from reelmill_server.model.request import AudioSpec
from tests.media.converter import CLIP, Converter, encoded, plan_of, target
from tests.media.test_snapshots import alone, snapshots
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

SMALL = Limits(max_pixels=1_000_000, max_streams=8, max_output_frames=2_000)
BAD = (InvalidMedia, UnsupportedFormat, MediaLimitExceeded)
ENCODE = target("mkv", encoded(), AudioSpec("flac"))
COPY = target("mkv")


@pytest.fixture
def secret(shelf: Shelf, tmp_path: Path) -> Path:
    """Somebody else's video, which nobody may reach through a file of their own."""
    path = tmp_path / "secret.ts"
    path.write_bytes(shelf.get(Clip("mpegts", (Video(seconds=1),), ())).read_bytes())
    return path


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of files that Python code opened; libav's own opens would show as a conversion that succeeds."""
    names: list[str] = []
    real = builtins.open

    def spy(file: object, *rest: object, **more: object) -> object:
        names.append(str(file))
        return real(file, *rest, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(builtins, "open", spy)
    return names


REFERRING = {
    "playlist.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{path}\n#EXT-X-ENDLIST\n",
    "playlist.mp4": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\nfile://{path}\n#EXT-X-ENDLIST\n",
    "relative.ts": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:1,\n{name}\n#EXT-X-ENDLIST\n",
    "master.m3u8": "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nhttp://127.0.0.1:9/x.m3u8\n",
    "script.ffconcat": "ffconcat version 1.0\nfile '{name}'\n",
    "script.mp4": "ffconcat version 1.0\nfile '{name}'\n",
    "session.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "manifest.mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file://{path}</BaseURL></MPD>',
    "subtitle.idx": "# VobSub index file, v7\nsize: 720x576\nid: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n",
    "picture.svg": '<svg xmlns="http://www.w3.org/2000/svg"><image href="file://{path}"/></svg>',
    "vector.mvg": "push graphic-context\nimage over 0,0 0,0 '{path}'\npop graphic-context\n",
    "stream.asx": '<asx version="3.0"><entry><ref href="file://{path}"/></entry></asx>',
    "redirect.mov": "RTSPtext\nrtsp://127.0.0.1/x\n",
}


@pytest.mark.parametrize("name", REFERRING)
def test_a_file_that_names_other_files_is_refused(
    convert: Converter, secret: Path, opened: list[str], tmp_path: Path, name: str
) -> None:
    """Playlists, scripts and manifests are not followed, whatever they are called."""
    path = tmp_path / name
    path.write_text(REFERRING[name].format(path=secret, name=secret.name))
    with pytest.raises(BAD):
        convert(path, COPY, limits=SMALL)
    assert str(secret) not in opened


def test_an_mp4_that_refers_to_another_file_reads_only_itself(convert: Converter, secret: Path, tmp_path: Path) -> None:
    """A QuickTime data reference to another file is not followed."""
    source = bytearray(convert.shelf.get(Clip("mov", (Video(seconds=1),), ())).read_bytes())
    place = source.index(b"url \0\0\0\1")
    source[place : place + 4] = b"alis"
    source[place + 4 : place + 8] = b"\0\0\0\0"
    path = tmp_path / "reference.mov"
    path.write_bytes(source)
    try:
        convert(path, ENCODE, limits=SMALL)
    except ReelmillError as error:
        assert isinstance(error, BAD)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello, this is no video\n" * 50,
        b"\0" * 5000,
        random.Random(1).randbytes(20_000),
        b"<html></html>",
        b"\xff\xfb" * 300,
    ],
    ids=["empty", "text", "zeros", "random", "html", "half an mp3"],
)
def test_what_is_no_media_is_said_to_be_none(convert: Converter, tmp_path: Path, content: bytes) -> None:
    """Named .mp4 or not."""
    path = tmp_path / "clip.mp4"
    path.write_bytes(content)
    with pytest.raises(BAD):
        convert(path, ENCODE, limits=SMALL)


@pytest.mark.parametrize("codec, name", [("jpeg2000", "j2k"), ("qoi", "qoi"), ("ppm", "ppm"), ("dpx", "dpx")])
def test_a_format_that_is_not_accepted_is_named(convert: Converter, tmp_path: Path, codec: str, name: str) -> None:
    """With those that are; no path of this machine is in the message."""
    path = tmp_path / "picture.jpg"
    encoder: Any = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 48, "rgb24", Fraction(1, 25)
    packets = [*encoder.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), "rgb24")), *encoder.encode(None)]
    path.write_bytes(b"".join(map(bytes, packets)))
    with pytest.raises(UnsupportedFormat, match=rf"format is {name} .*not accepted.* matroska ") as caught:
        convert(path, ENCODE, limits=SMALL)
    assert str(tmp_path) not in str(caught.value) and "<none>" not in str(caught.value)


def png(width: int, height: int) -> bytes:
    """A PNG that claims a size, with hardly any data."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(16000, 16000), (2_000_000, 2_000_000), (30000, 100), (0, 0)])
def test_a_picture_of_huge_size_is_refused(convert: Converter, tmp_path: Path, size: tuple[int, int]) -> None:
    """Before memory is taken for its pixels."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(*size))
    with pytest.raises(BAD):
        convert(path, ENCODE, limits=SMALL)


@pytest.mark.parametrize("form", ["mp4", "mpegts", "matroska", "h264"])
def test_video_larger_than_the_limit_is_refused(convert: Converter, form: str) -> None:
    """The error names the limit, whatever the container says of the size."""
    clip = Clip(form, (Video(size=(320, 240), seconds=0.2, pattern="ramp"),), ())
    with pytest.raises(MediaLimitExceeded, match="pixels"):
        convert(clip, ENCODE, limits=Limits(max_pixels=320 * 240 - 1))


def test_video_that_grows_beyond_the_limit_midway_is_refused(convert: Converter) -> None:
    """The first pictures are small."""
    small = convert.shelf.get(Clip("mpegts", (Video(seconds=1),), ()))
    large = convert.shelf.get(Clip("mpegts", (Video(size=(320, 240), seconds=1),), (), offset=1.04))
    joined = convert.shelf.join("growing.ts", small, large)
    with pytest.raises((MediaLimitExceeded, InvalidMedia)):
        convert(joined, ENCODE, limits=Limits(max_pixels=200 * 200))


def test_more_streams_than_the_limit_are_refused(convert: Converter) -> None:
    """A file of many streams."""
    many = tuple(Audio("pcm_s16le", seconds=0.1, layout="mono", rate=8000, default=False) for _ in range(12))
    with pytest.raises(MediaLimitExceeded, match="streams"):
        convert(Clip("matroska", (), many), ENCODE, limits=SMALL)
    with pytest.raises(BAD):
        convert(
            Clip("mpegts", (), tuple(Audio("mp2", sample_format="s16", seconds=0.1) for _ in range(12))), ENCODE, limits=SMALL
        )


def test_a_longer_file_than_the_limit_is_refused(convert: Converter) -> None:
    """By what its header says."""
    with pytest.raises(MediaLimitExceeded, match="longer"):
        convert(Clip(), ENCODE, limits=Limits(max_duration_seconds=1.5))


def test_sparse_timestamps_do_not_make_endless_pictures(convert: Converter) -> None:
    """Two pictures an hour apart, at a constant rate, are many pictures: the limit holds."""
    clip = Clip("matroska", (Video(times=(Fraction(0), Fraction(3600)), gop=1, b_frames=0),), ())
    asked = target("mkv", encoded(frame_rate=Fraction(25), preset="ultrafast"), None)
    with pytest.raises(MediaLimitExceeded, match="frames"):
        convert(clip, asked, limits=SMALL)


def test_sparse_sound_does_not_make_endless_silence(convert: Converter) -> None:
    """A second of sound, a gap of hours, a second of sound."""
    clip = Clip("matroska", (), (Audio("pcm_s16le", rate=8000, layout="mono", seconds=30, gaps=((1.0, 29.0),)),))
    whole = bytearray(convert.shelf.get(clip).read_bytes())
    with pytest.raises(MediaLimitExceeded):
        convert(clip, target("mkv", None, AudioSpec("flac", sample_rate=96000)), limits=Limits(max_output_frames=100))
    assert whole


FUZZED = {
    "mp4": Clip("mp4", (Video(seconds=0.4),), (Audio(seconds=0.4),), subtitles=(Subtitle(),), chapters=((0, 0.3, "x"),)),
    "mkv": Clip("matroska", (Video(seconds=0.4),), (Audio("libopus", seconds=0.4, sample_format="flt"),)),
    "ts": Clip("mpegts", (Video(seconds=0.4),), (Audio("mp2", sample_format="s16", seconds=0.4),)),
    "webm": Clip("webm", (Video("libvpx-vp9", seconds=0.4),), (Audio("vorbis", seconds=0.4),)),
    "avi": Clip("avi", (Video("mpeg4", seconds=0.4),), (Audio("libmp3lame", seconds=0.4),)),
    "flac": Clip("flac", (), (Audio("flac", seconds=0.4),)),
}


def mutated(content: bytes, seed: int) -> bytes:
    """The same file, spoilt in a way that the seed decides."""
    dice = random.Random(seed)
    spoilt = bytearray(content)
    way = seed % 5
    if way == 0:
        return bytes(spoilt[: dice.randrange(1, len(spoilt))])
    if way == 1:
        place = dice.randrange(len(spoilt))
        del spoilt[place : place + dice.randrange(1, 400)]
    elif way == 2:
        place = dice.randrange(len(spoilt))
        spoilt[place:place] = dice.randbytes(dice.randrange(1, 300))
    else:
        for _ in range(dice.randrange(1, 60)):
            # Most of what is interesting to spoil lies in headers.
            spoilt[dice.randrange(len(spoilt) if way == 3 else min(len(spoilt), 1500))] = dice.randrange(256)
    return bytes(spoilt)


@pytest.mark.sample(every=7)
@pytest.mark.parametrize("form", FUZZED)
@pytest.mark.parametrize("seed", range(10))
def test_a_spoilt_file_is_converted_or_refused(convert: Converter, tmp_path: Path, form: str, seed: int) -> None:
    """Cut, shortened, lengthened or changed: an error of ours that no retry would help, or an output that verifies."""
    path = tmp_path / f"clip.{form}"
    path.write_bytes(mutated(convert.shelf.get(FUZZED[form]).read_bytes(), seed))
    for asked in (ENCODE, COPY):
        try:
            convert(path, asked, limits=SMALL)
        except ReelmillError as error:
            assert error.code in ("InvalidMedia", "UnsupportedFormat", "MediaLimitExceeded", "OutOfMemory", "OutputInvalid"), (
                error
            )


def test_a_stream_that_nothing_decodes_is_not_asked_for(convert: Converter, tmp_path: Path) -> None:
    """An unknown video codec beside known sound: the sound can be had, the video is refused by name."""
    content = convert.shelf.get(Clip("matroska", (Video(seconds=0.4),), (Audio("flac", seconds=0.4),))).read_bytes()
    path = tmp_path / "unknown.mkv"
    path.write_bytes(content.replace(b"V_MPEG4/ISO/AVC", b"V_MPEG9/ISO/XYZ"))
    assert not probe_file(str(path), SMALL).video[0].decodable
    converted = convert(path, target("flac", None, AudioSpec("flac")), limits=SMALL)
    assert [stream.codec for stream in converted.artifact.streams] == ["flac"]
    with pytest.raises(BAD):
        convert(path, ENCODE, limits=SMALL)
    with pytest.raises(BAD):
        convert(path, COPY, limits=SMALL)


def test_metadata_in_a_broken_encoding_is_read(convert: Converter, tmp_path: Path) -> None:
    """Bytes that are no UTF-8 in a title do not stop a conversion."""
    content = convert.shelf.get(Clip(metadata=(("title", "ABCDEFGH"),))).read_bytes()
    path = tmp_path / "latin.mp4"
    path.write_bytes(content.replace(b"ABCDEFGH", b"\xe4\xf6\xfc\xff\xfe\xc3(x"))
    assert convert(path, ENCODE).artifact.streams[0].packet_count == 50


@pytest.fixture
def unopened(tmp_path: Path) -> Path:
    """Uncompressed video of 13 bits, for which there is no decoder that could be opened."""
    path = tmp_path / "bits.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "bgr24"
        for number in range(5):
            frame = av.VideoFrame(64, 48, "bgr24")
            frame.pts = number
            container.mux(stream.encode(frame))
    content = bytearray(path.read_bytes())
    struct.pack_into("<H", content, content.index(b"strf") + 22, 13)
    path.write_bytes(content)
    return path


def test_a_decoder_that_cannot_be_opened_ends_no_process(convert: Converter, unopened: Path) -> None:
    """PyAV 19 follows a pointer that such a decoder has lost: to its name, and when it is tried again."""
    with pytest.raises(BAD):
        convert(unopened, ENCODE)
    with pytest.raises(ReelmillError):
        convert(unopened, target("avi", audio=None))
    mark = WatermarkSpec(uri=str(unopened), width=16, height=16)
    with pytest.raises(BAD):
        convert(Clip("mp4", (Video(seconds=1),), ()), target("mp4", encoded(watermarks=(mark,)), None))


NEAR, BEYOND = (Fraction(1, 25), 1), (Fraction(2**31 - 1), 10**9)  # time base, and when the second frame is shown, in ticks


def timed(path: Path, *streams: tuple[Fraction, int]) -> Path:
    """Streams of video with three frames each."""
    with av.open(str(path), "w", format="nut") as container:
        for base, _ in streams:
            stream = container.add_stream("mpeg4", rate=25)
            stream.width, stream.height, stream.pix_fmt, stream.time_base = 64, 48, "yuv420p", base
        for stream, (base, second) in zip(container.streams.video, streams, strict=True):
            frames = [av.VideoFrame(64, 48, "yuv420p") for _ in range(3)]
            packets = [packet for frame in (*frames, None) for packet in stream.encode(frame)]
            for packet, ticks in zip(packets, (0, second, second + 1), strict=True):
                packet.time_base, packet.pts, packet.dts = base, ticks, ticks
                container.mux(packet)
    return path


FAR = {
    "encode": target("mkv", encoded(), None),
    "copy": target("mkv", audio=None),
    "rate": target("mp4", encoded(frame_rate=Fraction(25)), None),
    "snapshots": alone(snapshots("jpg", number=2)),
}


@pytest.mark.parametrize("name", FAR)
def test_times_that_no_clock_has_are_the_sources_fault(convert: Converter, tmp_path: Path, name: str) -> None:
    """They ended as a container that does not take the media, and as outputs that are not what was written."""
    with pytest.raises(InvalidMedia, match="times are broken"):
        convert(timed(tmp_path / "far.nut", BEYOND), FAR[name])


@pytest.mark.parametrize("name", ("encode", "copy"))
def test_times_of_streams_that_nobody_takes_do_not_matter(convert: Converter, tmp_path: Path, name: str) -> None:
    """Whatever they are."""
    converted = convert(timed(tmp_path / "beside.nut", NEAR, BEYOND), FAR[name])
    assert converted.artifact.duration_seconds == pytest.approx(0.12)


def test_a_frame_of_gigabytes_is_the_sources_fault(
    convert: Converter, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it declares; not a lack of memory, for which the task would be tried again with more."""
    whole, path = tmp_path / "whole.ivf", tmp_path / "declared.ivf"
    with av.open(str(shelf.get(Clip("webm", (Video("vp9", seconds=1),), ())))) as source, av.open(str(whole), "w") as container:
        stream = container.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                container.mux(packet)
    content = bytearray(whole.read_bytes())
    (first,) = struct.unpack_from("<I", content, 32)
    struct.pack_into("<I", content, 44 + first, 0xA3FFFE00)  # the size of the second frame
    path.write_bytes(content)
    monkeypatch.setattr(errors, "limit_bytes", lambda: peak_bytes() + (8 << 30))
    with pytest.raises(BAD):
        convert(path, ENCODE)


def test_a_copy_of_broken_packets_is_the_sources_fault(shelf: Shelf, tmp_path: Path) -> None:
    """Copies are not decoded on their way: what is found in the output may have been in the source."""
    whole, path = shelf.get(Clip("matroska", (), (Audio("flac", seconds=1),))), tmp_path / "broken.mkv"
    path.write_bytes(whole.read_bytes().replace(b"\xff\xf8", b"\xff\x08"))  # what each frame begins with
    for source, broken in ((whole, False), (path, True)):
        plan = plan_of(source, [target("mkv", video=None)], CLIP, Limits())
        with pytest.raises(InvalidMedia, match=r"packets cannot be decoded.*: the lengths differ") if broken else nullcontext():
            check_copied(plan, plan.targets[0], [str(source)], Limits(), "the lengths differ")
