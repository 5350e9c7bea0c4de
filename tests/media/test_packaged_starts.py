"""Segments of copies that do not begin at 0: late video, frames that an edit list hides, and a single frame."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.model.request import AudioSpec, SegmentFormat, SegmentSpec, TargetSpec
from tests import judge
from tests.media.converter import COPIED_AUDIO, COPIED_VIDEO, Converted, Converter, encoded, target
from tests.media.test_packaged_subtitles import MASTER
from tests.media.test_packaging import ladder
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

FORMS = [("ts", SegmentFormat.HLS), ("mp4", SegmentFormat.HLS), ("mp4", SegmentFormat.DASH)]


def packaged(form: SegmentFormat, spec: TargetSpec) -> TargetSpec:
    """A target in segments of a second."""
    return replace(spec, segment=SegmentSpec(form, 1_000_000))


def listed(converted: Converted) -> tuple[Path, float]:
    """The playlist or manifest, and how long it says that all is, seconds."""
    (path,) = (path for path in converted.published.iterdir() if path.suffix in (".m3u8", ".mpd"))
    text = path.read_text()
    if path.suffix == ".mpd":
        match = re.search(r'mediaPresentationDuration="PT([\d.]+)S"', text)
        assert match
        return path, float(match[1])
    return path, sum(float(length) for length in re.findall(r"#EXTINF:([\d.]+)", text))


def lag(path: Path) -> float:
    """How much later the audio begins than the video, seconds."""
    return float(judge.packets(path, "a:0")[0].pts - min(packet.pts for packet in judge.packets(path, "v:0")))


@pytest.mark.parametrize(("container", "form"), FORMS)
@pytest.mark.parametrize("source", ["mp4", "matroska", "flv"])
def test_copied_video_may_begin_later_than_audio(convert: Converter, source: str, container: str, form: SegmentFormat) -> None:
    """Its playlist covers what is heard before it, too, and the streams keep their distance."""
    late = tuple(Fraction(number, 25) + Fraction(6, 5) for number in range(50))
    clip = Clip(source, (Video(times=late, gop=25),), (Audio("aac", seconds=2.5),))
    path, seconds = listed(convert(clip, packaged(form, target(container))))
    assert judge.numbers(path) == [*range(50)]
    assert lag(path) == pytest.approx(-1.2, abs=0.03)
    assert seconds == pytest.approx(3.2, abs=0.03)


@pytest.mark.parametrize(("container", "form"), FORMS)
def test_encoded_video_may_begin_much_later_than_audio(convert: Converter, container: str, form: SegmentFormat) -> None:
    """Its first frame is shown from 0 on, with B-frames, too."""
    late = tuple(Fraction(number, 25) + Fraction(12, 5) for number in range(50))
    clip = Clip("mp4", (Video(times=late, gop=25),), (Audio("aac", seconds=2.5),))
    path, seconds = listed(convert(clip, packaged(form, target(container, encoded(), AudioSpec("aac")))))
    assert judge.numbers(path) == [*range(50)]
    assert seconds == pytest.approx(4.4, abs=0.03)


@pytest.mark.parametrize("start", [0.3, 0.96, 1.0, 1.02])
def test_audio_may_begin_while_the_second_segment_is_decoded(convert: Converter, start: float) -> None:
    """Its keyframe is decoded before it is shown, and ends the first segment then."""
    late = Clip("matroska", (Video(seconds=1.4, gop=25),), (Audio("aac", seconds=0.3, start=start),))
    path, _ = listed(convert(late, packaged(SegmentFormat.HLS, target("mp4", encoded(b_frames=3), AudioSpec("aac")))))
    assert lag(path) == pytest.approx(start, abs=0.03)


@pytest.mark.parametrize(("container", "form"), FORMS)
@pytest.mark.parametrize("wanted", [None, AudioSpec("aac")], ids=["copied", "encoded"])
def test_audio_may_begin_after_the_first_segment(
    convert: Converter, container: str, form: SegmentFormat, wanted: AudioSpec | None
) -> None:
    """The streams keep their distance."""
    late = Clip("matroska", (Video(seconds=3, gop=25),), (Audio("aac", seconds=1, start=1.8),))
    video, audio = (COPIED_VIDEO, COPIED_AUDIO) if wanted is None else (encoded(), wanted)
    path, _ = listed(convert(late, packaged(form, target(container, video, audio))))
    assert judge.numbers(path) == [*range(75)]
    assert lag(path) == pytest.approx(1.8, abs=0.03)


@pytest.mark.parametrize(("container", "form"), FORMS)
def test_copies_show_what_an_edit_list_hid(convert: Converter, container: str, form: SegmentFormat) -> None:
    """Players drop frames before 0 up to the next keyframe: all are shown, the playlist counts them, and a warning says so."""
    clip = Clip("mp4", (Video(gop=25),), (Audio("aac"),), offset=-1.44)
    converted = convert(clip, packaged(form, target(container)))
    path, seconds = listed(converted)
    assert judge.numbers(path) == [*range(25, 50)]
    assert lag(path) == pytest.approx(0.44, abs=0.12)  # audio that is hidden stays away, but for what decoders need
    assert seconds == pytest.approx(1, abs=0.03)
    assert min(packet.pts for packet in judge.packets(path, "v:0")) >= 0
    assert converted.warnings == ("targets[0]: the source hides its first 11 frames, which segments cannot: they are shown",)


@pytest.mark.parametrize("container", ["mp4", "ts"])
def test_a_ladder_of_what_an_edit_list_hid_is_on_one_clock(convert: Converter, container: str) -> None:
    """One rung is copied and shows what was hidden, from 0 on; the encoded one and the audio begin as much later."""
    copied, other = ladder(container, (96, 64), (64, 48))
    source = Clip("mp4", (Video(gop=25),), (Audio("aac"),), offset=-1.44)
    converted = convert(source, replace(copied, video=COPIED_VIDEO), other, group_uris=(MASTER,))
    folder = converted.published / "film"
    variants = [folder / "64/v.m3u8", folder / "48/v.m3u8"]
    assert [judge.numbers(path) for path in variants] == [[*range(25, 50)], [*range(36, 50)]]
    begin = float(judge.times(variants[0])[0])
    assert begin == pytest.approx(1.4 if container == "ts" else 0, abs=0.001)
    assert float(judge.times(variants[1])[0]) == pytest.approx(begin + 0.44, abs=0.001)
    audio = judge.packets(folder / "main-audio.m3u8", "a:0")[0].pts
    assert float(audio) == pytest.approx(begin + 0.44, abs=0.12)


@pytest.mark.parametrize(("container", "form"), FORMS)
def test_a_single_late_frame_is_shown_from_the_beginning(convert: Converter, container: str, form: SegmentFormat) -> None:
    """As the first one of any video is."""
    clip = Clip("mpegts", (Video(times=(Fraction(7, 10),)),), (Audio("aac"),))
    converted = convert(clip, packaged(form, target(container, encoded(), AudioSpec("aac"))))
    path, _ = listed(converted)
    first = min(packet.pts for packet in judge.packets(path, "v:0"))
    assert first - judge.packets(path, "a:0")[0].pts < Fraction(1, 40)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("container", "form"), FORMS[1:])
@pytest.mark.parametrize("pictures", [(), (Video(gop=15, time_base=Fraction(1, 100)),)], ids=["audio", "video"])
@pytest.mark.parametrize("codec", ["flac", "alac", "ac3"])
def test_copied_audio_of_long_packets_may_begin_before_what_is_heard(
    convert: Converter, container: str, form: SegmentFormat, pictures: tuple[Video, ...], codec: str
) -> None:
    """What an edit list hides is kept as far as decoders need it, and the packet in which that begins."""
    clip = Clip("mp4", pictures, (Audio(codec, clicks=(1.5,)),), offset=-1.2)
    path, seconds = listed(convert(clip, packaged(form, target(container, audio=AudioSpec()))))
    assert seconds == pytest.approx(0.8, abs=0.05)
    assert judge.clicks(path)[0] == pytest.approx(0.3, abs=0.002)
