"""What is planned for subtitles."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, SubtitleStreamInfo, TextInfo
from reelmill_server.model.plan import Plan, SubtitleFilePlan
from reelmill_server.model.request import AudioSpec, ConvertRequest, ExtractSpec, SourceSpec, SubtitleFileSpec, TargetSpec
from reelmill_server.plan.codec.containers import CONTAINERS
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream.subtitle import SubtitleInput, extract_prefix, plan_subtitles

SOUND = AudioStreamInfo(0, "aac", sample_rate=48000, channels=2, layout="stereo")
ASKED = TargetSpec(0, "file:///out/a", "mkv", video=None, subtitle="all")


def media(*codecs: str) -> MediaInfo:
    """A file with sound and subtitles."""
    streams = tuple(SubtitleStreamInfo(number + 1, codec) for number, codec in enumerate(codecs))
    return MediaInfo("matroska,webm", duration_seconds=9.0, audio=(SOUND,), subtitles=streams)


def plan(target: TargetSpec, *codecs: str, files: Sequence[str] = ()) -> Plan:
    """The plan for a source with such streams and such files beside it."""
    specs = tuple(SubtitleFileSpec(f"file:///in/{number}", 500_000 * number, "fra") for number in range(len(files)))
    infos = tuple(replace(media(codec), text=TextInfo("cp1251")) for codec in files)
    request = ConvertRequest("task", "p", (SourceSpec("file:///in/film.mkv", subtitles=specs),), (target,), tags={"who": "me"})
    return make_plan(request, PlanFacts((media(*codecs),), {}, subtitle_infos=(infos,)))


def test_files_are_numbered_behind_the_sources_own() -> None:
    """With all that is needed to read them."""
    result = plan(replace(ASKED, subtitle_streams=(0, 2)), "ass", "subrip", files=("hdmv_pgs_subtitle", "webvtt"))
    (first, second) = result.targets[0].streams[1:]
    assert (first.codec, first.encoder, first.parts[0].file) == ("ass", "copy", None)
    assert (second.codec, second.parts[0].stream) == ("hdmv_pgs_subtitle", 1)
    assert second.parts[0].file == SubtitleFilePlan(0, 0, "fra", "cp1251")


def test_default_and_named_subtitles_that_do_not_fit() -> None:
    """A warning, or an error that says what would."""
    with pytest.raises(UnsupportedFormat, match=r"targets\[0\]\.subtitle: mp4 does not hold dvd_subtitle \(mkv would\)"):
        plan(replace(ASKED, container="mp4"), "dvd_subtitle")
    result = plan(replace(ASKED, container="mp4", subtitle="first"), "dvd_subtitle", "subrip")
    assert result.warnings == ("targets[0].subtitle: mp4 does not hold dvd_subtitle (mkv would): left out",)
    assert plan(replace(ASKED, container="m4a", subtitle="first"), "subrip").warnings == ()
    with pytest.raises(UnsupportedFormat, match="m4a does not hold subrip"):
        plan(replace(ASKED, container="m4a"), "subrip")


def test_extracted_files_have_templates_and_numbers() -> None:
    """One plan per file, all with the number of their target."""
    extract = ExtractSpec("vtt", "file:///out/{barename}-{tags.who}-{index}-{streamindex}.SRT")
    result = plan(replace(ASKED, audio=AudioSpec("aac"), extract=extract, speed=Fraction(1, 2)), "subrip", "webvtt")
    assert [target.uri for target in result.targets[1:]] == ["file:///out/film-me-1-0_0.vtt", "file:///out/film-me-2-1_1.vtt"]
    assert [target.index for target in result.targets] == [0, 0, 0]
    assert [target.streams[0].encoder for target in result.targets[1:]] == ["webvtt", "copy"]
    assert {stream.speed for target in result.targets for stream in target.streams if stream.type == "subtitle"} == {
        Fraction(1, 2)
    }
    alone = plan(replace(ASKED, uri="", container="", extract=extract, speed=Fraction(1, 2)), "subrip")
    assert [target.streams[0].speed for target in alone.targets] == [1]


def test_only_extensions_of_subtitles_are_taken_off() -> None:
    """A dot may belong to a name."""
    assert [extract_prefix(f"s3://b/a.{end}") for end in ("srt", "WebVTT", "ass", "v2", "de")] == [
        *("s3://b/a",) * 3,
        "s3://b/a.v2",
        "s3://b/a.de",
    ]


def test_what_cannot_be_extracted_is_an_error() -> None:
    """Pictures, and nothing at all."""
    alone = replace(ASKED, uri="", container="", extract=ExtractSpec("srt", "file:///out/a"))
    with pytest.raises(UnsupportedFormat, match="subtitle stream 1 is hdmv_pgs_subtitle, which holds no text"):
        plan(alone, "subrip", "hdmv_pgs_subtitle")
    with pytest.raises(InvalidMedia, match="no such subtitle stream"):
        plan(replace(alone, subtitle_streams=(5,)), "subrip")
    assert len(plan(replace(alone, subtitle_streams=(0,)), "subrip", "hdmv_pgs_subtitle").targets) == 1


def joined(container: str, *sources: Sequence[str]) -> list[tuple[str, str, list[int]]]:
    """Codec, encoder and inputs of each stream when sources with such streams follow each other."""
    request = [SourceSpec("file:///x") for _ in sources]
    facts = PlanFacts(tuple(media(*codecs) for codecs in sources), {})
    offers = [SubtitleInput.of(number, number, request[number], facts) for number in range(len(sources))]
    streams = plan_subtitles(replace(ASKED, container=container), CONTAINERS[container], offers, [])
    return [(stream.codec, stream.encoder, [part.input for part in stream.parts]) for stream in streams]


def test_sources_that_follow_each_other_continue_each_others_streams() -> None:
    """Number by number; one that has fewer is passed over; text is made alike, pictures must be."""
    assert joined("mkv", ("subrip", "ass"), ("webvtt",), ("subrip", "ass")) == [
        ("subrip", "srt", [0, 1, 2]),
        ("ass", "ass", [0, 2]),
    ]
    assert joined("mp4", ("ass",), ("ass",)) == [("mov_text", "mov_text", [0, 1])]
    assert joined("mkv", ("hdmv_pgs_subtitle",), ("hdmv_pgs_subtitle",)) == [("hdmv_pgs_subtitle", "copy", [0, 1])]
    for other in ("dvd_subtitle", "subrip"):
        with pytest.raises(UnsupportedFormat):
            joined("mkv", ("hdmv_pgs_subtitle",), (other,))
    with pytest.raises(UnsupportedFormat, match="cannot follow each other"):
        joined("mkv", ("dvd_subtitle",), ("dvd_subtitle",))
