"""Quality targets: the CRF is found on samples, the outcome is near it, and conditions hold back what does not meet them."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from reelmill_server.errors import ConditionNotMet, InvalidArgument, UnsupportedFormat
from reelmill_server.media.conversion.quality_search import QualitySearch, carry_out
from reelmill_server.media.conversion.sample import SampleEncoder
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.input.reader import Reader
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import Stopped
from reelmill_server.media.result.conditions import check_conditions
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import ConvertRequest, Hardware, SegmentFormat, SegmentSpec, SourceSpec, TargetSpec
from reelmill_server.model.task import Artifact
from reelmill_server.model.units import SplitRule
from reelmill_server.plan.chunks import identified, split
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.crf_search import Choice, CrfSearch
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.quality import PlanSearch, searched, searches_of, with_crf
from tests.media.converter import capabilities, encoded, target
from tests.sources import Clip, Shelf, Video

pytestmark = pytest.mark.media

LIBVMAF = capabilities()["libvmaf"]
measures = pytest.mark.skipif(not LIBVMAF.available, reason=f"libvmaf {LIBVMAF.reason}")
NOISE = Video(pattern="noise", size=(160, 96), seconds=2, options=(("crf", "10"),))
SHORT = Clip("matroska", (NOISE,), ())
OTHER = Clip("matroska", (replace(NOISE, size=(96, 96), seconds=1),), ())
SCOUTED = Clip("matroska", (replace(NOISE, seconds=4),), ())
LONG = Clip("mp4", (Video(size=(96, 64), pattern="noise", seconds=66, options=(("crf", "10"),)),), ())


@dataclass
class Made:
    """What a task with quality targets gave."""

    plan: Plan
    artifacts: tuple[Artifact, ...]


class Maker:
    """Searches and converts, as a worker's child does."""

    def __init__(self, shelf: Shelf, new_folder: Callable[[], Path]) -> None:
        self._shelf, self._new_folder = shelf, new_folder

    def plan(self, targets: tuple[TargetSpec, ...], *clips: Clip) -> Plan:
        """The plan before the search."""
        infos = tuple(probe_file(str(self._shelf.get(clip)), Limits()) for clip in clips)
        sources = tuple(SourceSpec(f"file:///in/{number}.mkv") for number in range(len(clips)))
        numbered = tuple(replace(spec, index=index) for index, spec in enumerate(targets))
        return make_plan(ConvertRequest("task", "project", sources, numbered), PlanFacts(infos, capabilities()))

    def searched(self, plan: Plan, *clips: Clip) -> Plan:
        """The plan with the CRFs that the search finds."""
        paths, folder = tuple(str(self._shelf.get(clip)) for clip in clips), self._new_folder()
        quality_search = QualitySearch(plan, paths, folder, limits=Limits(), stop=threading.Event()).run()
        assert not [*folder.iterdir()], "nothing is left of the samples"
        return quality_search

    def spread(self, plan: Plan, clip: Clip) -> Plan:
        """As `searched`, with a process for each sample, the last of each round first."""
        searches = searches_of(plan, keyframe_times(str(self._shelf.get(clip)), 0, Limits()))
        search = PlanSearch(plan, searches)
        while due := search.due():
            search.note([carry_out(self._encoder(plan, clip), plan, searches, trial) for trial in reversed(due)])
        return search.plan()

    def _encoder(self, plan: Plan, clip: Clip) -> SampleEncoder:
        path = str(self._shelf.get(clip))
        return SampleEncoder(plan, (path,), self._new_folder(), limits=Limits(), stop=threading.Event())

    def __call__(self, targets: tuple[TargetSpec, ...], *clips: Clip) -> Made:
        paths, folder = tuple(str(self._shelf.get(clip)) for clip in clips), self._new_folder()
        search = QualitySearch(self.plan(targets, *clips), paths, folder, limits=Limits(), stop=threading.Event())
        again: Plan | None = search.run()
        while again is not None:
            plan, folder = again, self._new_folder()
            produced, _ = Conversion(plan, paths, folder, limits=Limits(), stop=threading.Event()).run()
            again = search.again(plan, produced)
        results = [*make_results(plan, [verify(file) for file in produced], folder)]
        check_conditions(plan, results)
        return Made(plan, tuple(result.artifact for result in results))


@pytest.fixture(scope="module")
def make(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Searches and converts."""
    return Maker(shelf, lambda: tmp_path_factory.mktemp("quality"))


def at(value: float, metric: Metric = Metric.XPSNR, codec: str = "h264", container: str = "mkv", **bounds: float) -> TargetSpec:
    """A target at a quality."""
    return target(container, encoded(codec, quality=QualityTarget(metric, value, **bounds)), None)  # type: ignore[arg-type]


def test_frames_before_a_sample_are_decoded_if_others_refer_to_them(
    shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its scores are the same as if all were."""
    film = Clip("matroska", (replace(NOISE, seconds=4, gop=100),), ())
    path, spec = str(shelf.get(film)), replace(encoded(), quality=QualityTarget(Metric.XPSNR, 36.0))
    request = ConvertRequest("task", "project", (SourceSpec("file:///in/x.mkv"),), (target("mkv", spec),))
    plan = make_plan(request, PlanFacts((probe_file(path, Limits()),), capabilities()))
    stream = plan.targets[0].streams[0]
    assert stream.quality
    way = with_crf(stream, replace(stream.quality, crf=28.0))
    needless, scores = Reader.is_needless, []
    for rule in (needless, lambda reader, packet: False):
        asked: list[bool] = []

        def noted(reader: Reader, packet: AnyPacket, rule: Callable[..., bool] = rule, asked: list[bool] = asked) -> bool:
            asked.append(rule(reader, packet))
            return asked[-1]

        monkeypatch.setattr(Reader, "is_needless", noted)
        encoder = SampleEncoder(plan, (path,), tmp_path, limits=Limits(), stop=threading.Event())
        ((written,),) = encoder.encode(plan.targets[0], ((way,),), encoder.scouts(stream)[0])
        scores.append((written.packets, written.scores))
        assert any(asked) == (rule is needless)
    assert scores[0] == scores[1]


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_the_outcome_is_what_was_asked_for(make: Maker, codec: str) -> None:
    """Each codec; a short clip is searched whole, so that only its own steps keep it from the target."""
    result = make((at(34.0, codec=codec),), SHORT)
    (stream,) = result.artifacts[0].streams
    assert stream.quality is not None
    assert stream.quality.final == pytest.approx(34.0, abs=0.6)
    assert stream.quality.predicted == pytest.approx(stream.quality.final, abs=0.3)
    assert stream.quality.crf == pytest.approx(result.plan.targets[0].streams[0].quality.crf)  # type: ignore[union-attr]
    assert "XPSNR 34 dB" in stream.reason and f"CRF {stream.quality.crf:g}" in stream.reason


@pytest.mark.slow
def test_a_search_finds_the_same_again_and_better_costs_more(make: Maker) -> None:
    """Two targets of one task each have their own CRF, whoever tries which sample."""
    given = make.plan((at(30.0), at(38.0)), SHORT)
    once, again = make.searched(given, SHORT), make.spread(given, SHORT)
    results, others = ([stream.quality for entry in plan.targets for stream in entry.streams] for plan in (once, again))
    assert results[0] and results[1] and results[0].crf > results[1].crf  # type: ignore[operator]
    assert results == others


def test_a_short_source_is_encoded_once_or_again(make: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes of it is near the target; if it was not, it is encoded at another CRF."""
    ran = []
    run = Conversion.run
    monkeypatch.setattr(Conversion, "run", lambda self: (ran.append(self), run(self))[1])
    quality = make((at(34.0, max_crf=30.0),), SCOUTED).artifacts[0].streams[0].quality
    assert quality and quality.final == pytest.approx(34.0, abs=0.6) and len(ran) == 1
    choice = CrfSearch.choice
    first = Choice(40.0, 34.0)
    monkeypatch.setattr(CrfSearch, "choice", lambda self, *bounds: choice(self, *bounds) if self._scores else first)
    quality = make((at(34.0),), SCOUTED).artifacts[0].streams[0].quality
    assert quality and quality.final == pytest.approx(34.0, abs=0.6) and len(ran) > 2


@pytest.mark.slow
def test_samples_stand_for_a_long_source(make: Maker) -> None:
    """Eight of three seconds, of forty."""
    result = make((at(33.0),), LONG)
    quality = result.artifacts[0].streams[0].quality
    assert quality is not None and quality.final == pytest.approx(quality.predicted, abs=1.0)


def test_joined_sources_and_segments_have_one_crf(make: Maker) -> None:
    """Of both sources, at the size of the first."""
    segments = replace(at(34.0, container="ts"), uri="file:///out/x.m3u8", segment=SegmentSpec(SegmentFormat.HLS, 1_000_000))
    result = make((segments,), SHORT, OTHER)
    (stream,) = result.artifacts[0].streams
    assert stream.quality is not None and stream.packet_count == 75
    assert stream.quality.final == pytest.approx(34.0, abs=1.0)


def test_what_is_out_of_reach_is_told(make: Maker) -> None:
    """The best that the bounds allow, with a warning."""
    plan = make.searched(make.plan((at(55.0, min_crf=20.0),), SHORT), SHORT)
    assert plan.targets[0].streams[0].options["crf"] == "20"
    assert any("quality_target" in warning and "out of reach" in warning for warning in plan.warnings)


def test_the_highest_bit_rate_bounds_the_samples_too(make: Maker) -> None:
    """Twice what it holds in two seconds cannot be in the file."""
    result = make((at(45.0, max_bitrate=150_000),), SHORT)
    assert result.artifacts[0].streams[0].bitrate < 2 * 150_000
    assert any("out of reach" in warning for warning in result.plan.warnings)


def test_hardware_is_refused_where_it_is_required(make: Maker) -> None:
    """By name."""
    spec = at(34.0)
    assert spec.video
    with pytest.raises(InvalidArgument, match=r"quality_target.*hardware is REQUIRED"):
        make.plan((replace(spec, video=replace(spec.video, hardware=Hardware.REQUIRED)),), SHORT)


def test_vmaf_is_refused_where_libav_cannot_measure_it(make: Maker) -> None:
    """By the name of the field; where it can, it is searched for."""
    if not LIBVMAF.available:
        with pytest.raises(UnsupportedFormat, match=r"quality_target: VMAF cannot be measured here: libvmaf"):
            make.plan((at(90.0, Metric.VMAF),), SHORT)
        with pytest.raises(UnsupportedFormat, match=r"min_vmaf: VMAF cannot be measured here: libvmaf"):
            make.plan((replace(target("mkv", encoded(), None), min_vmaf=90.0),), SHORT)
        return
    quality = make((at(90.0, Metric.VMAF),), SHORT).artifacts[0].streams[0].quality
    assert quality is not None and quality.final == pytest.approx(90.0, abs=1.0)


def test_a_size_that_is_too_large_holds_everything_back(make: Maker) -> None:
    """As a share of the source's bytes."""
    within = replace(target("mkv", encoded(crf=40), None), max_size_ratio=0.9)
    result = make((within,), SHORT)
    assert result.plan.targets[0].max_bytes > result.artifacts[0].size_bytes
    with pytest.raises(ConditionNotMet, match=r"targets\[0\].max_size_ratio allows \d+ bytes, but the output has \d+"):
        make((replace(within, max_size_ratio=0.01),), SHORT)


@measures
def test_a_vmaf_that_is_too_low_holds_everything_back(make: Maker) -> None:
    """It is measured for the condition."""
    result = make((replace(target("mkv", encoded(crf=20), None), min_vmaf=60.0),), SHORT)
    assert (result.artifacts[0].streams[0].vmaf or 0) > 60
    with pytest.raises(ConditionNotMet, match=r"targets\[0\].min_vmaf is 95, but the video has"):
        make((replace(target("mkv", encoded(crf=45), None), min_vmaf=95.0),), SHORT)


def test_a_search_ends_with_its_attempt(make: Maker, shelf: Shelf, tmp_path: Path) -> None:
    """As soon as it is asked to stop, whatever is left to try."""
    stop = threading.Event()
    search = QualitySearch(make.plan((at(34.0),), SHORT), (str(shelf.get(SHORT)),), tmp_path, limits=Limits(), stop=stop)
    stop.set()
    with pytest.raises(Stopped):
        search.run()
    assert search.share == 0


def test_a_plan_is_cut_before_its_crf_is_known(make: Maker, shelf: Shelf) -> None:
    """At the same places as with the CRF that is found; what identifies its chunks is another."""
    info = probe_file(str(shelf.get(LONG)), Limits())
    keys, rule = [second * 1_000_000 for second in range(66)], SplitRule(parallelism=4)
    before = make.plan((at(40.0),), LONG)
    after = searched(before, 0, 0, Choice(30.0, 40.0))
    cut = split(before, (info,), keys, rule)
    assert cut.chunks == 4 and len(searches_of(before, keys)[0].samples) == 8 and searches_of(after, keys) == ()
    assert split(after, (info,), keys, rule) == identified(after, cut) != cut
