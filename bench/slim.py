"""Search encoder settings that need fewer bits than the default at equal VMAF, as `video_slim` would have to use.

    python -m bench.slim FOLDER [--start S] [--seconds S] [--crf N]

An excerpt of the first video stream of each clip in the folder is encoded by the default at one CRF and by each recipe at
several, and compared with the excerpt by libvmaf, all with the ffmpeg of `imageio-ffmpeg`. The bits that a recipe needs at the
default's VMAF are interpolated between its CRFs. Prints one JSON line per clip and codec: VMAF and kbit/s of the default, and
the bits of each recipe relative to it.
"""

import argparse
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from math import exp, log
from pathlib import Path

import imageio_ffmpeg

from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec import encoder_options, video_encoders

_STEPS = (-4, 0, 4)  # of CRF, around the default's
_DEEP = {"bf": "8", "refs": "5"}
RECIPES: Mapping[str, Mapping[str, Mapping[str, str]]] = {
    "h264": {
        "slower bf 8 refs 5": {"preset": "slower", **_DEEP},
        "the same, aq-mode 3": {"preset": "slower", **_DEEP, "aq-mode": "3"},
        "the same, psy 0 aq 0": {"preset": "slower", **_DEEP, "psy": "0", "aq-mode": "0"},
    },
    "h265": {
        "slow bf 8 refs 5": {"preset": "slow", **_DEEP},
        "the same, psy 0": {"preset": "slow", **_DEEP, "x265-params": "log-level=none:psy-rd=0:psy-rdoq=0"},
        "the same, psy 0 aq 0": {"preset": "slow", **_DEEP, "x265-params": "log-level=none:psy-rd=0:psy-rdoq=0:aq-mode=0"},
    },
}
"""Options that differ from the default, by codec and name."""


def ffmpeg(*arguments: str | Path) -> str:
    """Run ffmpeg and return its log."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-y", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, check=True, text=True).stderr


def measure(excerpt: Path, codec: str, crf: float, recipe: Mapping[str, str]) -> tuple[float, int]:
    """Encode `excerpt` and return VMAF and bytes."""
    encoder = video_encoders.VIDEO_ENCODERS[codec][SOFTWARE]
    choice = video_encoders.EncoderChoice(encoder, SOFTWARE, "", "")
    options = {**encoder_options.options(choice, VideoSpec(codec, crf=crf)), **recipe}
    output = excerpt.with_suffix(f".{codec}")
    arguments = [argument for name, value in options.items() for argument in (f"-{name}", value)]
    ffmpeg("-i", excerpt, "-c:v", encoder, *arguments, "-f", "matroska", output)
    log = ffmpeg("-i", output, "-i", excerpt, "-lavfi", "libvmaf=n_threads=2", "-f", "null", "-")
    match = re.search(r"VMAF score: ([\d.]+)", log)
    assert match, log
    return float(match[1]), output.stat().st_size


def size_at(score: float, points: Sequence[tuple[float, int]]) -> float:
    """Return the bytes at a VMAF score: log-linear between (and beyond) the nearest of `points`."""
    below, above = sorted(sorted(points, key=lambda point: abs(point[0] - score))[:2])
    share = (score - below[0]) / (above[0] - below[0])
    return exp(log(below[1]) + share * (log(above[1]) - log(below[1])))


def compare(clip: Path, codec: str, start: float, seconds: float, crf: float) -> dict[str, object]:
    """Return the bits that the recipes of a codec need for an excerpt of `clip`, relative to the default."""
    with tempfile.TemporaryDirectory() as folder:
        excerpt = Path(folder, "excerpt.mkv")
        ffmpeg("-ss", str(start), "-t", str(seconds), "-i", clip, "-map", "0:v:0", "-c:v", "ffv1", excerpt)
        score, size = measure(excerpt, codec, crf, {})
        ratios = {
            name: round(size_at(score, [measure(excerpt, codec, crf + step, recipe) for step in _STEPS]) / size, 3)
            for name, recipe in RECIPES[codec].items()
        }
    return {"clip": clip.name, "codec": codec, "vmaf": round(score, 1), "kbit_s": round(size * 8 / seconds / 1000), **ratios}


def main() -> None:
    """Print one JSON line per clip and codec."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--start", type=float, default=2)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--crf", type=float, default=encoder_options.DEFAULT_CRF)
    options = parser.parse_args()
    for clip in sorted(options.folder.iterdir()):
        header = subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-i", clip], capture_output=True, check=False, text=True)
        for codec in RECIPES if "Video:" in header.stderr else ():
            print(json.dumps(compare(clip, codec, options.start, options.seconds, options.crf)), flush=True)


if __name__ == "__main__":
    main()
