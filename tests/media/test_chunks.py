"""Cut into chunks that are encoded apart, an output is what it would have been."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from reelmill_server.errors import ChunksDiffer, InvalidMedia, MediaLimitExceeded
from reelmill_server.media.chunk_file import ChunkFile, ChunkFileWriter, Summary
from reelmill_server.media.conversion.chunk import ChunkConversion
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.overlay_request import Corner, DelogoSpec, PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.request import AudioSpec, ExtractSpec, SegmentFormat, SegmentSpec, TargetSpec
from reelmill_server.model.units import UnitFile
from tests import judge
from tests.media.chunked import Chunked, split_of
from tests.media.converter import CLIP, NO_LIMITS, Converted, Converter, capabilities, encoded, plan_of, target
from tests.sources import Audio, Clip, Subtitle, Video

pytestmark = pytest.mark.media


@pytest.fixture(scope="module")
def chunked(convert: Converter, tmp_path_factory: pytest.TempPathFactory) -> Chunked:
    """Converts in chunks."""
    return Chunked(convert, lambda: tmp_path_factory.mktemp("chunked"))


FILM = Video(seconds=6.0)
LONG = Clip(video=(FILM,), audio=(Audio(seconds=6.0),))
_RATE = re.compile(r"\d+ kb/s")
AAC = AudioSpec("aac")


def check(serial: Converted, joined: Converted, numbered: bool = True) -> None:
    """Compares the files of two conversions: times and pictures, and each packet that is no encoded video."""
    assert joined.warnings == serial.warnings
    assert [artifact.kind for artifact in joined.artifacts] == [artifact.kind for artifact in serial.artifacts]
    for one, other in zip(serial.paths, joined.paths, strict=True):
        kinds = [stream.kind for stream in judge.describe(one).streams]
        assert [stream.kind for stream in judge.describe(other).streams] == kinds
        for number, kind in enumerate(kinds):
            stream = f"{kind[0].lower()}:{kinds[:number].count(kind)}"
            before, after = judge.packets(one, stream), judge.packets(other, stream)
            assert [unit.dts for unit in after] == [unit.dts for unit in before], kind
            assert sorted(unit.pts for unit in after) == sorted(unit.pts for unit in before), kind
            if kind != "Video":
                assert [(unit.checksum, unit.duration) for unit in after] == [
                    (unit.checksum, unit.duration) for unit in before
                ], kind
        assert judge.metadata(other) == judge.metadata(one)
        if "Video" in kinds:
            assert judge.times(other) == judge.times(one)
            if numbered:
                assert judge.numbers(other) == judge.numbers(one)


@pytest.mark.sample(every=15)
@pytest.mark.parametrize("codec", ["h264", "h265", "av1", "vp9"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_joined_pictures_are_those_of_one_encoder(convert: Converter, chunked: Chunked, codec: str, container: str) -> None:
    wanted = target(container, encoded(codec), AAC)
    check(convert(LONG, wanted), chunked(LONG, wanted))
    assert len(chunked.split.units) == 4


@pytest.mark.sample(every=10)
@pytest.mark.parametrize(
    ("container", "audio"), [("mov", "ac3"), ("ts", "aac"), ("avi", "mp3"), ("webm", "opus"), ("mkv", "flac")]
)
def test_containers_are_told_all_that_an_encoder_tells(
    convert: Converter, chunked: Chunked, container: str, audio: str
) -> None:
    wanted = target(container, encoded("vp9" if container == "webm" else "h264"), AudioSpec(audio))
    serial, joined = convert(LONG, wanted), chunked(LONG, wanted)
    check(serial, joined)
    before, after = (
        [_RATE.sub("", stream.rest) for stream in judge.describe(result.path).streams] for result in (serial, joined)
    )
    assert after == before


VARIABLE = tuple(Fraction(number, 25) + Fraction(number % 3, 100) for number in range(150))
_OPEN_HEVC = (("x265-params", "log-level=none:open-gop=1"),)
SOURCES = {
    "variable": Clip(video=(Video(times=VARIABLE, last=Fraction(1, 10)),), audio=(Audio(seconds=6.0),)),
    "matroska": Clip("matroska", (FILM,), (Audio(seconds=6.0),)),
    "late": replace(LONG, offset=2.0),
    "rotated": Clip(video=(replace(FILM, rotation=90),), audio=()),
    "deep": Clip(video=(replace(FILM, pixel_format="yuv420p10le"),), audio=()),
    "open": Clip(video=(replace(FILM, gop=20, options=(("x264-params", "open-gop=1:bframes=3"),)),), audio=()),
    "hevc": Clip(
        video=(replace(FILM, codec="libx265", gop=20, options=(("x265-params", "log-level=none:open-gop=1"),)),), audio=()
    ),
    "long groups": Clip(video=(replace(FILM, gop=60),), audio=()),
    "wide pixels": Clip(video=(replace(FILM, sample_aspect_ratio=Fraction(4, 3), color_range=2),), audio=()),
}


@pytest.mark.sample(every=20)
@pytest.mark.parametrize("name", SOURCES)
def test_every_kind_of_source_can_be_cut(convert: Converter, chunked: Chunked, name: str) -> None:
    wanted = target("mp4", encoded(b_frames=2), AAC)
    check(convert(SOURCES[name], wanted), chunked(SOURCES[name], wanted))


@pytest.mark.sample(every=15)
@pytest.mark.parametrize("rate", [Fraction(12), Fraction(24000, 1001), Fraction(60), Fraction(50)])
@pytest.mark.parametrize("name", ["plain", "variable"])
def test_rates_are_converted_as_in_one_go(convert: Converter, chunked: Chunked, rate: Fraction, name: str) -> None:
    clip = SOURCES.get(name, LONG)
    wanted = target("mp4", encoded(frame_rate=rate), AAC)
    check(convert(clip, wanted), chunked(clip, wanted))


def test_halves_of_frames_fall_as_in_one_go(convert: Converter, chunked: Chunked) -> None:
    """Of 60 frames a second in Matroska, every other one lies a rounding beside the middle between two of the output."""
    clip = Clip("matroska", (Video(fps=Fraction(60), seconds=4, gop=60, size=(64, 48)),), ())
    wanted = target("mp4", encoded(frame_rate=Fraction(30)), None)
    joined = chunked(clip, wanted)
    assert judge.numbers(convert(clip, wanted).path) == judge.numbers(joined.path) == list(range(0, 240, 2))


@pytest.mark.slow
@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", ["plain", "variable", "late", "matroska"])
def test_a_span_is_cut_further(convert: Converter, chunked: Chunked, name: str) -> None:
    clip = SOURCES.get(name, LONG)
    wanted = target("mkv", encoded(), AAC)
    check(convert(clip, wanted, start=0.71, duration=4.33), chunked(clip, wanted, start=0.71, duration=4.33))


@pytest.mark.slow
@pytest.mark.sample(every=5)
@pytest.mark.parametrize("speed", [Fraction(2), Fraction(3, 4), Fraction(11, 10)])
@pytest.mark.parametrize("rate", [Fraction(0), Fraction(30)])
def test_speed_is_kept(convert: Converter, chunked: Chunked, speed: Fraction, rate: Fraction) -> None:
    wanted = replace(target("mp4", encoded(frame_rate=rate), AAC), speed=speed)
    check(convert(LONG, wanted), chunked(LONG, wanted))


@pytest.mark.slow
def test_fields_become_the_same_pictures(convert: Converter, chunked: Chunked) -> None:
    film = Video("mpeg2video", size=(192, 128), seconds=6.0, pattern="bar", fields="tt", options=(("flags", "+ilme+ildct"),))
    clip = Clip("mov", (film,), ())
    wanted = target("mp4", encoded(crf=1.0))
    serial, joined = convert(clip, wanted), chunked(clip, wanted)
    check(serial, joined, numbered=False)
    off = np.abs(judge.pictures(joined.path).astype(int) - judge.pictures(serial.path).astype(int))
    assert off.mean(axis=(1, 2)).max() < 1.0


def segmented(format: SegmentFormat, container: str, video: object, **more: object) -> TargetSpec:
    """A target in segments of a second."""
    return replace(target(container, video, AAC), segment=SegmentSpec(format, 1_000_000), **more)  # type: ignore[arg-type]


@pytest.mark.slow
@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    ("format", "container"), [(SegmentFormat.HLS, "ts"), (SegmentFormat.HLS, "mp4"), (SegmentFormat.DASH, "mp4")]
)
def test_a_ladder_is_cut_at_the_same_pictures(
    convert: Converter, chunked: Chunked, format: SegmentFormat, container: str
) -> None:
    sizes = ((96, 64), (64, 48))
    ladder = [
        replace(
            segmented(format, container, encoded(width=width, height=height, gop_size=250)),
            uri=f"file:///out/{width}/x",
            **({"group": 0, "member": number} if format == SegmentFormat.HLS else {}),
        )
        for number, (width, height) in enumerate(sizes)
    ]
    uris = ("file:///out/master",) if format == SegmentFormat.HLS else ()
    serial, joined = convert(LONG, *ladder, group_uris=uris), chunked(LONG, *ladder, group_uris=uris)
    assert joined.warnings == serial.warnings
    for one, other in zip(serial.artifacts, joined.artifacts, strict=True):
        assert (other.uri, other.segment_count, other.duration_seconds) == (one.uri, one.segment_count, one.duration_seconds)
        pairs = zip(one.streams, other.streams, strict=True)
        assert [(a.encoder, a.reason, a.packet_count) for a, _ in pairs] == [
            (b.encoder, b.reason, b.packet_count) for b in other.streams
        ]
    for one, other in zip(serial.paths, joined.paths, strict=True):
        before, after = judge.packets(one), judge.packets(other)
        assert [(unit.stream, unit.dts, unit.pts, unit.key) for unit in after] == [
            (unit.stream, unit.dts, unit.pts, unit.key) for unit in before
        ]


@pytest.mark.slow
def test_what_is_beside_the_pictures_comes_along(convert: Converter, chunked: Chunked) -> None:
    clip = replace(
        LONG,
        subtitles=(Subtitle(lines=((0.2, 0.8, "one"), (3.0, 3.6, "two"), (5.0, 5.5, "three"))),),
        chapters=((0.0, 2.0, "first"), (2.0, 6.0, "second")),
        covers=("png",),
        metadata=(("title", "a film"),),
    )
    wanted = replace(target("mp4", encoded(), AudioSpec()), picture_streams=(-1,), subtitle="all")
    check(convert(clip, wanted), chunked(clip, wanted))
    wanted = replace(target("mkv", encoded(), AAC), extract=ExtractSpec("vtt", "file:///out/lines"))
    check(convert(clip, wanted), chunked(clip, wanted))


PICTURES = {
    "interval": FramesSpec(interval_us=700_000),
    "every": FramesSpec(start_us=1_000_000, number=90),
    "average": FramesSpec(FrameMode.AVERAGE, number=7),
    "key frames": FramesSpec(FrameMode.KEYFRAME),
    "changes": FramesSpec(FrameMode.DHASH, threshold=10),
    "few": FramesSpec(interval_us=500_000, number=5, skip_blank=True),
}


@pytest.mark.sample(every=20)
@pytest.mark.parametrize("name", PICTURES)
@pytest.mark.parametrize("kind", [ImageKind.SNAPSHOT, ImageKind.SPRITE, ImageKind.ANIMATION])
def test_pictures_come_from_the_chunks(convert: Converter, chunked: Chunked, name: str, kind: ImageKind) -> None:
    form = "gif" if kind == ImageKind.ANIMATION else "png"
    sheet = SheetSpec(4, 4, web_vtt_uri="file:///out/sheet.vtt") if kind == ImageKind.SPRITE else None
    image = ImageSpec(kind, 0, "file:///out/picture", form, PICTURES[name], 48, 32, sheet=sheet)
    clip = replace(LONG, video=(replace(FILM, pattern="dawn" if name == "few" else "code"),))
    wanted = replace(target("mp4", encoded(), AAC), images=(image,))
    serial, joined = convert(clip, wanted), chunked(clip, wanted)
    results = [(artifact.uri, artifact.sha256, artifact.frame_times) for artifact in serial.artifacts[1:]]
    assert [(artifact.uri, artifact.sha256, artifact.frame_times) for artifact in joined.artifacts[1:]] == results
    assert results


def _joins(chunked: Chunked, files: list[tuple[UnitFile, Path]], folder: Path) -> Conversion:
    plan = plan_of(chunked.shelf.get(LONG), (WANTED,), CLIP, NO_LIMITS)
    return chunked.join(plan, chunked.shelf.get(LONG), CLIP, NO_LIMITS, folder, files)


WANTED = target("mp4", encoded(), AAC)
Files = list[tuple[UnitFile, Path]]


def _missing(files: Files, folder: Path) -> Files:
    return [files[0], *files[2:]]


def _doubled(files: Files, folder: Path) -> Files:
    return [files[0], files[1], files[1], *files[2:]]


def _swapped(files: Files, folder: Path) -> Files:
    return [files[1], files[0], *files[2:]]


def _truncated(files: Files, folder: Path) -> Files:
    path = folder / "short"
    path.write_bytes(files[1][1].read_bytes()[:-100])
    return [files[0], (files[1][0], path), *files[2:]]


def _silent(files: Files, folder: Path) -> Files:
    return files[:-1]


def _edited(files: Files, folder: Path) -> Files:
    """Without its first packet."""
    chunk_file, path = ChunkFile(str(files[1][1])), folder / "edited"
    writer = ChunkFileWriter(path)
    for packet in list(chunk_file.packets())[1:]:
        writer.packet(packet)
    writer.finish(chunk_file.summary)
    return [files[0], (files[1][0], path), *files[2:]]


def _resummed(change: Callable[[Summary], None]) -> Callable[[Files, Path], Files]:
    def changed(files: Files, folder: Path) -> Files:
        chunk_file, path = ChunkFile(str(files[1][1])), folder / "resummed"
        writer = ChunkFileWriter(path)
        for packet in chunk_file.packets():
            writer.packet(packet)
        change(chunk_file.summary)
        writer.finish(chunk_file.summary)
        return [files[0], (files[1][0], path), *files[2:]]

    return changed


def _of_another(said: Summary) -> None:
    said.digest = "another"


def _of_another_encoder(said: Summary) -> None:
    said.extradata = "00" + said.extradata


def _of_another_size(said: Summary) -> None:
    said.shape = "640x480 yuv420p 2/0"


def _moved(said: Summary) -> None:
    assert said.first is not None
    said.first += 1


@pytest.mark.sample(every=15)
@pytest.mark.parametrize(
    "spoil",
    [
        *(_missing, _doubled, _swapped, _truncated, _silent, _edited),
        *map(_resummed, (_of_another, _of_another_encoder, _of_another_size, _moved)),
    ],
)
def test_what_does_not_fit_together_is_not_joined(
    chunked: Chunked, tmp_path: Path, spoil: Callable[[Files, Path], Files]
) -> None:
    chunked(LONG, WANTED)
    plan = plan_of(chunked.shelf.get(LONG), (WANTED,), CLIP, NO_LIMITS)
    chunked.cut(plan, chunked.shelf.get(LONG), NO_LIMITS, tmp_path)
    with pytest.raises(ChunksDiffer):
        _joins(chunked, spoil(chunked.files, tmp_path), tmp_path).run()


@pytest.mark.slow
def test_what_an_encoder_notes_of_its_threads_makes_no_difference(chunked: Chunked, tmp_path: Path) -> None:
    """x265 does, beside what decoders must know; workers need not have as many cores."""

    def note(said: Summary) -> None:
        said.extradata += "000000014e01050101"

    path, wanted = chunked.shelf.get(LONG), target("mp4", encoded("h265"), AAC)
    plan = plan_of(path, (wanted,), CLIP, NO_LIMITS)
    chunked.cut(plan, path, NO_LIMITS, tmp_path)
    chunked.join(plan, path, CLIP, NO_LIMITS, tmp_path, _resummed(note)(chunked.files, tmp_path)).run()


@pytest.mark.slow
def test_overlays_keep_the_clock_of_the_whole(convert: Converter, chunked: Chunked, tmp_path: Path) -> None:
    place = PlaceSpec(start_us=1_500_000, duration_us=3_000_000)
    text = WatermarkSpec(replace(place, corner=Corner.BOTTOM_RIGHT), TextSpec("hello", size=20, color="#ffffff"))
    mark = Clip("gif", (Video("gif", (32, 32), Fraction(10), 4.0, pixel_format="rgb8", pattern="ramp"),), ())
    film = WatermarkSpec(place, uri=str(chunked.shelf.get(mark)))
    spec = encoded(crf=1.0, watermarks=(text, film), delogos=(DelogoSpec(place, 20, 20),))
    serial, joined = convert(LONG, target("mp4", spec, None)), chunked(LONG, target("mp4", spec, None))
    check(serial, joined, numbered=False)
    off = np.abs(judge.pictures(joined.path).astype(int) - judge.pictures(serial.path).astype(int))
    assert off.mean(axis=(1, 2)).max() < 1.0


@pytest.mark.slow
def test_alpha_comes_through(convert: Converter, chunked: Chunked) -> None:
    clip = Clip("matroska", (replace(FILM, codec="ffv1", pixel_format="yuva420p", gop=10),), ())
    wanted = target("webm", encoded("vp9", pixel_format="yuva420p"), None)
    serial, joined = convert(clip, wanted), chunked(clip, wanted)
    check(serial, joined)
    assert _alpha(serial.path) and _alpha(joined.path)


def _alpha(path: Path) -> bool:
    with av.open(path) as file:
        return all(packet.has_sidedata("matroska_block_additional") for packet in file.demux(video=0) if packet.size)


def test_vmaf_is_the_mean_of_all_chunks(convert: Converter, chunked: Chunked) -> None:
    wanted = replace(target("mp4", encoded(crf=40.0), None), measure_vmaf=True)
    clip = Clip(video=(replace(FILM, pattern="ramp", seconds=3.0),), audio=())
    if not capabilities()["libvmaf"].available:
        pytest.skip("no libvmaf here")
    (serial,), (joined,) = convert(clip, wanted).artifact.streams, chunked(clip, wanted).artifact.streams
    assert serial.vmaf is not None and joined.vmaf is not None
    assert abs(serial.vmaf - joined.vmaf) < 2


@pytest.mark.slow
def test_what_goes_wrong_in_a_unit_is_as_clear_as_in_one_go(convert: Converter, chunked: Chunked) -> None:
    whole = chunked.shelf.get(replace(LONG, options=(("movflags", "faststart"),))).read_bytes()
    broken = chunked.shelf.put("broken.mp4", whole[: len(whole) // 2])
    with pytest.raises(InvalidMedia) as serial:
        convert(broken, WANTED)
    with pytest.raises(InvalidMedia) as cut:
        chunked(broken, WANTED)
    assert "truncated or broken" in serial.value.message and "truncated or broken" in cut.value.message
    with pytest.raises(MediaLimitExceeded, match="frames"):
        chunked(LONG, replace(WANTED, audio=None), limits=Limits(max_output_frames=100))


def test_what_has_no_index_is_not_cut(convert: Converter, chunked: Chunked) -> None:
    path = chunked.shelf.get(replace(LONG, format="mpegts"))
    assert split_of(plan_of(path, (WANTED,), CLIP, NO_LIMITS), path, 3).reason == "mpegts has no index of key frames"


def test_a_join_reads_nothing_of_the_source_that_units_have_made(chunked: Chunked, tmp_path: Path) -> None:
    """Only the header: packets are not read a second time."""
    path = chunked.shelf.get(LONG)
    plan = plan_of(path, (WANTED,), CLIP, NO_LIMITS)
    chunked.cut(plan, path, NO_LIMITS, tmp_path)
    conversion = chunked.join(plan, path, CLIP, NO_LIMITS, tmp_path, chunked.files)
    conversion.run()
    assert conversion.expected_seconds == 0.0 and not any(output.fed for output in conversion.outputs)


def test_a_source_that_changes_its_size_midway_is_left_to_one_encoder(chunked: Chunked) -> None:
    """Filters are made for the first pictures that they see."""
    halves = [
        Clip("mpegts", (replace(FILM, seconds=3.0, size=size),), (), offset=at)
        for size, at in (((96, 64), 0.0), ((64, 48), 3.0))
    ]
    together = chunked.shelf.join("changed.ts", *map(chunked.shelf.get, halves))
    with av.open(together) as source:
        path = chunked.shelf.folder / "changed.mkv"
        with av.open(path, "w") as output:
            stream = output.add_stream_from_template(source.streams.video[0], opaque=True)
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    output.mux(packet)
    with pytest.raises(ChunksDiffer, match="shape"):
        chunked(path, replace(WANTED, audio=None))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_unit_decodes_little_more_than_its_window(chunked: Chunked, tmp_path: Path, form: str) -> None:
    """From the key frame before it, until the first picture behind it has come through the queue: never from the front."""
    path, wanted = chunked.shelf.get(replace(LONG, format=form)), replace(WANTED, audio=None)
    plan = plan_of(path, (wanted,), CLIP, NO_LIMITS)
    cut = split_of(plan, path, 3)
    for unit in cut.units:
        own = tmp_path / str(unit.number)
        own.mkdir()
        running = ChunkConversion(plan, cut, unit, (str(path),), own, limits=NO_LIMITS, stop=threading.Event())
        (file,), _ = running.make()
        assert file.count <= running.decoded <= file.count + 60
