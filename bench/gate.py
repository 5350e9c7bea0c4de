"""Measure what the gate costs: the accounts at the reading end, and the verification of the output (docs/adr/0019-gate.md).

    python -m bench.gate [--repeat N] [--seconds S] [CASE ...]

Conversions with and without the gate alternate, each in a process that is forked from this one. Prints one JSON line per case:
medians and extremes of CPU seconds with and without the gate; `paired_percent`, the median of the difference within a
round; and `own_percent`, what the process itself says of `verify` and of counting, which the noise of the encoder does not
touch. Each is a share of the conversion without a gate.
"""

import argparse
import json
import multiprocessing
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from statistics import median
from threading import Event
from typing import Any

from bench.transcode import in_child, timed
from reelmill_server.media.conversion import base
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.account import Accountant
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.clips import moving_picture


def _encode(preset: str) -> TargetSpec:
    return TargetSpec(0, "file:///x", "mp4", VideoSpec("h264", width=1280, height=720, preset=preset), AudioSpec("aac"))


CASES: Mapping[str, TargetSpec] = {
    "x264 medium": _encode("medium"),
    "x264 ultrafast": _encode("ultrafast"),
    "copy to mkv": TargetSpec(0, "file:///x", "mkv"),
}


class _Uncounted(Accountant):
    """An accountant that looks away."""

    def packet(self, part: Any, packet: Any, decoded: bool = False) -> None:
        pass

    def frame(self, part: Any, stream: int, frame: Any, base: Any = None) -> None:
        pass


class _Timed(Accountant):
    """An accountant that measures its own CPU seconds."""

    spent = 0.0

    def packet(self, part: Any, packet: Any, decoded: bool = False) -> None:
        begun = time.thread_time()
        super().packet(part, packet, decoded)
        _Timed.spent += time.thread_time() - begun

    def frame(self, part: Any, stream: int, frame: Any, base: Any = None) -> None:
        begun = time.thread_time()
        super().frame(part, stream, frame, base)
        _Timed.spent += time.thread_time() - begun


def convert(source: Path, target: TargetSpec, gate: bool, spent: "SimpleQueue[float]") -> None:
    """Convert, and put the CPU seconds that the gate took into `spent`."""
    base.Accountant = _Timed if gate else _Uncounted  # type: ignore[attr-defined]
    info = probe_file(str(source), Limits())
    request = ConvertRequest("bench", "default", (SourceSpec("file:///x"),), (target,))
    plan = make_plan(request, PlanFacts([info], {"libx264": Capability("libx264", "h264", SOFTWARE, True)}))
    with tempfile.TemporaryDirectory() as folder:
        (produced,), _ = Conversion(plan, (str(source),), Path(folder), limits=Limits(), stop=Event()).run()
        begun = time.process_time()
        if gate:
            verify(produced)
        spent.put(time.process_time() - begun + _Timed.spent)


def measure(name: str, source: Path, repeat: int) -> dict[str, object]:
    """Convert alternately with and without the gate."""
    spent: SimpleQueue[float] = multiprocessing.get_context("fork").SimpleQueue()
    seconds: dict[bool, list[float]] = {True: [], False: []}
    own = []
    for number in range(repeat):
        for gate in (True, False) if number % 2 else (False, True):
            seconds[gate].append(timed(partial(in_child, convert, source, CASES[name], gate, spent))[1])
            took = spent.get()
            if gate:
                own.append(took)
    without = median(seconds[False])
    paired = median(with_it - bare for with_it, bare in zip(seconds[True], seconds[False], strict=True))
    return {
        "case": name,
        "rounds": repeat,
        **{f"{word}_s": _spread(seconds[gate]) for word, gate in (("with", True), ("without", False))},
        "paired_percent": round(100 * paired / without, 2),
        "own_percent": round(100 * median(own) / without, 2),
    }


def _spread(values: list[float]) -> list[float]:
    """Return the least, the median and the most."""
    return [round(value, 2) for value in (min(values), median(values), max(values))]


def main() -> None:
    """Print one JSON line per case."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("case", nargs="*", help="parts of the cases' names; default: all cases")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "clip.mp4")
        in_child(moving_picture, source, options.seconds, "1280x720", 25)
        for name in (name for name in CASES if all(word in name for word in options.case)):
            print(json.dumps(measure(name, source, options.repeat)), flush=True)


if __name__ == "__main__":
    main()
