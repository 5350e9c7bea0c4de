"""Stream copies: the same packets in another container, with what describes them."""

import threading
from contextlib import nullcontext
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.conversion import copying
from reelmill_server.media.output.file import FileOutput
from reelmill_server.model.request import AudioSpec, TargetSpec, VideoSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Subtitle, Video

pytestmark = pytest.mark.media

CHAPTERS = ((0.0, 1.0, "Anfang"), (1.0, 2.0, "Schluß"))
FULL = Clip(
    "mp4",
    (Video(language="deu", title="Bild"),),
    (Audio(language="fra", title="Ton"),),
    chapters=CHAPTERS,
    metadata=(("title", "Übung"), ("artist", "someone")),
)


def relative(path: Path, stream: str) -> list[Fraction]:
    """The timestamps of a stream, counted from its first."""
    packets = judge.packets(path, stream)
    begin = packets[0].pts
    return [packet.pts - begin for packet in packets]


def offset(path: Path) -> Fraction:
    """How long after the first picture the first packet of sound begins."""
    return judge.packets(path, "a:0")[0].pts - judge.times(path)[0]


def test_a_copy_between_alike_containers_keeps_payloads_and_times(convert: Converter) -> None:
    """MP4 to MP4: bytes, timestamps and durations of every packet are the same."""
    source, result = convert.shelf.get(FULL), convert(FULL, target("mp4")).path
    for stream in ("v:0", "a:0"):
        assert judge.packets(result, stream) == judge.packets(source, stream)


def test_the_frame_rate_of_a_copy_is_the_source_s(convert: Converter) -> None:
    """Matroska's milliseconds do not make 29.999 of 30; what is counted counts where the header is not true."""
    for rate in (Fraction(30), Fraction(24000, 1001)):
        clip = Clip("mp4", (Video(fps=rate),))
        for container in ("mkv", "flv", "mp4"):
            (stream,) = convert(clip, target(container, audio=None)).artifact.streams
            assert stream.frame_rate == round(float(rate), 3), container


@pytest.mark.slow
def test_copies_through_a_chain_of_containers_keep_pictures_sound_and_sync(convert: Converter) -> None:
    """mp4 > mkv > mp4 > ts > mp4 > mov > mkv > ts: same pictures, same sound, sound where it was against the picture."""
    source = convert.shelf.get(FULL)
    path = source
    for container in ("mkv", "mp4", "ts", "mp4", "mov", "mkv", "ts"):
        path = convert(path, target(container)).path
        judge.check(path)
        assert judge.numbers(path) == list(range(50)), container
        assert len(judge.packets(path, "a:0")) == len(judge.packets(source, "a:0")), container
        video = [float(time) for time in relative(path, "v:0")]
        assert video == pytest.approx([float(time) for time in relative(source, "v:0")], abs=0.0011), container
        sound = [float(time) for time in relative(path, "a:0")]
        assert sound == pytest.approx([float(time) for time in relative(source, "a:0")], abs=0.0011), container
        assert float(offset(path)) == pytest.approx(float(offset(source)), abs=0.003), container


def test_an_mkv_copy_keeps_payloads(convert: Converter) -> None:
    """MP4 and Matroska store these codecs alike: the bytes of every packet stay."""
    source, result = convert.shelf.get(FULL), convert(FULL, target("mkv")).path
    for stream in ("v:0", "a:0"):
        before, after = judge.packets(source, stream), judge.packets(result, stream)
        assert [(packet.size, packet.checksum, packet.key) for packet in after] == [
            (packet.size, packet.checksum, packet.key) for packet in before
        ]


@pytest.mark.parametrize("offset_seconds", [0.0, 10.04])
def test_a_copy_begins_at_zero(convert: Converter, offset_seconds: float) -> None:
    """A transport stream that begins at ten seconds becomes an MP4 that begins at zero."""
    clip = Clip("mpegts", (Video(),), (Audio("libmp3lame"),), offset=offset_seconds)
    converted = convert(clip, target("mp4")).path
    assert judge.describe(converted).start == pytest.approx(0, abs=0.03)
    assert judge.numbers(converted) == list(range(50))


def test_metadata_chapters_language_and_titles_stay(convert: Converter) -> None:
    """What describes file, chapters and streams goes along, from MP4 to Matroska and back."""
    mkv = convert(FULL, target("mkv")).path
    for path in (mkv, convert(mkv, target("mp4")).path, convert(FULL, target("mov")).path):
        tags = judge.metadata(path)
        assert (tags[""]["title"], tags[""]["artist"]) == ("Übung", "someone"), path
        assert [round(begin, 2) for begin, _ in judge.describe(path).chapters] == [0, 1], path
        assert [tags[f"chapter{index}"]["title"] for index in range(2)] == ["Anfang", "Schluß"]
        languages = [stream.language for stream in judge.describe(path).streams if stream.kind in ("Video", "Audio")]
        assert languages == ["deu", "fra"], path


SPOKEN = ("swe", "zho", "nld")


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "ts"])
@pytest.mark.parametrize("audio", ["copy", "aac"])
def test_every_language_stays(convert: Converter, container: str, audio: str) -> None:
    """Those, too, that libav does not write into QuickTime files; MPEG-TS names none for pictures, and has no text."""
    clip = Clip(
        "mp4",
        (Video(language=SPOKEN[0], seconds=1),),
        (Audio(language=SPOKEN[1], seconds=1), Audio(language="fra", seconds=1)),
        (Subtitle(language=SPOKEN[2]),),
    )
    asked = replace(target(container, encoded() if audio == "aac" else VideoSpec(), AudioSpec(audio)), audio_streams=(101,))
    converted = convert(clip, asked).path
    judge.check(converted)
    said = [stream.language for stream in judge.describe(converted).streams]
    assert said == (["", SPOKEN[1], "fra"] if container == "ts" else [*SPOKEN[:2], "fra", SPOKEN[2]])


def test_an_encode_keeps_what_describes_it_too(convert: Converter) -> None:
    """Encoding changes the streams and nothing about their names."""
    converted = convert(FULL, target("mkv", encoded(), AudioSpec("aac"))).path
    assert judge.metadata(converted)[""]["title"] == "Übung"
    assert len(judge.describe(converted).chapters) == 2
    assert [stream.language for stream in judge.describe(converted).streams] == ["deu", "fra"]


def test_strip_metadata_drops_it_and_keeps_languages(convert: Converter) -> None:
    """StripMetadata removes titles and chapters; a language says what a stream is and stays."""
    converted = convert(FULL, replace(target("mkv"), strip_metadata=True)).path
    assert set(judge.metadata(converted)[""]) <= {"encoder"}
    assert judge.describe(converted).chapters == ()
    assert [stream.language for stream in judge.describe(converted).streams] == ["deu", "fra"]


def test_dispositions_stay(convert: Converter) -> None:
    """A stream that is not the default is not made one."""
    clip = Clip("matroska", (Video(),), (Audio(default=False),))
    assert "default" not in judge.describe(convert(clip, target("mkv")).path).of("Audio")[0].dispositions
    clip = Clip("matroska", (Video(),), (Audio(default=True),))
    assert "default" in judge.describe(convert(clip, target("mkv")).path).of("Audio")[0].dispositions


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_copy_keeps_the_rotation(convert: Converter, rotation: int) -> None:
    """A phone's turned picture stays turned in MP4, QuickTime and Matroska."""
    clip = Clip("mp4", (Video(rotation=rotation, seconds=1),), ())
    before = judge.describe(convert.shelf.get(clip)).of("Video")[0].rotation
    assert before % 360 == (-rotation) % 360
    for container in ("mp4", "mov", "mkv"):
        assert judge.describe(convert(clip, target(container)).path).of("Video")[0].rotation == before, container


def test_a_copy_keeps_shape_and_colours(convert: Converter) -> None:
    """Sample aspect ratio and colour tags survive a change of container."""
    clip = Clip(
        "mp4",
        (Video(seconds=1, sample_aspect_ratio=Fraction(16, 11), color_space=1, color_primaries=1, color_transfer=1),),
        (),
    )
    for container in ("mkv", "mov", "ts"):
        rest = judge.describe(convert(clip, target(container)).path).of("Video")[0].rest
        assert "SAR 16:11" in rest, container
        assert "bt709" in rest, container


def test_subtitles_are_copied_where_they_fit(convert: Converter) -> None:
    """By default the first subtitle stream goes along; one that does not fit is left out with a warning."""
    clip = Clip("mp4", (Video(),), (Audio(),), subtitles=(Subtitle(language="ita"), Subtitle(language="spa")))
    first: TargetSpec = target("mp4")
    assert [stream.language for stream in judge.describe(convert(clip, first).path).of("Subtitle")] == ["ita"]
    both = convert(clip, replace(first, subtitle="all"))
    assert [stream.language for stream in judge.describe(both.path).of("Subtitle")] == ["ita", "spa"]
    none = convert(clip, replace(first, subtitle="none"))
    assert judge.describe(none.path).of("Subtitle") == []
    other = convert(clip, target("mkv"))
    assert [stream.codec for stream in judge.describe(other.path).of("Subtitle")] == ["subrip"]
    without = convert(clip, target("ts"))
    assert judge.describe(without.path).of("Subtitle") == []
    assert without.warnings == ("targets[0].subtitle: ts does not hold mov_text (mp4, mov, mkv, webm would): left out",)


def test_cover_art_is_not_taken_for_video(convert: Converter) -> None:
    """A picture attached to a song is no video: the song is copied without it."""
    clip = Clip("mp4", (), (Audio(),), covers=("png",))
    converted = convert(clip, target("mp4"))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Audio"]
    clip = Clip("mp4", (Video(),), (Audio(),), covers=("png",))
    converted = convert(clip, target("mp4", encoded(), AudioSpec("aac")))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Video", "Audio"]
    assert judge.numbers(converted.path) == list(range(50))


def test_what_an_edit_list_hides_stays_hidden(convert: Converter) -> None:
    """A file trimmed by an edit list, as phones do: a copy keeps its key frame hidden, an encode begins with what is shown."""
    clip = Clip("mp4", (Video(gop=50, b_frames=0),), (), offset=-0.6)
    source = convert.shelf.get(clip)
    assert judge.numbers(source) == list(range(15, 50))
    converted = convert(clip, target("mp4", encoded(), None)).path
    assert judge.numbers(converted) == list(range(15, 50))
    copied = convert(clip, target("mp4")).path
    judge.check(copied)
    assert judge.numbers(copied) == list(range(15, 50))


def test_large_transport_streams_are_read_and_written_by_two_threads_with_the_same_result(
    convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Others by one."""
    threads = set[str]()
    original = FileOutput._write

    def write(self: FileOutput) -> None:
        threads.add(threading.current_thread().name)
        original(self)

    monkeypatch.setattr(FileOutput, "_write", write)
    clip = convert.shelf.get(Clip("mpegts"))
    one = Converter(convert.shelf, lambda: tmp_path)(clip).path.read_bytes()
    assert threads == {threading.current_thread().name}
    monkeypatch.setattr(copying, "_LARGE_BITRATES", range(1, 10**9))
    (tmp_path / "again").mkdir()
    assert Converter(convert.shelf, lambda: tmp_path / "again")(clip).path.read_bytes() == one
    assert len(threads) == 2


@pytest.mark.parametrize("form", ["mpegts", "adts"])
@pytest.mark.parametrize(("container", "holds"), [("mp4", True), ("mkv", True), ("flv", True), ("avi", False), ("asf", False)])
def test_aac_in_adts_is_copied_or_refused_by_name(convert: Converter, form: str, container: str, holds: bool) -> None:
    """libav's muxers of AVI and ASF do not take it, others turn it into what they hold."""
    source = Clip(form, (), (Audio("aac", seconds=0.5),))
    with nullcontext() if holds else pytest.raises(UnsupportedFormat, match=f"{container} needs the parameters of AAC"):
        convert(source, target(container))


@pytest.mark.parametrize("videos", [0, 2])
def test_mxf_has_one_video_stream(convert: Converter, videos: int) -> None:
    """A file with more or fewer is refused when it is planned: libav says that the operation is not permitted."""
    clip = Clip("matroska", (Video("mpeg2video", b_frames=0),) * videos, (Audio("pcm_s16le"),))
    with pytest.raises(UnsupportedFormat, match=f"exactly one video stream, and this target would have {videos}"):
        convert(clip, replace(target("mxf"), video_streams=(101,)))


def test_flv_may_begin_with_its_audio(convert: Converter) -> None:
    """Sorenson's H.263 and MP3 have no headers ahead of the packets: libav numbers streams as their packets come."""
    video = Video("flv", b_frames=0, times=tuple(Fraction(number, 25) for number in range(1, 11)))
    source = Clip("flv", (video,), (Audio("libmp3lame", rate=44100, seconds=0.4),))
    assert len(judge.numbers(convert(source, target("flv")).path)) == 10
