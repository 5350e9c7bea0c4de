"""Conversions that are cut into units, each carried out by itself, and joined."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from reelmill_server.media.capabilities import library_versions
from reelmill_server.media.conversion.chunk import ChunkConversion
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.track.joined import JoinedChunks
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import SourceSpec
from reelmill_server.model.units import Split, SplitRule, UnitFile
from reelmill_server.plan.chunks import encoded_video, split
from tests.media.converter import NO_LIMITS, Converter, watermark_paths

_PLAN, _SPLIT = TypeAdapter(Plan), TypeAdapter(Split)


def split_of(plan: Plan, path: Path, parallelism: int) -> Split:
    """How a plan for the file at `path` is cut."""
    parts = [part for _, _, stream in encoded_video(plan) for part in stream.parts]
    keys = keyframe_times(str(path), parts[0].stream, NO_LIMITS) if parts else ()
    return split(plan, (probe_file(str(path), NO_LIMITS),), keys, SplitRule(parallelism=parallelism), str(library_versions()))


class Chunked(Converter):
    """As `Converter`, but cut into `parallelism` chunks, if that is possible: it fails where it is not."""

    parallelism = 3

    def __init__(self, serial: Converter, new_folder: Callable[[], Path]) -> None:
        super().__init__(serial.shelf, new_folder)
        self.split = Split()
        self.files: list[tuple[UnitFile, Path]] = []

    def _produce(
        self, plan: Plan, path: Path, source: SourceSpec, limits: Limits, folder: Path
    ) -> tuple[Conversion, list[str]]:
        plan = _PLAN.validate_json(_PLAN.dump_json(plan))  # as it travels
        told = self.cut(plan, path, limits, folder)
        return self.join(plan, path, source, limits, folder, self.files), told

    def cut(self, plan: Plan, path: Path, limits: Limits, folder: Path) -> list[str]:
        """Carries out all units; gives what a user should know."""
        self.split = _SPLIT.validate_json(_SPLIT.dump_json(split_of(plan, path, self.parallelism)))
        assert self.split.units, self.split.reason
        self.files, told = [], []
        for unit in self.split.units:
            own = folder / f"unit-{unit.number}"
            own.mkdir()
            marks = watermark_paths(plan)
            running = ChunkConversion(
                plan, self.split, unit, (str(path),), own, limits=limits, stop=threading.Event(), watermark_locations=marks
            )
            files, warnings = running.make()
            assert running.share == 1.0 or running.share > 0.5
            self.files += [(file, own / file.path) for file in files]
            told += warnings
        return told

    def join(
        self,
        plan: Plan,
        path: Path,
        source: SourceSpec,
        limits: Limits,
        folder: Path,
        files: Sequence[tuple[UnitFile, Path]],
    ) -> Conversion:
        """The conversion that joins `files`."""
        named: dict[tuple[int, int], list[str]] = {}
        for file, place in files:
            named.setdefault((file.slot, file.stream), []).append(str(place))
        beside = (tuple(entry.uri for entry in source.subtitles),)
        joined = JoinedChunks(self.split, named)
        return Conversion(
            plan,
            (str(path),),
            folder,
            limits=limits,
            stop=threading.Event(),
            subtitle_locations=beside,
            watermark_locations=watermark_paths(plan),
            joined=joined,
        )
