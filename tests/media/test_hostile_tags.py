"""Tags that strangers wrote to say something else in a playlist or a manifest: players are led nowhere by them."""

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import av
import pytest

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import ExtractSpec, SegmentFormat
from reelmill_server.worker import messages
from tests.media.converter import Converter, encoded, target
from tests.media.test_packaging import AAC, cut, ladder
from tests.sources import Audio, Clip, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

HOSTILE = (
    'eng"><BaseURL>http://evil.example/</BaseURL><x y="',
    'eng",URI="http://evil.example/x.m3u8',
    "eng\n#EXT-X-MAP:URI=http://evil.example/x",
    "eng' xlink:href='http://evil.example/x",
    "eng&evil;<!--http://evil.example/-->",
)
HLS, DASH = SegmentFormat.HLS, SegmentFormat.DASH


def film(text: str) -> Clip:
    """Every stream has the text as its language and as its title."""
    said = {"language": text, "title": text}
    return Clip(
        "matroska",
        (Video(seconds=1, gop=25, **said),),  # type: ignore[arg-type]
        (Audio(seconds=1, **said), Audio(seconds=1, hz=880, **said)),  # type: ignore[arg-type]
        subtitles=(Subtitle("srt", ((0.2, 0.8, "one"),), text),),
    )


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("text", HOSTILE)
def test_no_tag_leads_a_player_elsewhere(convert: Converter, text: str) -> None:
    """The language is left out, and said to be; a title is text in quotes."""
    copied = replace(target("mp4"), subtitle="none")
    both = replace(target("mp4", encoded(), AAC), subtitle="none")
    dash = [cut(replace(spec, uri=f"file:///out/{name}"), DASH) for name, spec in (("copied", copied), ("encoded", both))]
    hls = [cut(replace(spec, uri=f"file:///out/{name}-hls")) for name, spec in (("copied", copied), ("encoded", both))]
    lines = ExtractSpec("vtt", "file:///out/film/lines")
    group = [replace(spec, extract=lines, subtitle="none") for spec in ladder("mp4", (96, 64), (48, 32))]
    done = convert(film(text), *dash, *hls, *group, group_uris=("file:///out/film/main.m3u8",))
    lists = [path for path in done.published.rglob("*") if path.suffix in (".m3u8", ".mpd")]
    assert len(lists) >= 8
    for path in lists:
        content = path.read_text()
        assert not re.search(r'BaseURL|href|lang="|LANGUAGE=|^#EXT-X-MAP:URI=http|,URI="http', content, re.MULTILINE), content
    assert {kind for kind in map(str, done.warnings) if "is not a code of ISO 639" in kind}
    assert {stream.language for artifact in done.artifacts for stream in artifact.streams} <= {"", "und"}


def test_a_title_that_no_xml_holds_is_cleaned_for_a_manifest(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """Control characters in it ended tasks with a manifest that is no XML, as a fault of ours."""
    path = tmp_path / "titled.mkv"
    with av.open(str(shelf.get(Clip("mp4", (Video(seconds=1, gop=25),), ())))) as source, av.open(str(path), "w") as titled:
        titled.metadata["title"] = "\x1b]0;owned\x07 & <b>Title</b>\ufffe"
        stream = titled.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                titled.mux(packet)
    done = convert(path, cut(target("mp4", audio=None), DASH))
    (manifest,) = done.published.rglob("*.mpd")
    assert ElementTree.parse(manifest).findtext(".//{*}Title") == "]0;owned & <b>Title</b>"


def test_the_language_of_an_honest_file_stays(convert: Converter) -> None:
    """In manifests, as in what a probe of the output finds."""
    done = convert(replace(film("deu"), subtitles=()), cut(replace(target("mp4", encoded(), AAC), uri="file:///out/x"), DASH))
    (manifest,) = done.published.rglob("*.mpd")
    assert 'lang="deu"' in manifest.read_text() and not done.warnings


def test_tags_that_are_no_utf_8_fit_into_messages(convert: Converter, tmp_path: Path) -> None:
    """Of files, streams and chapters: the bytes are replaced, in what a probe says and in outputs."""
    clip = replace(film("Kept"), subtitles=(), metadata=(("artist", "Kept"),), chapters=((0, 1, "Kept"),))
    path = tmp_path / "tags.mkv"
    path.write_bytes(convert.shelf.get(clip).read_bytes().replace(b"Kept", b"K\xe9pt"))
    converted = convert(path, target("mkv"))
    for result in (path, converted.path):
        info = probe_file(str(result), Limits())
        assert info.metadata["ARTIST"] == info.video[0].metadata["title"] == "K\ufffdpt"
        assert messages.FROM_CHILD.dump_json(messages.Probed((info,)))
    assert b"K\xe9pt" not in converted.path.read_bytes()
