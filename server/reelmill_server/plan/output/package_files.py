"""The files of a plan's media outputs: where they lie below the attempt's directory, and where they are published."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.task import ArtifactKind
from reelmill_server.plan.output.packaging import LIST_EXTENSION, SEGMENT_EXTENSIONS, is_subtitles

_PART = re.compile(r"(?P<slot>\d{1,9})/(?:(?P<stream>\d{1,9})-)?(?P<name>\d{1,9}|init)\.(?P<extension>ts|m4s|mp4|vtt)")


@dataclass(frozen=True)
class PlannedFile:
    """A result that has a name of its own: its path in the attempt's folder, its URI and kind.

    `target_index`: the target's index in the request; `slot`: its index in the plan, -1 for the master playlist of `group`.
    `stream`: the only stream of the output in it; -1: all.
    """

    path: str
    uri: str
    kind: ArtifactKind
    target_index: int
    slot: int = -1
    group: int = -1
    stream: int = -1


def output_path(slot: int, target: TargetPlan) -> str:
    """Return the path that a target's muxer writes to, relative to the attempt's folder."""
    if target.package is None:
        return f"{slot}.{target.container}"
    return f"{slot}/muxed.{target.container if is_subtitles(target) else LIST_EXTENSION[target.package.format]}"


def planned_files(plan: Plan) -> tuple[PlannedFile, ...]:
    """Return the named results of a plan; files that list others come last."""
    files = [file for slot, target in enumerate(plan.targets) for file in _files(slot, target)]
    for number, group in enumerate(plan.groups):
        index = plan.targets[group.variants[0]].index
        files.append(PlannedFile(f"group-{number}.m3u8", group.uri, ArtifactKind.MASTER_PLAYLIST, index, group=number))
    return tuple(sorted(files, key=lambda file: file.kind in (ArtifactKind.MASTER_PLAYLIST, ArtifactKind.MANIFEST)))


def _files(slot: int, target: TargetPlan) -> Iterator[PlannedFile]:
    package = target.package
    if package is None:
        yield PlannedFile(output_path(slot, target), target.uri, ArtifactKind.MEDIA, target.index, slot)
        return
    path = f"{slot}/list.{LIST_EXTENSION[package.format]}"
    kind = ArtifactKind.MANIFEST if package.format is SegmentFormat.DASH else ArtifactKind.PLAYLIST
    yield PlannedFile(path, target.uri, kind, target.index, slot)
    if package.hls_uri:
        for number in range(len(target.streams)):
            uri = f"{package.hls_uri.removesuffix('.m3u8')}-{number}.m3u8"
            yield PlannedFile(f"{slot}/list-{number}.m3u8", uri, ArtifactKind.PLAYLIST, package.hls_index, slot, stream=number)
        yield PlannedFile(f"{slot}/main.m3u8", package.hls_uri, ArtifactKind.MASTER_PLAYLIST, package.hls_index, slot)


def part_uri(plan: Plan, path: str) -> str | None:
    """Return the URI of the segment or init segment at `path` of the attempt's folder, None if the plan has none there."""
    match = _PART.fullmatch(path)
    slot = int(match["slot"]) if match else -1
    package = plan.targets[slot].package if match and slot < len(plan.targets) else None
    if match is None or package is None or str(slot) != match["slot"]:
        return None
    extension = "mp4" if match["name"] == "init" else SEGMENT_EXTENSIONS[plan.targets[slot].container]
    dash = package.format is SegmentFormat.DASH
    if match["extension"] != extension or dash != bool(match["stream"]):
        return None
    if dash and int(match["stream"]) >= len(plan.targets[slot].streams):
        return None
    stream = f"{match['stream']}-" if dash else ""
    if match["name"] == "init":
        return f"{package.prefix}{stream}init.mp4"
    first = 0 if dash else package.start_number  # DASH counts from 1 by itself
    return f"{package.prefix}{stream}{int(match['name']) + first}{package.suffix}"


# Of few digits and of many, so that a number in a name is not taken for that of a segment.
_NUMBERS = ("4", "99999", "0-4", "0-99999")


_SAMPLES = (*(f"{name}.{extension}" for extension in ("ts", "m4s", "vtt") for name in _NUMBERS), "init.mp4", "0-init.mp4")


def writable_uris(plan: Plan) -> list[str]:
    """Return one URI of each kind that the plan will write, to be checked before work starts."""
    examples = [f"{slot}/{name}" for slot in range(len(plan.targets)) for name in _SAMPLES]
    parts = [uri for uri in (part_uri(plan, path) for path in examples) if uri is not None]
    return [*(file.uri for file in planned_files(plan)), *parts]
