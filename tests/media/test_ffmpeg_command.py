"""The ffmpeg command line of a plan does what the service does: both are run, and the judge compares what they make."""

import os
import re
import shlex
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from importlib.util import find_spec
from pathlib import Path

import imageio_ffmpeg
import numpy as np
import pytest
from PIL import Image, ImageSequence

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_beside, probe_file, probe_subtitles
from reelmill_server.media.libav.tone_mapping import cube
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.images import image_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.overlay_request import Corner, DelogoSpec, PlaceSpec, TextSpec, WatermarkSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import (
    AlignMode,
    AudioSpec,
    ConvertRequest,
    ExtractSpec,
    SegmentFormat,
    SegmentSpec,
    SourceSpec,
    SubtitleFileSpec,
    TargetSpec,
    VideoSpec,
)
from reelmill_server.model.sizes import ScaleType
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.ffmpeg.command import FfmpegCommand, ffmpeg_command
from reelmill_server.plan.output.package_files import part_uri
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.media.converter import capabilities, encoded, target, watermark_paths
from tests.sources import Audio, Clip, Data, Shelf, Subtitle, Video

pytestmark = pytest.mark.media

OUT = "file:///out/"
AAC = AudioSpec("aac")
PLAIN = Clip()
TALL = Clip(
    "mpegts",
    (Video(size=(64, 96), fps=Fraction(30), seconds=1.5),),
    (Audio(rate=44100, layout="mono", seconds=1.5),),
    offset=10,
)
SHORT = Clip(video=(Video(seconds=1.4),), audio=(Audio(seconds=1.4),))
MUSIC = Clip(video=(), audio=(Audio(seconds=0.7, hz=300),))
VARIABLE = Clip("matroska", (Video(times=tuple(Fraction(time, 100) for time in (0, 4, 8, 20, 24, 50, 54, 58, 90))),), ())
HDR = Video(
    "libx265",
    pixel_format="yuv420p10le",
    color_space=9,
    color_primaries=9,
    color_transfer=16,
    seconds=0.4,
    options=(("x265-params", "log-level=none"),),
)
LISTS, PICTURES = (".m3u8", ".mpd"), (".jpg", ".png", ".webp", ".avif", ".gif", ".apng")
SEGMENTS_OF = re.compile(r"-\d+\.(ts|m4s)|-init\.mp4")


@dataclass(frozen=True)
class Case:
    """What is converted; the URIs of sources and of files beside them are filled in.

    `primary`: the source that gives what is not asked for. `unwritten`: how many streams at the end ffmpeg leaves out.
    `extra` are files that only ffmpeg makes, `missing` those that only the service makes. `seconds`: how far durations may
    differ. `alike`: whether each frame must show what the service's does. `after_end`: how many frames behind the end of a cut
    ffmpeg shows and the service hides.
    """

    name: str
    targets: tuple[TargetSpec, ...]
    sources: tuple[tuple[Clip, SourceSpec], ...] = ((PLAIN, SourceSpec("")),)
    group_uris: tuple[str, ...] = ()
    primary: int = 0
    unwritten: int = 0
    extra: frozenset[str] = frozenset()
    missing: frozenset[str] = frozenset()
    seconds: float = 0.03
    alike: bool = True
    after_end: int = 0

    def __str__(self) -> str:
        return self.name


def span(start: float = 0, duration: float = 0, **more: object) -> SourceSpec:
    """A span of a source."""
    return SourceSpec("", round(start * 1_000_000), round(duration * 1_000_000), **more)  # type: ignore[arg-type]


def looped() -> SourceSpec:
    """A source beside the others that is repeated."""
    return span(attached=True, align_mode=AlignMode.LOOP)


def of(clip: Clip, *more: object, **fields: object) -> tuple[tuple[Clip, SourceSpec], ...]:
    """One source."""
    return ((clip, span(*more, **fields)),)  # type: ignore[arg-type]


def named(name: str, spec: TargetSpec, **more: object) -> TargetSpec:
    """A target of this name."""
    return replace(spec, uri=f"{OUT}{name}", **more)  # type: ignore[arg-type]


def images(kind: ImageKind, form: str, frames: FramesSpec, **more: object) -> TargetSpec:
    """A target of pictures alone."""
    name = "x" if kind is ImageKind.ANIMATION else "{index}"
    spec = ImageSpec(kind, 0, f"{OUT}{name}.{{autoext}}", form, frames, **more)  # type: ignore[arg-type]
    return TargetSpec(0, "", "", None, None, images=(spec,))


SNAPSHOT, SPRITE, ANIMATION = ImageKind.SNAPSHOT, ImageKind.SPRITE, ImageKind.ANIMATION
HALF = FramesSpec(interval_us=500_000)
H264 = encoded()
SEGMENTS = replace(target("ts", encoded(gop_size=50), AAC), segment=SegmentSpec(SegmentFormat.HLS, 1_000_000))

CASES = (
    Case("encode", (target("mp4", H264, AAC),)),
    Case("copy", (target("mkv"),)),
    Case("cut and encode", (target("mp4", H264, AAC),), of(PLAIN, 0.7, 0.8)),
    Case("cut and copy", (target("mp4"),), of(PLAIN, 0.7, 0.8), seconds=0.1, after_end=1),
    Case("cut, copied video beside encoded audio", (target("mp4", audio=AAC),), of(PLAIN, 0.7, 0.8), seconds=0.1, after_end=1),
    Case("variable frame rate", (target("mkv", H264),), of(VARIABLE)),
    Case(
        "fewer frames, smaller, padded",
        (target("mp4", encoded(frame_rate=Fraction(10), width=64, height=64, scale_type=ScaleType.FILL), AAC),),
    ),
    Case(
        "more frames, cropped",
        (target("mp4", encoded(frame_rate=Fraction(60), width=64, height=64, scale_type=ScaleType.CROP), AAC),),
    ),
    Case("turned by source and request", (target("mp4", encoded(rotation=90), AAC),), of(Clip(video=(Video(rotation=90),)))),
    Case("joined", (target("mp4", H264, AAC),), ((PLAIN, span()), (TALL, span(0.5)), (Clip(video=()), span(0, 0.7)))),
    Case(
        "joined and copied",
        (target("mp4"),),
        ((PLAIN, span()), (SHORT, span())),
        seconds=0.06,
    ),
    Case("slower", (replace(target("mp4", H264, AAC), speed=Fraction(1, 2)),)),
    Case("faster copy", (replace(target("mkv", audio=AAC), speed=Fraction(2)),)),
    Case(
        "mixed with repeated music",
        (target("mp4", H264, AudioSpec("aac", mixing=True)),),
        (
            (PLAIN, span()),
            (MUSIC, span(attached=True, align_mode=AlignMode.LOOP)),
        ),
    ),
    Case(
        "beside it, padded video",
        (target("mkv", H264, AAC),),
        ((PLAIN, span()), (Clip(video=(Video(seconds=1),), audio=()), span(attached=True, align_mode=AlignMode.PAD))),
    ),
    Case(
        "picture watermark for a while",
        (
            target(
                "mp4",
                encoded(
                    watermarks=(
                        WatermarkSpec(PlaceSpec(Corner.BOTTOM_RIGHT, 4, 4, 400_000, 800_000), uri="mark.png", width=20),
                    )
                ),
                AAC,
            ),
        ),
    ),
    Case(
        "text watermark and delogo",
        (
            target(
                "mp4",
                encoded(
                    watermarks=(WatermarkSpec(PlaceSpec(dx=4), TextSpec("it's: 50%, [a];\\n\n%{pts} \\ ok", size=12)),),
                    delogos=(DelogoSpec(PlaceSpec(dx=8, dy=8, duration_us=1_000_000), 20, 20),),
                ),
                AAC,
            ),
        ),
    ),
    Case(
        "subtitles kept and converted",
        (target("mp4"), named("y", target("mkv", H264, AAC))),
        of(Clip(subtitles=(Subtitle(language="deu", title="it's"),))),
    ),
    Case(
        "subtitle file, cut",
        (target("mp4", H264, AAC),),
        ((PLAIN, span(0.4, 1.4, subtitles=(SubtitleFileSpec("s.srt", 300_000, "fra"),))),),
    ),
    Case(
        "extracted subtitles",
        (replace(target("mp4"), extract=ExtractSpec("vtt", f"{OUT}s")),),
        of(Clip(subtitles=(Subtitle(),))),
    ),
    Case(
        "audio that begins later than its video, alone",
        (target("flac", None, AudioSpec("flac")),),
        of(Clip("mpegts", (Video(),), (Audio(start=0.5, seconds=1.5),), offset=5)),
    ),
    Case(
        "joined with subtitles, without metadata",
        (replace(target("mp4", encoded(frame_rate=Fraction(20)), AAC), strip_metadata=True, subtitle="all"),),
        (
            (replace(PLAIN, subtitles=(Subtitle(language="deu"),), audio=(Audio(language="fra"),)), span()),
            (replace(SHORT, subtitles=(Subtitle(lines=((0.3, 0.9, "three"),), language="deu"),)), span()),
        ),
        seconds=0.06,
    ),
    Case(
        "joined, slower, data of the second source",
        (replace(target("mp4", encoded(frame_rate=Fraction(20)), AAC), speed=Fraction(4, 5), data_streams=(-1,)),),
        ((PLAIN, span()), (replace(SHORT, data=(Data(),)), span())),
        primary=1,
        seconds=0.07,  # ffmpeg lets the last packet of data last as long as before
    ),
    Case(
        "repeated video beside the other",
        (target("mkv", H264, AAC),),
        ((PLAIN, span()), (Clip(video=(Video(seconds=0.6, pattern="bar"),), audio=()), looped())),
    ),
    Case(
        "covers in Matroska",
        (replace(target("mkv", H264, AAC), picture_streams=(-1,)),),
        of(Clip(covers=("png", "mjpeg"))),
        unwritten=2,
    ),
    Case("a transport stream, cut", (target("ts", H264, AAC),), of(PLAIN, 0.3, 1.2)),
    Case(
        "full range", (target("mov", H264, None),), of(Clip(video=(Video(color_range=2, pixel_format="yuvj420p"),), audio=()))
    ),
    Case(
        "subtitle file in another charset, later",
        (target("mkv", H264, AAC),),
        of(PLAIN, subtitles=(SubtitleFileSpec("latin.srt", 250_000),)),
    ),
    Case("HLS", (SEGMENTS,)),
    Case(
        "HLS in MP4, copied, below the playlist",
        (replace(target("mp4"), uri=f"{OUT}a/x", segment=SegmentSpec(SegmentFormat.HLS, 500_000, 7)),),
        of(Clip("mpegts")),
    ),
    Case(
        "HLS group",
        (
            replace(SEGMENTS, uri=f"{OUT}a", group=0, member=0),
            replace(SEGMENTS, uri=f"{OUT}b", group=0, member=1, video=encoded(width=48, height=32, gop_size=50)),
        ),
        group_uris=(f"{OUT}all",),
        extra=frozenset({"all-audio-2.ts"}),
        missing=frozenset({"all.m3u8"}),
    ),
    Case("DASH", (replace(target("mp4", encoded(gop_size=50), AAC), segment=SegmentSpec(SegmentFormat.DASH, 1_000_000)),)),
    Case(
        "audio alone",
        (
            target("mp3", None, AudioSpec("mp3", sample_rate=44100)),
            named("y", target("flac", None, AudioSpec("flac"))),
            named("z", target("opus", None, AudioSpec("opus", quality=30, channels=1))),
        ),
        of(PLAIN, 0.3, 1),
    ),
    Case(
        "other codecs",
        (
            target("webm", encoded("vp9"), AudioSpec("opus")),
            named("y", target("mp4", encoded("h265", b_frames=0), AAC)),
            named("z", target("mkv", encoded("av1"), AudioSpec("vorbis"))),
        ),
    ),
    Case(
        "AVI and MXF",
        (
            target("avi", encoded(b_frames=0), AudioSpec("mp3")),
            named("y", target("mxf", encoded(b_frames=0, frame_rate=Fraction(25)), None)),
        ),
        of(VARIABLE),
    ),
    Case(
        "every stream",
        (replace(target("mkv", H264, AAC), video_streams=(101,), audio_streams=(101,)),),
        of(
            Clip(
                "matroska",
                (Video(), Video(size=(64, 48), seconds=1)),
                (Audio(language="deu"), Audio(rate=44100, hz=300, language="fra")),
            )
        ),
    ),
    Case(
        "a file for each stream",
        (replace(target("aac", None, AAC), audio_streams=(101,), uri=f"{OUT}x_{{streamindex}}"),),
        of(Clip("matroska", (), (Audio(language="deu"), Audio(rate=44100, hz=300)))),
    ),
    Case(
        "data and covers",
        (replace(target("mp4", H264, AAC), data_streams=(-1,), picture_streams=(-1,)),),
        of(Clip(covers=("png", "mjpeg"), data=(Data(),)), 0.5),
    ),
    Case(
        "HDR to BT.709",
        (target("mp4", encoded(pixel_format="yuv420p"), None),),
        of(Clip(video=(HDR,), audio=())),
    ),
    Case(
        "interlaced",
        (target("mp4", H264, None),),
        of(Clip(video=(Video("mpeg2video", fields="tt", b_frames=0, size=(96, 64)),), audio=())),
    ),
    Case("without a container", (target("mp4", H264, None),), of(Clip("h264", (Video(fps=Fraction(30)),), ()))),
    Case("snapshots", (images(SNAPSHOT, "jpg", HALF, width=48),)),
    Case(
        "snapshots of a cut, from a time on",
        (images(SNAPSHOT, "png", FramesSpec(start_us=330_000, interval_us=300_000, number=3)),),
        of(PLAIN, 0.2),
    ),
    Case(
        "snapshots long after a key frame",
        (images(SNAPSHOT, "jpg", FramesSpec(start_us=1_130_000, interval_us=200_000)),),
        of(Clip(video=(Video(gop=50),))),
    ),
    Case(
        "key frames of joined sources, from a time on",
        (images(SNAPSHOT, "jpg", FramesSpec(FrameMode.KEYFRAME, start_us=1_000_000)),),
        ((PLAIN, span()), (SHORT, span())),
    ),
    Case(
        "snapshots of joined sources, from a time on",
        (images(SNAPSHOT, "jpg", FramesSpec(start_us=1_130_000, interval_us=400_000)),),
        ((PLAIN, span()), (SHORT, span(0.1))),
    ),
    Case("snapshots spread evenly", (images(SNAPSHOT, "webp", FramesSpec(FrameMode.AVERAGE, number=4)),)),
    Case("one snapshot", (images(SNAPSHOT, "avif", FramesSpec(FrameMode.AVERAGE, number=1)),)),
    Case("key frames", (images(SNAPSHOT, "jpg", FramesSpec(FrameMode.KEYFRAME, start_us=300_000)),)),
    Case("every frame from a time on", (images(SNAPSHOT, "jpg", FramesSpec(start_us=1_590_000)),)),
    Case("sheets", (images(SPRITE, "jpg", FramesSpec(interval_us=200_000), width=24, sheet=SheetSpec(2, 2, 3, 5)),)),
    Case("a sheet that is not full", (images(SPRITE, "png", HALF, width=24, sheet=SheetSpec(3, 3)),)),
    Case("GIF", (images(ANIMATION, "gif", FramesSpec(interval_us=100_000, start_us=510_000, number=12), width=48),)),
    Case("WebP animation of every frame", (images(ANIMATION, "webp", FramesSpec(number=9), frame_rate=Fraction(5)),)),
    Case("APNG in time", (images(ANIMATION, "apng", FramesSpec(interval_us=50_000)),), of(VARIABLE)),
    Case("AVIF animation", (images(ANIMATION, "avif", HALF),)),
    Case("snapshots of joined sources", (images(SNAPSHOT, "jpg", HALF),), ((PLAIN, span()), (TALL, span()))),
)


@pytest.mark.sample(every=69)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_command_makes_what_the_service_makes(case: Case, shelf: Shelf, tmp_path: Path) -> None:
    """The same files with the same streams, frames and durations."""
    result, by_ffmpeg = _convert(case, shelf, tmp_path)
    assert _files(by_ffmpeg) - case.extra == _files(result) - case.missing
    compared = [name for name in _files(result) - case.missing if not SEGMENTS_OF.search(name)]
    assert compared
    for name in compared:
        _compare(result / name, by_ffmpeg / name, case)


HOSTILE = """it's "here" $(touch x) `y` 100%\n-é[a],;:b\\ #1?"""


def test_names_are_kept_whatever_is_in_them(shelf: Shelf, tmp_path: Path) -> None:
    """Of sources, files, segments and pictures: the shell and ffmpeg take each as it is."""
    folder = tmp_path / HOSTILE
    folder.mkdir()
    source = folder / f"{HOSTILE}.mp4"
    source.write_bytes(shelf.get(PLAIN).read_bytes())
    base = folder.as_uri() + "/"
    specs = (
        replace(target("mp4"), uri=f"{base}%23one"),
        replace(SEGMENTS, index=1, uri=f"{base}50%25 %27s"),
        replace(images(SNAPSHOT, "jpg", HALF), index=2),
    )
    pictures = replace(specs[2], images=(replace(specs[2].images[0], uri=f"{base}p%25d{{index}}.{{autoext}}"),))
    joined = replace(target("mp4"), index=3, uri=f"{base}joined")
    request = ConvertRequest("task", "project", (SourceSpec(source.as_uri()),), (*specs[:2], pictures))
    other = folder.parent / f"{HOSTILE.replace(chr(10), '')}.mp4"  # a list of sources has a line for each
    other.write_bytes(source.read_bytes())
    twice = ConvertRequest("task", "project", (SourceSpec(other.as_uri()),) * 2, (replace(joined, index=0),))
    infos = [probe_file(str(source), Limits())]
    for work, known in ((request, infos), (twice, infos * 2)):
        plan = make_plan(work, PlanFacts(known, capabilities()))
        _run(ffmpeg_command(work, plan, known), tmp_path / work.targets[0].uri.rpartition("/")[2])
    results = {path.name for path in folder.iterdir()} - {source.name}
    segments = {f"50% 's-{number}.ts" for number in range(2)} | {"50% 's.m3u8"}
    assert results == {"#one.mp4", "joined.mp4", *segments, *(f"p%d{number}.jpg" for number in range(1, 5))}


def _files(folder: Path) -> frozenset[str]:
    return frozenset(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def _convert(case: Case, shelf: Shelf, folder: Path) -> tuple[Path, Path]:
    """Folders with what the service made of a case, and what ffmpeg did."""
    paths = [shelf.get(clip) for clip, _ in case.sources]
    request = _request(case, paths, folder)
    infos = [probe_file(str(path), Limits()) for path in paths]
    files = [
        tuple(probe_subtitles(file.uri, file.uri, Limits(), file.language) for file in source.subtitles)
        for source in request.sources
    ]
    marks = {uri: probe_beside(uri, uri, Limits()) for uri in request.watermark_uris}
    plan = make_plan(request, PlanFacts(infos, capabilities(), subtitle_infos=files, watermark_infos=marks))
    return _serve(request, plan, paths, folder), _run(ffmpeg_command(request, plan, infos), folder)


def _request(case: Case, paths: Sequence[Path], folder: Path) -> ConvertRequest:
    Image.new("RGBA", (16, 8), (255, 0, 0, 128)).save(folder / "mark.png")
    (folder / "s.srt").write_text("1\n00:00:00,200 --> 00:00:00,600\none\n\n2\n00:00:00,900 --> 00:00:01,200\ntwo\n")

    latin = "1\n00:00:00,200 --> 00:00:00,600\nGrüße à tous, façade\n"
    (folder / "latin.srt").write_bytes(latin.encode("cp1252"))

    def subtitles(spec: SourceSpec) -> tuple[SubtitleFileSpec, ...]:
        return tuple(replace(file, uri=str(folder / file.uri)) for file in spec.subtitles)

    def video(spec: VideoSpec | None) -> VideoSpec | None:
        if spec is None:
            return None
        marks = tuple(replace(mark, uri=str(folder / mark.uri)) if mark.uri else mark for mark in spec.watermarks)
        return replace(spec, watermarks=marks)

    sources = [
        replace(spec, uri=path.as_uri(), subtitles=subtitles(spec)) for path, (_, spec) in zip(paths, case.sources, strict=True)
    ]
    targets = [replace(spec, index=number, video=video(spec.video)) for number, spec in enumerate(case.targets)]
    return ConvertRequest("task", "project", tuple(sources), tuple(targets), case.primary, group_uris=case.group_uris)


def _serve(request: ConvertRequest, plan: Plan, paths: Sequence[Path], folder: Path) -> Path:
    """A folder with what the service makes, under the names of its URIs."""
    work, published = folder / "work", folder / "service"
    work.mkdir()
    beside = [tuple(file.uri for file in source.subtitles) for source in request.sources]
    places = [str(path) for path in paths]
    conversion = Conversion(
        plan,
        places,
        work,
        limits=Limits(),
        stop=threading.Event(),
        subtitle_locations=beside,
        watermark_locations=watermark_paths(plan),
    )
    produced, _ = conversion.run()
    results = [*make_results(plan, [verify(file) for file in produced], work)]
    for slot, files in enumerate(conversion.images):
        results += image_results(slot, plan.images[slot], files, work)
    uris = [(result.path, result.artifact.uri) for result in results]
    uris += [(part, part_uri(plan, part) or "") for result in results for part in result.parts]
    for name, uri in uris:
        place = published / uri.removeprefix(OUT)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.hardlink_to(work / name)
    return published


def _run(command: FfmpegCommand, folder: Path) -> Path:
    """A folder with what the command makes, pasted into a shell."""
    result = folder / "ffmpeg"
    (result / "a").mkdir(parents=True)  # where a case has its segments: the service makes folders, ffmpeg does not
    (folder / "pq-1000.cube").write_text(cube("pq-1000"))
    pasted = " \\\n  ".join(command.lines).replace("/out/", f"{result}/")
    program = f'ffmpeg() {{ {shlex.quote(imageio_ffmpeg.get_ffmpeg_exe())} -nostdin -v warning "$@"; }}\n{pasted}'
    environment = {**os.environ, "FONTCONFIG_FILE": str(_fonts(folder))}
    done = subprocess.run(
        ["bash", "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, f"{pasted}\n{done.stderr}"
    return result


def _fonts(folder: Path) -> Path:
    """A configuration of fontconfig with the fonts that come with the server: a machine may have none."""
    spec = find_spec("manimgx_fonts")
    assert spec and spec.origin
    path = folder / "fonts.conf"
    path.write_text(f"<fontconfig><dir>{Path(spec.origin).parent}</dir><cachedir>{folder}</cachedir></fontconfig>")
    return path


def _compare(result: Path, by_ffmpeg: Path, case: Case) -> None:
    if result.suffix in PICTURES:
        _compare_pictures(result, by_ffmpeg, case)
        return
    if result.suffix in (".vtt", ".srt", ".ass"):
        assert judge.lines(by_ffmpeg) == judge.lines(result)
        return
    one, other = judge.describe(result), judge.describe(by_ffmpeg)
    expected = [(stream.kind, stream.codec, stream.language or "und") for stream in one.streams]
    results = [(stream.kind, stream.codec, stream.language or "und") for stream in other.streams]
    assert results == expected[: len(expected) - case.unwritten]
    assert other.duration == pytest.approx(one.duration, abs=case.seconds + 0.01)  # of which the judge prints two digits
    assert other.start == pytest.approx(one.start, abs=case.seconds + 0.01)
    _compare_video(result, by_ffmpeg, case)
    for number in range(len(one.of("Audio"))):
        rate = judge.sample_rate(result, number)
        assert (judge.sample_rate(by_ffmpeg, number), judge.channels(by_ffmpeg, number)) == (
            rate,
            judge.channels(result, number),
        )
        lengths = [judge.sound(path, number).shape[0] / rate for path in (result, by_ffmpeg)]
        assert lengths[1] == pytest.approx(lengths[0], abs=case.seconds)
    for number in range(len(one.of("Subtitle"))):
        lines = [[(*times, text) for *times, text in judge.lines(path, number)] for path in (result, by_ffmpeg)]
        assert [line[-1] for line in lines[1]] == [line[-1] for line in lines[0]]
        for shown in (0, 1):
            times = [[line[shown] for line in each] for each in lines]
            assert times[1] == pytest.approx(times[0], abs=case.seconds)


def _compare_video(result: Path, by_ffmpeg: Path, case: Case) -> None:
    one, other = (judge.describe(path).of("Video") for path in (result, by_ffmpeg))
    one = one[: len(one) - case.unwritten]
    assert [stream.size for stream in other] == [stream.size for stream in one]
    assert [stream.rotation for stream in other] == [stream.rotation for stream in one]
    for number in range(len(one)):
        assert len(judge.frames(by_ffmpeg, f"v:{number}")) == len(judge.frames(result, f"v:{number}")) + case.after_end
    if one and case.alike:
        count = len(judge.numbers(result))
        assert judge.numbers(by_ffmpeg)[:count] == judge.numbers(result)
        shown = [[time - judge.times(path)[0] for time in judge.times(path)][:count] for path in (result, by_ffmpeg)]
        assert [float(time) for time in shown[1]] == pytest.approx([float(time) for time in shown[0]], abs=case.seconds)


def _compare_pictures(result: Path, by_ffmpeg: Path, case: Case) -> None:
    """As many frames of the same size and, up to what codecs lose, of the same content."""
    one, other = (
        [np.asarray(frame.convert("L")) for frame in ImageSequence.Iterator(Image.open(path))] for path in (result, by_ffmpeg)
    )
    assert [frame.shape for frame in other] == [frame.shape for frame in one]
    assert all(judge.psnr(*pair) > 25 for pair in zip(one, other, strict=True))
