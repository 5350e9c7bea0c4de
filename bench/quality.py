"""Measure quality targets: the CRF that is found, what was predicted, what the whole encode has, and what the search costs.

    python -m bench.quality SOURCE… [--targets V …] [--codecs C …] [--metric vmaf|xpsnr] [--seconds S] [--preset P] [--size WxH]

Searches and encodes the first seconds of each source as a worker's child does. Prints one JSON line for each source, codec and
target; `cost` is the CPU of all but the encode that is the result, as a multiple of that of the encode, which is measured
with the first target of each source and codec alone.
"""

import argparse
import json
import resource
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from reelmill_server.media.capabilities import try_encoders, try_filters
from reelmill_server.media.conversion.quality_search import QualitySearch
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.output.base import MediaFile
from reelmill_server.model.capability import SOFTWARE, Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.quality import Metric, QualityTarget
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from reelmill_server.worker.child.confinement import NOT_REAL_TIME, drop_capabilities

drop_capabilities(NOT_REAL_TIME)  # as root, SVT-AV1 would make this process real-time, with all that follows
FACTS = {capability.name: capability for capability in (*try_encoders((SOFTWARE,)), *try_filters())}
"""What libav can do here."""


def planned(source: Path, spec: VideoSpec, seconds: float) -> Plan:
    """Return the plan that encodes the first `seconds` of the first video stream alone."""
    info = probe_file(str(source), Limits(), False)
    target = TargetSpec(0, "file:///out/x", "mkv", spec, None, "none", True, True)
    request = ConvertRequest("bench", "bench", (SourceSpec("file:///in", duration_us=round(seconds * 1e6)),), (target,))
    return make_plan(request, PlanFacts((info,), FACTS))


def cpu() -> float:
    """Return the seconds of CPU that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def encode(source: Path, plan: Plan) -> MediaFile:
    """Carry out `plan`."""
    with tempfile.TemporaryDirectory() as folder:
        ((result,), _) = Conversion(plan, (str(source),), Path(folder), limits=Limits(), stop=threading.Event()).run()
    return result


def _found(source: Path, plan: Plan) -> tuple[float, tuple[Plan, MediaFile]]:
    """Search and encode; return the CPU of what is not the result, and the result."""
    begun = cpu()
    with tempfile.TemporaryDirectory() as folder:
        search = QualitySearch(plan, (str(source),), Path(folder), limits=Limits(), stop=threading.Event())
        plan = search.run()
        while True:
            searching = cpu() - begun
            result = encode(source, plan)
            again = search.again(plan, [result])
            if again is None:
                return searching, (plan, result)
            plan = again


def _unmeasured(plan: Plan) -> Plan:
    (target,) = plan.targets
    (stream,) = target.streams
    return replace(plan, targets=(replace(target, streams=(replace(stream, measured=False, quality=None),)),))


def measure(source: Path, spec: VideoSpec, values: Sequence[float], metric: Metric, seconds: float) -> None:
    """Search and encode `source` at each of the target values."""
    encoding = 0.0
    for value in values:
        plan = planned(source, replace(spec, quality=QualityTarget(metric, value)), seconds)
        searching, (plan, result) = _found(source, plan)
        if not encoding:
            begun = cpu()
            encode(source, _unmeasured(plan))
            encoding = cpu() - begun
        (written,), quality = result.written, plan.targets[0].streams[0].quality
        assert quality and quality.predicted is not None
        row = {
            "source": source.name,
            "codec": spec.codec,
            metric: value,
            "crf": quality.crf,
            "predicted": quality.predicted,
            "final": written.scores[metric],
            "kbit_s": round(written.size_bytes * 8e-3 / float(written.extent.last - (written.extent.first or 0))),
            "seconds": round(float(written.extent.last)),
            "cost": round(searching / encoding, 2),
        }
        print(json.dumps(row), flush=True)


def main() -> None:
    """Measure every source with every codec."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--targets", type=float, nargs="+", default=[90.0, 93.0, 96.0])
    parser.add_argument("--codecs", nargs="+", default=["h264"])
    parser.add_argument("--metric", type=Metric, default=Metric.VMAF)
    parser.add_argument("--seconds", type=float, default=0.0)
    parser.add_argument("--preset", default="medium")
    parser.add_argument("--size", default="")
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x")) if asked.size else (0, 0)
    for source in asked.sources:
        for codec in asked.codecs:
            spec = VideoSpec(codec, width=width, height=height, preset=asked.preset)
            measure(source, spec, asked.targets, asked.metric, asked.seconds)


if __name__ == "__main__":
    main()
