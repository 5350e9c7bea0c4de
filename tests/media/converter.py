"""Conversions as a worker's child runs them."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from reelmill_server.media.capabilities import try_encoders, try_filters
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.cut_edges import edges_of
from reelmill_server.media.input.probe import probe_beside, probe_file, probe_subtitles
from reelmill_server.media.result.files import Result, make_results
from reelmill_server.media.result.images import image_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.overlay_plan import PicturePlan
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.model.task import Artifact, ArtifactKind
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.ffmpeg.command import ffmpeg_command
from reelmill_server.plan.output.destinations import foreign_uris
from reelmill_server.plan.output.images import needs_length
from reelmill_server.plan.output.package_files import part_uri
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream.adaptive import needs_bitrates
from tests import lists
from tests.sources import Clip, Shelf


@cache
def capabilities() -> Mapping[str, Capability]:
    """What this build of libav encodes without hardware, and its filters."""
    return {capability.name: capability for capability in (*try_encoders((SOFTWARE,)), *try_filters())}


@dataclass(frozen=True)
class Converted:
    """What a conversion gave, in the order of the targets."""

    plan: Plan
    paths: tuple[Path, ...]
    artifacts: tuple[Artifact, ...]
    warnings: tuple[str, ...]
    published: Path

    @property
    def path(self) -> Path:
        """The only output."""
        (path,) = self.paths
        return path

    @property
    def artifact(self) -> Artifact:
        """The only artifact."""
        (artifact,) = self.artifacts
        return artifact


COPIED_VIDEO, COPIED_AUDIO, NO_LIMITS, CLIP = VideoSpec(), AudioSpec(), Limits(), SourceSpec("file:///in/clip.mp4")


def target(
    container: str = "mp4", video: VideoSpec | None = COPIED_VIDEO, audio: AudioSpec | None = COPIED_AUDIO
) -> TargetSpec:
    """A target that names both streams."""
    return TargetSpec(0, "file:///out/x", container, video, audio, video_asked=True, audio_asked=True)


def encoded(codec: str = "h264", **settings: object) -> VideoSpec:
    """A quick encode."""
    return VideoSpec(codec, **{"preset": "ultrafast", "gop_size": 25, **settings})  # type: ignore[arg-type]


def plan_of(
    path: Path, targets: Sequence[TargetSpec], source: SourceSpec, limits: Limits, group_uris: tuple[str, ...] = ()
) -> Plan:
    """The plan that a worker would make for the file at `path`; URIs of files of subtitles and watermarks are local paths."""
    return plan_of_all(((path, source),), targets, limits, group_uris)


def plan_of_all(
    sources: Sequence[tuple[Path, SourceSpec]], targets: Sequence[TargetSpec], limits: Limits, group_uris: tuple[str, ...] = ()
) -> Plan:
    """As `plan_of`, for several files."""
    numbered = tuple(replace(spec, index=index) for index, spec in enumerate(targets))
    paths, specs = [str(path) for path, _ in sources], tuple(spec for _, spec in sources)
    request = ConvertRequest("task", "project", specs, numbered, group_uris=group_uris)
    files = tuple(
        tuple(probe_subtitles(file.uri, file.uri, limits, file.language) for file in spec.subtitles) for spec in specs
    )
    measured = needs_bitrates(request), needs_length(request)
    infos = tuple(probe_file(path, limits, *measured, copied=request.copies_video) for path in paths)
    marks = {uri: probe_beside(uri, uri, limits) for uri in request.watermark_uris}
    edges = edges_of(request, infos, paths, limits)
    facts = PlanFacts(infos, capabilities(), subtitle_infos=files, watermark_infos=marks, cut_edges=edges)
    plan = make_plan(request, facts)
    foreign = foreign_uris(request, (0,) * len(infos), plan)
    assert not foreign, foreign  # else a worker would refuse it
    assert ffmpeg_command(request, plan, infos).groups and ffmpeg_command(request, plan).groups  # of every plan there is one
    return plan


def watermark_paths(plan: Plan) -> Mapping[str, str]:
    """Where the files of watermarks lie: their URIs are local paths."""
    overlays = [overlay for entry in plan.targets for stream in entry.streams for overlay in stream.overlays]
    return {overlay.uri: overlay.uri for overlay in overlays if isinstance(overlay, PicturePlan)}


LISTS = (ArtifactKind.PLAYLIST, ArtifactKind.MASTER_PLAYLIST, ArtifactKind.MANIFEST, ArtifactKind.IMAGE_PLAYLIST)


class Converter:
    """Probes, plans, runs and verifies, as a worker's child does. Equal conversions run once."""

    def __init__(self, shelf: Shelf, new_folder: Callable[[], Path]) -> None:
        self.shelf, self._new_folder = shelf, new_folder
        self._done: dict[object, Converted] = {}

    def __call__(
        self,
        clip: Clip | Path,
        *targets: TargetSpec,
        start: float = 0.0,
        duration: float = 0.0,
        limits: Limits = NO_LIMITS,
        source: SourceSpec = CLIP,
        group_uris: tuple[str, ...] = (),
    ) -> Converted:
        path = clip if isinstance(clip, Path) else self.shelf.get(clip)
        spec = replace(source, start_us=round(start * 1_000_000), duration_us=round(duration * 1_000_000))
        wanted = (path, targets, spec, limits, group_uris)
        if wanted not in self._done:
            self._done[wanted] = self._run(path, targets or (target(),), spec, limits, group_uris)
        return self._done[wanted]

    def _run(
        self, path: Path, targets: Sequence[TargetSpec], source: SourceSpec, limits: Limits, group_uris: tuple[str, ...]
    ) -> Converted:
        plan = plan_of(path, targets, source, limits, group_uris)
        folder = self._new_folder()
        return self._made(plan, folder, *self._produce(plan, path, source, limits, folder))

    def concat(self, sources: Sequence[tuple[Clip | Path, SourceSpec]], *targets: TargetSpec) -> Converted:
        """Converts several clips that follow each other."""
        pairs = [(clip if isinstance(clip, Path) else self.shelf.get(clip), spec) for clip, spec in sources]
        plan, folder = plan_of_all(pairs, targets, NO_LIMITS), self._new_folder()
        paths = [str(path) for path, _ in pairs]
        return self._made(plan, folder, Conversion(plan, paths, folder, limits=NO_LIMITS, stop=threading.Event()), ())

    def _made(self, plan: Plan, folder: Path, conversion: Conversion, told: Sequence[str]) -> Converted:
        produced, warnings = conversion.run()
        results = [*make_results(plan, [verify(file) for file in produced], folder)]
        for slot, pictures in enumerate(conversion.images):
            results += image_results(slot, plan.images[slot], pictures, folder)
        published = _published(results, plan, folder)
        for artifact in (result.artifact for result in results if result.artifact.kind in LISTS):
            lists.check(published / unquote(artifact.uri.removeprefix("file:///out/")))
        return Converted(
            plan,
            tuple(Path(file.path) for file in produced),
            tuple(result.artifact for result in results),
            (*plan.warnings, *told, *warnings),
            published,
        )

    def _produce(
        self, plan: Plan, path: Path, source: SourceSpec, limits: Limits, folder: Path
    ) -> tuple[Conversion, list[str]]:
        """The conversion that makes the outputs, and what was told before it."""
        files = tuple(file.uri for file in source.subtitles)
        return Conversion(
            plan,
            (str(path),),
            folder,
            limits=limits,
            stop=threading.Event(),
            subtitle_locations=(files,),
            watermark_locations=watermark_paths(plan),
        ), []


def _published(results: Sequence[Result], plan: Plan, folder: Path) -> Path:
    """A folder with all files under the names that their URIs below `file:///out/` give them."""
    published = folder / "published"
    named = [(result.path, result.artifact.uri) for result in results]
    named += [(part, part_uri(plan, part) or "") for result in results for part in result.parts]
    for name, uri in named:
        place = published / unquote(uri.removeprefix("file:///out/"))
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.hardlink_to(folder / name)
    return published
