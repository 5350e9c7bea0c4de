"""VMAF of what is encoded: as another libvmaf finds it, against the pictures that went into the encoder."""

import contextlib
import csv
import ctypes
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import av
import pytest
from av import VideoFrame
from av.filter import Graph

from reelmill_server.errors import OutputInvalid, UnsupportedFormat
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.libav import libvmaf
from reelmill_server.media.libav.comparison import Comparison
from reelmill_server.media.libav.freeing import wait_for_freed
from reelmill_server.media.libav.libvmaf import LibvmafError, VmafScore
from reelmill_server.media.libav.log import option_text
from reelmill_server.media.libav.meters import VmafMeter, XpsnrMeter
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SegmentFormat, SegmentSpec, SourceSpec, TargetSpec
from reelmill_server.model.task import Artifact
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.media.converter import Converter, capabilities, encoded, plan_of, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

LIBVMAF = capabilities()["libvmaf"]
measures = pytest.mark.skipif(not LIBVMAF.available, reason=f"libvmaf {LIBVMAF.reason}")
SIZE = (160, 96)
NOISE = Video(size=SIZE, pattern="noise", seconds=1, options=(("crf", "4"),))
FILM = Clip("matroska", (NOISE,), (Audio(seconds=1),))
LONGER = Clip("matroska", (Video(size=(96, 96), pattern="noise", seconds=0.8, fps=Fraction(30)),), ())
VARIABLE = Clip(
    "matroska", (replace(NOISE, times=tuple(Fraction(ms, 1000) for ms in (0, 33, 50, 300, 333, 600, 616, 640, 700, 900))),), ()
)
AGREED = 0.5


def measured(spec: TargetSpec) -> TargetSpec:
    """The target with its VMAF."""
    return replace(spec, measure_vmaf=True)


def lossy(container: str = "mkv", codec: str = "h264", **settings: object) -> TargetSpec:
    """An encode that shows; B-frames where the codec has them."""
    return measured(target(container, encoded(codec, crf=38, preset="fast", **settings), None))


def lossless(**settings: object) -> TargetSpec:
    """The pictures as an encoder gets them."""
    return measured(target("mkv", encoded("h264", crf=0, **settings), None))


def vmaf(artifact: Artifact) -> float:
    """What the artifact says of its video."""
    (result,) = (stream.vmaf for stream in artifact.streams if stream.type == "video")
    assert result is not None
    return result


@measures
@pytest.mark.parametrize(
    ("codec", "pixel_format"),
    [
        *(("h264", name) for name in ("yuv420p", "yuv444p", "yuv420p10le")),
        *(("h265", name) for name in ("yuv420p", "yuv422p10le")),
        *(("vp9", name) for name in ("yuv420p", "yuva420p")),
        *(("av1", name) for name in ("yuv420p", "yuv420p10le")),
    ],
)
def test_another_libvmaf_finds_the_same(convert: Converter, codec: str, pixel_format: str) -> None:
    """Of the file that was written, against the source."""
    converted = convert(FILM, lossy("mkv", codec, pixel_format=pixel_format))
    result = judge.vmaf(converted.path, convert.shelf.get(FILM), pixel_format.replace("yuva", "yuv"))
    assert vmaf(converted.artifact) == pytest.approx(result, abs=AGREED) and result < 95


class FilterMeter(XpsnrMeter):
    """VMAF by libav's own filter."""

    def __init__(self, pixel_format: str, every: int, log: Path) -> None:
        super().__init__(pixel_format)
        self._arguments, self._log = f"n_subsample={every}:log_fmt=csv:log_path={option_text(log)}", log

    def mean(self) -> float:
        super().mean()
        wait_for_freed(self._log)  # it is written when the graph is freed
        with self._log.open(newline="") as file:
            return fmean(float(row["vmaf"]) for row in csv.DictReader(file))

    def _add_ends(self, graph: Graph) -> Sequence[tuple[Any, int]]:
        judge = graph.add("libvmaf", self._arguments)
        judge.link_to(graph.add("buffersink"))
        return [(judge, 0), (judge, 1)]

    def _fitted(self, width: int, height: int) -> Iterator[tuple[str, str]]:
        """This filter takes every size."""
        return iter(())

    def _count(self, frame: Any) -> None:
        """It has no score."""


def upside_down(pixel_format: str, width: int, change: str) -> Iterator[VideoFrame]:
    """Ten frames whose last row is the first in memory."""
    graph = Graph()
    graph.link_nodes(
        graph.add("testsrc2", f"size={width}x96:duration=0.4"),
        graph.add(change),
        graph.add("format", pixel_format),
        graph.add("vflip"),
        graph.add("buffersink"),
    ).configure()
    with contextlib.suppress(av.error.EOFError):
        while True:
            yield graph.pull()  # type: ignore[misc]


@measures
@pytest.mark.skipif("libvmaf" not in av.filter.filters_available, reason="libav has no such filter")
@pytest.mark.parametrize(
    ("form", "width", "every"), [("yuv420p", 320, 1), ("yuv420p", 322, 2), ("yuv420p", 64, 4), ("yuv422p10le", 258, 1)]
)
def test_scores_are_those_of_libavs_filter(tmp_path: Path, form: str, width: int, every: int) -> None:
    """Of rows without gaps in memory, and with them."""
    meters = (VmafMeter(form, every=every), FilterMeter(form, every, tmp_path / "log"))
    for pair in zip(*(upside_down(form, width, change) for change in ("avgblur", "null")), strict=True):
        for meter in meters:
            meter.compare(*pair)
    scores = [meter.mean() for meter in meters]
    assert scores[0] == pytest.approx(scores[1], abs=0.0006) and 0 < scores[0] < 95


@measures
def test_a_libvmaf_that_is_not_what_is_known_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """None at all, one of another version, and one whose pictures are larger."""

    class Short(ctypes.Structure):
        _fields_ = libvmaf._Picture._fields_[:-1]

    class Guarded(ctypes.Structure):
        _fields_ = (("picture", Short), *libvmaf._Guarded._fields_[1:])

    for changes, reason in (
        ({"_candidates": lambda: iter(["libvmaf.so.none"])}, "neither on this system nor beside PyAV"),
        ({"_VERSION": re.compile(rb"4\.")}, "has version 3"),
        ({"_Picture": Short, "_Guarded": Guarded}, "laid out differently"),
    ):
        with monkeypatch.context() as patch:
            for name, value in changes.items():
                patch.setattr(libvmaf, name, value)
            with pytest.raises(LibvmafError, match=reason):
                libvmaf.load.__wrapped__()


@measures
def test_calls_that_fail_are_errors() -> None:
    """Of frames of different sizes; scores that nobody asks for are freed."""
    score = VmafScore(1, 1)
    with pytest.raises(LibvmafError, match="read_pictures: Invalid argument"):
        score.add(VideoFrame(64, 64, "yuv420p"), VideoFrame(96, 64, "yuv420p"))
    assert VmafScore(1, 1).mean() is None


@measures
def test_nothing_is_lost_between_equal_pictures(convert: Converter) -> None:
    """All pictures but the first, which nothing moves to, have 100; a worse encode has less; one not measured has none."""
    plain = target("mkv", encoded(crf=38, preset="fast"), None)
    converted = convert(FILM, lossless(), lossy(), plain)
    best, worse = (vmaf(artifact) for artifact in converted.artifacts[:2])
    assert best > 99 and worse < 95
    assert converted.artifacts[2].streams[0].vmaf is None


@measures
@pytest.mark.parametrize(
    "settings",
    [
        {"frame_rate": Fraction(50)},
        {"frame_rate": Fraction(10)},
        {"speed": Fraction(1, 2)},
        {"width": 96, "height": 64},
        {"rotation": 90},
    ],
    ids=["faster", "slower", "speed", "size", "turned"],
)
def test_the_pictures_after_all_filters_are_the_reference(convert: Converter, settings: dict[str, object]) -> None:
    """A cut of the source, filtered: against a lossless file of the same."""
    converted = convert(FILM, lossy(**settings), lossless(**settings), start=0.3, duration=0.6)
    best = converted.paths[1]
    results = [vmaf(artifact) for artifact in converted.artifacts]
    assert (
        results == pytest.approx([judge.vmaf(path, best) for path in converted.paths], abs=AGREED)
        and results[0] < 95 < results[1]
    )


@measures
@pytest.mark.parametrize("clip", [VARIABLE, Clip("mp4", (replace(NOISE, color_range=2),), ())], ids=["variable", "full range"])
def test_times_and_ranges_do_not_matter(convert: Converter, clip: Clip) -> None:
    """Variable frame rates, and values that fill the range."""
    converted = convert(clip, lossy("mp4"), lossless())
    best = converted.paths[1]
    results = [vmaf(artifact) for artifact in converted.artifacts]
    assert (
        results == pytest.approx([judge.vmaf(path, best) for path in converted.paths], abs=AGREED)
        and results[0] < 95 < results[1]
    )


@measures
def test_segments_are_measured(convert: Converter) -> None:
    """The streams of a list, and of the one that lists the same files, have it, too."""
    cut = [
        replace(lossy(container, b_frames=3), segment=SegmentSpec(form, 400_000))
        for container, form in (("ts", SegmentFormat.HLS), ("mp4", SegmentFormat.HLS), ("mp4", SegmentFormat.DASH))
    ]
    converted = convert(FILM, *cut, lossless())
    assert len(converted.plan.targets) == 3
    reference = converted.published / "x.mkv"
    for artifact in converted.artifacts:
        if artifact.streams and artifact.container != "mkv":
            place = converted.published / artifact.uri.removeprefix("file:///out/")
            assert vmaf(artifact) == pytest.approx(judge.vmaf(place, reference), abs=AGREED)


@measures
def test_joined_sources_are_measured(shelf: Shelf, tmp_path: Path) -> None:
    """Two sources of different shape and rate, and the last picture held for sound: the output's own pictures count."""
    long = Clip("matroska", (replace(NOISE, seconds=0.4),), (Audio(seconds=1.2),))
    paths = [str(shelf.get(clip)) for clip in (FILM, LONGER, long)]
    spec = replace(lossy(), audio=AudioSpec("aac"))
    targets = (spec, replace(lossless(), audio=AudioSpec("aac"), index=1))
    request = ConvertRequest("t", "p", (SourceSpec("file:///a"),) * 3, targets)
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], capabilities()))
    produced, _ = Conversion(plan, paths, tmp_path, limits=Limits(), stop=threading.Event()).run()
    results = [verify(file).streams[0].vmaf for file in produced]
    assert results[0] == pytest.approx(judge.vmaf(*(Path(file.path) for file in produced)), abs=AGREED)
    assert produced[0].written[0].packets == 25 + 20 + 30


@measures
def test_what_does_not_decode_is_no_output(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that swallows a picture is found out."""
    original: Callable[..., None] = Comparison.see
    monkeypatch.setattr(Comparison, "see", lambda self, packet: original(self, packet) if packet is None else None)
    with pytest.raises(OutputInvalid, match="cannot be decoded"):
        convert(FILM, lossy("ts"))


@measures
@pytest.mark.parametrize(("width", "height"), [(64, 62), (62, 64), (80, 64), (144, 96), (254, 144)])
def test_pictures_that_are_too_small_are_refused(convert: Converter, width: int, height: int) -> None:
    """Of very small ones libvmaf tells something else each time, or crashes; of some widths it tells too little."""
    with pytest.raises(UnsupportedFormat, match=f"{width}x{height}"):
        convert(FILM, lossy(width=width, height=height))


@measures
@pytest.mark.parametrize("width", [64, 192, 258, 260, 272])
def test_small_pictures_are_measured_rightly(convert: Converter, width: int) -> None:
    """The least, and those above the widths that are refused."""
    converted = convert(FILM, lossy(width=width, height=64), lossless(width=width, height=64))
    assert vmaf(converted.artifacts[0]) == pytest.approx(judge.vmaf(converted.paths[0], converted.paths[1]), abs=AGREED)


@measures
def test_the_smallest_pictures_of_all_are_measured(convert: Converter) -> None:
    """Equal ones are equal."""
    assert vmaf(convert(FILM, lossless(width=64, height=64)).artifact) > 99


def test_the_filter_is_tried() -> None:
    """It works, or there is a reason, which says what would help."""
    assert LIBVMAF.codec == "vmaf" and (LIBVMAF.available or "PyAV 19" in LIBVMAF.reason)


def test_without_libvmaf_it_is_refused(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before any work, with the reason and what would help; other targets do not need it."""
    without = replace(LIBVMAF, available=False, reason=LIBVMAF.reason or "is not beside PyAV")
    monkeypatch.setitem(capabilities(), "libvmaf", without)  # type: ignore[arg-type]
    path = shelf.get(FILM)
    with pytest.raises(UnsupportedFormat, match=r"targets\[0\].measure_vmaf: .*libvmaf .*PyAV"):
        plan_of(path, (lossy("mp4"),) * 2, SourceSpec("file:///a"), Limits())
    plan = plan_of(path, (replace(lossy(), measure_vmaf=False),), SourceSpec("file:///a"), Limits())
    assert not plan.targets[0].streams[0].measured
