"""Subtitles beside the variants of a group: segments of WebVTT, read here by rules of their own and by the judge."""

import hashlib
import re
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest

from reelmill_server.errors import InvalidArgument, InvalidMedia, OutputInvalid, UnsupportedFormat
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.package import webvtt
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import ConvertRequest, ExtractSpec, SourceSpec, TargetSpec
from reelmill_server.model.task import ArtifactKind
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.media.converter import Converted, Converter, capabilities, target
from tests.media.test_packaging import FILM, cut, ladder, lengths, names
from tests.media.test_subtitles import Lines, beside, near, pgs, srt
from tests.sources import Audio, Clip, Subtitle, Video

pytestmark = pytest.mark.media

LINES: Lines = ((0.123, 0.789, "one"), (0.9, 2.456, "two,\nand more"), (3.0, 3.5, "on a border"), (4.2, 4.4, "last"))
MASTER = "file:///out/film/main.m3u8"
VTT = ExtractSpec("vtt", "file:///out/film/s/lines.vtt")
_HEADER = re.compile(r"WEBVTT\nX-TIMESTAMP-MAP=LOCAL:00:00:00\.000,MPEGTS:(\d+)\n(?:\n|$)")


def film(*subtitles: Subtitle, container: str = "matroska") -> Clip:
    """4.4 s with subtitles."""
    return replace(FILM, format=container, subtitles=subtitles)


def variants(container: str = "ts", extract: ExtractSpec = VTT, **changes: object) -> list[TargetSpec]:
    """Two variants, the second of which packages subtitles."""
    first, second = (replace(member, **changes) for member in ladder(container, (96, 64), (48, 32)))  # type: ignore[arg-type]
    return [replace(first, subtitle="none"), replace(second, subtitle="none", extract=extract)]


def shown(playlist: Path) -> list[list[tuple[float, float, str]]]:
    """The lines of each segment on the clock of the variants' 0, by the arithmetic of RFC 8216, 3.5."""
    zero = 0.0
    results = []
    for name in names(playlist):
        text = (playlist.parent / name).read_text()
        header = _HEADER.match(text)
        assert header, text
        zero = int(header[1]) / 90_000
        results.append([(begin + zero, end + zero, line) for begin, end, line in judge.lines_of(text[header.end() :])])
    return results


def expected(lines: Lines, zero: float, segments: int) -> list[object]:
    """What segments of a second show."""
    return [
        near([(begin + zero, end + zero, text) for begin, end, text in lines if begin < number + 1 and end > number], 0.001)
        for number in range(segments)
    ]


@pytest.mark.sample(every=9)
@pytest.mark.parametrize(("container", "zero"), [("ts", 1.4), ("mp4", 0.0)])
@pytest.mark.parametrize("codec", ["srt", "ass", "webvtt", "mov_text"])
def test_every_text_becomes_segments_on_the_clock_of_the_pictures(
    convert: Converter, codec: str, container: str, zero: float
) -> None:
    """Each line is in all segments in which it is shown, at its own time, and the list is as long as the pictures."""
    lines = tuple((round(begin, 2), round(end, 2), text) for begin, end, text in LINES) if codec == "ass" else LINES
    source = film(Subtitle(codec, tuple(lines)), container="mp4" if codec == "mov_text" else "matroska")
    converted = convert(source, *variants(container), group_uris=(MASTER,))
    folder = converted.published / "film"
    playlist = folder / "s/lines_0.m3u8"
    assert names(playlist) == [f"lines_0-{number}.vtt" for number in range(5)]
    assert lengths(playlist) == pytest.approx([1, 1, 1, 1, 0.4], abs=0.03)
    assert shown(playlist) == expected(lines, zero, 5)
    assert float(judge.times(folder / "32/v.m3u8")[0]) == pytest.approx(zero, abs=0.0001)


def test_the_judge_plays_the_list(convert: Converter) -> None:
    """Each line in its place, those over a border as often as they are listed."""
    converted = convert(film(Subtitle("srt", tuple(LINES))), *variants(), group_uris=(MASTER,))
    heard = judge.lines(converted.published / "film/s/lines_0.m3u8")
    assert sorted(set(heard)) == near(LINES)


def test_the_master_playlist_says_what_there_is(convert: Converter, tmp_path: Path) -> None:
    """Language, name, default and forced, once each, for every variant; read strictly by another reader."""
    path = tmp_path / "x.srt"
    path.write_text(srt(LINES))
    source = film(
        Subtitle("srt", tuple(LINES), "fra", default=False),
        Subtitle("ass", ((0.5, 0.75, "(signs)"),), "eng", title="Signs", forced=True),
        Subtitle("srt", (), "eng", default=True),
        Subtitle("srt", (), "fra", default=True),
    )
    converted = convert(source, *variants(), source=beside(path, 0.25, "ita"), group_uris=(MASTER,))
    folder = converted.published / "film"
    master = m3u8.M3U8((folder / "main.m3u8").read_text(), strict=True)
    media = [entry for entry in master.media if entry.type == "SUBTITLES"]
    assert [(one.uri, one.name, one.language, one.default, one.autoselect, one.forced) for one in media] == [
        ("s/lines_0.m3u8", "fra", "fra", "NO", "YES", None),
        ("s/lines_1.m3u8", "Signs", "eng", "NO", "YES", "YES"),
        ("s/lines_2.m3u8", "eng", "eng", "YES", "YES", None),
        ("s/lines_3.m3u8", "fra (3)", "fra", "NO", "NO", None),
        ("s/lines_4.m3u8", "ita", "ita", "NO", "YES", None),
    ]
    assert {one.group_id for one in media} == {"subtitles"}
    assert [variant.stream_info.subtitles for variant in master.playlists] == ["subtitles"] * 2
    for number, lines in enumerate((LINES, ((0.5, 0.75, "(signs)"),), (), (), [(a + 0.25, b + 0.25, t) for a, b, t in LINES])):
        text = (folder / f"s/lines_{number}.m3u8").read_text()
        playlist = m3u8.M3U8(text, strict=True)
        assert playlist.is_endlist and playlist.playlist_type == "vod" and playlist.media_sequence == 0
        assert playlist.target_duration == m3u8.M3U8((folder / "64/v.m3u8").read_text(), strict=True).target_duration
        kept = [(begin, min(end, 4.4), line) for begin, end, line in lines if begin < 4.4]
        assert shown(folder / f"s/lines_{number}.m3u8") == expected(kept, 1.4, 5)


def test_artifacts_list_them(convert: Converter) -> None:
    """Lists behind their segments, counted, with checksums of both."""
    converted = convert(film(Subtitle("srt", tuple(LINES), "fra")), *variants(), group_uris=(MASTER,))
    (artifact,) = (artifact for artifact in converted.artifacts if artifact.container == "vtt")
    playlist = converted.published / "film/s/lines_0.m3u8"
    segments = b"".join((playlist.parent / name).read_bytes() for name in names(playlist))
    assert (artifact.kind, artifact.uri, artifact.target_index) == (ArtifactKind.PLAYLIST, f"{VTT.uri[:-4]}_0.m3u8", 1)
    assert (artifact.segment_count, artifact.segments_size_bytes) == (5, len(segments))
    assert artifact.sha256 == hashlib.sha256(playlist.read_bytes()).hexdigest()
    assert artifact.segments_sha256 == hashlib.sha256(segments).hexdigest()
    (stream,) = artifact.streams
    assert (stream.type, stream.codec, stream.language, stream.packet_count) == ("subtitle", "webvtt", "fra", 4)


def test_numbers_begin_where_the_variants_do(convert: Converter) -> None:
    """StartNumber counts all segments of a group."""
    members = [cut(member, start=7) for member in variants()]
    converted = convert(film(Subtitle("srt", tuple(LINES))), *members, group_uris=(MASTER,))
    playlist = converted.published / "film/s/lines_0.m3u8"
    assert names(playlist)[0] == "lines_0-7.vtt" and "#EXT-X-MEDIA-SEQUENCE:7\n" in playlist.read_text()


def lines_of(converted: Converted) -> list[tuple[float, float, str]]:
    """All lines on the clock of the output, each once."""
    return sorted({line for segment in shown(converted.published / "film/s/lines_0.m3u8") for line in segment})


def test_a_cut_and_speed_move_lines_as_pictures(convert: Converter) -> None:
    """From 0.6 s, at half the speed."""
    members = variants("mp4", speed=Fraction(1, 2))
    converted = convert(film(Subtitle("srt", tuple(LINES))), *members, start=0.6, duration=2.0, group_uris=(MASTER,))
    assert lines_of(converted) == near([(0.0, 0.378, "one"), (0.6, 3.712, "two,\nand more")])
    assert sum(lengths(converted.published / "film/s/lines_0.m3u8")) == pytest.approx(4.0, abs=0.03)


def test_copied_video_takes_its_lines_along(convert: Converter) -> None:
    """It begins at its key frame, before the asked start; the lines are where its pictures are."""
    source = replace(film(Subtitle("srt", tuple(LINES))), video=(Video(seconds=4.4, gop=25),))
    members = [replace(member, video=target("ts").video, audio=None) for member in variants()[1:]]
    converted = convert(source, replace(members[0], member=0), start=1.3, group_uris=(MASTER,))
    first = judge.numbers(converted.published / "film/32/v.m3u8")[0]
    zero = float(judge.times(converted.published / "film/32/v.m3u8")[0])
    assert first == 25
    moved = [(max(begin - 1.0, 0) + zero, end - 1.0 + zero, text) for begin, end, text in LINES if end > 1.0]
    assert lines_of(converted) == near(moved)


def test_sources_that_follow_each_other_give_one_stream(convert: Converter, tmp_path: Path) -> None:
    """The second one's lines come behind the first one's pictures."""
    clips = [
        Clip("matroska", (Video(seconds=1.2),), (Audio(seconds=1.2),), subtitles=(Subtitle("srt", ((0.9, 1.2, "a"),)),)),
        Clip("mp4", (Video(seconds=1),), (Audio(seconds=1),), subtitles=(Subtitle("mov_text", ((0.5, 0.75, "b"),)),)),
    ]
    paths = [str(convert.shelf.get(clip)) for clip in clips]
    members = tuple(replace(member, index=index) for index, member in enumerate(variants()))
    request = ConvertRequest("t", "p", (SourceSpec("file:///a"),) * 2, members, group_uris=(MASTER,))
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], capabilities()))
    produced, _ = Conversion(plan, paths, tmp_path, limits=Limits(), stop=threading.Event()).run()
    results = make_results(plan, [verify(file) for file in produced], tmp_path)
    (outcome,) = (result for result in results if result.artifact.container == "vtt")
    texts = [judge.lines_of((tmp_path / part).read_text()) for part in outcome.parts]
    assert texts == [near([(0.9, 1.2, "a")]), near([(0.9, 1.2, "a"), (1.7, 1.95, "b")]), []]


def test_pictures_are_left_out_unless_they_are_named(convert: Converter, tmp_path: Path) -> None:
    """Named, or alone, they are an error before work starts."""
    path = tmp_path / "x.sup"
    path.write_bytes(pgs([(0.2, 0.6)]))
    source = film(Subtitle("srt", tuple(LINES)))
    converted = convert(source, *variants(), source=beside(path), group_uris=(MASTER,))
    assert [warning for warning in converted.warnings if "holds no text" in warning and warning.endswith("left out")]
    assert len([artifact for artifact in converted.artifacts if artifact.container == "vtt"]) == 1
    for clip, chosen in ((source, (0, 1)), (FILM, ())):
        with pytest.raises(UnsupportedFormat, match="hdmv_pgs_subtitle, which holds no text"):
            convert(clip, *variants(subtitle_streams=chosen), source=beside(path), group_uris=(MASTER,))
    with pytest.raises(InvalidMedia, match="no such subtitle stream"):
        convert(FILM, *variants(), group_uris=(MASTER,))


def test_subtitles_outside_the_folder_of_the_master_are_refused(convert: Converter) -> None:
    """The path of the field says which."""
    with pytest.raises(InvalidArgument) as caught:
        convert(
            film(Subtitle("srt", tuple(LINES))),
            *variants(extract=ExtractSpec("vtt", "file:///out/other/s")),
            group_uris=(MASTER,),
        )
    assert caught.value.violations[0].field == "target_groups[0].targets[1].subtitle.extract_subtitle.uri"


def test_two_targets_that_ask_alike_package_once(convert: Converter) -> None:
    """The setting may stand in one target, and in all."""
    members = [replace(member, extract=VTT) for member in variants()]
    converted = convert(film(Subtitle("srt", tuple(LINES))), *members, group_uris=(MASTER,))
    assert len([artifact for artifact in converted.artifacts if artifact.container == "vtt"]) == 1


def test_a_segment_that_lost_a_line_is_rejected(convert: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is published was read back."""
    path = tmp_path / "muxed.vtt"
    path.write_text("WEBVTT\n\n00:00.100 --> 00:00.900\na\n\n00:00.500 --> 00:00.600\nb\n")
    package = convert(film(Subtitle("srt", tuple(LINES))), *variants(), group_uris=(MASTER,)).plan.targets[2].package
    assert package
    assert len(webvtt.cut_subtitles(path, package, Fraction(2)).segments) == 2
    whole = webvtt.render_segment
    monkeypatch.setattr(webvtt, "render_segment", lambda cues, clock_us: whole(cues[:-1], clock_us))
    with pytest.raises(OutputInvalid, match="2 subtitles of a segment were written, 1"):
        webvtt.cut_subtitles(path, package, Fraction(2))
