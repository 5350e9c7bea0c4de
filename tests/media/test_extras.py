"""Data streams and cover pictures: kept where they are asked for, and moved with everything else."""

import re
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import imageio_ffmpeg
import pytest

from reelmill_server.errors import OutputInvalid, UnsupportedFormat
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, ExtractSpec, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.media.converter import Converter, capabilities, encoded, target
from tests.media.extents import reaching
from tests.sources import Audio, Clip, Data, Shelf, Subtitle, Video, cover

pytestmark = pytest.mark.media

CHAPTERS = ((0.0, 1.0, "one"), (1.0, 2.0, "two"))
FILM = Clip("mp4", chapters=CHAPTERS, data=(Data(), Data(step=0.5)), timecode="01:00:00:00", covers=("mjpeg", "png"))
ALL = (-1,)


def with_extras(asked: TargetSpec, data: tuple[int, ...] = (), pictures: tuple[int, ...] = ()) -> TargetSpec:
    """A target that keeps these streams."""
    return replace(asked, data_streams=data, picture_streams=pictures)


def telemetry(path: Path, number: int = 0) -> list[tuple[float, int]]:
    """When each packet of a data stream begins (seconds), and its number, which its size tells."""
    return [(round(float(packet.pts), 3), packet.size - 5) for packet in judge.packets(path, f"d:{number}")]


def covers(path: Path) -> list[bytes]:
    """The cover pictures of a file."""
    results = [stream for stream in judge.describe(path).of("Video") if "attached pic" in stream.dispositions]
    return [judge.content(path, str(stream.index)) for stream in results]


def test_probing_tells_data_from_what_cannot_be_kept(shelf: Shelf) -> None:
    """Telemetry fits into MP4; the text track of chapters and the time code do not."""
    info = probe_file(str(shelf.get(FILM)), Limits())
    assert [(stream.codec, stream.fits_mp4) for stream in info.data] == [
        ("bin_data", True),
        ("bin_data", True),
        ("bin_data", False),
        ("", False),
    ]
    assert [(stream.codec, stream.width) for stream in info.covers] == [("mjpeg", 32), ("png", 48)]


def test_data_that_mp4_loses_is_left_out_with_a_warning(convert: Converter) -> None:
    """The muxer refuses one of these, and takes the other without writing it."""
    clip = Clip("mpegts", data=(Data(codec="klv"), Data(codec="timed_id3")))
    converted = convert(clip, with_extras(target("mp4"), data=ALL))
    assert [stream.type for stream in converted.artifact.streams] == ["video", "audio"]
    assert converted.warnings == tuple(
        f"targets[0].data: data stream {number} ({codec}) cannot be copied: left out"
        for number, codec in enumerate(("klv", "timed_id3"))
    )


@pytest.mark.parametrize("video", [VideoSpec(), encoded()])
def test_data_is_kept_in_mp4(convert: Converter, video: VideoSpec) -> None:
    """Every packet at its time, beside copied and beside encoded video; the time code comes back by the video's tag."""
    converted = convert(FILM, with_extras(target("mp4", video, AudioSpec()), data=ALL))
    judge.check(converted.path)
    source = convert.shelf.get(FILM)
    for number in range(2):
        assert judge.packets(converted.path, f"d:{number}") == judge.packets(source, f"d:{number}")
        assert judge.content(converted.path, f"d:{number}") == judge.content(source, f"d:{number}")
    kept = sorted(judge.describe(converted.path).of("Data"), key=lambda stream: stream.index)
    assert [stream.codec for stream in kept] == ["bin_data", "bin_data", "none", "bin_data"]  # the last is that of chapters
    assert "timecode        : 01:00:00:00" in judge.header(converted.path)
    assert [stream.type for stream in converted.artifact.streams] == ["video", "audio", "data", "data"]
    assert [stream.packet_count for stream in converted.artifact.streams][2:] == [8, 4]
    assert [warning for warning in converted.warnings if "left out" in warning] == [
        "targets[0].data: data stream 2 (bin_data) cannot be copied: left out"
    ]
    assert len(judge.describe(converted.path).chapters) == 2


def test_data_is_selected_by_number_and_nothing_is_kept_unasked(convert: Converter) -> None:
    """Numbers count data streams; unknown ones are ignored."""
    converted = convert(FILM, with_extras(target("mp4"), data=(1, 77))).path
    assert telemetry(converted) == [(0, 0), (0.5, 1), (1, 2), (1.5, 3)]
    plain = convert(FILM, target("mp4"))
    assert [stream.type for stream in plain.artifact.streams] == ["video", "audio"]
    assert "gpmd" in judge.header(converted) and "gpmd" not in judge.header(plain.path)


def test_a_time_code_without_its_tag_is_left_out_with_a_warning(convert: Converter) -> None:
    """StripMetadata takes the video's tag away."""
    converted = convert(FILM, replace(with_extras(target("mp4"), data=(3,)), strip_metadata=True))
    assert judge.describe(converted.path).of("Data") == []
    assert any("data stream 3" in warning for warning in converted.warnings)


def test_a_cut_takes_the_data_of_the_span(convert: Converter) -> None:
    """From 0.75 to 1.35 s: packets that begin there, moved; the last one is no longer than the span."""
    converted = convert(FILM, with_extras(target("mp4", encoded(), AudioSpec("aac")), data=(0,)), start=0.75, duration=0.6).path
    assert telemetry(converted) == [(0, 3), (0.25, 4), (0.5, 5)]
    assert float(judge.packets(converted, "d:0")[-1].duration) == pytest.approx(0.1, abs=0.002)
    assert judge.describe(converted).duration == pytest.approx(0.6, abs=0.03)
    assert judge.numbers(converted) == list(range(19, 34))


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_a_time_code_moves_with_a_cut(convert: Converter, container: str) -> None:
    """Encoded, to the picture; copied, to the key frame at which the copy begins: picture 24."""
    for video, audio, code in ((encoded(), AudioSpec("aac"), "01:00:01:05"), (VideoSpec(), AudioSpec(), "01:00:00:24")):
        converted = convert(FILM, target(container, video, audio), start=1.2).path
        assert set(re.findall(r"timecode\s*: (\S+)", judge.header(converted), re.IGNORECASE)) == {code}


def test_a_cut_without_data_in_the_span_is_no_error(convert: Converter) -> None:
    """Telemetry may be seldom."""
    clip = Clip(data=(Data(seconds=0.5),))
    converted = convert(clip, with_extras(target("mp4", encoded(), AudioSpec("aac")), data=ALL), start=1)
    assert [stream.type for stream in converted.artifact.streams] == ["video", "audio"]


def test_slow_video_slows_its_data_down(convert: Converter) -> None:
    """At half the speed, twice the time."""
    asked = replace(with_extras(target("mp4", VideoSpec(), None), data=(1,), pictures=(0,)), speed=Fraction(1, 2))
    converted = convert(FILM, asked).path
    assert telemetry(converted) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert len(covers(converted)) == 1


def joined(folder: Path, clips: Sequence[Path], asked: TargetSpec, primary: int) -> MediaFile:
    """Several clips behind each other."""
    infos = tuple(probe_file(str(path), Limits()) for path in clips)
    sources = tuple(SourceSpec(f"file:///in/{number}") for number in range(len(clips)))
    request = ConvertRequest("t", "p", sources, (asked,), alignment_index=primary)
    plan = make_plan(request, PlanFacts(infos, capabilities()))
    (produced,), _ = Conversion(plan, [str(path) for path in clips], folder, limits=Limits(), stop=threading.Event()).run()
    verify(produced)
    return produced


def test_joined_sources_give_the_data_and_covers_of_the_primary_one_at_its_place(convert: Converter, tmp_path: Path) -> None:
    """The primary source comes second, and so does its data."""
    first = Clip(video=(Video(seconds=1),), audio=(Audio(seconds=1),), data=(Data(seconds=1),), covers=("mjpeg", "mjpeg"))
    clips = [convert.shelf.get(clip) for clip in (first, FILM, first)]
    asked = with_extras(target("mp4", encoded(), AudioSpec("aac")), data=(1,), pictures=(1,))
    path = Path(joined(tmp_path, clips, asked, primary=1).path)
    assert telemetry(path) == [(1, 0), (1.5, 1), (2, 2), (2.5, 3)]
    assert covers(path) == [cover("png", 1)]
    assert len(judge.times(path)) == 100


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize("form", ["mp4", "matroska", "mp3", "flac"])
def test_covers_stay_as_they_are(convert: Converter, container: str, form: str) -> None:
    """From every kind of source: the very bytes, the second by its number, with stripped metadata, too."""
    codec, video = {"mp3": "libmp3lame", "flac": "flac"}.get(form, "aac"), (Video(seconds=1),)
    clip = Clip(form, () if codec != "aac" else video, (Audio(codec, seconds=1),), covers=("mjpeg", "png"))
    asked = with_extras(target(container), pictures=ALL)
    for one in (asked, replace(asked, strip_metadata=True)):
        converted = convert(clip, one)
        judge.check(converted.path)
        assert covers(converted.path) == [cover("mjpeg", 0), cover("png", 1)]
        assert [stream.type for stream in converted.artifact.streams][-2:] == ["picture", "picture"]
    assert covers(convert(clip, with_extras(target(container), pictures=(1, 9))).path) == [cover("png", 1)]
    assert covers(convert(clip, target(container)).path) == []


def test_a_cover_stays_when_its_film_is_cut(convert: Converter) -> None:
    """Copied and encoded, from the middle; it is no video that a cut could take for its key frames."""
    for video, audio in ((VideoSpec(), AudioSpec()), (encoded(), AudioSpec("aac"))):
        converted = convert(FILM, with_extras(target("mp4", video, audio), pictures=(0,)), start=1.0, duration=0.5).path
        assert covers(converted) == [cover("mjpeg", 0)]
        assert judge.numbers(converted)[0] == (24 if video.codec == "copy" else 25)


def test_everything_at_once(convert: Converter) -> None:
    """Subtitles, data, chapters, time code and covers in one file."""
    clip = replace(FILM, subtitles=(Subtitle(),))
    converted = convert(clip, with_extras(target("mp4", encoded(), AudioSpec("aac")), ALL, ALL))
    assert [stream.type for stream in converted.artifact.streams] == [
        "video",
        "audio",
        "subtitle",
        *["data"] * 2,
        *["picture"] * 2,
    ]
    assert covers(converted.path) == [cover("mjpeg", 0), cover("png", 1)]


def test_a_picture_that_the_container_does_not_hold_is_refused(convert: Converter) -> None:
    """The message says which would."""
    clip = Clip("matroska", (), (Audio(),), covers=("gif", "tiff"))
    with pytest.raises(UnsupportedFormat, match=r"cover picture 0 is gif, which mp4 does not hold \(mkv would\)"):
        convert(clip, with_extras(target("mp4"), pictures=ALL))
    kept = covers(convert(clip, with_extras(target("mkv"), pictures=ALL)).path)
    assert kept == covers(convert.shelf.get(clip)) and len(kept) == 2


def test_verification_counts_data_and_compares_covers(convert: Converter, tmp_path: Path) -> None:
    """A packet or a byte that did not arrive is found."""
    produced = joined(tmp_path, [convert.shelf.get(FILM)], with_extras(target("mp4"), (0,), (0,)), 0)
    data, cover = produced.written[2:4]
    later = reaching(data, Fraction(5), Fraction(6))
    for number, changed in ((2, replace(data, packets=9)), (3, replace(cover, size_bytes=1)), (2, later)):
        written = list(produced.written)
        written[number] = changed
        with pytest.raises(OutputInvalid):
            verify(replace(produced, written=tuple(written)))
    with pytest.raises(OutputInvalid, match="has the streams"):
        verify(
            replace(produced, plan=replace(produced.plan, streams=produced.plan.streams[:-1]), written=produced.written[:-1])
        )


FONTS = (("Serif.ttf", "application/x-truetype-font", b"font" * 99), ("sans", "font/otf", b"other" * 9))
SIGNS = Clip("matroska", subtitles=(Subtitle("ass"),), attachments=(*FONTS, ("notes.txt", "text/plain", b"about the film")))


def attached(path: Path, folder: Path) -> list[bytes]:
    """The contents of the attached files, as the judge writes them."""
    count = len(judge.describe(path).of("Attachment"))
    options = [word for number in range(count) for word in (f"-dump_attachment:t:{number}", str(folder / f"{number}.bin"))]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", "-v", "error", *options, "-i", str(path)]
    subprocess.run(command, capture_output=True, check=False)
    return [(folder / f"{number}.bin").read_bytes() for number in range(count)]


@pytest.mark.parametrize("video", [VideoSpec(), encoded()])
def test_fonts_stay_with_the_subtitles(convert: Converter, tmp_path: Path, video: VideoSpec) -> None:
    """From mkv to mkv, copied and encoded; without subtitles, other attached files only."""
    converted = convert(SIGNS, target("mkv", video))
    assert attached(converted.path, tmp_path) == [content for *_, content in SIGNS.attachments]
    assert "Serif.ttf" in judge.header(converted.path) and not converted.warnings
    bare = convert(SIGNS, replace(target("mkv", video), subtitle="none"))
    assert attached(bare.path, tmp_path) == [b"about the film"]


def test_fonts_of_joined_films_are_attached_once(tmp_path: Path, convert: Converter) -> None:
    """Each that the parts do not share."""
    third = replace(SIGNS, attachments=(FONTS[0], ("third.ttf", "font/ttf", b"third" * 5)))
    paths = [convert.shelf.get(clip) for clip in (SIGNS, third)]
    produced = joined(tmp_path, paths, target("mkv", encoded(), AudioSpec("aac")), 0)
    folder = tmp_path / "fonts"
    folder.mkdir()
    assert attached(Path(produced.path), folder) == [*(content for *_, content in SIGNS.attachments), b"third" * 5]


def test_subtitles_without_their_fonts_are_told(convert: Converter) -> None:
    """Where ass becomes a file of its own."""
    extract = ExtractSpec("ass", "file:///out/signs")
    converted = convert(SIGNS, replace(target("mp4", encoded()), extract=extract))
    assert "fonts attached to the source (2)" in " ".join(converted.warnings)
    assert not attached(converted.paths[0], Path("/nowhere"))


KEYS = (
    ("com.apple.quicktime.creationdate", "2024-05-01T12:00:00+0200"),
    ("com.apple.quicktime.location.ISO6709", "+52.5200-122.0312186+034/"),
    ("com.apple.quicktime.model", "iPhone 15"),
)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("video", [VideoSpec(), encoded()])
def test_what_a_phone_tells_stays(convert: Converter, container: str, video: VideoSpec) -> None:
    """Place, device and time, under the phone's names and under those that players look for."""
    phone = Clip("mov", metadata=(*KEYS, ("title", "Lake")), options=(("movflags", "use_metadata_tags"),))
    converted = convert(phone, target(container, video))
    result = judge.metadata(converted.path)[""]
    assert {key: result.get(key.lower()) for key, _ in KEYS} == dict(KEYS)
    assert result["title"] == "Lake"
    assert result["location"].startswith("+52.5200-122.0312")
    assert re.search(r"creation_time *: 2024-05-01T10:00:00", judge.header(converted.path), re.IGNORECASE)
    assert not judge.metadata(convert(phone, replace(target(container, video), strip_metadata=True)).path)[""].get("location")


def test_tags_about_the_old_file_do_not_stay(convert: Converter) -> None:
    """In whatever case a container writes them."""
    film = Clip("matroska", metadata=(("MAJOR_BRAND", "isom"), ("BPS", "1"), ("_STATISTICS_TAGS", "BPS"), ("ARTIST", "x")))
    result = judge.metadata(convert(film, target("mkv")).path)[""]
    assert result["artist"] == "x" and not {"major_brand", "bps", "_statistics_tags"} & result.keys()
