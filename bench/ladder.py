"""Compare ladders that are made for their videos with a fixed one of the same sizes, by bits at equal VMAF.

    python -m bench.ladder SOURCE… [--seconds S] [--preset P] [--codec C] [--max-height N] [--max-renditions N]

Chooses the rungs of each source as a worker's child does, encodes them, and encodes the same sizes at usual bit rates.
The VMAF of all is measured over all frames by the ffmpeg of `imageio-ffmpeg`, scaled up to the largest size. Prints one
JSON line for each source: the rungs, how far their promises were off, how many percent more bits than the fixed ladder they
need at equal VMAF (the mean over the scores that both have), and the CPU of the search as a multiple of that of the encode.
"""

import argparse
import json
import re
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from math import exp, log
from pathlib import Path

import imageio_ffmpeg

from bench.quality import FACTS, cpu
from reelmill_server.media.conversion.ladder_search import LadderSearch
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.ladder import Ladder, LadderPoint, LadderSpec
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan

# kbit/s by the shorter side, usual ones: near those of Apple's authoring guide for H.264.
_FIXED: Mapping[int, int] = {
    2160: 16000, 1440: 9000, 1080: 6000, 720: 3000, 540: 2000, 432: 1100,
    360: 730, 288: 365, 216: 145, 180: 100, 144: 70, 108: 45,
}  # fmt: skip
_PARTS = 50  # in which the scores that both ladders have are divided
Curve = Sequence[tuple[float, float]]
"""VMAF and bit/s of each rung."""


def choose(path: Path, info: MediaInfo, source: SourceSpec, video: VideoSpec, asked: LadderSpec) -> Ladder:
    """Return the ladder of a source with its rungs."""
    target = TargetSpec(0, "file:///out/{rung}/v", "mp4", video, None, "none", True, True, group=0, member=0, ladder=asked)
    plan = make_plan(
        ConvertRequest("bench", "bench", (source,), (target,), group_uris=("file:///out/m",)), PlanFacts((info,), FACTS)
    )
    with tempfile.TemporaryDirectory() as folder:
        return LadderSearch(plan, (str(path),), Path(folder), limits=Limits(), stop=threading.Event()).run()[0]


def encode(path: Path, info: MediaInfo, source: SourceSpec, videos: Sequence[VideoSpec], size: tuple[int, int]) -> Curve:
    """Encode a source in each way; return what came of it."""
    targets = tuple(
        TargetSpec(index, f"file:///out/{index}", "mkv", video, None, "none", True, True) for index, video in enumerate(videos)
    )
    plan = make_plan(ConvertRequest("bench", "bench", (source,), targets), PlanFacts((info,), FACTS))
    with tempfile.TemporaryDirectory() as folder:
        result, _ = Conversion(plan, (str(path),), Path(folder), limits=Limits(), stop=threading.Event()).run()
        seconds = [float(file.written[0].extent.last - (file.written[0].extent.first or 0)) for file in result]
        rates = [file.written[0].size_bytes * 8 / length for file, length in zip(result, seconds, strict=True)]
        return [(_vmaf(Path(file.path), path, source, size), rate) for file, rate in zip(result, rates, strict=True)]


def _vmaf(output: Path, path: Path, source: SourceSpec, size: tuple[int, int]) -> float:
    """Return the VMAF of an output at a size, by the judge."""
    same = "settb=1/25,setpts=N,format=yuv420p"  # whole ticks: else frames are paired with neighbors of theirs
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic,setsar=1"
    graph = f"[0:v]{scale},{same}[a];[1:v]{scale},{same}[b];[a][b]libvmaf=n_threads=2"
    length = ["-t", f"{source.duration_us / 1e6}"] if source.duration_us else []
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-i", str(output), *length, "-i", str(path), "-lavfi", graph]
    done = subprocess.run([*command, "-f", "null", "-"], capture_output=True, check=True, text=True)
    match = re.search(r"VMAF score: ([\d.]+)", done.stderr)
    assert match, done.stderr
    return float(match[1])


def more_bits(result: Curve, fixed: Curve) -> float | None:
    """Return how many percent more bits `made` needs than `fixed` at equal VMAF; None: they have no score in common."""
    low, high = max(min(result)[0], min(fixed)[0]), min(max(result)[0], max(fixed)[0])
    if low >= high:
        return None
    places = [low + (high - low) * (number + 0.5) / _PARTS for number in range(_PARTS)]
    ratio = sum(_log_rate(result, place) - _log_rate(fixed, place) for place in places) / _PARTS
    return round(100 * (exp(ratio) - 1), 1)


def _log_rate(curve: Curve, vmaf: float) -> float:
    """Return the logarithm of the bit rate at a score, on lines between the rungs."""
    for (below, few), (above, many) in pairwise(sorted(curve)):
        if below <= vmaf <= above:
            return log(few) + (log(many) - log(few)) * ((vmaf - below) / (above - below) if above > below else 0.0)
    raise ValueError(f"{vmaf} is not on the curve")


def measure(path: Path, video: VideoSpec, asked: LadderSpec, seconds: float) -> Ladder:
    """Choose, encode and compare the ladders of one source, and print what came of it."""
    info = probe_file(str(path), Limits(), False)
    source = SourceSpec("file:///in", duration_us=round(seconds * 1e6))
    begun = cpu()
    ladder = choose(path, info, source, video, asked)
    searching = cpu() - begun
    sizes = list(dict.fromkeys((point.width, point.height) for point in ladder.points))
    begun = cpu()
    result = encode(path, info, source, [_at(video, rung) for rung in ladder.rungs], sizes[0])
    encoding = cpu() - begun
    fixed = [
        replace(
            video,
            width=width,
            height=height,
            bitrate=1000 * _FIXED[min(_FIXED, key=lambda side: abs(side - min(width, height)))],
        )
        for width, height in sizes
    ]
    usual = encode(path, info, source, fixed, sizes[0])
    row = {
        "source": path.name,
        "rungs": [
            [f"{rung.width}x{rung.height}", rung.crf, round(rate / 1000), round(vmaf, 1)]
            for rung, (vmaf, rate) in zip(ladder.rungs, result, strict=True)
        ],
        "score_off": max(round(abs(rung.score - vmaf), 2) for rung, (vmaf, _) in zip(ladder.rungs, result, strict=True)),
        "rate_off_percent": max(
            round(100 * abs(rung.bitrate / rate - 1), 1) for rung, (_, rate) in zip(ladder.rungs, result, strict=True)
        ),
        "fixed": [
            [f"{width}x{height}", round(rate / 1000), round(vmaf, 1)]
            for (width, height), (vmaf, rate) in zip(sizes, usual, strict=True)
        ],
        "more_bits_percent": more_bits(result, usual),
        "cost": round(searching / encoding, 1),
    }
    print(json.dumps(row), flush=True)
    return ladder


def _at(video: VideoSpec, rung: LadderPoint) -> VideoSpec:
    return replace(video, width=rung.width, height=rung.height, crf=rung.crf)


def main() -> None:
    """Measure every source."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--codec", default="h264")
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--max-height", type=int, default=0)
    parser.add_argument("--max-renditions", type=int, default=LadderSpec.max_renditions)
    asked = parser.parse_args()
    for source in asked.sources:
        spec = LadderSpec(asked.max_renditions, max_height=asked.max_height)
        measure(source, VideoSpec(asked.codec, preset=asked.preset), spec, asked.seconds)


if __name__ == "__main__":
    main()
