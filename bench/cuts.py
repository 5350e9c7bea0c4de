"""Judge cuts at the frame: 50 of some 30 kinds of sources at random instants, or one of ten minutes against its alternatives.

`make bench-cuts ARGS=sweep` and `make bench-cuts ARGS=long` print tables in Markdown; the instants are the same each time. The
judge is the FFmpeg of imageio-ffmpeg. CPU seconds are those of this process and its children.
"""

import argparse
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import cycle, islice
from pathlib import Path

import imageio_ffmpeg

from reelmill_server.errors import ReelmillError
from reelmill_server.model.request import VideoSpec
from reelmill_server.model.smart_cut import SmartCut
from tests import judge
from tests.media.converter import Converted, Converter, target
from tests.sources import Shelf

_FFMPEG = imageio_ffmpeg.get_ffmpeg_exe()
_SEED = 20
_SECONDS, _CUTS = 24, 50
_TOLERANCE = Fraction(1, 1_000_000)
_SSIM = re.compile(r"n:(\d+) .*All:([\d.]+)")
_X265 = "log-level=none:keyint={}:min-keyint={}:open-gop={}"


def _x265(keyint: int, is_open: bool) -> tuple[str, ...]:
    return ("-c:v", "libx265", "-preset", "fast", "-tag:v", "hvc1", "-x265-params", _X265.format(keyint, keyint, int(is_open)))


_X264 = ("-c:v", "libx264", "-preset", "fast")
_FIELDS = ("-flags", "+ildct+ilme", "-vf", "setfield=tff")
_VP9 = ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8", "-g", "60", "-b:v", "1M")
_MPEG2 = ("-c:v", "mpeg2video", "-bf", "2", "-g", "15", "-q:v", "3")
_AV1 = ("-c:v", "libsvtav1", "-preset", "10", "-g", "60")
SOURCES: dict[str, tuple[str, tuple[str, ...]]] = {
    "H.264, GOP 50": ("mp4", (*_X264, "-g", "50")),
    "H.264, GOP 250": ("mp4", (*_X264, "-g", "250")),
    "H.264, GOP 12, no B": ("mp4", (*_X264, "-g", "12", "-bf", "0")),
    "H.264, pyramid of 7": ("mp4", (*_X264, "-g", "75", "-x264-params", "bframes=7:b-pyramid=normal:b-adapt=0:ref=4")),
    "H.264, irregular GOP": ("mp4", (*_X264, "-force_key_frames", "1.2,3.04,3.6,7.1,11,11.2,16.88,20")),
    "H.264 Main": ("mp4", (*_X264, "-g", "60", "-profile:v", "main")),
    "H.264 Baseline": ("mp4", (*_X264, "-g", "60", "-profile:v", "baseline")),
    "H.264 10 bit": ("mkv", (*_X264, "-g", "60", "-pix_fmt", "yuv420p10le")),
    "H.264 4:2:2": ("mov", (*_X264, "-g", "60", "-pix_fmt", "yuv422p")),
    "H.264 full range": ("mp4", (*_X264, "-g", "60", "-pix_fmt", "yuvj420p")),
    "H.264, mkv": ("mkv", (*_X264, "-g", "60")),
    "H.264, mov, 29.97": ("mov", (*_X264, "-g", "60", "-r", "30000/1001")),
    "H.264, variable rate": ("mp4", (*_X264, "-g", "60", "-vf", "select='not(eq(mod(n,5),3))+gt(n,400)'", "-fps_mode", "vfr")),
    "H.264, edit list": ("mp4", (*_X264, "-g", "60", "-output_ts_offset", "1.5", "-avoid_negative_ts", "disabled")),
    "H.264, slices": ("mp4", (*_X264, "-g", "60", "-x264-params", "slices=4")),
    "H.264, open GOP": ("mp4", (*_X264, "-x264-params", "open-gop=1:keyint=60:min-keyint=60")),
    "H.264, open, pyramid": ("mov", (*_X264, "-x264-params", "open-gop=1:keyint=48:min-keyint=48:bframes=7:b-adapt=0:ref=5")),
    "H.264, ts": ("ts", (*_X264, "-g", "60")),
    "H.264, open GOP, ts": ("ts", (*_X264, "-x264-params", "open-gop=1:keyint=60:min-keyint=60")),
    "H.265, closed": ("mp4", _x265(60, False)),
    "H.265, open (CRA)": ("mp4", _x265(60, True)),
    "H.265 10 bit, open": ("mp4", (*_x265(60, True), "-pix_fmt", "yuv420p10le")),
    "H.265, mkv": ("mkv", _x265(60, True)),
    "H.265, pyramid of 8": ("mp4", (*_x265(96, True)[:-1], "log-level=none:keyint=96:bframes=8")),
    "H.265, open (CRA), ts": ("ts", _x265(60, True)),
    "MPEG-2, open GOP, ts": ("ts", _MPEG2),
    "MPEG-2, fields, mp4": ("mp4", (*_MPEG2, *_FIELDS)),
    "MPEG-2 4:2:2, closed, mkv": (
        "mkv",
        (*_MPEG2, "-flags", "+cgop", "-sc_threshold", "1000000000", "-pix_fmt", "yuv422p"),
    ),
    "VP9": ("mp4", _VP9),
    "AV1": ("mp4", _AV1),
    "AV1 10 bit, mkv": ("mkv", (*_AV1, "-pix_fmt", "yuv420p10le")),
    "H.264, MBAFF": ("mp4", (*_X264, "-g", "60", *_FIELDS)),
    "H.264, MBAFF, mkv": ("mkv", (*_X264, "-g", "60", *_FIELDS)),
    "H.264, MBAFF, open GOP, ts": ("ts", (*_X264, "-x264-params", "open-gop=1:keyint=60:min-keyint=60", *_FIELDS)),
}
"""Sources: container, and the options of the encoder."""


@dataclass(frozen=True)
class Verdict:
    """What the judge says of a cut: whether frames and times are those asked for, how many of the copied ones are not the
    source's, the worst SSIM of those encoded, how many packets are the source's, of how many, and complaints of the decoder.
    """

    frames: int
    exact: bool
    changed: int
    ssim: float
    encoded: int
    same: int
    sync: Fraction
    complaints: str

    @property
    def good(self) -> bool:
        """Whether it is as it should be."""
        return self.exact and not self.changed and self.ssim >= 0.98 and not self.complaints and self.sync <= Fraction(1, 50)


def _make(folder: Path, container: str, options: Sequence[str], seconds: int, size: str) -> Path:
    path = folder / f"source.{container}"
    video = f"testsrc2=s={size}:r=25:d={seconds},noise=alls=4:allf=t"
    audio = f"anoisesrc=color=pink:sample_rate=48000:duration={seconds}:seed=1"  # no two packets are alike
    pixels = () if "-pix_fmt" in options else ("-pix_fmt", "yuv420p")
    command = [_FFMPEG, "-v", "error", "-y", "-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio, *options, *pixels]
    subprocess.run([*command, *(("-c:a", "libopus") if container == "webm" else ("-c:a", "aac")), str(path)], check=True)
    return path


def _cut(source: Path, folder: Path, start: Fraction, length: Fraction, container: str, how: SmartCut) -> Converted:
    converter = Converter(Shelf(folder), lambda: Path(tempfile.mkdtemp(dir=folder)))
    spec = target(container, VideoSpec(smart_cut=how))
    return converter(source, spec, start=float(start), duration=float(length))


def _judged(converted: Converted, source: Path, start: Fraction, length: Fraction) -> Verdict:
    got, had = judge.frames(converted.path), judge.frames(source)
    begin = Fraction(str(judge.describe(source).start)) + start
    places = [n for n, frame in enumerate(had) if begin - _TOLERANCE <= frame.pts < begin + length - _TOLERANCE]
    (stream,) = [stream for stream in converted.plan.targets[0].streams if stream.smart_cut]
    assert stream.smart_cut
    edges = stream.smart_cut.edges
    apart = [frame.pts - got[0].pts - (had[n].pts - had[places[0]].pts) for frame, n in zip(got, places, strict=False)]
    copied = range(edges.start_frames, len(places) - edges.end_frames)
    changed = sum(got[n].checksum != had[places[n]].checksum for n in copied if n < len(got))
    packets = [Counter(packet.checksum for packet in judge.packets(path, "v:0")) for path in (converted.path, source)]
    scores = _ssim(converted.path, source, places)
    edge = [score for n, score in enumerate(scores) if n not in copied]
    heard, hears = (judge.packets(path, "a:0") for path in (converted.path, source))
    same = next(packet for packet in hears if packet.checksum == heard[1].checksum)
    sync = abs(heard[1].pts - got[0].pts - (same.pts - had[places[0]].pts))
    return Verdict(
        frames=len(got),
        exact=len(got) == len(places) and max(map(abs, apart)) <= Fraction(1, 900),
        changed=changed,
        ssim=min(edge, default=1.0),
        encoded=edges.encoded_frames,
        same=(packets[0] & packets[1]).total(),
        sync=sync,
        complaints="",
    )


def _ssim(path: Path, source: Path, places: Sequence[int]) -> list[float]:
    """The likeness of each frame to the one of the source that it should be."""
    count = "settb=1/1000,setpts=N"
    chosen = f"select='between(n,{places[0]},{places[-1]})'"
    graph = f"[1:v]{chosen},{count}[b];[0:v]{count}[a];[a][b]ssim=f=-:shortest=1"
    command = [_FFMPEG, "-v", "error", "-i", str(path), "-i", str(source), "-filter_complex", graph, "-f", "null", "-"]
    told = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    return [float(score) for _, score in _SSIM.findall(told)]


def sweep(cuts: int) -> Iterator[str]:
    """Yield the lines of the table: each source in turn, cut at random instants."""
    chance = random.Random(_SEED)
    yield "| source | cuts | as asked | frames | encoded | packets the source's | least SSIM | A/V off by at most |"
    yield "|---|---|---|---|---|---|---|---|"
    number = list(islice(cycle(SOURCES), cuts))
    for name, (container, options) in SOURCES.items():
        verdicts: list[Verdict] = []
        with tempfile.TemporaryDirectory() as folder:
            source = _make(Path(folder), container, options, _SECONDS, "320x180") if name in number else Path()
            for _ in range(number.count(name)):
                start, length = Fraction(chance.randrange(0, 8000), 1000), Fraction(chance.randrange(8000, 14000), 1000)
                try:
                    result = _cut(source, Path(folder), start, length, container, SmartCut.REQUIRED)
                    verdicts.append(_judged(result, source, start, length))
                except (ReelmillError, judge.Judgement) as error:
                    print(f"{name}: {float(start)} + {float(length)}: {error}", file=sys.stderr)
                    verdicts.append(Verdict(0, False, 0, 0.0, 0, 0, Fraction(0), str(error)))
        if verdicts:
            frames, encoded = (sum(getattr(one, field) for one in verdicts) for field in ("frames", "encoded"))
            same = sum(one.same for one in verdicts)
            good, least = sum(one.good for one in verdicts), min(one.ssim for one in verdicts)
            off = max(float(one.sync) for one in verdicts)
            yield f"| {name} | {len(verdicts)} | {good} | {frames} | {encoded} | {same} | {least:.3f} | {1000 * off:.1f} ms |"


def _cpu() -> float:
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def long(size: str) -> Iterator[str]:
    """Yield the lines of the table: ten minutes of a longer film, cut at the frame, at a keyframe, and encoded."""
    start, length = Fraction("12.345"), Fraction(600)
    yield f"| ten minutes of {size} | CPU s | of the encode | wall s | of the encode | packets the source's |"
    yield "|---|---|---|---|---|---|"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = _make(folder, "mp4", ("-c:v", "libx264", "-preset", "veryfast", "-g", "250"), 630, size)

        def converted(spec: VideoSpec) -> Path:
            converter = Converter(Shelf(folder), lambda: Path(tempfile.mkdtemp(dir=folder)))
            return converter(source, target("mp4", spec), start=float(start), duration=float(length)).path

        def copied() -> Path:
            path, span = folder / "copy.mp4", ("-ss", str(float(start)), "-t", str(float(length)))
            command = [_FFMPEG, "-v", "error", "-y", *span, "-i", str(source), "-c", "copy", str(path)]
            subprocess.run(command, check=True)
            return path

        ways: dict[str, Callable[[], Path]] = {
            "encoded (`Codec` h264, its defaults)": partial(converted, VideoSpec("h264")),
            "cut at the frame (`SmartCut`)": partial(converted, VideoSpec(smart_cut=SmartCut.REQUIRED)),
            "cut at the keyframe (`Codec` copy)": partial(converted, VideoSpec()),
            "`ffmpeg -c copy`, at the keyframe": copied,
        }
        times: dict[str, tuple[float, float, Path]] = {}
        for what, make in ways.items():
            begun = _cpu(), time.monotonic()
            path = make()
            times[what] = _cpu() - begun[0], time.monotonic() - begun[1], path
        whole = next(iter(times.values()))
        own = Counter(packet.checksum for packet in judge.packets(source, "v:0"))
        for what, (cpu, wall, path) in times.items():
            has = Counter(packet.checksum for packet in judge.packets(path, "v:0"))
            shares = f"{cpu:.1f} | {100 * cpu / whole[0]:.1f} % | {wall:.1f} | {100 * wall / whole[1]:.1f} %"
            yield f"| {what} | {shares} | {100 * (has & own).total() / has.total():.2f} % |"


def main() -> None:
    """Print what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("sweep", "long"))
    parser.add_argument("--cuts", type=int, default=_CUTS, help="of all sources together")
    parser.add_argument("--size", default="640x360", help="of the long film")
    asked = parser.parse_args()
    for line in sweep(asked.cuts) if asked.what == "sweep" else long(asked.size):
        print(line, flush=True)


if __name__ == "__main__":
    main()
