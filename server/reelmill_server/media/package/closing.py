"""Tell which segments of outputs are complete while muxers write the next ones."""

import re
from collections.abc import Iterator
from pathlib import Path

from reelmill_server.model.plan import Plan, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.output.package_files import output_path

_SEGMENT = re.compile(r"(?P<stream>(?:\d+-)?)(?P<number>\d+)(?P<extension>\.ts|\.m4s)")


def closed_segments(plan: Plan, directory: Path) -> set[str]:
    """Return the segments below `directory` to which nothing more is written.

    These are the ones with two successors: muxers write one at a time, and the last one may still be merged into the one
    before (`join_tail`).
    """
    closed: set[str] = set()
    for slot, target in enumerate(plan.targets):
        if target.package is None or target.package.rendition:
            continue
        numbers: dict[tuple[str, str], list[int]] = {}
        for path in (directory / output_path(slot, target)).parent.glob("*[0-9].*"):
            if match := _SEGMENT.fullmatch(path.name):
                numbers.setdefault((match["stream"], match["extension"]), []).append(int(match["number"]))
        for (stream, extension), written in numbers.items():
            closed.update(f"{slot}/{stream}{number}{extension}" for number in sorted(written)[:-2])
    return closed


def files_as_closed(plan: TargetPlan, folder: Path) -> Iterator[Path | None]:
    """Yield the files of a packaged output in `folder` in the order in which its playlist lists them, or its manifest those of
    the first stream, each once nothing more is written to it, as `closed_segments` has it; None: the next one is not closed.
    """
    assert plan.package
    stream = "0-" if plan.package.format is SegmentFormat.DASH else ""
    extension = ".ts" if plan.container == "ts" else ".m4s"
    numbers: list[int] = []
    while not numbers:
        segments = [match for path in folder.glob(f"{stream}*{extension}") if (match := _SEGMENT.fullmatch(path.name))]
        numbers = [int(match["number"]) for match in segments if match["stream"] == stream]
        yield None
    number = min(numbers)
    begun = plan.container == "ts"
    while True:
        if not (folder / f"{stream}{number + 2}{extension}").exists():
            yield None
            continue
        if not begun:
            yield folder / f"{stream}init.mp4"
            begun = True
        yield folder / f"{stream}{number}{extension}"
        number += 1
