"""Every cell of the table of codecs and containers: made, and read by the judge."""

from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import pytest

from reelmill_server.errors import InvalidArgument, UnsupportedFormat
from reelmill_server.model.request import AudioSpec
from reelmill_server.plan.codec.audio_encoders import AUDIO_ENCODERS
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.codec.video_encoders import LIBAV_CODEC
from tests import judge
from tests.media.converter import COPIED_AUDIO, COPIED_VIDEO, Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

FRAME = 0.04
SECOND = Clip("mp4", (Video(seconds=1),), (Audio(seconds=1),))
WITH_VIDEO = [name for name, container in CONTAINERS.items() if not container.audio_only]
VIDEO_CELLS = [(container, codec) for container in WITH_VIDEO for codec in LIBAV_CODEC]
AUDIO_CELLS = [(container, codec) for container in CONTAINERS for codec in AUDIO_ENCODERS]

# An encoder for each codec that a source may bring, with what it needs.
VIDEO_SOURCES = {
    "h264": Video(seconds=1),
    "hevc": Video("libx265", seconds=1),
    "vp8": Video("libvpx", seconds=1),
    "vp9": Video("libvpx-vp9", seconds=1),
    "av1": Video("libsvtav1", seconds=1),
    "mpeg4": Video("mpeg4", seconds=1),
    "mpeg2video": Video("mpeg2video", seconds=1),
    "mjpeg": Video("mjpeg", seconds=1, pixel_format="yuvj420p", color_range=2),
    "prores": Video("prores_ks", seconds=1, pixel_format="yuv422p10le"),
    "ffv1": Video("ffv1", seconds=1),
}
# Containers that hold a codec without B-frames only, or at some sample rates only, are given such a source.
AUDIO_SOURCES = {
    "aac": Audio("aac", seconds=1),
    "mp3": Audio("libmp3lame", seconds=1),
    "mp2": Audio("mp2", seconds=1, sample_format="s16"),
    "ac3": Audio("ac3", seconds=1),
    "eac3": Audio("eac3", seconds=1),
    "opus": Audio("libopus", seconds=1, sample_format="flt"),
    "vorbis": Audio("vorbis", seconds=1),
    "flac": Audio("flac", seconds=1, sample_format="s16"),
    "alac": Audio("alac", seconds=1, sample_format="s16p"),
    "pcm_s16le": Audio("pcm_s16le", seconds=1),
    "amr_nb": Audio("libopencore_amrnb", rate=8000, layout="mono", seconds=1),
}


# Codecs that libav's muxer of Matroska has no word for; with an encoder, and a container that holds them.
STRANGERS = {
    "wmv2": ("asf", Video("wmv2", seconds=1), None),
    "flv1": ("avi", Video("flv", seconds=1), None),
    "svq1": ("mov", Video("svq1", seconds=1, pixel_format="yuv410p"), None),
    "qtrle": ("mov", Video("qtrle", seconds=1, pixel_format="rgb24"), None),
    "wmav2": ("asf", None, Audio("wmav2", seconds=1, bitrate=128_000)),
    "adpcm_ms": ("wav", None, Audio("adpcm_ms", seconds=1)),
    "pcm_mulaw": ("wav", None, Audio("pcm_mulaw", seconds=1)),
}


@pytest.mark.parametrize("codec", STRANGERS)
def test_a_copy_that_the_muxer_refuses_is_refused_by_the_plan(convert: Converter, codec: str) -> None:
    """By the codec's name."""
    form, video, audio = STRANGERS[codec]
    source = Clip(form, (video,) if video else (), (audio,) if audio else ())
    wanted = target("mkv", COPIED_VIDEO if video else None, COPIED_AUDIO if audio else None)
    with pytest.raises(UnsupportedFormat, match=f"is {codec}, which mkv does not hold|is {codec}, which mkv cannot contain"):
        convert(source, wanted)


# Codecs that containers hold for copies only: where they come from, and an encoder.
OLD = {
    "wmv1": ("asf", ("asf", "avi"), Video("wmv1", seconds=1)),
    "wmv2": ("asf", ("asf", "avi"), Video("wmv2", seconds=1)),
    "msmpeg4v3": ("avi", ("asf", "avi", "mkv"), Video("msmpeg4", seconds=1)),
    "flv1": ("flv", ("flv", "avi"), Video("flv", seconds=1)),
    "svq1": ("mov", ("mov",), Video("svq1", seconds=1, pixel_format="yuv410p")),
    "dvvideo": ("avi", ("avi", "mov"), Video("dvvideo", (720, 576), seconds=0.2)),
    "huffyuv": ("avi", ("avi",), Video("huffyuv", seconds=1, pixel_format="yuv422p")),
    "jpeg2000": ("mov", ("mov", "mkv"), Video("jpeg2000", seconds=0.2)),
}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(("codec", "container"), [(codec, name) for codec, (_, names, _) in OLD.items() for name in names])
def test_an_old_codec_is_copied_to_where_it_belongs(convert: Converter, codec: str, container: str) -> None:
    """Every picture as it was, at its time."""
    form, _, video = OLD[codec]
    source = Clip(form, (video,), ())
    converted = convert(source, target(container, COPIED_VIDEO, None)).path
    before, after = judge.frames(convert.shelf.get(source)), judge.frames(converted)
    assert [frame.checksum for frame in after] == [frame.checksum for frame in before]
    assert [float(frame.pts - after[0].pts) for frame in after] == pytest.approx(
        [n * FRAME for n in range(len(after))], abs=0.002
    )
    assert judge.describe(converted).of("Video")[0].codec == codec


def test_windows_media_audio_is_copied(convert: Converter) -> None:
    """To its own container."""
    source = Clip("asf", (), (Audio("wmav2", seconds=1, bitrate=128_000),))
    converted = convert(source, target("asf", None, COPIED_AUDIO)).path
    assert [packet.checksum for packet in judge.packets(converted)] == [
        packet.checksum for packet in judge.packets(convert.shelf.get(source))
    ]


@cache
def codecs() -> dict[str, str]:
    """The codecs of this build: libav's name, and the name of a decoder or an encoder."""
    results = {}
    for name in sorted(av.codecs_available):
        for mode in ("r", "w"):
            try:
                results[av.Codec(name, mode).canonical_name] = name
            except ValueError:
                continue
    return results


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_muxer_knows_each_codec_of_the_table(tmp_path: Path, name: str) -> None:
    """As libav says of itself, in whatever version is here."""
    container = CONTAINERS[name]
    with av.open(str(tmp_path / "x"), "w", format=container.muxer) as output:
        for codec in {*container.video, *container.audio} & codecs().keys():
            output.add_mux_stream(codecs()[codec])


def heard(path: Path) -> tuple[float, float]:
    """The seconds of sound in a file, and its pitch in whole steps of 5 Hz."""
    sound, rate = judge.sound(path)[:, 0], judge.sample_rate(path)
    return len(sound) / rate, round(judge.pitch(sound[len(sound) // 5 : -len(sound) // 5], rate) / 5) * 5


@pytest.mark.sample(every=10)
@pytest.mark.parametrize(("container", "codec"), VIDEO_CELLS)
def test_each_video_cell_holds_what_went_in_or_is_refused(convert: Converter, container: str, codec: str) -> None:
    """A codec that fits gives every picture at its time and decodes clean; one that does not is refused before any work."""
    asked = target(container, encoded(codec), None)
    if not CONTAINERS[container].holds("video", LIBAV_CODEC[codec]):
        with pytest.raises(InvalidArgument, match="does not support"):
            convert(SECOND, asked)
        return
    converted = convert(SECOND, asked)
    judge.check(converted.path)
    assert [stream.codec for stream in judge.describe(converted.path).streams] == [LIBAV_CODEC[codec]]
    assert judge.numbers(converted.path) == list(range(25))
    times = judge.times(converted.path)
    assert [float(time - times[0]) for time in times] == pytest.approx([number * FRAME for number in range(25)], abs=0.001)
    begin = float(times[0]) if container == "flv" else 0  # FLV has no time below 0, and counts its length from there
    assert judge.describe(converted.path).duration - begin == pytest.approx(1, abs=FRAME)
    assert converted.artifact.streams[0].packet_count == 25
    assert converted.artifact.duration_seconds == pytest.approx(1, abs=FRAME)


@pytest.mark.sample(every=15)
@pytest.mark.parametrize(("container", "codec"), AUDIO_CELLS)
def test_each_audio_cell_holds_what_went_in_or_is_refused(convert: Converter, container: str, codec: str) -> None:
    """A codec that fits gives all of the sound at its pitch; one that does not is refused before any work."""
    asked = target(container, None, AudioSpec(codec))
    if not CONTAINERS[container].holds("audio", AUDIO_ENCODERS[codec].codec):
        with pytest.raises(InvalidArgument, match="does not support"):
            convert(SECOND, asked)
        return
    converted = convert(SECOND, asked)
    judge.check(converted.path)
    assert [stream.codec for stream in judge.describe(converted.path).streams] == [AUDIO_ENCODERS[codec].codec]
    assert heard(converted.path) == pytest.approx((1, 440), abs=0.06)
    assert converted.artifact.duration_seconds == pytest.approx(1, abs=0.06)


@pytest.mark.sample(every=12)
@pytest.mark.parametrize("codec", VIDEO_SOURCES)
def test_each_video_codec_is_copied_into_what_holds_it(convert: Converter, codec: str) -> None:
    """A copy has the same pictures, decodes clean and says the codec; a container that cannot hold it is refused."""
    for container in WITH_VIDEO:
        b_frames = 0 if codec in CONTAINERS[container].unordered else 2
        clip = Clip("matroska", (replace(VIDEO_SOURCES[codec], b_frames=b_frames),), ())
        if not CONTAINERS[container].holds("video", codec):
            with pytest.raises(UnsupportedFormat, match="does not hold"):
                convert(clip, target(container))
            continue
        converted = convert(clip, target(container))
        judge.check(converted.path)
        assert judge.describe(converted.path).of("Video")[0].codec == codec, container
        assert judge.numbers(converted.path) == list(range(25)), container


@pytest.mark.sample(every=20)
@pytest.mark.parametrize("codec", AUDIO_SOURCES)
def test_each_audio_codec_is_copied_into_what_holds_it(convert: Converter, codec: str) -> None:
    """A copy has the same packets, decodes clean and says the codec; a container that cannot hold it is refused."""
    for container in CONTAINERS:
        # An MXF file of sound alone is not written.
        pictures = (Video(seconds=1, b_frames=0),) if container == "mxf" else ()
        clip = Clip("mov" if codec == "amr_nb" else "matroska", pictures, (AUDIO_SOURCES[codec],))
        asked = target(container, None if CONTAINERS[container].audio_only else COPIED_VIDEO)
        if not CONTAINERS[container].holds("audio", codec):
            with pytest.raises(UnsupportedFormat, match="does not hold"):
                convert(clip, asked)
            continue
        converted = convert(clip, asked)
        judge.check(converted.path)
        description = judge.describe(converted.path).of("Audio")[0].codec
        assert description == codec or {description, codec} == {"mp2", "mp3"}, container  # MP4 has one word for both
        assert heard(converted.path) == pytest.approx((1, 440), abs=0.06), container


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_h265_carries_the_tag_that_players_want(convert: Converter, container: str) -> None:
    """HEVC in MP4 and QuickTime is hvc1, encoded or copied."""
    clip = replace(SECOND, format="matroska", video=(Video("libx265", seconds=1),), audio=())
    copied = convert(clip, target(container))
    converted = convert(SECOND, target(container, encoded("h265"), None))
    for path in (copied.path, converted.path):
        assert "hvc1" in judge.describe(path).of("Video")[0].rest


@pytest.mark.parametrize("container", ["asf", "avi", "mxf"])
def test_b_frames_are_left_out_or_refused_where_a_picture_has_one_time(convert: Converter, container: str) -> None:
    """The default gives none; asked for, or in a copied source, they are refused with the reason."""
    with pytest.raises(InvalidArgument, match="one timestamp per frame"):
        convert(SECOND, target(container, encoded(b_frames=2), None))
    with pytest.raises(UnsupportedFormat, match="B-frames"):
        convert(SECOND, target(container, audio=None))


@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_h264_copied_to_avi_has_a_packet_for_each_picture(convert: Converter, form: str) -> None:
    """No empty packets between them, and the frame rate of the source; MP4 keeps H.264 in another form."""
    clip = Clip(form, (Video(b_frames=0, seconds=1),), (Audio("libmp3lame", seconds=1),))
    converted = convert(clip, target("avi"))
    assert "25 fps" in judge.describe(converted.path).of("Video")[0].rest
    assert len(judge.packets(converted.path, "v:0")) == 25
    assert judge.numbers(converted.path) == list(range(25))
    encoded_one = convert(clip, target("avi", encoded(), AudioSpec("mp3")))
    assert len(judge.packets(encoded_one.path, "v:0")) == 25


@pytest.mark.parametrize("container", ["avi", "mxf"])
def test_one_frame_rate_is_given_or_a_copy_refused(convert: Converter, container: str) -> None:
    """A variable rate becomes constant when encoding, with a warning; its copy is refused."""
    times = tuple(Fraction(tick, 30) for tick in (0, 1, 2, 5, 6, 9, 12, 13, 14, 20, 21, 24, 27, 28, 29))
    clip = Clip("mp4", (Video(times=times, b_frames=0, last=Fraction(1, 30)),), ())
    with pytest.raises(UnsupportedFormat, match="varies"):
        convert(clip, target(container))
    converted = convert(clip, target(container, encoded(frame_rate=Fraction(30)), None))
    judge.check(converted.path)
    assert len(judge.times(converted.path)) == pytest.approx(30, abs=1)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(30), Fraction(60000, 1001)])
def test_mxf_takes_its_rates(convert: Converter, rate: Fraction) -> None:
    """Matroska rounds times to milliseconds: the rate that they stand for is found, encoded and copied."""
    clip = Clip("matroska", (Video(fps=rate, seconds=1, b_frames=0),), ())
    for asked in (target("mxf", encoded(), None), target("mxf")):
        converted = convert(clip, asked)
        judge.check(converted.path)
        assert judge.numbers(converted.path) == list(range(round(rate)))


def test_mxf_refuses_other_rates(convert: Converter) -> None:
    """Asked for or the source's, with those that it takes."""
    with pytest.raises(InvalidArgument, match="24000/1001"):
        convert(SECOND, target("mxf", encoded(frame_rate=Fraction(15)), None))
    slow = Clip("matroska", (Video(fps=Fraction(10), b_frames=0),), ())
    for asked in (target("mxf", encoded(), None), target("mxf")):
        with pytest.raises(UnsupportedFormat, match="set frame_rate"):
            convert(slow, asked)


def test_flv_has_sample_rates_of_its_own_for_mp3(convert: Converter) -> None:
    """MP3 in FLV: the next rate that it has when encoding; another asked for or copied is refused."""
    clip = Clip("matroska", (), (Audio("libmp3lame", rate=32000, seconds=1),))
    with pytest.raises(UnsupportedFormat, match="Hz"):
        convert(clip, target("flv"))
    with pytest.raises(InvalidArgument, match="44100"):
        convert(clip, target("flv", None, AudioSpec("mp3", sample_rate=32000)))
    converted = convert(clip, target("flv", None, AudioSpec("mp3")))
    assert judge.sample_rate(converted.path) == 44100
    assert heard(converted.path) == pytest.approx((1, 440), abs=0.06)


def test_mxf_says_that_no_sound_can_be_encoded_for_it(convert: Converter) -> None:
    """The contract's codecs do not fit: neither asked for nor copied, and the advice is no other codec."""
    with pytest.raises(UnsupportedFormat, match="leave audio out"):
        convert(SECOND, target("mxf", encoded()))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(
    ("container", "codec", "late"),
    [("asf", "aac", 0), ("asf", "vorbis", 0), ("flv", "aac", 0), ("flv", "opus", 0), ("ts", "ac3", 0), ("avi", "mp3", 0.023)],
)
def test_sound_and_picture_stay_together(convert: Converter, container: str, codec: str, late: float) -> None:
    """Clicks are where they were against the picture, but for AVI, which cannot say what an encoder puts in front."""
    clip = Clip("mp4", (Video(),), (Audio(clicks=(0.5, 1.5)),))
    converted = convert(clip, target(container, encoded(), AudioSpec(codec)))
    begin = float(judge.times(converted.path)[0])
    clicks = [click - begin for click in judge.clicks(converted.path, threshold=0.3)]
    assert clicks == pytest.approx([0.5 + late, 1.5 + late], abs=0.003)
    shown = [float(time) - begin for time in judge.times(converted.path)]
    assert shown == pytest.approx([number * FRAME for number in range(50)], abs=0.001)
    assert judge.numbers(converted.path) == list(range(50))


@pytest.mark.parametrize("b_frames", [2, pytest.param(0, marks=pytest.mark.matrix)])
@pytest.mark.parametrize("form", ["mxf", pytest.param("mov", marks=pytest.mark.matrix)])
def test_mpeg2_beside_pcm_is_copied_to_mxf(convert: Converter, form: str, b_frames: int) -> None:
    """Which tells when frames are shown, apart from when they are decoded."""
    video = Video("mpeg2video", size=(64, 48), b_frames=b_frames, gop=7, seconds=0.6)
    converted = convert(Clip(form, (video,), (Audio("pcm_s16le", seconds=0.6, clicks=(0.4,)),)), target("mxf"))
    assert judge.numbers(converted.path) == [*range(15)] and judge.times(converted.path)[0] == 0
    assert judge.clicks(converted.path) == pytest.approx([0.4], abs=0.001)


@pytest.mark.parametrize("container", ["mov", "avi", "asf", "mxf"])
def test_pcm_beside_video_is_copied(convert: Converter, container: str) -> None:
    """Sample for sample, at its time."""
    clip = Clip("mov", (Video(b_frames=0),), (Audio("pcm_s16le", clicks=(0.5, 1.5)),))
    converted = convert(clip, target(container))
    judge.check(converted.path)
    assert judge.clicks(converted.path) == pytest.approx([0.5, 1.5], abs=0.001)
    assert judge.numbers(converted.path) == list(range(50))
