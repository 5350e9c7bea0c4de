"""Compare short conversions with the ffmpeg command line, and fail if one takes 25 % more of its CPU than it did.

    python -m bench.ratio [--record]

CPU seconds of a child of its own over those of ffmpeg, in turns: another machine is as fast for one side as for the other, and
what else a machine does adds to both. Of each side the least run counts, so that more rounds can only take noise away: a case
that seems worse is run again, and only one that stays worse fails. `--record` writes the ratios of this machine, by version of
libav (each has encoders of its own), to `bench/ratios.json`.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from math import inf
from pathlib import Path

import av
import imageio_ffmpeg

from bench.transcode import Case, convert, in_child, timed
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from tests.clips import moving_picture

RECORDED = Path(__file__).with_name("ratios.json")
_WORSE = 1.25
_ROUNDS, _MOST_ROUNDS = 5, 25
_QUICK = VideoSpec("h264", width=320, height=180, preset="ultrafast")
_CLI_QUICK = "-c:v libx264 -preset ultrafast -crf 23 -g 150 -bf 3 -refs 2 -s 320x180 -c:a aac -b:a 128k"
CASES = (
    Case("copy of 20,000 packets", (TargetSpec(0, "file:///x", "mkv"),), ("-c copy 0.mkv",), (280, "160x90", 25)),
    Case(
        "x264 ultrafast 180p + aac",
        (TargetSpec(0, "file:///x", "mp4", _QUICK, AudioSpec("aac")),),
        (f"{_CLI_QUICK} 0.mp4",),
        (10, "640x360", 25),
    ),
)


def settled(runs: Iterator[tuple[float, float]], recorded: float) -> float:
    """Return the least of ours over the least of theirs in `runs`, pairs of CPU seconds.

    More of them are taken while the ratio is worse than the `recorded` one allows.
    """
    ours, theirs = zip(*(next(runs) for _ in range(_ROUNDS)), strict=True)
    least, its_least = min(ours), min(theirs)
    for _ in range(_MOST_ROUNDS - _ROUNDS):
        if not is_worse(least / its_least, recorded):
            break
        own, other = next(runs)
        least, its_least = min(least, own), min(its_least, other)
    return float(least / its_least)


def is_worse(ratio: float, recorded: float) -> bool:
    """Return whether a ratio is so much worse than the recorded one that it is no noise."""
    return ratio > recorded * _WORSE


def _runs(case: Case, source: Path, folder: Path) -> Iterator[tuple[float, float]]:
    """Yield the CPU seconds of both sides, run in turns."""
    request = ConvertRequest("bench", "default", (SourceSpec("file:///x"),), case.targets)
    outputs = [word for output in case.cli for word in output.split()]
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-y", "-i", str(source), *outputs]
    while True:
        _, ours = timed(lambda: in_child(convert, source, folder, request))
        _, theirs = timed(lambda: subprocess.run(command, cwd=folder, check=True))
        yield ours, theirs


def main() -> None:
    """Print each ratio beside the recorded one; exit with 1 if one is worse."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", action="store_true")
    options = parser.parse_args()
    known: dict[str, dict[str, float]] = json.loads(RECORDED.read_text())
    version = ".".join(map(str, av.library_versions["libavcodec"][:1]))
    recorded = {} if options.record else known.get(version, {})
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for case in CASES:
            source = Path(folder, f"{case.clip[1]}.mp4")
            in_child(moving_picture, source, *case.clip)  # in a child: this process has no threads of libav when it forks
            before = 0.0 if options.record else recorded.get(case.name, inf)  # 0: as often as it may be run
            results[case.name] = settled(_runs(case, source, Path(folder)), before)
            said = recorded.get(case.name, "nothing")
            print(f"{case.name}: {results[case.name]:.2f} of ffmpeg's CPU, recorded is {said}", flush=True)
    if options.record:
        known[version] = {name: round(ratio, 2) for name, ratio in results.items()}
        RECORDED.write_text(f"{json.dumps(known, indent=2)}\n")
    if worse := [name for name, ratio in results.items() if name in recorded and is_worse(ratio, recorded[name])]:
        sys.exit(f"more than {_WORSE:.2f} of what was recorded in bench/ratios.json: {', '.join(worse)}")


if __name__ == "__main__":
    main()
