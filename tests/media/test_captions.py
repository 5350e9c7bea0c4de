"""Closed captions in the pictures: kept, laid out anew at another frame rate, told in playlists, or said to be lost."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.model.request import SegmentFormat, SegmentSpec, VideoSpec
from tests import judge
from tests.captions import captioned, captions_apart, heard, shown, text, track_text, tuples
from tests.media.chunked import Chunked
from tests.media.converter import Converter, encoded, target
from tests.sources import Shelf

SAID = [*shown("FIRST WORDS"), *[b"\xfc\x80\x80"] * 10, *shown("AND MORE"), *shown("THE LAST")]
SERVICE = tuples(3, (0x02, 0x23)) + tuples(2, (0x41, 0x42), (0x43, 0x03)) * 3
NTSC = Fraction(30000, 1001)


def spoken(parts: list[bytes]) -> list[bytes]:
    """Those that are no fillers."""
    return [part for part in parts if part[1:] != b"\x80\x80"]


@pytest.fixture
def clip(shelf: Shelf) -> Path:
    """Two channels of CEA-608 in field 1 and 2."""
    return captioned(shelf, "captioned", SAID, second=shown("NEXT CHANNEL", 3))


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("codec", ["h264", "h265"])
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts"])
def test_captions_stay(convert: Converter, clip: Path, codec: str, container: str) -> None:
    path = convert(clip, target(container, encoded(codec), None)).path
    assert heard(path) == spoken(SAID) and heard(path, (1,)) == heard(clip, (1,)) and text(path) == text(clip)


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("rate", [Fraction(10), Fraction(24), Fraction(25), NTSC, Fraction(50), Fraction(60)], ids=str)
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_captions_are_laid_out_anew_at_another_rate(convert: Converter, shelf: Shelf, rate: Fraction, codec: str) -> None:
    clip = captioned(shelf, "captioned-ntsc", SAID, rate=NTSC, frames=60, second=SERVICE)
    path = convert(clip, target("mp4", encoded(codec, frame_rate=rate), None)).path
    assert len(judge.times(path)) == round(60 / NTSC * rate)
    assert heard(path) == spoken(SAID) and heard(path, (2, 3)) == SERVICE
    judge.check(path)


def test_captions_of_the_last_frame_stay(convert: Converter, shelf: Shelf) -> None:
    clip = captioned(shelf, "captioned-to-the-end", tuples(0, *[(0x41, 0x42)] * 49, (0x43, 0x44)), frames=50)
    path = convert(clip, target("mp4", encoded(frame_rate=Fraction(7)), None)).path
    assert len(heard(path)) == 50 and heard(path)[-1] == heard(clip)[-1]


def test_captions_of_a_cut_are_those_of_its_frames(convert: Converter, clip: Path) -> None:
    path = convert(clip, target("mp4", encoded(frame_rate=Fraction(50)), None), start=0.4, duration=0.8).path
    assert heard(path) == spoken(SAID[10:30])


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("rate", [Fraction(0), Fraction(50)], ids=str)
def test_captions_cross_the_seams_of_chunks(
    convert: Converter, shelf: Shelf, tmp_path_factory: pytest.TempPathFactory, rate: Fraction
) -> None:
    clip = convert(captioned(shelf, "captioned-long", SAID * 3, frames=150), target("mp4", audio=None)).path  # with an index
    chunked = Chunked(convert, lambda: tmp_path_factory.mktemp("chunks"))
    path = chunked(clip, target("mp4", encoded(frame_rate=rate), None)).path
    assert heard(path) == spoken(SAID * 3)


@pytest.mark.parametrize(("codec", "container"), [("av1", "mp4"), ("vp9", "webm")])
def test_codecs_without_captions_say_so(convert: Converter, clip: Path, codec: str, container: str) -> None:
    (warning,) = convert(clip, target(container, encoded(codec), None)).warnings
    assert "closed captions" in warning and codec in warning


def test_fillers_are_no_captions(convert: Converter, shelf: Shelf) -> None:
    clip = captioned(shelf, "fillers", [])
    assert not convert(clip, target("mp4", encoded("av1"), None)).warnings


@pytest.mark.parametrize(
    "video", [VideoSpec(), encoded(), encoded("h265", frame_rate=Fraction(30))], ids=["copy", "h264", "h265"]
)
@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_master_playlist_tells_the_channels(convert: Converter, clip: Path, video: VideoSpec, container: str) -> None:
    spec = target(container, video, None)
    spec = replace(spec, segment=SegmentSpec(SegmentFormat.HLS, 1_000_000), group=0)
    done = convert(clip, spec, group_uris=("file:///out/all",))
    master = (done.published / "all.m3u8").read_text()
    for channel in ("CC1", "CC3"):
        assert f'TYPE=CLOSED-CAPTIONS,GROUP-ID="captions",NAME="{channel}"' in master and f'INSTREAM-ID="{channel}"' in master
    assert 'CLOSED-CAPTIONS="captions"' in master and "CC2" not in master


def test_a_master_playlist_says_that_there_are_none(convert: Converter, shelf: Shelf) -> None:
    clip = captioned(shelf, "fillers", [])
    spec = replace(target("ts", audio=None), segment=SegmentSpec(SegmentFormat.HLS, 1_000_000), group=0)
    done = convert(clip, spec, group_uris=("file:///out/all",))
    assert "CLOSED-CAPTIONS=NONE" in (done.published / "all.m3u8").read_text()


def test_a_manifest_tells_the_channels(convert: Converter, shelf: Shelf) -> None:
    clip = captioned(shelf, "captioned-services", SAID, second=SERVICE)
    spec = replace(target("mp4", audio=None), segment=SegmentSpec(SegmentFormat.DASH, 1_000_000))
    (manifest,) = convert(clip, spec).published.rglob("*.mpd")
    assert '"urn:scte:dash:cc:cea-608:2015" value="CC1=und"' in manifest.read_text()
    assert '"urn:scte:dash:cc:cea-708:2015" value="1=lang:und"' in manifest.read_text()


@pytest.mark.parametrize("video", [VideoSpec(), encoded()], ids=["copy", "encode"])
def test_a_track_of_captions_stays_in_mov(convert: Converter, shelf: Shelf, clip: Path, video: VideoSpec) -> None:
    path = captions_apart(shelf, "captions-apart", clip)
    done = convert(path, target("mov", video, None))
    assert track_text(done.path) == track_text(path) and "FIRST WORDS" in track_text(path) and not done.warnings
    (warning,) = convert(path, target("mkv", video, None)).warnings
    assert "eia_608" in warning
