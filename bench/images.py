"""Compare images made by Reelmill with those of ffmpeg, run alternately from this process: medians and ratios.

    python -m bench.images [--source FILE] [--repeat N]

As in `bench.transcode`, Reelmill's side does what the child of an attempt does: probe, plan, convert, and read every file back.
"""

import argparse
import json
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from bench.transcode import in_child, timed
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.images import image_results
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.clips import moving_picture

_CLIP_SECONDS = 300
_SECOND = 1_000_000
_FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_TWENTY = FramesSpec(interval_us=15 * _SECOND, number=20)
_GIF = "fps=5,scale=480:270:flags=bicubic,split[a][b];[a]palettegen[p];[b][p]paletteuse=dither=sierra2_4a:diff_mode=rectangle"
_MOVING = FramesSpec(start_us=20 * _SECOND, interval_us=_SECOND // 5, number=50)


@dataclass(frozen=True)
class Case:
    """One comparison: Reelmill's image entry, and the ffmpeg command lines that do the same."""

    name: str
    entry: ImageSpec
    cli: tuple[str, ...]


def _entry(kind: ImageKind, form: str, frames: FramesSpec, **options: Any) -> ImageSpec:
    return ImageSpec(kind, 0, "file:///out/x", form, frames, **options)


CASES = (
    Case(
        "20 snapshots against 20 seeks",
        _entry(ImageKind.SNAPSHOT, "jpg", _TWENTY),
        tuple(f"-ss {15 * step} -i SOURCE -frames:v 1 -q:v 2 {step}.jpg" for step in range(20)),
    ),
    Case(
        "20 snapshots against the fps filter",
        _entry(ImageKind.SNAPSHOT, "jpg", _TWENTY),
        ("-i SOURCE -vf fps=1/15 -q:v 2 %d.jpg",),
    ),
    Case(
        "keyframes",
        _entry(ImageKind.SNAPSHOT, "jpg", FramesSpec(FrameMode.KEYFRAME)),
        ("-skip_frame nokey -i SOURCE -fps_mode passthrough -q:v 2 %d.jpg",),
    ),
    Case(
        "a sprite sheet of 36 thumbnails",
        _entry(
            ImageKind.SPRITE, "jpg", FramesSpec(interval_us=8 * _SECOND, number=36), width=160, height=90, sheet=SheetSpec()
        ),
        ("-i SOURCE -vf fps=1/8,scale=160:90,tile=6x6:padding=2:margin=2 -frames:v 1 -q:v 2 0.jpg",),
    ),
    Case(
        "gif, 10 s at 5 fps, 480x270",
        _entry(ImageKind.ANIMATION, "gif", _MOVING, width=480, height=270),
        (f"-ss 20 -t 10 -i SOURCE -vf {_GIF} 0.gif",),
    ),
    Case(
        "webp, the same",
        _entry(ImageKind.ANIMATION, "webp", _MOVING, width=480, height=270),
        ("-ss 20 -t 10 -i SOURCE -vf fps=5,scale=480:270 -c:v libwebp_anim -quality 75 -loop 0 0.webp",),
    ),
)


def convert(source: Path, folder: Path, entry: ImageSpec) -> None:
    """Do what the child of an attempt does."""
    target = TargetSpec(0, "", "", images=(entry,), subtitle="none")
    request = ConvertRequest("bench", "default", (SourceSpec("file:///x"),), (target,))
    plan = make_plan(request, PlanFacts([probe_file(str(source), Limits())], {}))
    conversion = Conversion(plan, (str(source),), folder, limits=Limits(), stop=Event())
    conversion.run()
    for slot, files in enumerate(conversion.images):
        image_results(slot, plan.images[slot], files, folder)


def command_lines(case: Case, source: Path, folder: Path) -> None:
    """Run the command lines of a case."""
    for line in case.cli:
        arguments = [str(source) if argument == "SOURCE" else argument for argument in line.split()]
        subprocess.run([_FFMPEG, "-nostdin", "-v", "error", "-y", *arguments], cwd=folder, check=True)


def compare(case: Case, source: Path, repeat: int) -> dict[str, object]:
    """Run both sides alternately and return medians and ratios (Reelmill / ffmpeg: below 1 is better)."""
    reelmill, ffmpeg = [], []
    for _ in range(repeat):
        with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
            reelmill.append(timed(lambda into=first: in_child(convert, source, Path(into), case.entry)))  # type: ignore[misc]
            ffmpeg.append(timed(lambda into=second: command_lines(case, source, Path(into))))  # type: ignore[misc]
            files = [sorted(path for path in Path(folder).rglob("*") if path.is_file()) for folder in (first, second)]
            sizes = [sum(path.stat().st_size for path in side) for side in files]
            quality = _psnr(source, [side[0] for side in files]) if case.entry.kind is ImageKind.ANIMATION else {}
    wall, cpu = ([median(run[which] for run in side) for side in (reelmill, ffmpeg)] for which in (0, 1))
    return {
        "case": case.name,
        "wall_s": [round(value, 2) for value in wall],
        "wall_ratio": round(wall[0] / wall[1], 2),
        "cpu_ratio": round(cpu[0] / cpu[1], 2),
        "files": [len(side) for side in files],
        "size_ratio": round(sizes[0] / sizes[1], 3),
        **quality,
    }


def _source_frames(source: Path, choice: str) -> NDArray[np.float64]:
    scale = f"{choice},scale=480:270:flags=bicubic+accurate_rnd"
    command = [_FFMPEG, "-nostdin", "-v", "error", "-ss", "20", "-t", "10", "-i", source, "-vf", scale]
    command += ["-fps_mode", "passthrough", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    return np.frombuffer(raw, np.uint8).reshape(-1, 270, 480, 3).astype(np.float64)


def _psnr(source: Path, files: Sequence[Path]) -> dict[str, list[float]]:
    """Return the PSNR in dB of each side's frames against the source's: every fifth for Reelmill, for ffmpeg those that its fps
    filter selects."""
    values = []
    for path, choice in zip(files, ("select=not(mod(n\\,5))", "fps=5"), strict=True):
        expected = _source_frames(source, choice)
        with Image.open(path) as image:
            errors = []
            for number in range(min(image.n_frames, len(expected))):  # type: ignore[attr-defined]
                image.seek(number)
                errors.append(((np.asarray(image.convert("RGB")) - expected[number]) ** 2).mean())
        values.append(round(10 * float(np.log10(255**2 / np.mean(errors))), 2))
    return {"psnr_db": values}


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--source", type=Path)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = options.source or Path(folder, "clip.mp4")
        if options.source is None:
            in_child(moving_picture, source, _CLIP_SECONDS, "1280x720", 25, "", 150)
        for case in CASES:
            print(json.dumps(compare(case, source.resolve(), options.repeat)), flush=True)


if __name__ == "__main__":
    main()
