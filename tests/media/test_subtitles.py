"""Subtitles: kept, converted, added from files, cut, and written as files of their own, as the judge reads them."""

import re
import struct
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from reelmill_server.errors import InvalidMedia, OutputInvalid, UnsupportedFormat
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result.verify import verify
from reelmill_server.media.track.base import StreamStats
from reelmill_server.media.track.subtitle import SubtitleTrack
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, PartPlan, StreamPlan, StreamType, SubtitleFilePlan
from reelmill_server.model.request import ExtractSpec, SourceSpec, SubtitleFileSpec, TargetSpec, VideoSpec
from tests import judge
from tests.media.converter import CLIP, COPIED_VIDEO, Converter, encoded, plan_of, target
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

Lines = Sequence[tuple[float, float, str]]
LINES: Lines = ((0.123, 0.789, "one"), (0.9, 1.456, "two, and more"), (1.5, 1.999, "no"))
SHORT = Video(gop=50)


def srt(lines: Lines) -> str:
    """A file in SubRip."""

    def stamp(seconds: float) -> str:
        whole = round(seconds * 1000)
        return f"{whole // 3600000:02}:{whole // 60000 % 60:02}:{whole // 1000 % 60:02},{whole % 1000:03}"

    return "".join(f"{n + 1}\n{stamp(a)} --> {stamp(b)}\n{text}\n\n" for n, (a, b, text) in enumerate(lines))


def near(lines: Lines, tolerance: float = 0.0011) -> object:
    """Lines that are equal to `lines` but for rounding."""
    return [(pytest.approx(begin, abs=tolerance), pytest.approx(end, abs=tolerance), text) for begin, end, text in lines]


def clip(codec: str, lines: Lines = LINES, container: str = "matroska", video: Video = SHORT) -> Clip:
    """A clip with one subtitle stream."""
    return Clip(container, (video,), (), subtitles=(Subtitle(codec, tuple(lines), "fra"),))


def beside(path: Path, offset: float = 0.0, language: str = "") -> SourceSpec:
    """A source with a subtitle file."""
    return replace(CLIP, subtitles=(SubtitleFileSpec(str(path), round(offset * 1_000_000), language),))


BARE = Clip("matroska", (SHORT,), ())
EXTRACT = TargetSpec(0, "", "", subtitle="all")


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("container", ["mp4", "mov", "mkv", "webm"])
@pytest.mark.parametrize("codec", ["srt", "ass", "webvtt", "mov_text"])
def test_every_text_goes_into_every_container_that_takes_text(convert: Converter, codec: str, container: str) -> None:
    """The judge reads the same text at the same milliseconds, in the codec that the container is said to take."""
    source = clip(codec, container="mp4" if codec == "mov_text" else "matroska")
    video, audio = (encoded("vp9"), None) if container == "webm" else (target().video, target().audio)
    converted = convert(source, replace(target(container, video, audio), subtitle="all"))
    kept = {"srt": "subrip"}.get(codec, codec)
    expected = {"mp4": "mov_text", "mov": "mov_text", "webm": "webvtt"}.get(
        container, "subrip" if codec == "mov_text" else kept
    )
    (stream,) = judge.describe(converted.path).of("Subtitle")
    assert (stream.codec, stream.language) == (expected, "fra")
    assert judge.lines(converted.path) == near(LINES, 0.0051 if codec == "ass" else 0.0011)


def test_streams_are_selected_by_number(convert: Converter) -> None:
    """Unknown numbers are ignored, one above 100 means all, none means all."""
    streams = tuple(Subtitle("srt", ((0.1, 0.9, word),), word) for word in ("ita", "spa", "fra"))
    source = Clip("matroska", (SHORT,), (Audio(),), subtitles=streams)
    asked = replace(target("mp4"), subtitle="all")
    for numbers, expected in (((), "ita spa fra"), ((2, 0, 50), "ita fra"), ((1, 101), "ita spa fra"), ((7,), "")):
        converted = convert(source, replace(asked, subtitle_streams=numbers))
        assert [stream.language for stream in judge.describe(converted.path).of("Subtitle")] == expected.split()


def test_styles_survive_from_ass_to_ass(convert: Converter) -> None:
    """Positions and styles go along, in mkv and as a file."""
    source = clip("ass", ((0.2, 0.8, r"{\i1}slanted{\i0} and {\pos(10,20)}there"),))
    converted = convert(
        source, replace(target("mkv"), subtitle="all"), replace(EXTRACT, extract=ExtractSpec("ass", "file:///out/a"))
    )
    text = converted.paths[1].read_text()
    assert r"{\i1}slanted{\i0} and {\pos(10,20)}there" in text and "[V4+ Styles]" in text and "Style: Default,Arial" in text
    assert judge.describe(converted.paths[0]).of("Subtitle")[0].codec == "ass"


@pytest.mark.parametrize("container", ["mkv", "mp4"])
def test_a_cut_keeps_what_reaches_into_it(convert: Converter, container: str) -> None:
    """Lines before are dropped, those over an edge shortened, and all are moved, whether kept or converted."""
    lines = (
        (0.1, 0.4, "before"),
        (0.2, 1.3, "over the front"),
        (1.4, 1.8, "inside"),
        (1.9, 2.9, "over the end"),
        (3.2, 3.5, "after"),
    )
    source = clip("srt", lines, video=Video(seconds=4, gop=100))
    converted = convert(source, replace(target(container, encoded(), None), subtitle="all"), start=1.0, duration=1.5)
    assert judge.lines(converted.path) == near([(0.0, 0.3, "over the front"), (0.4, 0.8, "inside"), (0.9, 1.5, "over the end")])


def test_a_copied_cut_takes_subtitles_from_where_its_video_begins(convert: Converter) -> None:
    """The video begins at its key frame, and lines stay beside the pictures that they belong to, in the file beside it too."""
    source = clip("srt", ((0.5, 0.7, "early"), (1.1, 1.5, "line")), video=Video(seconds=2, gop=25))
    asked = replace(target("mkv"), subtitle="all", extract=ExtractSpec("srt", "file:///out/a"))
    converted = convert(source, asked, start=1.3)
    begin = float(judge.times(converted.paths[0])[0])
    assert begin == pytest.approx(0, abs=0.05)
    for path in converted.paths:
        assert judge.lines(path) == near([(0.1, 0.5, "line")])


def test_outputs_are_given_packets_of_their_own(shelf: Shelf) -> None:
    """Each writes the stream and the times of its own file into those of the cues before a cut, on a thread of its own."""
    path = str(shelf.get(clip("srt", ((0.5, 0.7, "early"), (1.1, 1.5, "line")), video=Video(seconds=2, gop=25))))
    plan = plan_of(Path(path), (replace(target("mkv"), subtitle="all"),), replace(CLIP, start_us=1_300_000), Limits())
    inputs = SubtitleInputs(plan.inputs, (path,), ((),), Limits())
    (stream,) = {part.stream for planned in plan.targets[0].streams if planned.type == "subtitle" for part in planned.parts}
    first, second = inputs.begun_before(0, stream), inputs.begun_before(0, stream)
    texts = [bytes(cue.content) for cue in first]
    assert texts == [bytes(cue.content) for cue in second] and b"early" in texts[0] and len(texts) == 2
    assert not {id(cue.content) for cue in first} & {id(cue.content) for cue in second}


def test_lines_that_overlap_are_shown_together_in_mp4(convert: Converter) -> None:
    """MP4 has one sample at a time."""
    source = clip("srt", ((0.2, 1.0, "a"), (0.6, 1.4, "b"), (1.5, 1.8, "c"), (1.5, 1.8, "d")))
    converted = convert(source, replace(target("mp4"), subtitle="all"))
    assert judge.lines(converted.path) == near([(0.2, 0.6, "a"), (0.6, 1.0, "a\nb"), (1.0, 1.4, "b"), (1.5, 1.8, "c\nd")])


TEXTS = {
    "utf-8": "Größe — 日本 ✓",
    "utf-8-sig": "Größe — 日本 ✓",
    "utf-16": "Größe — 日本 ✓",
    "cp1251": "Я не знаю, что сказать.",
    "gb18030": "我不知道该说什么。",
    "shift_jis": "何を言えばいいのか分かりません。",
    "latin1": "Das ist nicht schön, Herr Müller. Où êtes-vous passé ?",
}


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("charset", TEXTS)
def test_the_charset_of_a_file_is_told(convert: Converter, tmp_path: Path, charset: str) -> None:
    """The judge reads the same words from the stream that the file became."""
    path = tmp_path / "lines"
    lines = ((0.1, 0.5, TEXTS[charset]), (0.6, 1.2, "plain"))
    path.write_bytes(srt(lines).encode(charset))
    converted = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path, language="deu"))
    assert judge.lines(converted.path) == near(lines)
    assert [stream.language for stream in judge.describe(converted.path).of("Subtitle")] == ["deu"]
    assert any("which is a guess" in warning for warning in converted.warnings) != charset.startswith("utf")


def test_a_bad_byte_costs_one_character_and_is_told(convert: Converter, tmp_path: Path) -> None:
    """The rest of the text is UTF-8 as before."""
    path = tmp_path / "lines"
    path.write_bytes(srt(((0.1, 0.5, "Größe 日本"), (0.6, 1.2, "caf?"))).encode().replace(b"?", b"\xe9"))
    converted = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path, language="tur"))
    assert judge.lines(converted.path) == near([(0.1, 0.5, "Größe 日本"), (0.6, 1.2, "caf\ufffd")])
    assert "sources[0].subtitles[0]: 1 character is broken in utf-8: replaced by U+FFFD" in converted.warnings


@pytest.mark.parametrize(
    "text",
    [
        "WEBVTT\n\n00:00,200 --> 00:00,500\none\n\n00:00:01,000 --> 00:00:01,500\ntwo\n",
        "1\n00:00,200 --> 00:00,500\none\n\n2\n00:01,000 --> 00:01,500\ntwo\n",
        "00:00:00,200 --> 00:00:00,500\none\n\n00:00:01,000 --> 00:00:01,500\ntwo\n",
        "00:00.200 --> 00:00.500\none\n\n00:01.000 --> 00:01.500\ntwo\n",
    ],
    ids=["commas in WebVTT", "no hours in SubRip", "no number", "no header"],
)
def test_times_are_read_as_they_are_meant(convert: Converter, tmp_path: Path, text: str) -> None:
    """Beside a source, and as one: libav reads none of them, or not all."""
    path = tmp_path / "lines"
    path.write_text(text)
    asked = replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/lines"))
    for converted in (convert(BARE, asked, source=beside(path)), convert(path, asked)):
        assert judge.lines(converted.path) == near([(0.2, 0.5, "one"), (1.0, 1.5, "two")])


def test_cues_that_are_not_read_are_told(convert: Converter, tmp_path: Path) -> None:
    """libav looks for times where other scripts have them."""
    path = tmp_path / "lines"
    events = "[Events]\nFormat: Start, End, Layer, Style, Text\nDialogue: 0:00:00.20,0:00:00.50,0,Default,one\n"
    path.write_text(f"[Script Info]\nScriptType: v4.00+\n\n{events}")
    asked = replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/lines"))
    (warning,) = convert(BARE, asked, source=beside(path)).warnings
    assert "1 subtitle is not as the format has them" in warning


def test_a_cue_that_is_repeated_is_not_missed(convert: Converter, tmp_path: Path) -> None:
    """libav leaves out the second, and an empty one."""
    path = tmp_path / "lines"
    path.write_text(srt(((0.1, 0.5, "one"), (0.1, 0.5, "one"), (0.6, 0.9, ""), (1.0, 1.2, "two"))))
    converted = convert(BARE, replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/lines")), source=beside(path))
    assert judge.lines(converted.path)[0] == (0.1, 0.5, "one") and not converted.warnings


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_no_cue_has_an_empty_line(convert: Converter, tmp_path: Path, form: str) -> None:
    """Players end a cue at one."""
    path = tmp_path / "lines"
    events = "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    text = "Dialogue: 0,0:00:00.20,0:00:00.50,Default,,0,0,0,,one\\N\\Ntwo\n"
    path.write_text(f"[Script Info]\nScriptType: v4.00+\n\n[Events]\n{events}{text}")
    asked = replace(EXTRACT, extract=ExtractSpec(form, "file:///out/lines"))
    assert "one\ntwo\n" in convert(BARE, asked, source=beside(path)).path.read_text()


@pytest.mark.parametrize("form", ["srt", "vtt"])
@pytest.mark.parametrize("charset", ["cp1251", "gb18030", "utf-16-le", "utf-8-sig"])
def test_a_source_that_is_a_subtitle_file_is_read_in_its_charset(
    convert: Converter, tmp_path: Path, form: str, charset: str
) -> None:
    """As a file beside a source is: nothing is copied unread."""
    path = tmp_path / "lines"
    lines = ((0.1, 0.5, TEXTS.get(charset, "Größe — 日本 ✓")), (0.6, 1.2, "plain"))
    path.write_bytes(srt(lines).encode(charset))
    converted = convert(path, replace(EXTRACT, extract=ExtractSpec(form, "file:///out/a")))
    assert judge.lines_of(converted.path.read_text()) == near(lines)
    assert any("sources[0]: the text is not UTF-8" in warning for warning in converted.warnings) != charset.startswith("utf")


def test_a_source_of_subtitles_says_what_it_loses(convert: Converter, tmp_path: Path) -> None:
    """A bad byte, and styles of WebVTT."""
    path = tmp_path / "lines"
    path.write_bytes(
        b"WEBVTT\n\nSTYLE\n::cue { color: red }\n\n00:00.100 --> 00:00.500\n" + "Größe 日本 caf".encode() + b"\xe9\n"
    )
    converted = convert(path, replace(EXTRACT, extract=ExtractSpec("vtt", "file:///out/a")))
    assert judge.lines_of(converted.path.read_text()) == near([(0.1, 0.5, "Größe 日本 caf\ufffd")])
    assert converted.warnings == (
        "sources[0]: 1 character is broken in utf-8: replaced by U+FFFD",
        "sources[0]: styles and regions of WebVTT: left out",
    )


def test_files_come_behind_the_sources_own_streams_and_are_moved(convert: Converter, tmp_path: Path) -> None:
    """They count in the selection; a negative offset drops and shortens; a cut of the source cuts them."""
    path = tmp_path / "x.vtt"
    path.write_text(
        "WEBVTT\n\n00:00.100 --> 00:00.400\ngone\n\n00:00.400 --> 00:01.000\nfront\n\n00:01.200 --> 00:01.600\nlater\n"
    )
    both = replace(target("mkv"), subtitle="all")
    converted = convert(clip("srt"), both, source=beside(path, -0.5, "ita"))
    assert [stream.language for stream in judge.describe(converted.path).of("Subtitle")] == ["fra", "ita"]
    assert judge.lines(converted.path, 0) == near(LINES)
    assert judge.lines(converted.path, 1) == near([(0.0, 0.5, "front"), (0.7, 1.1, "later")])
    second = replace(both, subtitle_streams=(1,))
    moved = convert(clip("srt"), second, source=beside(path, 0.25))
    assert judge.lines(moved.path) == near([(0.35, 0.65, "gone"), (0.65, 1.25, "front"), (1.45, 1.85, "later")])
    cut = convert(clip("srt"), replace(second, video=encoded(), audio=None), start=0.48, duration=0.92, source=beside(path))
    assert judge.lines(cut.path) == near([(0.0, 0.52, "front"), (0.72, 0.92, "later")])


def test_a_file_that_is_longer_than_its_source_is_cut_to_it(convert: Converter, tmp_path: Path) -> None:
    """The wrong file, or one for a longer version, must not make the output last longer."""
    path = tmp_path / "long.srt"
    lines = ((1.5, 9.0, "over the end"), (3000.0, 3001.0, "later"))
    path.write_text(srt(lines))
    asked = replace(target("mp4"), subtitle="all", extract=ExtractSpec("srt", "file:///out/a"))
    converted = convert(BARE, asked, source=beside(path))
    for made_file in converted.paths:
        assert judge.lines(made_file) == near([(1.5, 2.0, "over the end")])
    assert judge.describe(converted.paths[0]).duration == pytest.approx(2, abs=0.01)
    assert "targets[0]: 1 subtitles begin after the end of the source: left out" in converted.warnings
    cut = convert(BARE, asked, source=beside(path), duration=1.7)
    assert not any("after the end" in warning for warning in cut.warnings)


def test_parts_follow_each_other_in_one_stream(tmp_path: Path) -> None:
    """Each with its own decoder and at its own offset; what the first says after its end is dropped."""
    first, second = tmp_path / "first.ass", tmp_path / "second.srt"
    first.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:00.50,0:00:01.00,Default,,0,0,0,,one\nDialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,no\n"
    )
    second.write_bytes(srt(((0.25, 0.75, "два"),)).encode("cp1251"))
    files = (SubtitleFilePlan(0, charset="utf-8"), SubtitleFilePlan(1, charset="cp1251"))
    plan = StreamPlan(
        StreamType.SUBTITLE,
        tuple(PartPlan(0, input=number, file=file) for number, file in enumerate(files)),
        "subrip",
        "srt",
        "",
    )
    inputs = SubtitleInputs((InputPlan(0, 0, 0, 0, 0),) * 2, ("",), ((str(first), str(second)),), Limits())
    read_first, read_second = (Part(number, None, Fraction(0)) for number in range(2))  # type: ignore[arg-type]
    span, path = Span(Fraction(0), None, from_front=True), tmp_path / "made.mkv"
    with av.open(str(path), "w") as container:
        track = SubtitleTrack(plan, container, (), False, inputs)
        track.begin(read_first, span)
        packets = list(track.end(read_first, Fraction(2), last=False))
        track.begin(read_second, span)
        for packet in (*packets, *track.finish()):
            container.mux(packet)
    assert judge.lines(path) == near([(0.5, 1.0, "one"), (2.25, 2.75, "два")])


def test_a_source_that_begins_late_has_its_files_from_its_beginning(convert: Converter, tmp_path: Path) -> None:
    """MPEG-TS starts anywhere: a file's 0 is the first picture all the same."""
    path = tmp_path / "x.srt"
    path.write_text(srt(LINES))
    late = Clip("mpegts", (SHORT,), (), offset=10.0)
    converted = convert(late, replace(target("mkv"), subtitle="all"), source=beside(path))
    assert judge.lines(converted.path) == near(LINES)


def test_files_of_other_kinds(convert: Converter, tmp_path: Path) -> None:
    """ASS, and mov_text in MP4 without pictures."""
    ass = tmp_path / "x.ass"
    ass.write_text(
        "[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name, Fontname, Fontsize\nStyle: Big,Arial,40\n\n[Events]\n"
        "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
        "Dialogue: 0,0:00:00.50,0:00:01.20,Big,,0,0,0,,hello\n"
    )
    converted = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(ass))
    assert judge.describe(converted.path).of("Subtitle")[0].codec == "ass"
    assert judge.lines(converted.path) == near([(0.5, 1.2, "hello")])
    text = convert.shelf.get(Clip("mp4", (), (), subtitles=(Subtitle("mov_text", tuple(LINES)),)))
    for container in ("mp4", "mkv"):
        assert judge.lines(convert(BARE, replace(target(container), subtitle="all"), source=beside(text)).path) == near(LINES)


def test_a_cue_of_a_few_milliseconds_is_shown_for_a_hundredth_in_ass(convert: Converter, tmp_path: Path) -> None:
    """FFmpeg 9 finds no cue in what is shown for no time, and the output was refused."""
    (tmp_path / "x.srt").write_text(srt([(0.1, 0.103, "short"), (0.2, 0.4, "long")]))
    converted = convert(BARE, replace(EXTRACT, extract=ExtractSpec("ass", "file:///out/a")), source=beside(tmp_path / "x.srt"))
    assert "Dialogue: 0,0:00:00.10,0:00:00.11,Default,,0,0,0,,short" in converted.path.read_text()


def test_markup_of_mp4_is_kept_without_a_warning(convert: Converter, tmp_path: Path) -> None:
    """Its decoder ends each run of bold or italic text with a reset, which says nothing."""
    (tmp_path / "x.srt").write_text(srt([(0.1, 0.3, "a <i>b</i> c"), (0.4, 0.5, "<b>d</b>")]))
    made = convert(BARE, replace(target("mp4"), subtitle="all"), source=beside(tmp_path / "x.srt"))
    converted = convert(made.path, replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/a")))
    assert not converted.warnings
    assert re.findall(r"--> .*\n(.+)\n", converted.path.read_text()) == ["a <i>b</i> c", "<b>d</b>"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"this is no subtitle\n" * 9, "not readable media"),
        (b"\x00\x01\x02\x03" * 99, "not readable media"),
        (b"# VobSub index file, v7\n", "VobSub"),
        (b"\xff\xfe1\x00\x00\xd8", "not readable media"),
        (b"WEBVTT\n\nbroken --> time\n", ""),
    ],
)
def test_a_file_that_is_no_subtitle_is_an_error_that_names_it(
    convert: Converter, tmp_path: Path, content: bytes, said: str
) -> None:
    """Before any work starts."""
    path = tmp_path / "bad.srt"
    path.write_bytes(content)
    if not said:
        convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path))
        return
    with pytest.raises((InvalidMedia, UnsupportedFormat), match=f"bad.srt: .*{said}"):
        convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path))


@pytest.mark.parametrize("speed", [Fraction(1, 2), Fraction(4, 5)])
def test_speed_moves_lines(convert: Converter, speed: Fraction, tmp_path: Path) -> None:
    """Half the speed, twice the times."""
    path = tmp_path / "x.srt"
    path.write_text(srt(LINES))
    asked = replace(target("mkv", encoded(), None), subtitle="all", speed=speed)
    converted = convert(clip("srt"), asked, source=beside(path))
    scale = float(1 / speed)
    for number in range(2):
        assert judge.lines(converted.path, number) == near([(begin * scale, end * scale, text) for begin, end, text in LINES])


@pytest.mark.parametrize("form", ["srt", "vtt", "ass"])
def test_extracted_files_hold_the_lines(convert: Converter, form: str) -> None:
    """Without a container only the files are made; they are named by the number of their stream."""
    other = ((0.5, 0.75, "<i>hé</i>"),)
    source = Clip(
        "matroska",
        (SHORT,),
        (Audio(),),
        subtitles=(Subtitle("srt", tuple(LINES)), Subtitle("ass", ()), Subtitle("webvtt", other)),
    )
    asked = replace(EXTRACT, extract=ExtractSpec(form, "file:///out/{barename}.srt"), subtitle_streams=(0, 2))
    converted = convert(source, asked)
    assert [plan.uri for plan in converted.plan.targets] == [f"file:///out/clip_{number}.{form}" for number in (0, 2)]
    assert judge.lines(converted.paths[0]) == near(LINES, 0.0051 if form == "ass" else 0.0011)
    assert judge.lines(converted.paths[1]) == near([(0.5, 0.75, "hé")], 0.0051)
    assert [artifact.streams[0].packet_count for artifact in converted.artifacts] == [3, 1]
    if form != "ass":
        assert judge.lines_of(converted.paths[0].read_text()) == near(LINES)


def test_what_means_something_in_webvtt_is_text_there(convert: Converter) -> None:
    """Signs are escaped, but not inside of styles; an empty line would end a cue."""
    lines = ((0.1, 0.5, r"a\N \N{\c&HFF00FF&}b & <c> --> d\N"), (0.6, 0.9, r"{\i1}00:01.000 --> 00:02.000{\i0}\Nx"))
    converted = convert(clip("ass", lines), replace(EXTRACT, extract=ExtractSpec("vtt", "file:///out/a")))
    blocks = converted.path.read_text().strip().split("\n\n")
    assert [block.partition("\n")[2] for block in blocks] == [
        "",
        "a\nb &amp; &lt;c> --&gt; d",
        "<i>00:01.000 --&gt; 00:02.000</i>\nx",
    ]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-i", converted.path, "-f", "ass", "-"]
    events = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    assert [re.sub(r"\{[^}]*\}", "", text) for text in re.findall(r"Default,,0,0,0,,(.*)", events)] == [
        r"a\Nb & <c> --> d",
        r"00:01.000 --> 00:02.000\Nx",
    ]


@pytest.mark.parametrize("form", ["srt", "vtt", "ass"])
def test_a_stream_without_lines_in_the_span_is_a_file_without_lines(convert: Converter, form: str) -> None:
    """Not an error: the next span may have some."""
    converted = convert(clip("srt"), replace(EXTRACT, extract=ExtractSpec(form, "file:///out/a")), duration=0.1)
    assert converted.artifact.streams[0].packet_count == 0 and LINES[1][2] not in converted.path.read_text()


def pgs(shown: Sequence[tuple[float, float]]) -> bytes:
    """A .sup file that shows a square of 8 pixels again and again."""

    def segment(seconds: float, kind: int, body: bytes) -> bytes:
        return b"PG" + struct.pack(">IIBH", round(seconds * 90000), 0, kind, len(body)) + body

    def composition(number: int, objects: bytes) -> bytes:
        return struct.pack(">HHBHBBBB", 96, 64, 0x10, number, 0x80 if objects else 0, 0, 0, 1 if objects else 0) + objects

    line = b"\x00\x88\x01\x00\x00"
    picture = struct.pack(">HH", 8, 8) + line * 8
    result = b""
    window = struct.pack(">BBHHHH", 1, 0, 4, 4, 8, 8)
    for number, (begin, end) in enumerate(shown):
        parts = (
            (0x16, composition(2 * number, struct.pack(">HBBHH", 0, 0, 0, 4, 4))),
            (0x17, window),
            (0x14, bytes([0, 0, 1, 235, 128, 128, 255])),
            (
                0x15,
                struct.pack(">HBB", 0, 0, 0xC0) + len(picture).to_bytes(3, "big") + picture,
            ),
            (0x80, b""),
        )
        result += b"".join(segment(begin, kind, body) for kind, body in parts)
        result += segment(end, 0x16, composition(2 * number + 1, b"")) + segment(end, 0x17, window) + segment(end, 0x80, b"")
    return result


def test_pictures_are_copied_where_they_fit_and_refused_elsewhere(convert: Converter, tmp_path: Path) -> None:
    """A .sup file goes into mkv; mp4, webm, and a file of text, cannot have it, and say so before work starts."""
    path = tmp_path / "x.sup"
    path.write_bytes(pgs([(0.2, 0.6), (1.0, 1.5)]))
    converted = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path, 0.1, "jpn"))
    (stream,) = judge.describe(converted.path).of("Subtitle")
    assert stream.codec.startswith("hdmv_pgs") and stream.language == "jpn"
    starts = [round(float(packet.pts), 3) for packet in judge.packets(converted.path, "s:0")]
    assert starts == [0.3, 0.7, 1.1, 1.6]
    cut = convert(converted.path, replace(target("mkv", encoded(), None), subtitle="all"), start=0.5, duration=1.0)
    starts = [round(float(packet.pts), 3) for packet in judge.packets(cut.path, "s:0")]
    assert starts == [0.0, 0.2, 0.6]  # what is shown when the cut begins is shown there
    for container in ("mp4", "webm"):
        video, audio = (encoded("vp9"), None) if container == "webm" else (target().video, target().audio)
        with pytest.raises(UnsupportedFormat, match="does not hold hdmv_pgs_subtitle"):
            convert(BARE, replace(target(container, video, audio), subtitle="all"), source=beside(path))
    default = convert(BARE, target("mp4"), source=beside(path))
    assert any("does not hold hdmv_pgs_subtitle" in warning for warning in default.warnings)
    with pytest.raises(UnsupportedFormat, match="holds no text"):
        convert(BARE, replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/a")), source=beside(path))


def write_packets(path: Path, form: str, codec: str, packets: Sequence[tuple[float, bytes]]) -> Path:
    """A file of one subtitle stream, of packets half a second long."""
    with av.open(str(path), "w", format=form) as container:
        stream = container.add_mux_stream(codec)
        for seconds, data in packets:
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 90000)
            packet.pts = packet.dts = round(seconds * 90000)
            packet.duration = 45000
            container.mux(packet)
    return path


@pytest.mark.parametrize("form", ["matroska", "vob"])
def test_dvd_subtitles_are_read_from_one_file(convert: Converter, tmp_path: Path, form: str) -> None:
    """In mkv, and in the MPEG-PS that the .sub of a VobSub pair is; the packets are kept."""
    shown = b"\x03\x32\x10\x04\xff\xf0\x05\x00\x00\x07\x00\x00\x01\x06\x00\x04\x00\x05\x01\xff"
    after = struct.pack(">H", 6 + 4 + len(shown))
    body = b"\0\0\0\0" + after + shown + b"\x00\x32" + after + b"\x02\xff"
    picture = struct.pack(">HH", 4 + len(body), 6) + body
    path = write_packets(tmp_path / "x.sub", form, "dvd_subtitle", ((0.5, picture), (1.2, picture)))
    converted = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(path, 0.1))
    assert judge.describe(converted.path).of("Subtitle")[0].codec == "dvd_subtitle"
    assert [float(packet.pts) for packet in judge.packets(converted.path, "s:0")] == pytest.approx([0.6, 1.3], abs=0.002)
    with pytest.raises(UnsupportedFormat, match="mp4 does not hold dvd_subtitle"):
        convert(BARE, replace(target("mp4"), subtitle="all"), source=beside(path))


def test_lines_that_are_no_utf8_are_counted(convert: Converter, tmp_path: Path) -> None:
    """In a few, U+FFFD and a warning; many fail the task; a copy has nothing to read."""
    good, bad = (0.05, b"fine"), (0.9, "schön".encode("latin1"))
    few = write_packets(tmp_path / "few.mkv", "matroska", "subrip", [*((n * good[0], good[1]) for n in range(15)), bad])
    many = write_packets(tmp_path / "many.mkv", "matroska", "subrip", [(0.1, good[1]), bad])
    converted = convert(BARE, replace(target("mp4"), subtitle="all"), source=beside(few))
    assert "targets[0]: 1 of 16 subtitles have bytes that are not UTF-8: replaced by U+FFFD" in converted.warnings
    assert judge.lines(converted.path)[-1][2] == "sch\ufffdn"
    with pytest.raises(InvalidMedia, match="1 of 2 subtitles are not text in UTF-8"):
        convert(BARE, replace(target("mp4"), subtitle="all"), source=beside(many))
    kept = convert(BARE, replace(target("mkv"), subtitle="all"), source=beside(many))
    assert len(judge.packets(kept.path, "s:0")) == 2


TYPESET = r"""[Script Info]
ScriptType: v4.00+
PlayResX: 1000
PlayResY: 500

[V4+ Styles]
Format: Name, Fontname, Fontsize, PrimaryColour, Bold, Alignment
Style: Default,Arial,60,&H00FFFFFF,0,2
Style: Sign,Comic Sans MS,80,&H00FFFFFF,0,8

[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Comment: 0,0:00:00.00,0:00:00.10,Default,,0,0,0,,not shown
Dialogue: 0,0:00:00.10,0:00:00.30,Default,,0,0,0,,one\Ntwo\hthree {a note}{\i1}four{\i0}
Dialogue: 0,0:00:00.10,0:00:00.30,Sign,,0,0,0,,{\p1\pos(100,100)}m 0 0 l 100 0 100 100 0 100{\p0}
Dialogue: 0,0:00:00.50,0:00:00.70,Sign,,0,0,0,,{\fad(20,20)}SHOP{\p1}m 0 0 l 10 0{\p0} SIGN
Dialogue: 0,0:00:00.80,0:00:00.90,Default,,0,0,0,,{\an7}corner
Dialogue: 0,0:00:01.00,0:00:01.20,Default,,0,0,0,,{\an5\pos(250,125)}placed
"""
RICH = """WEBVTT

STYLE
::cue(.y) { color: yellow }

00:00.100 --> 00:00.300 line:0 position:20% align:start
<v Roger>We are in &lt;York&gt;</v>

00:00.500 --> 00:00.700 align:right
<c.y>a</c> <i>b</i>

00:01.000 --> 00:01.200
plain
"""


@pytest.mark.parametrize(
    ("form", "lines", "places"),
    [
        ("srt", ["one\ntwo\u00a0three <i>four</i>", r"{\an8}SHOP SIGN", r"{\an7}corner", r"{\an5}placed"], None),
        (
            "vtt",
            ["one\ntwo\u00a0three <i>four</i>", "SHOP SIGN", "corner", "placed"],
            ["", "line:0", "line:0 align:left", "line:25%,center position:25%,center align:center"],
        ),
    ],
)
def test_typesetting_becomes_its_text_in_its_place(
    convert: Converter, tmp_path: Path, form: str, lines: list[str], places: list[str] | None
) -> None:
    """Drawings and notes are no text, sizes are for another canvas; what is lost is told."""
    (tmp_path / "a.ass").write_text(TYPESET)
    converted = convert(BARE, replace(EXTRACT, extract=ExtractSpec(form, "file:///out/a")), source=beside(tmp_path / "a.ass"))
    match = re.findall(r"--> \S+(.*)\n((?:.+\n)+)", converted.path.read_text())
    assert [text.rstrip("\n") for _, text in match] == lines
    assert places is None or [settings.strip() for settings, _ in match] == places
    codec = {"srt": "subrip", "vtt": "webvtt"}[form]
    assert f"targets[0]: 2 subtitles have drawings, which {codec} cannot hold: left out" in converted.warnings
    assert any(
        f"2 of 5 subtitles have fonts, colors, effects or places that {codec} cannot" in text for text in converted.warnings
    )


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("ass", [r"set \{a, b} {\i1}now{\i0}", r"{\an8}top"]),
        ("srt", ["set {a, b} <i>now</i>", r"{\an8}top"]),
        ("vtt", ["set {a, b} <i>now</i>", "top"]),
    ],
)
def test_braces_of_subrip_are_text(convert: Converter, tmp_path: Path, form: str, expected: list[str]) -> None:
    """In ASS, which libav passes all subtitles in, what is in them is hidden."""
    cues = ("set {a, b} <i>now</i>", r"{\an8}top")
    (tmp_path / "a.srt").write_text(
        "".join(f"{n}\n00:00:00,{n}00 --> 00:00:00,{n}90\n{cue}\n\n" for n, cue in enumerate(cues, 1))
    )
    converted = convert(BARE, replace(EXTRACT, extract=ExtractSpec(form, "file:///out/a")), source=beside(tmp_path / "a.srt"))
    match = re.findall(
        r"^Dialogue:(?:[^,]*,){9}(.*)$" if form == "ass" else r"--> .*\n(.+)\n", converted.path.read_text(), re.MULTILINE
    )
    assert match == expected


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("srt", ["{\\an7}We are in <York>", "{\\an3}a <i>b</i>", "plain"]),
        ("ass", ["{\\an7}We are in <York>", "{\\an3}a {\\i1}b{\\i0}", "plain"]),
        ("vtt", ["<v Roger>We are in &lt;York&gt;</v>", "<c.y>a</c> <i>b</i>", "plain"]),
    ],
)
def test_what_webvtt_says_besides_text_is_kept_or_told(
    convert: Converter, tmp_path: Path, form: str, expected: list[str]
) -> None:
    """Places as alignments; classes, voices and styles in a warning."""
    (tmp_path / "a.vtt").write_text(RICH)
    converted = convert(BARE, replace(EXTRACT, extract=ExtractSpec(form, "file:///out/a")), source=beside(tmp_path / "a.vtt"))
    text = converted.path.read_text()
    match = re.findall(r"^Dialogue:(?:[^,]*,){9}(.*)$" if form == "ass" else r"--> .*\n(.+)\n", text, re.MULTILINE)
    assert match == expected
    assert "sources[0].subtitles[0]: styles and regions of WebVTT: left out" in converted.warnings
    assert any("2 of 3 subtitles have fonts" in warning for warning in converted.warnings) == (form != "vtt")
    assert form != "vtt" or "line:0 position:20% align:start" in text


def test_a_container_without_places_says_so(convert: Converter, tmp_path: Path) -> None:
    """MP4's text has no alignment here."""
    (tmp_path / "a.vtt").write_text(RICH)
    converted = convert(BARE, replace(target("mp4"), subtitle="all"), source=beside(tmp_path / "a.vtt"))
    assert [re.sub("</?i>", "", text) for _, _, text in judge.lines(converted.path)][1:] == ["a b", "plain"]
    assert any(
        "2 of 3 subtitles have fonts, colors, effects or places that mov_text cannot" in text for text in converted.warnings
    )


@pytest.mark.parametrize(("container", "codec"), [("matroska", "srt"), ("mp4", "mov_text"), ("matroska", "ass")])
@pytest.mark.parametrize(
    ("video", "last"),
    [(COPIED_VIDEO, (30.0, 60.0)), (encoded(), (30.0, 60.0)), (COPIED_VIDEO, (1.0, 2e6))],
    ids=["copy", "encode", "weeks"],
)
def test_subtitles_that_outlast_the_film_do_not_make_it_broken(
    convert: Converter, container: str, codec: str, video: VideoSpec, last: tuple[float, float]
) -> None:
    """Whether they are taken or not, the output ends with what is seen, even if one claims to last for weeks."""
    source = clip(codec, ((0.2, 0.9, "one"), (*last, "long after")), container)
    for subtitle in ("none", "all"):
        converted = convert(source, replace(target("mkv", video), subtitle=subtitle))
        assert judge.packets(converted.path, "v:0")[-1].pts == pytest.approx(2, abs=0.1)
        assert converted.plan.targets[0].duration_us == pytest.approx(2_000_000, abs=100_000)


def test_text_is_refused_where_no_text_fits(convert: Converter) -> None:
    """Asked for by name it is an error, by default a warning; extracting beside it is enough."""
    with pytest.raises(UnsupportedFormat, match=r"ts does not hold subrip \(mp4, mov, mkv, webm would\)"):
        convert(clip("srt"), replace(target("ts"), subtitle="all"))
    asked = replace(target("ts"), subtitle="all", extract=ExtractSpec("vtt", "file:///out/a"))
    converted = convert(clip("srt"), asked)
    assert judge.describe(converted.paths[0]).of("Subtitle") == [] and judge.lines(converted.paths[1]) == near(LINES)


def test_nothing_to_extract_is_an_error(convert: Converter) -> None:
    """Rather than a task that succeeds with nothing."""
    with pytest.raises(InvalidMedia, match="no such subtitle stream"):
        convert(BARE, replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/a")))


def test_verification_counts_lines(convert: Converter) -> None:
    """A file that lost a line is not published."""
    converted = convert(clip("srt"), replace(EXTRACT, extract=ExtractSpec("srt", "file:///out/a")))
    written = StreamStats(packets=4)
    with pytest.raises(OutputInvalid, match="4 subtitle cues went in, 3 came out"):
        verify(MediaFile(str(converted.path), converted.plan.targets[0], (written,)))
