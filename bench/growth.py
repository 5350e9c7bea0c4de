"""Measure how a task's CPU and memory grow with its length, its targets and its sources.

    python -m bench.growth [--hours N] [--json FILE] [length | encodes | targets | sources ...]

Each row is one child, which probes, plans, converts and verifies as that of an attempt does: CPU seconds, those for each unit
(an hour, a target, a source), and peak resident memory. length: copies of 1 minute, 10 minutes, 1 hour and `--hours`, of
160x90 with audio: 72 packets for each second. encodes: 432p for 20 s, 100 s and ten minutes, whose memory should not grow, but
for a little by the packets that libav keeps an index of. targets, sources: a minute encoded to so many sizes, copies joined of
so many sources. Queued tasks and watchers: bench.records, bench.watch.
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from threading import Event

import imageio_ffmpeg

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import SOFTWARE, Capability, Limits
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.clips import moving_picture

_MINUTES = (1, 10, 60)
_ENCODE_SECONDS, _ENCODE_LOOPS = 20, (1, 5, 30)
_TARGETS, _SOURCES = (1, 4, 12), (1, 4, 11)
_X264 = {"libx264": Capability("libx264", "h264", SOFTWARE, True)}


@dataclass(frozen=True)
class Row:
    """What one child took for `units` of what grows."""

    case: str
    units: float
    cpu_seconds: float
    memory_bytes: int

    def __str__(self) -> str:
        each = self.cpu_seconds / self.units
        return f"| {self.case} | {self.units:.3g} | {self.cpu_seconds:.2f} | {each:.2f} | {self.memory_bytes >> 20} |"


def _convert(request: ConvertRequest, sources: Sequence[Path], folder: Path) -> None:
    """Do what the child of an attempt does."""
    infos = [probe_file(str(source), Limits(), copied=request.copies_video) for source in sources]
    plan = make_plan(request, PlanFacts(infos, _X264))
    paths = tuple(map(str, sources))
    produced, _ = Conversion(plan, paths, folder, limits=Limits(), stop=Event()).run()
    for file in produced:
        verify(file)


def _measured(case: str, units: float, request: ConvertRequest, sources: Sequence[Path]) -> Row:
    """Run a conversion in a child, and ask the kernel what that took: it counts its own pages only once it was forked."""
    with tempfile.TemporaryDirectory(dir=sources[0].parent) as folder:
        receiving, sending = multiprocessing.Pipe(duplex=False)

        def work() -> None:
            _convert(request, sources, Path(folder))
            used = resource.getrusage(resource.RUSAGE_SELF)
            sending.send((used.ru_utime + used.ru_stime, used.ru_maxrss * 1024))

        process = multiprocessing.get_context("fork").Process(target=work)
        process.start()
        process.join()
        if not receiving.poll():
            raise SystemExit(f"{case}: the child failed")
        return Row(case, units, *receiving.recv())


def _request(sources: int, targets: Sequence[TargetSpec]) -> ConvertRequest:
    return ConvertRequest("bench", "default", tuple(SourceSpec("file:///x") for _ in range(sources)), tuple(targets))


def _made(path: Path, seconds: float, size: str) -> None:
    """Make a clip in a process of its own, so that this one has no threads of libav when it forks."""
    making = multiprocessing.get_context("fork").Process(target=moving_picture, args=(path, seconds, size, 25))
    making.start()
    making.join()


def _looped(clip: Path, times: int) -> Path:
    """Return the clip so many times."""
    path = clip.with_stem(f"{clip.stem}-{times}")
    loop = ["-stream_loop", str(times - 1), "-i", str(clip), "-c", "copy", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", *loop], check=True)
    return path


def length(clip: Path, hours: float) -> Iterator[Row]:
    """Copy longer and longer clips to Matroska."""
    for minutes in sorted({*_MINUTES, hours * 60}):
        source = _looped(clip, round(minutes))
        yield _measured("length, hours", minutes / 60, _request(1, [TargetSpec(0, "file:///o", "mkv")]), [source])
        source.unlink()


def encodes(clip: Path, _: float) -> Iterator[Row]:
    """Encode longer and longer clips whose frames are large beside what else is in memory."""
    frames = clip.with_stem("frames")
    _made(frames, _ENCODE_SECONDS, "768x432")
    small = TargetSpec(0, "file:///o", "mp4", VideoSpec("h264", width=160, height=90, preset="ultrafast"), AudioSpec("aac"))
    for times in _ENCODE_LOOPS:
        yield _measured("encodes, minutes", times * _ENCODE_SECONDS / 60, _request(1, [small]), [_looped(frames, times)])


def targets(clip: Path, _: float) -> Iterator[Row]:
    """Encode a minute to more and more sizes from one decode."""
    for count in _TARGETS:
        sizes = ((96 + 16 * number, 54 + 8 * number) for number in range(count))
        specs = (VideoSpec("h264", width=width, height=height, preset="ultrafast") for width, height in sizes)
        asked = [TargetSpec(number, f"file:///o{number}", "mp4", spec) for number, spec in enumerate(specs)]
        yield _measured("targets", count, _request(1, asked), [clip])


def sources(clip: Path, _: float) -> Iterator[Row]:
    """Join more and more sources by copy."""
    for count in _SOURCES:
        yield _measured("sources", count, _request(count, [TargetSpec(0, "file:///o", "mkv")]), [clip] * count)


MEASURES: Mapping[str, Callable[[Path, float], Iterator[Row]]] = {
    "length": length,
    "encodes": encodes,
    "targets": targets,
    "sources": sources,
}


def main() -> None:
    """Print a table, and write it as JSON if asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", choices=[[], *MEASURES], help="only these")
    parser.add_argument("--hours", type=float, default=1.0, help="of the longest clip")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    print("| what grows | units | CPU, s | for each unit | peak memory, MiB |\n|---|---|---|---|---|")
    rows = []
    with tempfile.TemporaryDirectory(dir=os.curdir) as folder:
        clip = Path(folder).resolve() / "minute.mp4"
        _made(clip, 60, "160x90")
        for word in options.words or MEASURES:
            for row in MEASURES[word](clip, options.hours):
                rows.append(row)
                print(row, flush=True)
    if options.json:
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1))


if __name__ == "__main__":
    main()
