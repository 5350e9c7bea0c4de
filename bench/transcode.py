"""Compare Reelmill's pipeline with ffmpeg, run alternately from this process: medians and ratios.

    python -m bench.transcode [--source FILE] [--repeat N] [CASE ...]

Each side is a process of its own, started for every run. Reelmill's is forked from one that has imported libav, like the
children of a worker, and does what the child of an attempt does: it probes, plans, converts and verifies. ffmpeg verifies
nothing.
"""

import argparse
import json
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event

import imageio_ffmpeg

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.kept import KeptSource
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.clips import moving_picture

_FULL_HD = (20, "1920x1080", 30)
_MANY_PACKETS = (900, "160x90", 25)
"""Clips: seconds, size, frames per second."""
_X264 = VideoSpec("h264", width=1280, height=720, preset="medium")
_CLI_X264 = "-c:v libx264 -preset medium -crf 23 -g 150 -bf 3 -refs 2 -s 1280x720 -c:a aac -b:a 128k"
_QUICK = VideoSpec("h264", width=640, height=360, preset="ultrafast")
_CLI_QUICK = "-c:v libx264 -preset ultrafast -crf 23 -g 150 -bf 3 -refs 2 -s 640x360 -c:a aac -b:a 128k"


@dataclass(frozen=True)
class Case:
    """One comparison: Reelmill's targets and ffmpeg's outputs of a clip."""

    name: str
    targets: tuple[TargetSpec, ...]
    cli: tuple[str, ...]
    clip: tuple[float, str, int] = _FULL_HD


CASES = (
    Case("x264 medium 720p + aac", (TargetSpec(0, "file:///x", "mp4", _X264, AudioSpec("aac")),), (f"{_CLI_X264} 0.mp4",)),
    Case("x264 ultrafast 360p + aac", (TargetSpec(0, "file:///x", "mp4", _QUICK, AudioSpec("aac")),), (f"{_CLI_QUICK} 0.mp4",)),
    Case("stream copy to mkv", (TargetSpec(0, "file:///x", "mkv"),), ("-c copy 0.mkv",)),
    Case("copy of 65,000 packets", (TargetSpec(0, "file:///x", "mkv"),), ("-c copy 0.mkv",), _MANY_PACKETS),
    Case(
        "three targets from one decode",
        (
            TargetSpec(0, "file:///x", "mp4", _X264, AudioSpec("aac")),
            TargetSpec(1, "file:///x", "mp4", _QUICK, AudioSpec("aac")),
            TargetSpec(2, "file:///x", "mkv"),
        ),
        (f"{_CLI_X264} 0.mp4", f"{_CLI_QUICK} 1.mp4", "-c copy 2.mkv"),
    ),
)


def convert(source: Path, folder: Path, request: ConvertRequest) -> None:
    """Do what the child of an attempt does; files of watermarks are given by their paths."""
    location = KeptSource(str(source))
    info = probe_file(location, Limits(), copied=request.copies_video)
    software = {"libx264": Capability("libx264", "h264", SOFTWARE, True)}
    watermarks = {uri: uri for uri in request.watermark_uris}
    infos = {uri: probe_file(path, Limits()) for uri, path in watermarks.items()}
    plan = make_plan(request, PlanFacts([info], software, watermark_infos=infos))
    produced, _ = Conversion(plan, (location,), folder, limits=Limits(), stop=Event(), watermark_locations=watermarks).run()
    for file in produced:
        verify(file)


def timed(run: Callable[[], object]) -> tuple[float, float]:
    """Return the wall and CPU seconds that `run` spends in child processes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    run()
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def in_child(work: Callable[..., object], *arguments: object) -> None:
    """Run `work` in a forked process; exits if it fails."""
    process = multiprocessing.get_context("fork").Process(target=work, args=arguments)
    process.start()
    process.join()
    if process.exitcode:
        sys.exit(f"a child exited with status {process.exitcode}")


def compare(case: Case, source: Path, repeat: int) -> dict[str, object]:
    """Run both sides alternately and return medians and ratios (Reelmill / ffmpeg: below 1 is better)."""
    request = ConvertRequest("bench", "default", (SourceSpec("file:///x"),), case.targets)
    reelmill, ffmpeg = [], []
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        outputs = [word for output in case.cli for word in output.split()]
        cli = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(source), *outputs]
        for _ in range(repeat):
            reelmill.append(timed(lambda: in_child(convert, source, Path(first), request)))
            ffmpeg.append(timed(lambda: subprocess.run(cli, cwd=second, check=True)))
        sizes = [sum(path.stat().st_size for path in Path(folder).iterdir()) for folder in (first, second)]
    wall, cpu = ([median(run[which] for run in side) for side in (reelmill, ffmpeg)] for which in (0, 1))
    return {
        "case": case.name,
        "wall_s": [round(value, 2) for value in wall],
        "wall_ratio": round(wall[0] / wall[1], 2),
        "cpu_ratio": round(cpu[0] / cpu[1], 2),
        "size_ratio": round(sizes[0] / sizes[1], 3),
    }


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    parser.add_argument("case", nargs="*", help="parts of the cases' names; default: all cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for case in (case for case in CASES if all(word in case.name for word in options.case)):
            source = options.source or Path(folder, f"{case.clip[1]}.mp4")
            if options.source is None and not source.exists():
                # In a child, so that this process has no threads of libav when it forks.
                in_child(moving_picture, source, *case.clip)
            print(json.dumps(compare(case, source.resolve(), options.repeat)), flush=True)


if __name__ == "__main__":
    main()
