"""Slides: encoders decode the first frames long before they are shown, and muxers move what lies before 0."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.model.request import AudioSpec, SegmentFormat, VideoSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_joined import Joiner, join
from tests.media.test_packaged_subtitles import LINES, MASTER, VTT, shown
from tests.media.test_packaging import AAC, cut, ladder, lengths
from tests.sources import Audio, Clip, Subtitle, Video

pytestmark = pytest.mark.media
__all__ = ["join"]

COPIED = VideoSpec()
QUICK = encoded(preset="veryfast", gop_size=250)


def slides(apart: int, form: str = "matroska", count: int = 6) -> Clip:
    """A picture every so many seconds, with B-frames, and audio."""
    times = tuple(Fraction(number * apart) for number in range(count))
    video = Video(times=times, last=Fraction(apart), gop=250, b_frames=3)
    return Clip(
        form, (video,), (Audio(seconds=count * apart),), subtitles=(Subtitle("srt", tuple(LINES)),) * (form == "matroska")
    )


def begins(path: Path, stream: str) -> float:
    """When the first frame of a stream is shown or heard."""
    return float(min(packet.pts for packet in judge.packets(path, stream)))


@pytest.mark.slow
@pytest.mark.sample(every=3)
@pytest.mark.parametrize(("container", "zero"), [("ts", 1.4), ("mp4", 0.0)])
@pytest.mark.parametrize("apart", [1, 3])
def test_all_renditions_of_slides_are_on_one_clock(convert: Converter, apart: int, container: str, zero: float) -> None:
    """Two variants, their shared audio and their subtitles."""
    members = [replace(member, subtitle="none") for member in ladder(container, (96, 64), (64, 48))]
    members = [
        replace(member, video=replace(QUICK, width=member.video.width, height=member.video.height)) for member in members
    ]
    members[0] = replace(members[0], extract=VTT)
    converted = convert(slides(apart), *members, group_uris=(MASTER,))
    folder = converted.published / "film"
    for variant in ("64/v.m3u8", "48/v.m3u8"):
        assert begins(folder / variant, "v:0") == pytest.approx(zero, abs=0.001)
        assert judge.packets(folder / variant, "v:0")[0].dts >= zero - 0.51
        assert judge.numbers(folder / variant) == [*range(6)]
    assert begins(folder / "main-audio.m3u8", "a:0") == pytest.approx(zero, abs=0.03)
    assert shown(folder / "s/lines_0.m3u8")[0][0][:2] == pytest.approx((zero + LINES[0][0], zero + LINES[0][1]), abs=0.002)


@pytest.mark.sample(every=15)
@pytest.mark.parametrize("video", [QUICK, COPIED], ids=["encode", "copy"])
@pytest.mark.parametrize("container", ["ts", "flv", "mp4", "mkv"])
def test_audio_stays_with_slides(convert: Converter, container: str, video: VideoSpec) -> None:
    """The encoder's first packet comes after more audio than a muxer waits for."""
    converted = convert(slides(4), replace(target(container, video, AAC), subtitle="none"))
    path = converted.path
    assert begins(path, "a:0") - begins(path, "v:0") == pytest.approx(0, abs=0.03)
    assert judge.packets(path, "v:0")[0].dts >= -16
    shown = judge.times(path)
    assert [float(time - shown[0]) for time in shown] == pytest.approx([number * 4 for number in range(6)], abs=0.002)
    length = judge.describe(path).duration - (begins(path, "v:0") if container == "flv" else 0)  # FLV tells when it ends
    assert length == pytest.approx(24, abs=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("video", [QUICK, COPIED], ids=["encode", "copy"])
def test_a_manifest_of_slides_begins_at_0(convert: Converter, video: VideoSpec) -> None:
    """Players of DASH that ignore edit lists are late by half a second at most."""
    converted = convert(
        slides(3, "mp4"), replace(cut(target("mp4", video, AudioSpec("aac")), SegmentFormat.DASH), subtitle="none")
    )
    (film,) = {path.name for path in converted.published.glob("x-0-init.mp4")}
    segments = sorted(converted.published.glob("x-0-*.m4s"), key=lambda path: int(re.findall(r"\d+", path.stem)[-1]))
    whole = converted.published / "whole.mp4"
    whole.write_bytes(b"".join(path.read_bytes() for path in (converted.published / film, *segments)))
    assert begins(whole, "v:0") == pytest.approx(0, abs=0.001)
    assert judge.packets(whole, "v:0")[0].dts >= -0.51


@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("container", ["mp4", "ts"])
def test_frames_of_a_slow_rate_are_reordered(convert: Converter, container: str, codec: str) -> None:
    """Between those a second apart there are times for decoding some before others are shown."""
    converted = convert(
        Clip("mp4", (Video(seconds=6),), ()), target(container, encoded(codec, preset="veryfast", frame_rate=Fraction(1)), None)
    )
    packets = judge.packets(converted.path)
    assert len(packets) == 6 and len({packet.dts for packet in packets}) == 6
    times = [float(time) for time in judge.times(converted.path)]
    assert [time - times[0] for time in times] == pytest.approx([*range(6)], abs=0.001)


def test_slides_follow_each_other(join: Joiner) -> None:
    _, (path,) = join([slides(1, "mp4")] * 2, target("mp4", QUICK, AAC))
    assert judge.numbers(path) == [*range(6), *range(6)]
    assert [float(time) for time in judge.times(path)] == pytest.approx([*range(12)], abs=0.001)


def test_a_short_last_slide_ends_the_playlist(convert: Converter) -> None:
    """Packets of MPEG-TS do not say how long they are shown: read back, the last frame seems as long as the one before it."""
    clip = Clip("mp4", (Video(times=tuple(map(Fraction, (0, 2, 4, 6))), b_frames=0),), (Audio(seconds=1.0),))
    converted = convert(clip, cut(target("ts", QUICK, AAC), seconds=2.0))
    assert sum(lengths(converted.published / "x.m3u8")) == pytest.approx(6.04, abs=0.03)


def test_copied_slides_of_a_minute_each_have_decode_timestamps(convert: Converter) -> None:
    """Matroska has none for the first ones: those that were made up lay behind the frames, which no muxer takes."""
    source = replace(slides(60, count=4), audio=(), subtitles=())
    for form in ("mkv", "mp4"):
        assert [float(time) for time in judge.times(convert(source, target(form, audio=None)).path)] == [0, 60, 120, 180]
