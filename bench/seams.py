"""Compare the quality of a chunked encode near its seams with that of a single pass, by VMAF per second.

    python bench/seams.py FOLDER [--codecs h264 h265 vp9 av1] [--chunks 3] [--modes crf capped mean]

Each clip in the folder is encoded in a single pass and in chunks. Prints one JSON line per clip, codec and mode: the worst
second within 2 s of a seam (VMAF in chunks minus that in a single pass), the worst second anywhere, both means, and the size in
chunks relative to a single pass.
"""

import argparse
import csv
import json
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import fmean

import imageio_ffmpeg

from reelmill_server.media.capabilities import try_encoders
from reelmill_server.media.conversion.chunk import ChunkConversion
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result.verify import verify
from reelmill_server.media.track.joined import JoinedChunks
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.model.units import Split, SplitRule, VideoUnit
from reelmill_server.plan.chunks import encoded_video, split
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan

_LIMITS = Limits()
_NEAR_SECONDS = 2
MODES: Mapping[str, Mapping[str, int]] = {
    "crf": {},
    "capped": {"max_bitrate": 400_000, "buffer_size": 400_000},
    "mean": {"bitrate": 250_000},
}
"""Rate control by name; without settings, the default quality."""


def planned(clip: Path, codec: str, mode: str, preset: str, capabilities: Mapping[str, Capability]) -> Plan:
    """Return the plan of an encode."""
    video = VideoSpec(codec, preset=preset, **MODES[mode])  # type: ignore[arg-type]
    target = TargetSpec(0, "file:///out/x", "mkv", video, None, "none", True)
    request = ConvertRequest("task", "project", (SourceSpec(clip.as_uri()),), (target,))
    return make_plan(request, PlanFacts((probe_file(str(clip), _LIMITS),), capabilities, subtitle_infos=((),)))


def split_plan(plan: Plan, clip: Path, chunks: int) -> Split:
    """Return the chunks of a plan, even if splitting it would not pay off."""
    ((_, _, stream),) = encoded_video(plan)
    keys = keyframe_times(str(clip), stream.parts[0].stream, _LIMITS)
    info = probe_file(str(clip), _LIMITS)
    target = replace(plan.targets[0], streams=(replace(stream, options={**stream.options, "crf": ""}),))
    plan_split = split(replace(plan, targets=(target,)), (info,), keys, SplitRule(parallelism=chunks))
    assert plan_split.units, plan_split.reason
    return plan_split


def encode(plan: Plan, clip: Path, folder: Path, plan_split: Split | None = None) -> MediaFile:
    """Encode, in chunks if a split is given."""
    folder.mkdir()
    files: dict[tuple[int, int], list[str]] = {}
    for unit in plan_split.units if plan_split else ():
        unit_folder = folder / f"unit-{unit.number}"
        unit_folder.mkdir()
        for file in ChunkConversion(
            plan, plan_split or Split(), unit, (str(clip),), unit_folder, limits=_LIMITS, stop=threading.Event()
        ).make()[0]:
            files.setdefault((file.slot, file.stream), []).append(str(unit_folder / file.path))
    joined = JoinedChunks(plan_split, files) if plan_split else None
    produced, _ = Conversion(
        plan, (str(clip),), folder, limits=_LIMITS, stop=threading.Event(), subtitle_locations=((),), joined=joined
    ).run()
    verify(produced[0])
    return produced[0]


def scores(output: Path, clip: Path, rate: Fraction, pixel_format: str) -> list[float]:
    """Return the VMAF of each second."""
    log = output.with_suffix(".csv")
    like = f"settb=1/25,setpts=N,format={pixel_format}"
    graph = f"[0:v]{like}[a];[1:v]{like}[b];[a][b]libvmaf=n_threads=2:log_fmt=csv:log_path={log}"
    command = [
        imageio_ffmpeg.get_ffmpeg_exe(),
        "-nostdin",
        "-i",
        str(output),
        "-i",
        str(clip),
        "-lavfi",
        graph,
        "-f",
        "null",
        "-",
    ]
    subprocess.run(command, check=True, capture_output=True)
    seconds: dict[int, list[float]] = {}
    with log.open(newline="") as file:
        for row in csv.DictReader(file):
            seconds.setdefault(int(int(row["Frame"]) / rate), []).append(float(row["vmaf"]))
    return [fmean(values) for _, values in sorted(seconds.items()) if len(values) >= rate / 2]


def compare(clip: Path, plan: Plan, chunks: int, folder: Path) -> dict[str, object]:
    """Encode both ways and compare."""
    plan_split = split_plan(plan, clip, chunks)
    ((_, _, stream),) = encoded_video(plan)
    assert stream.video
    rate = Fraction(stream.video.frame_rate)
    whole, joined = encode(plan, clip, folder / "whole"), encode(plan, clip, folder / "joined", plan_split)
    single_scores, chunked_scores = (scores(Path(file.path), clip, rate, stream.video.pixel_format) for file in (whole, joined))
    differences = [after - before for before, after in zip(single_scores, chunked_scores, strict=True)]
    seams = [unit.begin_us / 1e6 for unit in plan_split.units if isinstance(unit, VideoUnit) and unit.begin_us]
    near = [
        value
        for second, value in enumerate(differences)
        if any(-_NEAR_SECONDS - 1 < second - seam < _NEAR_SECONDS for seam in seams)
    ]
    size = joined.written[0].size_bytes / whole.written[0].size_bytes
    return {
        "seams": [round(seam, 2) for seam in seams],
        "worst_near": round(min(near), 2),
        "best_near": round(max(near), 2),
        "worst": round(min(differences), 2),
        "vmaf": [round(fmean(single_scores), 2), round(fmean(chunked_scores), 2)],
        "size": round(size, 3),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Print one JSON line per clip, codec and mode."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--codecs", nargs="+", default=["h264", "h265", "vp9", "av1"])
    parser.add_argument("--modes", nargs="+", default=["crf"], choices=MODES)
    parser.add_argument("--chunks", type=int, default=3)
    parser.add_argument("--preset", default="medium")
    options = parser.parse_args(arguments)
    capabilities = {capability.name: capability for capability in try_encoders((SOFTWARE,))}
    for clip in sorted(options.folder.glob("*.mp4")):
        for codec in options.codecs:
            for mode in options.modes:
                plan = planned(clip, codec, mode, options.preset, capabilities)
                with tempfile.TemporaryDirectory() as folder:
                    comparison = compare(clip, plan, options.chunks, Path(folder))
                print(json.dumps({"clip": clip.stem, "codec": codec, "mode": mode, **comparison}), flush=True)


if __name__ == "__main__":
    main()
