"""Playlists and manifests as text, read by independent readers."""

from fractions import Fraction

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from reelmill_server.media.package.playlists import (
    MasterPlaylist,
    MediaPlaylist,
    Rendition,
    Segment,
    Variant,
    read_manifest,
    read_playlist,
    rewrite_manifest,
)
from reelmill_server.uris import reference_around

SEGMENTS = tuple(Segment(f"x-{number}.m4s", length) for number, length in enumerate((Fraction(4), Fraction(301, 100)), 7))
MANIFEST = """<?xml version="1.0" encoding="utf-8"?>
<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT7.0S" maxSegmentDuration="PT4.0S">
 <Period id="0" start="PT0.0S">
  <AdaptationSet id="0" contentType="video" startWithSAP="1">
   <Representation id="0" mimeType="video/mp4" codecs="avc1.640028" bandwidth="1000">
    <SegmentTemplate timescale="1000" initialization="$RepresentationID$-init.mp4" media="$RepresentationID$-$Number$.m4s" startNumber="1">
     <SegmentTimeline><S t="0" d="2000" r="2" /><S d="1000" /></SegmentTimeline>
    </SegmentTemplate>
   </Representation>
  </AdaptationSet>
 </Period>
</MPD>"""  # noqa: E501


@pytest.mark.parametrize("head", ["", "x-init.mp4"])
def test_a_media_playlist_is_read_as_it_was_meant(head: str) -> None:
    """Names, lengths, number, head, and the marks of a list that is complete."""
    media_playlist = MediaPlaylist(SEGMENTS, head, start_number=7, independent=True)
    assert (media_playlist.longest_seconds, media_playlist.seconds) == (4, Fraction(701, 100))
    read = m3u8.M3U8(media_playlist.render(media_playlist.longest_seconds), strict=True)
    assert [(segment.uri, segment.duration) for segment in read.segments] == [("x-7.m4s", 4.0), ("x-8.m4s", 3.01)]
    assert (read.target_duration, read.media_sequence, read.playlist_type, read.is_endlist) == (4, 7, "vod", True)
    assert read.is_independent_segments and [part.uri for part in read.segment_map] == ([head] if head else [])


def test_what_is_written_is_read_back() -> None:
    """Its own reader is that of libav's lists."""
    media_playlist = MediaPlaylist(SEGMENTS, "x-init.mp4")
    assert read_playlist(media_playlist.render(9)) == media_playlist


@pytest.mark.parametrize(
    "text", ["", "#EXTM3U\n#EXTINF:1,\na.ts\n", "#EXTM3U\n#EXT-X-ENDLIST\n", "#EXTINF:1,\n#EXT-X-ENDLIST\n"]
)
def test_a_broken_playlist_is_told(text: str) -> None:
    """No end, no segments, or lengths without names."""
    with pytest.raises(ValueError, match="playlist"):
        read_playlist(text)


def test_a_master_playlist_names_all_groups_for_all_variants() -> None:
    """Sound and subtitles, with their marks; a name cannot break out of its quotes."""
    master_playlist = MasterPlaylist(
        (
            Variant("a/v.m3u8", 2_000_000, 1_500_000, ("avc1.640028", "mp4a.40.2"), 1920, 1080, 24000 / 1001),
            Variant("b/v.m3u8", 500_000, 400_000),
        ),
        audio=(Rendition("audio.m3u8", "1 deu", "deu", default=True, channels=6),),
        subtitles=(
            Rendition("s_0.m3u8", 'say "hi",\nthere', "eng", default=True),
            Rendition("s_1.m3u8", "signs", "eng", forced=True),
            Rendition("s_2.m3u8", "notes", autoselect=False),
        ),
    )
    read = m3u8.M3U8(master_playlist.render(), strict=True)
    assert [(one.uri, one.stream_info.audio, one.stream_info.subtitles) for one in read.playlists] == [
        ("a/v.m3u8", "audio", "subtitles"),
        ("b/v.m3u8", "audio", "subtitles"),
    ]
    first, second = (one.stream_info for one in read.playlists)
    assert (first.bandwidth, first.average_bandwidth, first.resolution) == (2_000_000, 1_500_000, (1920, 1080))
    assert (first.codecs, first.frame_rate) == ("avc1.640028,mp4a.40.2", 23.976)
    assert (second.codecs, second.resolution, second.frame_rate) == (None, None, None)
    assert [
        (one.type, one.name, one.language, one.default, one.autoselect, one.forced, one.channels) for one in read.media
    ] == [
        ("AUDIO", "1 deu", "deu", "YES", "YES", None, "6"),
        ("SUBTITLES", "say 'hi','there", "eng", "YES", "YES", None, None),
        ("SUBTITLES", "signs", "eng", "NO", "YES", "YES", None),
        ("SUBTITLES", "notes", None, "NO", "NO", None, None),
    ]


def test_a_manifest_is_listed_and_renamed() -> None:
    """Repeated lengths are counted, and dollar signs in names are not templates."""
    (listed,) = read_manifest(MANIFEST)
    assert [(segment.name, segment.seconds) for segment in listed.segments] == [
        ("0-1.m4s", 2),
        ("0-2.m4s", 2),
        ("0-3.m4s", 2),
        ("0-4.m4s", 1),
    ]
    read = MPEGDASHParser.parse(
        rewrite_manifest(MANIFEST, *reference_around("s3://b/x.mpd", "s3://b/cash$ & co-", ".m4s"), (listed,))
    )
    (adaptation,) = read.periods[0].adaptation_sets
    (template,) = adaptation.representations[0].segment_templates
    assert (template.initialization, template.media) == (
        "cash%24%20%26%20co-$RepresentationID$-init.mp4",
        "cash%24%20%26%20co-$RepresentationID$-$Number$.m4s",
    )
    assert read.max_segment_duration == "PT2.000S" and adaptation.start_with_sap is None


@pytest.mark.parametrize("text", ["", "<MPD/>x", MANIFEST.replace("SegmentTemplate", "SegmentBase")])
def test_a_broken_manifest_is_told(text: str) -> None:
    """No XML, or no segments."""
    with pytest.raises(ValueError, match="manifest"):
        read_manifest(text)


@pytest.mark.parametrize(
    "more",
    [
        "<BaseURL>http://evil.example/</BaseURL>",
        '<x:BaseURL xmlns:x="urn:x">http://evil.example/</x:BaseURL>',
        '<Period xmlns:xlink="http://www.w3.org/1999/xlink" xlink:href="http://evil.example/"/>',
        '<Period id="1"><AdaptationSet><Role value="main"/></AdaptationSet></Period>',
    ],
)
def test_a_manifest_with_more_than_ours_is_refused(more: str) -> None:
    """Whatever wrote it there, it may lead players elsewhere."""
    with pytest.raises(ValueError, match="unexpected"):
        read_manifest(MANIFEST.replace("</MPD>", f"{more}</MPD>"))
