"""Measure how near two passes come to the bit rate that was asked for, beside one.

    python -m bench.passes SOURCE… [--seconds S] [--size WxH] [--bitrate N …]

Encodes the first seconds of each source with each codec that has two passes, as a worker's child does. Prints one JSON line for
each: by how many percent one pass and two passes miss the bit rate, and how much CPU two take beside one.
"""

import argparse
import json
import resource
import tempfile
import threading
from pathlib import Path

from reelmill_server.media.capabilities import try_encoders
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import SOFTWARE, Limits
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.codec.video_encoders import TWO_PASS_CODECS
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan


def planned(source: Path, spec: VideoSpec, seconds: float) -> Plan:
    """Return the plan that encodes the first `seconds` of the first video stream alone."""
    info = probe_file(str(source), Limits(), False)
    capabilities = {capability.name: capability for capability in try_encoders((SOFTWARE,))}
    target = TargetSpec(0, "file:///out/x", "mkv", spec, None, video_asked=True, audio_asked=True)
    request = ConvertRequest("bench", "bench", (SourceSpec("file:///in", duration_us=round(seconds * 1e6)),), (target,))
    return make_plan(request, PlanFacts((info,), capabilities))


def encode(source: Path, plan: Plan) -> tuple[float, float]:
    """Carry out `plan`; return the bit rate of the video in bit/s, and the seconds of CPU."""
    begun = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    with tempfile.TemporaryDirectory() as folder:
        ((result,), _) = Conversion(plan, (str(source),), Path(folder), limits=Limits(), stop=threading.Event()).run()
    (written,) = result.written
    bits = 8 * written.size_bytes / float(written.extent.last - (written.extent.first or 0))
    return bits, resource.getrusage(resource.RUSAGE_SELF).ru_utime - begun


def main() -> None:
    """Measure every source with every codec and bit rate."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("sources", nargs="+", type=Path)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--size", default="640x360")
    parser.add_argument("--bitrate", type=int, nargs="+", default=[400_000, 1_000_000])
    asked = parser.parse_args()
    width, height = map(int, asked.size.split("x"))
    for source in asked.sources:
        for codec in TWO_PASS_CODECS:
            for bitrate in asked.bitrate:
                runs = [
                    encode(
                        source,
                        planned(
                            source, VideoSpec(codec, width=width, height=height, bitrate=bitrate, passes=passes), asked.seconds
                        ),
                    )
                    for passes in (1, 2)
                ]
                (once, cpu_once), (twice, cpu_twice) = runs
                missed = {"one_pass": once, "two_passes": twice}
                print(
                    json.dumps(
                        {
                            "source": source.name,
                            "codec": codec,
                            "bitrate": bitrate,
                            **{name: round(100 * (got / bitrate - 1), 2) for name, got in missed.items()},
                            "cpu": round(cpu_twice / cpu_once, 2),
                        }
                    ),
                    flush=True,
                )


if __name__ == "__main__":
    main()
