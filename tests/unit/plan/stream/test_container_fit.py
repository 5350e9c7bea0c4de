"""What is asked for is brought to what the container can hold."""

from contextlib import nullcontext
from fractions import Fraction

import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.media_info import AudioStreamInfo, VideoStreamInfo
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.stream.container_fit import (
    check_copied_audio,
    check_copied_video,
    check_packets,
    check_times,
    fit_video,
    plain_rate,
)


def stream(average: str, base: str) -> VideoStreamInfo:
    """H.264 without B-frames."""
    return VideoStreamInfo(0, "h264", width=64, height=64, average_rate=Fraction(average), frame_rate=Fraction(base))


@pytest.mark.parametrize(("average", "base"), [("25", "25"), ("0", "25"), ("19001/317", "60000/1001")])
def test_a_steady_source_is_taken_as_it_is(average: str, base: str) -> None:
    """Matroska's rates are rounded."""
    _, notes = fit_video(VideoSpec("h264"), stream(average, base), CONTAINERS["avi"], "f")
    assert notes == ()
    check_copied_video(stream(average, base), CONTAINERS["avi"], "f")


def test_a_variable_source_gets_one_rate_and_a_warning() -> None:
    """Its copy is refused; elsewhere it stays variable."""
    variable = stream("22", "30")
    spec, notes = fit_video(VideoSpec("h264"), variable, CONTAINERS["avi"], "f")
    assert spec.frame_rate == 22 and "22 a second" in notes[0]
    with pytest.raises(UnsupportedFormat, match="varies"):
        check_copied_video(variable, CONTAINERS["avi"], "f")
    assert fit_video(VideoSpec("h264"), variable, CONTAINERS["mp4"], "f") == (VideoSpec("h264"), ())


@pytest.mark.parametrize(
    ("rate", "plain"), [("19001/317", "60000/1001"), ("2997/100", "30000/1001"), ("25", "25"), ("25/2", "25/2")]
)
def test_a_rounded_rate_is_the_common_one_that_it_stands_for(rate: str, plain: str) -> None:
    """Others stay."""
    assert plain_rate(Fraction(rate)) == Fraction(plain)


@pytest.mark.parametrize(("container", "kept"), [("mp4", False), ("mkv", True), ("webm", True)])
def test_alpha_goes_where_the_container_keeps_it(container: str, kept: bool) -> None:
    """VP9 has it beside its packets, which MP4 does not hold: then it is left out."""
    source = VideoStreamInfo(0, "prores", width=64, height=64, pixel_format="yuva444p10le", average_rate=Fraction(25))
    spec, _ = fit_video(VideoSpec("vp9"), source, CONTAINERS[container], "f")
    assert spec.pixel_format == ("" if kept else "yuv420p")


@pytest.mark.parametrize(
    ("codec", "tag", "b_frames", "source", "refused"),
    [
        ("rawvideo", "", 0, "avi", True),
        ("rawvideo", "I420", 0, "avi", False),
        ("rawvideo", "RGB[24]", 0, "nut", True),
        ("vvc", "", 1, "mpegts", True),
        ("vvc", "", 1, "matroska,webm", True),
        ("vvc", "", 0, "mpegts", False),
        ("vvc", "", 1, "mov,mp4,m4a,3gp,3g2,mj2", False),
    ],
)
def test_what_the_muxer_would_refuse_is_refused_by_name(
    codec: str, tag: str, b_frames: int, source: str, refused: bool
) -> None:
    stream = VideoStreamInfo(0, codec, codec_tag=tag, has_b_frames=b_frames)
    with pytest.raises(UnsupportedFormat, match="choose a codec") if refused else nullcontext():
        check_copied_video(stream, CONTAINERS["mkv"], "video")
        check_times(stream, source, False, "video")


@pytest.mark.parametrize(("source", "refused"), [("caf", True), ("flac", False), ("nut", False)])
def test_flac_of_caf_is_refused_by_name(source: str, refused: bool) -> None:
    with pytest.raises(UnsupportedFormat, match="caf describes flac") if refused else nullcontext():
        check_copied_audio(AudioStreamInfo(0, "flac", sample_rate=48000), CONTAINERS["mkv"], source, "audio")


@pytest.mark.parametrize(
    ("source", "codec", "configuration", "refused"),
    [
        ("wav", "vorbis", "", True),
        ("w64", "vorbis", "", True),
        ("ogg", "vorbis", "", False),
        ("wav", "mp3", "", False),
        ("wav", "aac", "0011", True),
        ("wav", "aac", "", False),
    ],
)
def test_audio_without_packet_boundaries_is_refused_by_name(source: str, codec: str, configuration: str, refused: bool) -> None:
    """Vorbis and raw AAC say nowhere in themselves where a packet begins, nor do these containers."""
    with pytest.raises(UnsupportedFormat, match=f"{codec}, and {source} does not say") if refused else nullcontext():
        check_packets(AudioStreamInfo(0, codec, sample_rate=48000, configuration=configuration), source, "audio")


@pytest.mark.parametrize("container", ["wav", "mov", "mkv", "avi"])
def test_a_copy_that_would_mix_channels_up_is_refused_by_name(container: str) -> None:
    """Of PCM whose order of channels only CAF tells: libav's muxers crash, or take the usual one."""
    source = AudioStreamInfo(0, "pcm_s16le", sample_rate=48000, layout="4 channels (FL+FR+BL+FC)")
    with pytest.raises(UnsupportedFormat, match="order of channels"):
        check_copied_audio(source, CONTAINERS[container], "caf", "audio")
