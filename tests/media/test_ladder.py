"""Ladders that are made for a video: rungs on its hull, in a playlist, and what is refused."""

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.conversion.ladder_search import LadderSearch
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.output.base import Stopped
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import Limits
from reelmill_server.model.ladder import Ladder, LadderPoint, LadderSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.quality import Metric
from reelmill_server.model.request import ConvertRequest, SegmentFormat, SegmentSpec, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.model.task import Artifact, ArtifactKind
from reelmill_server.model.units import SplitRule
from reelmill_server.plan.chunks import split
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.hull import STEP_DB, TRIED_CRFS
from reelmill_server.plan.output.destinations import foreign_uris
from reelmill_server.plan.planner import make_plan
from tests.media.converter import capabilities, encoded
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

MEASURES = capabilities()["libvmaf"].available
FILM = Clip("matroska", (Video(pattern="noise", size=(320, 180), options=(("crf", "8"),)),), (Audio(),))
SILENT = replace(FILM, audio=())
TALL = Clip("matroska", (replace(FILM.video[0], size=(120, 200), seconds=1),), ())
SOUND = Clip("matroska", (), (Audio(seconds=1),))


def ladder(asked: LadderSpec, video: VideoSpec | None = None) -> TargetSpec:
    """A member that stands for all rungs."""
    segment = SegmentSpec(SegmentFormat.HLS, 1_000_000)
    spec = TargetSpec(0, "file:///out/{rung}/v.m3u8", "mp4", video or encoded(), video_asked=True, segment=segment)
    return replace(spec, group=0, member=0, ladder=asked)


class Maker:
    """Plans, chooses and converts, as a worker's child does."""

    def __init__(self, shelf: Shelf, new_folder: Callable[[], Path]) -> None:
        self._shelf, self._new_folder = shelf, new_folder

    def paths(self, *clips: Clip) -> tuple[str, ...]:
        """Where the clips lie."""
        return tuple(str(self._shelf.get(clip)) for clip in clips)

    def plan(
        self, spec: TargetSpec, *clips: Clip, ladders: dict[int, Ladder] | None = None, metric: Metric | None = None
    ) -> Plan:
        """The plan before its rungs are chosen, or after it."""
        infos = tuple(probe_file(path, Limits()) for path in self.paths(*clips))
        sources = tuple(SourceSpec(f"file:///in/{number}.mkv") for number in range(len(clips)))
        request = ConvertRequest("task", "project", sources, (spec,), group_uris=("file:///out/main.m3u8",))
        known = {name: one for name, one in capabilities().items() if metric is not Metric.XPSNR or name != "libvmaf"}
        plan = make_plan(request, PlanFacts(infos, known, ladders=ladders or {}))
        assert not foreign_uris(request, (0,) * len(clips), plan)
        return plan

    def chosen(self, plan: Plan, *clips: Clip) -> dict[int, Ladder]:
        """The ladders of a plan with their rungs."""
        folder = self._new_folder()
        search = LadderSearch(plan, self.paths(*clips), folder, limits=Limits(), stop=threading.Event())
        result = search.run()
        assert search.share == pytest.approx(1.0) and not [*folder.iterdir()], "nothing is left of the samples"
        return result

    def convert(self, plan: Plan, *clips: Clip) -> tuple[Artifact, ...]:
        """What a plan makes."""
        folder = self._new_folder()
        produced, _ = Conversion(plan, self.paths(*clips), folder, limits=Limits(), stop=threading.Event()).run()
        return tuple(result.artifact for result in make_results(plan, [verify(file) for file in produced], folder))


@pytest.fixture(scope="module")
def make(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Maker:
    """Plans, chooses and converts."""
    return Maker(shelf, lambda: tmp_path_factory.mktemp("ladder"))


@pytest.mark.slow
def test_rungs_are_made_for_the_video(make: Maker) -> None:
    """Sizes and CRFs of the hull, apart, each with a playlist; what was measured is told with the master playlist."""
    spec = ladder(LadderSpec(4, min_step=6.0))
    before = make.plan(spec, FILM)
    result = make.chosen(before, FILM)
    plan = make.plan(spec, FILM, ladders=result)
    converted = make.convert(plan, FILM)
    (master,) = [artifact for artifact in converted if artifact.kind is ArtifactKind.MASTER_PLAYLIST]
    assert master.ladder == result[0] and (master.ladder.width, master.ladder.height) == (320, 180)
    step = 6.0 if master.ladder.metric is Metric.VMAF else 6.0 * STEP_DB
    assert 1 < len(master.ladder.rungs) <= 4
    assert all(better.score - worse.score >= step for better, worse in pairwise(master.ladder.rungs))
    variants = [made_one for made_one in converted if made_one.uri.endswith("/v.m3u8")]
    assert [one.uri for one in variants] == [f"file:///out/{number + 1}/v.m3u8" for number in range(len(variants))]
    for variant, rung in zip(variants, master.ladder.rungs, strict=True):
        (stream,) = variant.streams
        assert (stream.width, stream.height) == (rung.width, rung.height)
        assert stream.bitrate == pytest.approx(rung.bitrate, rel=0.35), "grain is the hardest to interpolate"
        assert f"rung {variants.index(variant) + 1} of {len(variants)}: CRF {rung.crf:g} gives" in stream.reason
    tried = {(point.width, point.height) for point in master.ladder.points}
    assert tried == {(320, 180), (256, 144), (192, 108)}
    points = {(point.width, point.height, point.crf) for point in master.ladder.points}
    assert points >= {(*size, crf) for size in tried for crf in TRIED_CRFS}, "what is measured again comes on top"


def test_before_they_are_chosen_the_plan_has_what_is_tried(make: Maker) -> None:
    """As many variants as there may be, which its estimate counts, with the samples; it is not cut into chunks."""
    spec = ladder(LadderSpec(5))
    plan = make.plan(spec, FILM)
    (group,) = plan.groups
    assert len(group.variants) == 5 and group.ladder and not group.ladder.chosen
    assert all(
        plan.targets[slot].streams[0].reason.startswith("software, as the rungs of a ladder are") for slot in group.variants
    )
    assert not any("NEVER" in plan.targets[slot].streams[0].reason for slot in group.variants), "the request does not say so"
    assert all("chosen on samples first" in plan.targets[slot].streams[0].reason for slot in group.variants)
    info = probe_file(make.paths(FILM)[0], Limits())
    assert "rungs of its ladder are chosen first" in split(plan, (info,), [0, 1_000_000], SplitRule(parallelism=2)).reason
    settled = replace(plan, groups=(replace(group, ladder=None),))
    assert estimate(plan, (info,)).core_seconds > estimate(settled, (info,)).core_seconds


@pytest.mark.slow
def test_a_choice_is_the_same_again(make: Maker) -> None:
    """By XPSNR, which libav always has; nothing is larger than asked for."""
    plan = make.plan(ladder(LadderSpec(max_height=144)), FILM, metric=Metric.XPSNR)
    once, again = make.chosen(plan, FILM), make.chosen(plan, FILM)
    assert once == again and once[0].metric is Metric.XPSNR
    assert max(rung.height for rung in once[0].rungs) <= 144


@pytest.mark.slow
def test_joined_sources_share_a_ladder(make: Maker) -> None:
    """Of another shape, and upright: sides are those of the first."""
    spec = ladder(LadderSpec(3), encoded(rotation=90))
    plan = make.plan(spec, TALL, SILENT)
    result = make.chosen(plan, TALL, SILENT)
    assert (result[0].width, result[0].height) == (200, 120)
    converted = make.convert(make.plan(spec, TALL, SILENT, ladders=result), TALL, SILENT)
    assert sum(artifact.uri.endswith("/v.m3u8") for artifact in converted) == len(result[0].rungs)


def test_bounds_that_nothing_meets_are_told(make: Maker) -> None:
    """The nearest is made, with a warning; one within the bounds has none."""
    rung = LadderPoint(320, 180, 20.0, 900_000, 90.0)
    chosen = {0: Ladder(Metric.XPSNR, 320, 180, (rung,), (rung,))}
    for asked, told in ((LadderSpec(min_bitrate=1_000_000), True), (LadderSpec(3, 800_000, 1_000_000), False)):
        warnings = make.plan(ladder(asked), FILM, ladders=chosen).warnings
        assert any("auto_ladder: the nearest has 900000 bit/s" in warning for warning in warnings) == told


def test_what_has_no_video_has_no_ladder(make: Maker) -> None:
    """By name; nor does what cannot be measured."""
    with pytest.raises(InvalidMedia, match=r"target_groups\[0\].auto_ladder: the source has no video"):
        make.plan(ladder(LadderSpec()), SOUND)
    infos = (probe_file(make.paths(FILM)[0], Limits()),)
    request = ConvertRequest(
        "task", "project", (SourceSpec("file:///in.mkv"),), (ladder(LadderSpec()),), group_uris=("file:///out/m",)
    )
    with pytest.raises(UnsupportedFormat, match=r"auto_ladder: quality cannot be measured here"):
        make_plan(request, PlanFacts(infos, {}))


def test_a_choice_ends_with_its_attempt(make: Maker, tmp_path: Path) -> None:
    """As soon as it is asked to stop."""
    stop = threading.Event()
    search = LadderSearch(make.plan(ladder(LadderSpec()), FILM), make.paths(FILM), tmp_path, limits=Limits(), stop=stop)
    stop.set()
    with pytest.raises(Stopped):
        search.run()
    assert search.share == 0
