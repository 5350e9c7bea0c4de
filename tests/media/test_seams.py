"""Files whose times begin again or jump ahead: recordings put behind each other."""

import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from reelmill_server.errors import MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input import seek
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_audio_times import made
from tests.media.test_joined import Joiner, join
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media
__all__ = ["join"]

CLICKS = (0.5, 1.0, 1.5)
ENCODED, COPIED = target("mkv", encoded(), AudioSpec("flac")), target("mkv")


def recording(container: str = "mpegts", offset: float = 10, b_frames: int = 2) -> Clip:
    """Two seconds of numbered frames and clicks."""
    video = Video("mpeg2video" if container == "vob" else "libx264", b_frames=b_frames)
    codec = "mp2" if container == "vob" else "aac"
    return Clip(container, (video,), (Audio(codec, clicks=CLICKS),), offset=offset)


def joined(shelf: Shelf, name: str, *clips: Clip) -> Path:
    """The bytes of the clips behind each other."""
    return shelf.join(name, *(shelf.get(clip) for clip in clips))


def check_twice(path: Path, begin: float = 0.0) -> None:
    """All frames and clicks of two recordings are there from `begin` on, together."""
    expected = [second + 2 * half - begin for half in range(2) for second in CLICKS if second + 2 * half > begin]
    clicks = judge.clicks(path, threshold=0.2)
    start = float(judge.times(path)[0])
    assert len(clicks) == len(expected)
    assert max(abs(click - start - second) for click, second in zip(clicks, expected, strict=True)) < 0.12
    numbers, times = judge.numbers(path), judge.times(path)
    assert numbers == [*range(50), *range(50)][100 - len(numbers) :]
    # Frames and clicks keep their distance behind the seam.
    frame, click = times[-25], clicks[-2]  # both of second 1
    assert abs(float(frame) - click) < 0.021


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("wanted", [ENCODED, COPIED], ids=["encoded", "copied"])
@pytest.mark.parametrize(
    ("name", "clips"),
    [
        ("again.ts", (recording(), recording())),
        ("jump.ts", (recording(), recording(offset=10_000))),
        ("back.ts", (recording(offset=90_000), recording(offset=10))),
        ("again.mpg", (recording("vob", 0), recording("vob", 0))),
    ],
    ids=["begins again", "jumps ahead", "goes back across a wrap", "program stream"],
)
def test_recordings_behind_each_other_follow_each_other(
    shelf: Shelf, convert: Converter, name: str, clips: tuple[Clip, ...], wanted: TargetSpec
) -> None:
    source = joined(shelf, name, *clips)
    assert probe_file(str(source), Limits()).duration_seconds == pytest.approx(4, abs=0.15)
    result = convert(source, wanted)
    check_twice(result.path)
    assert [text for text in result.warnings if "begin again or jump at 2.0" in text]
    assert not [text for text in result.warnings if "damaged" in text]


def test_a_jump_of_a_day_makes_no_recording_too_long(shelf: Shelf, convert: Converter) -> None:
    """Its length is what was recorded, which is measured, not the distance of its clock's first and last time."""
    source = joined(shelf, "day.ts", recording(), recording(offset=90_000))
    converted = convert(source, COPIED)
    assert judge.numbers(converted.path) == [*range(50), *range(50)]
    with pytest.raises(MediaLimitExceeded, match="4 s are longer than the limit of 3 s"):
        probe_file(str(source), replace(Limits(), max_duration_seconds=3))


def test_a_cut_may_lie_behind_a_seam(shelf: Shelf, convert: Converter) -> None:
    source = joined(shelf, "cut.ts", recording(), recording())
    result = convert(source, ENCODED, start=2.3)
    check_twice(result.path, 2.3)


@pytest.mark.parametrize("clips", [(recording(), recording()), (recording("vob", 0), recording("vob", 0))], ids=["ts", "ps"])
def test_a_copy_may_begin_behind_a_seam(shelf: Shelf, convert: Converter, clips: tuple[Clip, ...]) -> None:
    """At the keyframe at or before the start: frames without it cannot be decoded."""
    result = convert(joined(shelf, f"copied.{clips[0].format}", *clips), COPIED, start=3)
    (shift,) = (float(match[1]) for text in result.warnings if (match := re.search(r"([\d.]+) s before the requested", text)))
    numbers = judge.numbers(result.path)
    assert numbers == [*range(numbers[0], 50)] and numbers[0] == pytest.approx((1 - shift) * 25, abs=1.5)
    assert float(judge.times(result.path)[0]) == pytest.approx(0, abs=0.05)


def test_snapshots_are_taken_behind_a_seam(shelf: Shelf) -> None:
    from reelmill_server.media.input.decoding import StreamDecoding
    from reelmill_server.media.input.seek import frames_from
    from reelmill_server.media.input.source import open_source

    source = joined(shelf, "sought.ts", recording(), recording())
    with open_source(str(source), Limits()) as container:
        video = container.streams.video[0]
        counts = StreamDecoding(0, video.index, "video")
        for _ in range(2):
            begin = Fraction(container.start_time or 0, 1_000_000) + Fraction(7, 2)
            frames = list(frames_from(container, video, begin, counts, lambda text: None))
            assert len(frames) >= 12
            last = frames[-1]
            assert last.pts is not None and last.time_base
            assert float(last.pts * last.time_base - begin) == pytest.approx(0.5, abs=0.15)


@pytest.mark.parametrize(("codec", "container"), [("libvorbis", "ogg"), ("libopus", "opus"), ("flac", "ogg")])
def test_chained_ogg_is_read_to_its_end(shelf: Shelf, convert: Converter, codec: str, container: str) -> None:
    parts = [made(shelf, f"link-{number}.{container}", "-c:a", codec, seconds="1", begin=str(number)) for number in range(3)]
    source = shelf.join(f"chained.{container}", *parts)
    lossless = target("flac", None, AudioSpec("flac"))
    whole = convert(source, lossless)
    assert len(judge.sound(whole.path)) == pytest.approx(3 * 48000, abs=2000)
    assert not any("could not be decoded" in warning for warning in whole.warnings)
    assert len(judge.sound(convert(source, target("mkv", None)).path)) == pytest.approx(3 * 48000, abs=2000)
    assert len(judge.sound(convert(source, lossless, start=1.5).path)) == pytest.approx(1.5 * 48000, abs=2000)


def test_recordings_of_flac_of_a_page_each_are_all_heard(shelf: Shelf, convert: Converter) -> None:
    """The second page is another recording's, and says nothing of when the first begins, which was lost in silence."""
    pages = [made(shelf, f"page-{number}.ogg", "-c:a", "flac", seconds="2", begin=str(2 * number)) for number in range(2)]
    whole = convert(shelf.join("pages.ogg", *pages), target("flac", None, AudioSpec("flac")))
    assert len(judge.sound(whole.path)) == 4 * 48000


def test_raw_flac_behind_another_is_read_to_its_end(shelf: Shelf, convert: Converter) -> None:
    """libav's parser gives the last frames before the seam as one packet, with the header of what follows."""
    parts = [made(shelf, f"link-{number}.flac", "-c:a", "flac", seconds="1", begin=str(number)) for number in range(2)]
    source = shelf.join("chained.flac", *parts)
    for wanted in (target("flac", None, AudioSpec("flac")), target("mkv", None)):
        assert (judge.sound(convert(source, wanted).path) == np.concatenate([judge.sound(part) for part in parts])).all()
    cut = convert(source, target("flac", None, AudioSpec("flac")), start=0.5, duration=1.2)
    assert len(judge.sound(cut.path)) == round(1.2 * 48000)
    with pytest.raises(UnsupportedFormat, match="numbers its frames"):
        convert(source, target("flac", None))
    with pytest.raises(UnsupportedFormat, match="numbers its frames"):
        convert(parts[0], target("flac", None), start=0.5)


def test_flac_with_a_cover_picture_is_read(shelf: Shelf, convert: Converter) -> None:
    """Its packet has no time either."""
    cover = ("-f", "lavfi", "-i", "color=s=64x64:r=1:d=1", "-map", "0", "-map", "1", "-c:v", "png")
    source = made(shelf, "cover.flac", *cover, "-disposition:v", "attached_pic", "-c:a", "flac", seconds="1")
    converted = convert(source, target("flac", None, AudioSpec("flac")))
    assert len(judge.sound(converted.path)) == len(judge.sound(source)) == 48000


def test_chained_vorbis_may_have_other_settings(shelf: Shelf, convert: Converter) -> None:
    """libav's decoder keeps those of the first recording, with which the second is noise."""
    parts = [made(shelf, f"link-{quality}.ogg", "-c:a", "libvorbis", "-q:a", quality, seconds="1") for quality in ("0", "9")]
    source = shelf.join("chained.ogg", *parts)
    converted, rate = convert(source, target("flac", None, AudioSpec("flac"))), 48000
    for second in range(2):
        heard = judge.sound(converted.path)[round((second + 0.1) * rate) : round((second + 0.9) * rate), 0]
        assert judge.pitch(heard, rate) == pytest.approx(440, abs=2)
        assert np.sqrt((heard**2).mean()) == pytest.approx(0.125, rel=0.05)
    with pytest.raises(UnsupportedFormat, match="different settings"):
        convert(source, target("mkv", None))


def test_concatenated_matroska_is_copied(shelf: Shelf, convert: Converter) -> None:
    """Behind the seam, libav takes the times at which frames are shown for those at which they are decoded."""
    clip = recording("matroska", 0)
    source = joined(shelf, "again.mkv", clip, clip)
    assert judge.numbers(convert(source, COPIED).path) == [*range(50), *range(50)]
    for start, first in ((0.9, 12), (2.6, 62)):
        copied = convert(source, COPIED, start=start)
        assert judge.numbers(copied.path) == [*range(50), *range(50)][first:]
        judge.check(copied.path)


def test_a_cut_of_concatenated_matroska_keeps_no_recording_in_memory(
    shelf: Shelf, convert: Converter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of one with a single keyframe was."""
    clip = shelf.get(Clip("matroska", (Video(size=(64, 48), seconds=0.4, gop=100),), ()))
    source = shelf.join("one-keyframe.mkv", clip, clip)
    assert judge.numbers(convert(source, target("mkv", encoded(), None), start=0.2).path) == [*range(5, 10), *range(10)]
    monkeypatch.setattr(seek, "_MOST_KEPT_BYTES", 500)
    with pytest.raises(MediaLimitExceeded, match="read from its front"):
        convert(source, target("mkv", encoded(), None), start=0.24)


@pytest.mark.parametrize("form", ["mp4", "wav", "aiff"])
def test_files_that_are_not_read_are_told(shelf: Shelf, convert: Converter, form: str) -> None:
    """Where libav reads the first of several."""
    clip = Clip(form, (), (Audio("aac" if form == "mp4" else "pcm_s16be" if form == "aiff" else "pcm_s16le"),))
    converted = convert(joined(shelf, f"again.{form}", clip, clip), target("mkv", None, AudioSpec("flac")))
    bytes_behind = shelf.get(clip).stat().st_size
    assert [text for text in converted.warnings if f"the first is read: {bytes_behind} bytes follow" in text]
    assert not convert(clip, target("mkv", None, AudioSpec("flac"))).warnings


def test_avi_behind_another_is_read_to_its_end(shelf: Shelf, convert: Converter) -> None:
    clip = Clip("avi", (Video("mpeg4", b_frames=0),), (Audio("mp3", clicks=CLICKS),))
    source = joined(shelf, "again.avi", clip, clip)
    assert judge.numbers(convert(source, ENCODED).path) == [*range(50), *range(50)]
    numbers = judge.numbers(convert(source, ENCODED, start=2.5).path)
    assert numbers == [*range(50)][-len(numbers) :] and len(numbers) == pytest.approx(38, abs=2)


def test_a_seam_is_found_where_the_packets_before_it_break_off(shelf: Shelf, convert: Converter, tmp_path: Path) -> None:
    """Its file was refused as truncated, by the length that its clock claims."""
    path, first = tmp_path / "broken.ts", shelf.get(recording()).read_bytes()
    path.write_bytes(first[: len(first) * 7 // 10 // 188 * 188 + 100] + shelf.get(recording(offset=10_000)).read_bytes())
    numbers = judge.numbers(convert(path, ENCODED).path)
    assert numbers[-50:] == [*range(50)] and numbers[:20] == [*range(20)]


def test_chained_theora_is_read_to_its_end(shelf: Shelf, convert: Converter) -> None:
    """Its headers are no frames, and neither are empty packets, which let one last: copies that had them were refused."""
    video = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=1", "-map", "1", "-c:v", "libtheora")
    part = made(shelf, "link.ogv", *video)
    copy, shown = convert(shelf.join("chained.ogv", part, part), COPIED), judge.times(part)
    assert len(shown) < 25
    assert [float(time) for time in judge.times(copy.path)] == pytest.approx([*shown, *(time + 1 for time in shown)], abs=0.02)


def test_a_recording_may_lack_a_stream(shelf: Shelf, convert: Converter) -> None:
    mute = Clip("mpegts", (Video(),), (), offset=10)
    source = joined(shelf, "mute.ts", recording(), mute, recording())
    result = convert(source, ENCODED)
    assert judge.numbers(result.path) == [*range(50)] * 3
    start = float(judge.times(result.path)[0])
    clicks = [click - start for click in judge.clicks(result.path, threshold=0.2)]
    assert clicks == pytest.approx([*CLICKS, *(second + 4 for second in CLICKS)], abs=0.15)


def test_joined_sources_may_have_seams(shelf: Shelf, join: Joiner) -> None:
    source = joined(shelf, "member.ts", recording(), recording())
    _, (path,) = join([source, shelf.get(recording())], ENCODED)
    assert len(judge.clicks(path, threshold=0.2)) == 3 * len(CLICKS)
    assert judge.describe(path).duration == pytest.approx(6, abs=0.2)


def test_a_gap_in_one_stream_is_no_seam(shelf: Shelf, convert: Converter) -> None:
    clip = Clip(
        "mpegts", (Video(times=tuple(map(Fraction, (0, 1, 14, 15)))),), (Audio(seconds=15.5, rate=8000, layout="mono"),)
    )
    result = convert(clip, ENCODED)
    assert not result.warnings
    assert judge.describe(result.path).duration == pytest.approx(15.5, abs=0.8)
