"""Outputs in segments: playlists, manifests and segments as independent readers see them."""

import re
import threading
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import m3u8
import pytest
from mpegdash.parser import MPEGDASHParser

from reelmill_server.errors import InvalidArgument, InvalidMedia, OutputInvalid
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.model.task import ArtifactKind
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_decoding import FRAMES, spoilt
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

FILM = Clip("mp4", (Video(seconds=4.4, gop=12),), (Audio(seconds=4.4),))
HLS, DASH = SegmentFormat.HLS, SegmentFormat.DASH
AAC = AudioSpec("aac")


def cut(spec: TargetSpec, form: SegmentFormat = HLS, seconds: float = 1.0, start: int = 0, **changes: object) -> TargetSpec:
    """A target in segments."""
    return replace(spec, segment=SegmentSpec(form, round(seconds * 1_000_000), start), **changes)  # type: ignore[arg-type]


def lengths(playlist: Path) -> list[float]:
    """What EXTINF says."""
    return [float(result) for result in re.findall(r"#EXTINF:([\d.]+)", playlist.read_text())]


def names(playlist: Path) -> list[str]:
    """The segments."""
    return [line for line in playlist.read_text().splitlines() if line and not line.startswith("#")]


def joined(folder: Path, name: str, *parts: str) -> Path:
    """Head and segments as one file."""
    path = folder / name
    path.write_bytes(b"".join((folder / part).read_bytes() for part in parts))
    return path


@pytest.mark.parametrize(("container", "extension"), [("ts", "ts"), ("mp4", "m4s")])
def test_hls_is_cut_on_the_borders_and_plays(convert: Converter, container: str, extension: str) -> None:
    """Every picture once, in segments of the asked length, numbered from StartNumber, the list complete and honest."""
    converted = convert(FILM, cut(target(container, encoded(gop_size=15), AAC), start=7))
    playlist = converted.published / "x.m3u8"
    assert names(playlist) == [f"x-{number}.{extension}" for number in range(7, 12)]
    assert lengths(playlist) == pytest.approx([1, 1, 1, 1, 0.4], abs=0.03)
    text = playlist.read_text()
    assert "#EXT-X-ENDLIST" in text and "#EXT-X-MEDIA-SEQUENCE:7\n" in text and "#EXT-X-PLAYLIST-TYPE:VOD\n" in text
    assert "#EXT-X-TARGETDURATION:1\n" in text and "#EXT-X-INDEPENDENT-SEGMENTS\n" in text
    assert ('#EXT-X-MAP:URI="x-init.mp4"' in text) == (container == "mp4")
    judge.check(playlist)
    assert judge.numbers(playlist) == list(range(110))
    assert converted.artifact.kind is ArtifactKind.PLAYLIST and converted.artifact.segment_count == 5
    assert converted.artifact.segments_size_bytes == sum(
        path.stat().st_size for path in converted.published.iterdir() if path.suffix != ".m3u8"
    )
    assert converted.artifact.bitrate == pytest.approx(converted.artifact.segments_size_bytes * 8 / 4.4, rel=0.02)


def test_a_percent_sign_in_the_path_of_the_scratch_stays(shelf: Shelf, tmp_path: Path) -> None:
    """The muxer of HLS replaces `%d` alone, and has no sign for a percent sign."""
    folder = tmp_path / "50% full"
    folder.mkdir()
    converter = Converter(shelf, lambda: folder)(Clip(), cut(target("ts", encoded(), AAC)))
    assert judge.numbers(converter.published / "x.m3u8") == list(range(50))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_each_segment_decodes_alone(convert: Converter, codec: str) -> None:
    """A forced key frame is one at which any decoder can begin, for every encoder."""
    converted = convert(FILM, cut(target("mp4", encoded(codec, gop_size=150), None)))
    playlist = converted.published / "x.m3u8"
    assert lengths(playlist) == pytest.approx([1, 1, 1, 1, 0.4], abs=0.001)
    for number, name in enumerate(names(playlist)):
        path = joined(converted.published, f"{number}.mp4", "x-init.mp4", name)
        judge.check(path)
        assert judge.numbers(path) == list(range(25 * number, min(25 * number + 25, 110))), name


def test_borders_are_those_of_the_clock_when_the_pictures_are_not(convert: Converter) -> None:
    """Pictures at 24000/1001 that begin late: segments begin with the first picture at or after each second."""
    clip = Clip(
        "matroska", (Video(fps=Fraction(24000, 1001), times=tuple(Fraction(n * 1001, 24000) for n in range(8, 72))),), ()
    )
    converted = convert(clip, cut(target("ts", encoded(), None)))
    starts = [sum(lengths(converted.published / "x.m3u8")[:number]) for number in range(3)]
    assert starts == pytest.approx([0, 24 * 1001 / 24000, 48 * 1001 / 24000], abs=0.042)


def test_copied_video_is_cut_at_its_own_key_frames(convert: Converter) -> None:
    """The list says how long the longest segment is, more than was asked."""
    clip = Clip("mp4", (Video(seconds=5, gop=40),), (Audio(seconds=5),))
    converted = convert(clip, cut(target("ts")))
    playlist = converted.published / "x.m3u8"
    assert lengths(playlist) == pytest.approx([1.6, 1.6, 1.6, 0.2], abs=0.03)
    assert "#EXT-X-TARGETDURATION:2\n" in playlist.read_text()
    assert judge.numbers(playlist) == list(range(125))


@pytest.mark.parametrize("segmented", [False, True])
def test_a_very_short_transport_stream_is_told_from_other_formats(convert: Converter, segmented: bool) -> None:
    """Two small frames are fewer packets than readers ask for: null packets follow."""
    single = target("ts", encoded(), None)
    converted = convert(Clip("mp4", (Video(seconds=0.08),)), cut(single) if segmented else single)
    for path in converted.published.iterdir():
        assert judge.numbers(path) == [0, 1]


def test_sound_alone_is_cut(convert: Converter) -> None:
    """Any packet of sound is a border."""
    converted = convert(FILM, cut(target("ts", None, AAC)))
    playlist = converted.published / "x.m3u8"
    assert len(names(playlist)) == 5
    judge.check(playlist)
    assert len(judge.sound(playlist)) == pytest.approx(4.4 * 48000, abs=2048)


def test_dash_lists_each_stream_with_its_segments(convert: Converter) -> None:
    """Heads and segments join to whole files, and the manifest names them."""
    converted = convert(FILM, cut(target("mp4", encoded(gop_size=15), AAC), DASH))
    text = (converted.published / "x.mpd").read_text()
    assert 'initialization="x-$RepresentationID$-init.mp4"' in text and 'media="x-$RepresentationID$-$Number$.m4s"' in text
    assert 'mediaPresentationDuration="PT4.400S"' in text and 'maxSegmentDuration="PT1.0' in text
    film = joined(converted.published, "film.mp4", "x-0-init.mp4", *(f"x-0-{number}.m4s" for number in range(1, 6)))
    assert judge.numbers(film) == judge.numbers(converted.published / "x.mpd") == list(range(110))
    judge.check(converted.published / "x.mpd")
    tone = joined(
        converted.published, "tone.mp4", "x-1-init.mp4", *sorted(path.name for path in converted.published.glob("x-1-?.m4s"))
    )
    judge.check(tone)
    assert len(judge.sound(tone)) == pytest.approx(4.4 * 48000, abs=2048)
    assert converted.artifact.kind is ArtifactKind.MANIFEST and len(converted.artifact.streams) == 2


SPARSE = (Fraction(0), Fraction(1, 10), Fraction(2, 10), Fraction(4))
REPEATED = tuple(Fraction(number - (number % 5 == 4), 25) for number in range(75))
OF_LENGTHS = {
    "long audio": (Clip("mp4", (Video(seconds=2),), (Audio(seconds=5),)), 5.0, False),
    "a last frame that stays": (Clip("matroska", (Video(times=SPARSE, last=Fraction(3)),), ()), 7.0, False),
    "frames of equal times": (Clip("matroska", (Video(times=REPEATED, gop=25),), ()), 2.96, True),
}


@pytest.mark.sample(every=3)
@pytest.mark.parametrize(("container", "form"), [("ts", HLS), ("mp4", HLS), ("mp4", DASH)])
@pytest.mark.parametrize("kind", OF_LENGTHS)
def test_lists_are_as_long_as_the_media(convert: Converter, kind: str, container: str, form: SegmentFormat) -> None:
    """libav knows of the last segment only what earlier packets said, and of DASH how long the first stream is."""
    clip, expected, copied = OF_LENGTHS[kind]
    spec = target(container) if copied else target(container, encoded(preset="veryfast", gop_size=150), AAC)
    converted = convert(clip, cut(replace(spec, audio_asked=False), form))
    if form is HLS:
        listed, film = sum(lengths(converted.published / "x.m3u8")), converted.published / "x.m3u8"
    else:
        claimed = re.search(r'mediaPresentationDuration="PT([0-9.]+)S"', (converted.published / "x.mpd").read_text())
        assert claimed
        segments = sorted(path.name for path in converted.published.glob("x-0-?.m4s"))
        listed, film = float(claimed[1]), joined(converted.published, "film.mp4", "x-0-init.mp4", *segments)
    assert listed == pytest.approx(expected, abs=0.03)
    before, after = judge.times(convert.shelf.get(clip)), judge.times(film)
    apart = [float(later - after[0] - (earlier - before[0])) for later, earlier in zip(after, before, strict=True)]
    assert apart == pytest.approx([0] * len(apart), abs=0.03)


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_variants_are_as_long_as_the_audio_beside_them(convert: Converter, container: str) -> None:
    """Players end with the variant's playlist."""
    clip, expected, _ = OF_LENGTHS["long audio"]
    converted = convert(clip, *ladder(container, (96, 64), (48, 32)), group_uris=("file:///out/film/main.m3u8",))
    for name in ("64/v.m3u8", "32/v.m3u8", "main-audio.m3u8"):
        assert sum(lengths(converted.published / "film" / name)) == pytest.approx(expected, abs=0.06)


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_late_audio_beside_variants_is_counted_from_their_beginning(convert: Converter, container: str) -> None:
    """What it says to last and where it begins are as long as what players are told to play."""
    clip = Clip("matroska", (Video(seconds=1),), (Audio("aac", seconds=1.2, start=0.6),))
    converted = convert(clip, *ladder(container, (96, 64), (48, 32)), group_uris=("file:///out/film/main.m3u8",))
    for name in ("64/v.m3u8", "32/v.m3u8", "main-audio.m3u8"):
        assert sum(lengths(converted.published / "film" / name)) == pytest.approx(1.8, abs=0.06)


@pytest.mark.parametrize("copied", [False, True])
def test_dash_of_codecs_that_webm_holds_is_of_mp4(convert: Converter, copied: bool) -> None:
    """libav's DASH muxer would choose WebM for VP9 and Opus."""
    clip = Clip("matroska", (Video("libvpx-vp9", seconds=4.4),), (Audio("libopus", seconds=4.4),))
    spec = target("mp4") if copied else target("mp4", encoded("vp9"), AudioSpec("opus"))
    converted = convert(clip if copied else FILM, cut(spec, DASH))
    assert re.findall(r'mimeType="(\w+/\w+)"', (converted.published / "x.mpd").read_text()) == ["video/mp4", "audio/mp4"]
    segments = sorted(path.name for path in converted.published.glob("x-0-?.m4s"))
    assert judge.numbers(joined(converted.published, "film.mp4", "x-0-init.mp4", *segments)) == list(range(110))


def test_one_set_of_files_serves_hls_and_dash(convert: Converter) -> None:
    """Two targets that differ in the list only are encoded once."""
    spec = target("mp4", encoded(gop_size=15), AAC)
    converted = convert(FILM, cut(spec), cut(spec, DASH))
    assert len(converted.plan.targets) == 1 and converted.warnings == ()
    assert [(artifact.kind, artifact.uri.rpartition("/")[2], artifact.target_index) for artifact in converted.artifacts] == [
        (ArtifactKind.PLAYLIST, "x-0.m3u8", 0),
        (ArtifactKind.PLAYLIST, "x-1.m3u8", 0),
        (ArtifactKind.MANIFEST, "x.mpd", 1),
        (ArtifactKind.MASTER_PLAYLIST, "x.m3u8", 0),
    ]
    master = converted.published / "x.m3u8"
    assert "TYPE=AUDIO" in master.read_text() and names(master) == ["x-0.m3u8"]
    judge.check(master)
    assert judge.numbers(master) == list(range(110))
    assert len(judge.sound(master)) == pytest.approx(4.4 * 48000, abs=2048)


def ladder(container: str, *sizes: tuple[int, int], audio: AudioSpec | None = AAC) -> list[TargetSpec]:
    """Members of one group."""
    return [
        replace(
            cut(target(container, encoded(width=width, height=height, gop_size=150), audio)),
            uri=f"file:///out/film/{height}/v.m3u8",
            group=0,
            member=member,
        )
        for member, (width, height) in enumerate(sizes)
    ]


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_ladder_has_a_master_playlist_and_shares_its_sound(convert: Converter, container: str) -> None:
    """What differs is the pictures only, cut at the same times; sound is made once."""
    converted = convert(FILM, *ladder(container, (96, 64), (48, 32)), group_uris=("file:///out/film/main.m3u8",))
    folder = converted.published / "film"
    text = (folder / "main.m3u8").read_text()
    assert names(folder / "main.m3u8") == ["64/v.m3u8", "32/v.m3u8"]
    assert 'TYPE=AUDIO,GROUP-ID="audio",NAME="1",DEFAULT=YES,AUTOSELECT=YES,CHANNELS="2",URI="main-audio.m3u8"' in text
    infs = re.findall(
        r'BANDWIDTH=(\d+),AVERAGE-BANDWIDTH=(\d+),CODECS="avc1\.[0-9a-f]{6},mp4a\.40\.2",RESOLUTION=(\d+x\d+),'
        r'FRAME-RATE=25\.000,VIDEO-RANGE=SDR,AUDIO="audio"',
        text,
    )
    assert [size for _, _, size in infs] == ["96x64", "48x32"]
    assert all(int(peak) >= int(average) > 20_000 for peak, average, _ in infs)
    assert lengths(folder / "64" / "v.m3u8") == lengths(folder / "32" / "v.m3u8") == pytest.approx([1, 1, 1, 1, 0.4], abs=0.001)
    for playlist in (folder / "main.m3u8", folder / "64" / "v.m3u8", folder / "main-audio.m3u8"):
        judge.check(playlist)
    assert judge.numbers(folder / "32" / "v.m3u8") == list(range(110))
    assert (
        len(
            {
                re.findall("TARGETDURATION:.*", path.read_text())[0]
                for path in folder.rglob("*.m3u8")
                if path.name != "main.m3u8"
            }
        )
        == 1
    )
    assert converted.artifacts[-1].kind is ArtifactKind.MASTER_PLAYLIST


@pytest.mark.parametrize(("container", "zero"), [("ts", 1.4), ("mp4", 0.0)])
def test_all_renditions_have_one_clock(convert: Converter, container: str, zero: float) -> None:
    """What lies before 0, as B-frames' decoding and sound's preroll do, moves none of them against the others."""
    first, second = ladder(container, (96, 64), (48, 32))
    assert first.video and second.video
    members = (
        replace(first, video=replace(first.video, b_frames=2)),
        replace(second, video=replace(second.video, b_frames=0)),
    )
    # 4 s are a whole number of the frames of AAC, one of which lies before 0.
    source = Clip("mp4", (Video(seconds=4.0),), (Audio(rate=32000, seconds=4.0, clicks=(1.0,)),))
    converted = convert(source, *members, group_uris=("file:///out/film/main.m3u8",))
    folder = converted.published / "film"
    for height in (64, 32):
        assert float(judge.times(folder / f"{height}/v.m3u8")[0]) == pytest.approx(zero, abs=0.0001)
    assert judge.clicks(folder / "main-audio.m3u8") == pytest.approx([zero + 1.0], abs=0.003)
    # What an edit list hides is no part of the length; MPEG-TS has none, and plays the preroll.
    sound = lengths(folder / "main-audio.m3u8")
    assert len(sound) == 4 and sum(sound) == pytest.approx(4 if container == "mp4" else 4 + 1024 / 32000, abs=0.0001)
    assert len(judge.packets(folder / "main-audio.m3u8")) == 126


def test_variants_with_their_own_sound_keep_it(convert: Converter) -> None:
    """Different sound cannot be shared."""
    first, second = ladder("ts", (96, 64), (48, 32))
    converted = convert(
        FILM, first, replace(second, audio=AudioSpec("aac", bitrate=32_000)), group_uris=("file:///out/film/main.m3u8",)
    )
    assert "TYPE=AUDIO" not in (converted.published / "film/main.m3u8").read_text()
    assert len(judge.sound(converted.published / "film/32/v.m3u8")) == pytest.approx(4.4 * 48000, abs=2048)


TWO_LANGUAGES = Clip(
    "matroska",
    (Video(seconds=2, gop=12),),
    (
        Audio(seconds=2, hz=440, language="eng"),
        Audio(seconds=2, hz=660, layout="mono", language="fra", default=False),
        Audio(seconds=2, hz=880, language="eng", default=False),
    ),
)


def heard(path: Path) -> float:
    """The pitch of the only audio."""
    assert len(judge.describe(path).of("Audio")) == 1
    return judge.pitch(judge.sound(path)[4800:-9600, 0], 48000)


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("container", ["ts", "mp4"])
@pytest.mark.parametrize("sizes", [((96, 64), (48, 32)), ((96, 64),)])
def test_each_language_is_a_rendition(convert: Converter, container: str, sizes: tuple[tuple[int, int], ...]) -> None:
    """One playlist each, with its language; one is the default, and players choose none that has the language of another."""
    members = [replace(spec, audio_streams=(101,)) for spec in ladder(container, *sizes)]
    converted = convert(TWO_LANGUAGES, *members, group_uris=("file:///out/film/main.m3u8",))
    folder = converted.published / "film"
    read = m3u8.load(str(folder / "main.m3u8"))
    said = [(one.uri, one.group_id, one.name, one.language, one.default, one.autoselect, one.channels) for one in read.media]
    assert said == [
        ("main-audio-0.m3u8", "audio", "1 eng", "eng", "YES", "YES", "2"),
        ("main-audio-1.m3u8", "audio", "2 fra", "fra", "NO", "YES", "1"),
        ("main-audio-2.m3u8", "audio", "3 eng", "eng", "NO", "NO", "2"),
    ]
    assert [heard(folder / one.uri) for one in read.media] == pytest.approx([440, 660, 880], abs=3)
    assert [variant.stream_info.audio for variant in read.playlists] == ["audio"] * len(sizes)
    assert all("mp4a" in variant.stream_info.codecs for variant in read.playlists)
    assert not judge.describe(folder / "64/v.m3u8").of("Audio")
    assert not converted.warnings


@pytest.mark.parametrize("both", [False, True])
def test_each_language_is_an_adaptation_set(convert: Converter, both: bool) -> None:
    """In DASH, and as renditions where the same files serve HLS."""
    spec = replace(target("mp4", encoded(gop_size=12), AAC), audio_streams=(101,))
    converted = convert(TWO_LANGUAGES, *([cut(spec)] if both else []), cut(spec, DASH))
    sets = [
        one for period in MPEGDASHParser.parse(str(converted.published / "x.mpd")).periods for one in period.adaptation_sets
    ]
    assert [(one.content_type, one.lang) for one in sets] == [
        ("video", None),
        ("audio", "eng"),
        ("audio", "fra"),
        ("audio", "eng"),
    ]
    if both:
        read = m3u8.load(str(converted.published / "x.m3u8"))
        assert [(one.language, one.default) for one in read.media] == [("eng", "YES"), ("fra", "NO"), ("eng", "NO")]


def test_several_languages_without_a_master_playlist_are_told(convert: Converter) -> None:
    """Players offer only the first."""
    converted = convert(TWO_LANGUAGES, cut(replace(target("ts", encoded(), AAC), audio_streams=(101,))))
    assert len(judge.describe(converted.published / "x.m3u8").of("Audio")) == 3
    assert "only the first of the 3 audio streams" in " ".join(converted.warnings)


def test_a_variant_outside_the_folder_of_its_master_is_refused(convert: Converter) -> None:
    """The path of the field says which."""
    members = ladder("ts", (96, 64), (48, 32))
    members[1] = replace(members[1], uri="file:///out/other/v")
    with pytest.raises(InvalidArgument) as caught:
        convert(FILM, *members, group_uris=("file:///out/film/main.m3u8",))
    assert caught.value.violations[0].field == "target_groups[0].targets[1].uri"


@pytest.mark.parametrize("taken", ["main", "64/v"])
def test_a_variant_needs_a_name_of_its_own(convert: Converter, taken: str) -> None:
    """Else a list would take the place of another one that the master playlist names, or of itself."""
    first, second = ladder("ts", (96, 64), (48, 32))
    with pytest.raises(InvalidArgument) as caught:
        convert(FILM, first, replace(second, uri=f"file:///out/film/{taken}"), group_uris=("file:///out/film/main",))
    assert caught.value.violations[0].field == "target_groups[0].targets[1].uri"


def damage(kind: str, folder: Path) -> None:
    """Breaks a written package."""
    if kind == "lost":
        (folder / "2.ts").unlink()
    elif kind == "cut off":
        path = folder / "3.ts"
        path.write_bytes(path.read_bytes()[: 188 * 3])
    elif kind == "shifted":
        path = folder / "muxed.m3u8"
        path.write_text(path.read_text().replace("#EXTINF:1.0", "#EXTINF:1.4", 1))
    else:
        path = folder / "muxed.m3u8"
        path.write_text(path.read_text().replace("#EXT-X-ENDLIST", ""))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("kind", ["lost", "cut off", "shifted", "no end"])
def test_a_damaged_package_is_rejected(convert: Converter, tmp_path: Path, kind: str) -> None:
    """What the list promises must be there."""
    plan = convert(FILM, cut(target("ts", encoded(), AAC))).plan
    (produced,) = Conversion(plan, (str(convert.shelf.get(FILM)),), tmp_path, limits=Limits(), stop=threading.Event()).run()[0]
    verify(produced)
    damage(kind, tmp_path / "0")
    with pytest.raises(OutputInvalid):
        verify(produced)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("container", "form"), [("mp4", HLS), ("mp4", DASH), ("ts", HLS)])
@pytest.mark.parametrize("source", ["mpegts", "mp4"])
def test_streams_are_copied_from_one_framing_to_another(
    convert: Converter, source: str, container: str, form: SegmentFormat
) -> None:
    """Start codes and ADTS headers of MPEG-TS, lengths and configuration records of MP4; timestamps that begin late."""
    clip = Clip(source, (Video(seconds=3, gop=20),), (Audio(seconds=3),), offset=10.0 if source == "mpegts" else 0.0)
    converted = convert(clip, cut(target(container), form))
    if form is DASH:
        names_ = [f"x-0-{number}.m4s" for number in range(1, 1 + len(list(converted.published.glob("x-0-?.m4s"))))]
        playlist = joined(converted.published, "film.mp4", "x-0-init.mp4", *names_)
    else:
        playlist = converted.published / "x.m3u8"
        assert len(judge.sound(playlist)) == pytest.approx(3 * 48000, abs=3072)
    judge.check(playlist)
    assert judge.numbers(playlist) == list(range(75))


@pytest.mark.parametrize(
    ("video", "audio", "expected"),
    [
        ("h265", AAC, r"hvc1\.1\.6\.L\d+\.[0-9A-F.]+,mp4a\.40\.2"),
        ("vp9", AudioSpec("opus"), r"vp09\.00\.10\.08,Opus"),
        ("av1", AudioSpec("flac"), r"av01\.0\.\d\dM\.08,fLaC"),
        ("h264", AudioSpec("mp3"), r"avc1\.4d400a,mp4a\.40\.34"),
    ],
)
def test_codecs_are_told_as_players_ask(convert: Converter, video: str, audio: AudioSpec, expected: str) -> None:
    """From the finished streams."""
    member = replace(cut(target("mp4", encoded(video), audio)), uri="file:///out/v", group=0, member=0)
    converted = convert(FILM, member, group_uris=("file:///out/main",))
    assert re.search(f'CODECS="{expected}"', (converted.published / "main.m3u8").read_text()), (
        converted.published / "main.m3u8"
    ).read_text()


@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_ladder_of_a_span_that_begins_between_two_pictures_is_as_long_as_the_span(convert: Converter, container: str) -> None:
    """The first picture is shown from 0 on, the last one until the end: no list is longer, by half a picture or a whole one."""
    members = ladder(container, (96, 64), (48, 32))
    converted = convert(FILM, *members, start=0.5, duration=2, group_uris=("file:///out/film/main.m3u8",))
    for variant in ("64/v.m3u8", "32/v.m3u8"):
        assert lengths(converted.published / "film" / variant) == pytest.approx([1.02, 0.98])
    open_end = convert(FILM, *members, start=0.5, group_uris=("file:///out/film/main.m3u8",))
    assert lengths(open_end.published / "film/64/v.m3u8") == pytest.approx([1.02, 1, 1, 0.88])


def test_a_ladder_over_a_cut_source_whose_video_begins_late(convert: Converter) -> None:
    """Segment boundaries lie on the output's clock, not on that of the source or of the first picture."""
    times = tuple(Fraction(number + 6, 25) for number in range(100))
    clip = Clip("mpegts", (Video(times=times, gop=12),), (Audio(seconds=4.2),), offset=5.0)
    converted = convert(clip, *ladder("ts", (96, 64), (48, 32)), start=0.1, group_uris=("file:///out/film/main.m3u8",))
    folder = converted.published / "film"
    assert lengths(folder / "64/v.m3u8") == lengths(folder / "32/v.m3u8")
    assert lengths(folder / "64/v.m3u8")[:3] == pytest.approx([1, 1, 1], abs=0.041)
    judge.check(folder / "main.m3u8")


@pytest.mark.slow
@pytest.mark.parametrize("form", [HLS, DASH])
def test_a_source_of_which_no_video_can_be_decoded_is_refused(convert: Converter, shelf: Shelf, form: SegmentFormat) -> None:
    """libav's DASH muxer would end the process when it is closed without a frame."""
    path = spoilt(shelf, "nothing", range(FRAMES))
    with pytest.raises(InvalidMedia, match=r"stream gave nothing|could not be decoded"):
        convert(path, cut(target("mp4", encoded(), AAC), form))


@pytest.mark.parametrize(("transfer", "expected"), [(16, "PQ"), (18, "HLG"), (1, "SDR"), (6, "SDR")])
@pytest.mark.parametrize("container", ["ts", "mp4"])
def test_a_master_playlist_tells_the_video_range(convert: Converter, container: str, transfer: int, expected: str) -> None:
    """Players choose HDR by it; Apple's require it."""
    video = Video(
        "libx265",
        (64, 64),
        seconds=1,
        pixel_format="yuv420p10le",
        color_space=9,
        color_primaries=9,
        color_transfer=transfer,
    )
    deep = encoded("h265", pixel_format="yuv420p10le")
    rungs = [replace(rung, video=deep, audio=None) for rung in ladder(container, (64, 64), (32, 32))]
    converted = convert(Clip("mp4", (video,), ()), *rungs, group_uris=("file:///out/film/main.m3u8",))
    assert re.findall(r"VIDEO-RANGE=(\w+)", (converted.published / "film" / "main.m3u8").read_text()) == [expected] * 2


def _of_gops(codec: str, form: str = "mpegts", b_frames: int = 2, **options: str) -> Clip:
    quiet = {"x265-params": f"log-level=none:{options.pop('x265', 'open-gop=0')}"} if codec == "libx265" else {}
    result = tuple({**options, **quiet}.items())
    return Clip(form, (Video(codec, seconds=4, gop=20, b_frames=b_frames, options=result),), ())


def test_a_cut_copy_may_end_before_gradual_refresh_does(convert: Converter) -> None:
    """Its last keyframe then decodes to no whole frame, which is no fault of the copy."""
    converted = convert(
        _of_gops("libx264", b_frames=0, **{"x264-params": "intra-refresh=1"}),
        target("mkv", audio=None),
        start=1.9,
        duration=0.8,
    )
    assert len(judge.packets(converted.path, "v:0")) >= 20
    assert any("refreshed gradually" in text for text in converted.warnings)
    whole = convert(_of_gops("libx264", b_frames=0), target("mkv", audio=None), start=0.9, duration=0.8)
    assert not any("refreshed gradually" in text for text in whole.warnings)


@pytest.mark.parametrize("parameters", ["open-gop=1", "intra-refresh=1"])
def test_copies_to_transport_streams_may_begin_without_an_idr_frame(convert: Converter, parameters: str) -> None:
    """libav repeats parameter sets at IDR frames only, without which nothing is decoded."""
    clip = _of_gops("libx264", "mp4", b_frames=0 if "refresh" in parameters else 2, **{"x264-params": parameters})
    cut_copy = convert(clip, target("ts", audio=None), start=1.9)
    assert len(judge.frames(cut_copy.path, strict=False)) >= 45
    segmented = convert(clip, cut(target("ts", audio=None)))
    for name in names(segmented.published / "x.m3u8"):
        assert judge.frames(segmented.published / name, strict=False)


GOPS = {
    "h264 refreshed gradually": (_of_gops("libx264", b_frames=0, **{"x264-params": "intra-refresh=1"}), False),
    "h264 open": (_of_gops("libx264", **{"x264-params": "open-gop=1:bframes=2"}), False),
    "h264 open in mp4": (_of_gops("libx264", "mp4", **{"x264-params": "open-gop=1:bframes=2"}), False),
    "h264": (_of_gops("libx264"), True),
    "h264 in mp4": (_of_gops("libx264", "mp4"), True),
    "h265 open": (_of_gops("libx265", x265="open-gop=1"), False),
    "h265 long open": (_of_gops("libx265", b_frames=4, x265="open-gop=1"), False),
    "h265 in mp4": (_of_gops("libx265", "mp4"), True),
    "mpeg2 open": (_of_gops("mpeg2video"), False),
    "mpeg4 open": (_of_gops("mpeg4", "mp4"), False),
}


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", [HLS, DASH])
@pytest.mark.parametrize("kind", GOPS)
def test_only_segments_that_decode_alone_are_called_independent(convert: Converter, kind: str, form: SegmentFormat) -> None:
    clip, alone = GOPS[kind]
    for container in ("mp4",) if form is DASH or "mpeg4" in kind else ("ts", "mp4"):
        grouped = {} if form is DASH else {"group": 0}
        spec = cut(target(container, audio=None), form, **grouped)
        done = convert(clip, spec, group_uris=() if form is DASH else ("file:///out/all",))
        for path in [path for path in done.published.rglob("*") if path.suffix in (".m3u8", ".mpd")]:
            word = "startWithSAP" if path.suffix == ".mpd" else "#EXT-X-INDEPENDENT-SEGMENTS"
            assert (word in path.read_text()) == alone, (path.name, container)


@pytest.mark.parametrize("form", [HLS, DASH])
@pytest.mark.parametrize("kind", [kind for kind in GOPS if kind.endswith(("open", "open in mp4"))])
def test_fragments_keep_the_times_of_open_gops(convert: Converter, kind: str, form: SegmentFormat) -> None:
    done = convert(GOPS[kind][0], cut(target("mp4", audio=None), form))
    prefix = "x-0-" if form is DASH else "x-"
    count = len(list(done.published.glob("*.m4s")))
    parts = [f"{prefix}{number + (form is DASH)}.m4s" for number in range(count)]
    times = sorted(unit.pts for unit in judge.packets(joined(done.published, "all.mp4", f"{prefix}init.mp4", *parts)))
    assert [time - times[0] for time in times] == [Fraction(number, 25) for number in range(100)]


@pytest.mark.parametrize("form", [HLS, DASH])
def test_fragments_keep_the_times_of_a_variable_rate(convert: Converter, form: SegmentFormat) -> None:
    """A segment that begins shortly after a pause: libav had its first frame begin where the one decoded before it ended."""
    times = tuple(Fraction(number, 60) + (Fraction(78, 60) if number >= 40 else 0) for number in range(70))
    done = convert(
        Clip("mp4", (Video(times=times, time_base=Fraction(1, 10_000)),), ()), cut(target("mp4", encoded(), None), form, 0.5)
    )
    prefix = "x-0-" if form is DASH else "x-"
    parts = sorted(done.published.glob(f"{prefix}*.m4s"), key=lambda path: int(path.stem.rpartition("-")[2]))
    packets = judge.packets(joined(done.published, "all.mp4", f"{prefix}init.mp4", *(path.name for path in parts)))
    shown = sorted(packet.pts for packet in packets)
    assert [float(time - shown[0]) for time in shown] == pytest.approx([float(time) for time in times], abs=0.001)
