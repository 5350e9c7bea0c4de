"""Every cell of the table of codecs and containers: made, and read by the judge."""

from dataclasses import replace

import pytest

from reelmill_server.errors import InvalidArgument, UnsupportedFormat
from reelmill_server.model.request import AudioSpec
from reelmill_server.plan.containers import CONTAINERS
from reelmill_server.plan.encoders import AUDIO_ENCODERS, LIBAV_CODEC
from tests import judge
from tests.media.converter import Converter, encoded, target
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
}


@pytest.mark.parametrize(("container", "codec"), VIDEO_CELLS)
def test_each_video_cell_holds_what_went_in_or_is_refused(convert: Converter, container: str, codec: str) -> None:
    """A codec that fits gives every picture at its time and decodes clean; one that does not is refused before any work."""
    asked = target(container, encoded(codec), None)
    if not CONTAINERS[container].holds("video", LIBAV_CODEC[codec]):
        with pytest.raises(InvalidArgument, match="does not hold"):
            convert(SECOND, asked)
        return
    made = convert(SECOND, asked)
    judge.check(made.path)
    assert [stream.codec for stream in judge.describe(made.path).streams] == [LIBAV_CODEC[codec]]
    assert judge.numbers(made.path) == list(range(25))
    times = judge.times(made.path)
    assert [float(time - times[0]) for time in times] == pytest.approx([number * FRAME for number in range(25)], abs=0.001)
    assert judge.describe(made.path).duration == pytest.approx(1, abs=FRAME)
    assert made.artifact.streams[0].packet_count == 25
    assert made.artifact.duration_seconds == pytest.approx(1, abs=FRAME)


@pytest.mark.parametrize(("container", "codec"), AUDIO_CELLS)
def test_each_audio_cell_holds_what_went_in_or_is_refused(convert: Converter, container: str, codec: str) -> None:
    """A codec that fits gives all of the sound at its pitch; one that does not is refused before any work."""
    asked = target(container, None, AudioSpec(codec))
    if not CONTAINERS[container].holds("audio", AUDIO_ENCODERS[codec].codec):
        with pytest.raises(InvalidArgument, match="does not hold"):
            convert(SECOND, asked)
        return
    made = convert(SECOND, asked)
    judge.check(made.path)
    assert [stream.codec for stream in judge.describe(made.path).streams] == [AUDIO_ENCODERS[codec].codec]
    sound = judge.sound(made.path)
    assert sound.shape[0] / judge.sample_rate(made.path) == pytest.approx(1, abs=0.04)
    assert judge.pitch(sound[10000:40000, 0], judge.sample_rate(made.path)) == pytest.approx(440, abs=3)
    assert made.artifact.duration_seconds == pytest.approx(1, abs=0.04)


@pytest.mark.parametrize("codec", VIDEO_SOURCES)
def test_each_video_codec_is_copied_into_what_holds_it(convert: Converter, codec: str) -> None:
    """A copy has the same pictures, decodes clean and says the codec; a container that cannot hold it is refused."""
    clip = Clip("matroska", (VIDEO_SOURCES[codec],), ())
    for container in WITH_VIDEO:
        if not CONTAINERS[container].holds("video", codec):
            with pytest.raises(UnsupportedFormat, match="does not hold"):
                convert(clip, target(container))
            continue
        made = convert(clip, target(container))
        judge.check(made.path)
        assert judge.describe(made.path).of("Video")[0].codec == codec, container
        assert judge.numbers(made.path) == list(range(25)), container


@pytest.mark.parametrize("codec", AUDIO_SOURCES)
def test_each_audio_codec_is_copied_into_what_holds_it(convert: Converter, codec: str) -> None:
    """A copy has the same packets, decodes clean and says the codec; a container that cannot hold it is refused."""
    clip = Clip("matroska", (), (AUDIO_SOURCES[codec],))
    for container in CONTAINERS:
        if not CONTAINERS[container].holds("audio", codec):
            with pytest.raises(UnsupportedFormat, match="does not hold"):
                convert(clip, target(container))
            continue
        made = convert(clip, target(container))
        judge.check(made.path)
        found = judge.describe(made.path).of("Audio")[0].codec
        assert found == codec or {found, codec} == {"mp2", "mp3"}, container  # MP4 has one word for both
        sound = judge.sound(made.path)
        assert sound.shape[0] / judge.sample_rate(made.path) == pytest.approx(1, abs=0.06), container
        assert judge.pitch(sound[10000:40000, 0], judge.sample_rate(made.path)) == pytest.approx(440, abs=3), container


@pytest.mark.parametrize("container", ["mp4", "mov"])
def test_h265_carries_the_tag_that_players_want(convert: Converter, container: str) -> None:
    """HEVC in MP4 and QuickTime is hvc1, encoded or copied."""
    clip = replace(SECOND, format="matroska", video=(Video("libx265", seconds=1),), audio=())
    copied = convert(clip, target(container))
    made = convert(SECOND, target(container, encoded("h265"), None))
    for path in (copied.path, made.path):
        assert "hvc1" in judge.describe(path).of("Video")[0].rest
