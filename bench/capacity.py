"""Measure what attempts cost on this machine in CPU, memory and disk, and compare with `plan.cost.estimate`.

    python -m bench.capacity [--media FILE] [--only WORD]... [--json FILE]

Each case runs in its own child process, forked from a process that has imported libav like a worker's children, and does what
the child of an attempt does: probe, plan, convert, verify. CPU time and peak resident memory are the child's own, from
getrusage; wall time only shows how many cores were busy, and means nothing on a shared machine. The clips are libav's test
pattern with noise, or the frames of a video, scaled (`--media`).
"""

import argparse
import json
import multiprocessing
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Event
from typing import Any

import av
import imageio_ffmpeg

from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.images import image_results
from reelmill_server.media.result.verify import verify
from reelmill_server.model.capability import PRIVACY, SOFTWARE, Capability, Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.overlay_request import DesensitizationRule, DesensitizationSpec
from reelmill_server.model.plan import Plan
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec, VideoSpec
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.cost.estimate import estimate
from reelmill_server.plan.planner import make_plan
from reelmill_server.plan.stream.video import VMAF_FILTER
from reelmill_server.worker.child.confinement import drop_capabilities

_RATE = 25
_SECOND = 1_000_000
_FRAMES = {"640x360": 200, "1280x720": 120, "1920x1080": 75, "3840x2160": 60}
"""Frames per size: at least as many as lookahead keeps in memory, few enough for a run of minutes."""
_CODECS = {"libx264": "h264", "libx265": "h265", "libsvtav1": "av1", "libvpx-vp9": "vp9"}
_PRESETS = ("ultrafast", "veryfast", "medium", "slow")
_AT_2160 = ("ultrafast", "medium")
_SOFTWARE = {name: Capability(name, codec, SOFTWARE, True) for name, codec in _CODECS.items()}
_FILTERS = {name: Capability(name, name, SOFTWARE, True) for name in (PRIVACY, VMAF_FILTER)}
_AUDIO = (("aac", "aac", "mp4"), ("opus", "libopus", "webm"), ("mp3", "libmp3lame", "mp3"), ("flac", "flac", "flac"))
_AUDIO_SECONDS = 120


@dataclass(frozen=True)
class Case:
    """One attempt: the clip to read and the targets; without targets the clip is only decoded."""

    name: str
    clip: "Clip"
    targets: tuple[TargetSpec, ...] = ()
    needs: str = "see above"


@dataclass(frozen=True)
class Clip:
    """A source clip: `frames` frames of `size`, encoded by `encoder` (in ffmpeg's notation), and a tone."""

    size: str
    frames: int
    encoder: str = "libx264 -preset veryfast -crf 20 -g 50"
    suffix: str = "mp4"

    @property
    def megapixels(self) -> float:
        """Megapixels of all frames together."""
        width, height = map(int, self.size.split("x"))
        return width * height * self.frames / 1e6

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return self.frames / _RATE


@dataclass(frozen=True)
class Usage:
    """Resources that a child used: seconds of CPU and wall time, bytes of resident memory and of files left on disk."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    scratch_bytes: int


def attempt(pipe: Connection, source: Path, targets: tuple[TargetSpec, ...]) -> None:
    """Do what the child of an attempt does, and send its usage, plan and media info."""
    drop_capabilities()
    start = time.monotonic()
    info = probe_file(str(source), Limits())
    request = ConvertRequest("bench", "default", (SourceSpec("file:///x"),), targets)
    plan = make_plan(request, PlanFacts([info], {**_SOFTWARE, **_FILTERS}))
    with tempfile.TemporaryDirectory() as folder:
        conversion = Conversion(plan, (str(source),), Path(folder), limits=Limits(), stop=Event())
        produced, _ = conversion.run()
        make_results(plan, [verify(file) for file in produced], Path(folder))
        for slot, files in enumerate(conversion.images):
            image_results(slot, plan.images[slot], files, Path(folder))
        size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
    pipe.send((Usage(_cpu(), time.monotonic() - start, _peak(), size), plan, info))


def decode(pipe: Connection, source: Path, _: object) -> None:
    """Decode the first video stream with as many threads as a worker uses, and nothing else."""
    start = time.monotonic()
    with av.open(str(source)) as container:
        container.streams.video[0].thread_type = "AUTO"
        for _frame in container.decode(video=0):
            pass
    pipe.send((Usage(_cpu(), time.monotonic() - start, _peak(), 0), None, None))


def _cpu() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def _peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def in_child(work: Callable[..., None], *arguments: object) -> Any:
    """Run `work` in a forked process and return what it sends, or None if it ends without sending."""
    receiver, sender = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=work, args=(sender, *arguments))
    process.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return None
    finally:
        process.join()


def make_clip(clip: Clip, media: Path | None, folder: Path) -> Path:
    """Write a clip with the ffmpeg of `imageio-ffmpeg`: the frames of `media` or a test pattern, with some noise."""
    path = folder / f"{clip.size}-{clip.frames}-{clip.encoder.split()[0]}.{clip.suffix}"
    if path.exists():
        return path
    video = (
        ("-stream_loop", "-1", "-i", str(media)) if media else ("-f", "lavfi", "-i", f"testsrc2=size={clip.size}:rate={_RATE}")
    )
    filters = (
        f"fps={_RATE},scale={clip.size.replace('x', ':')}:flags=bicubic,noise=alls={2 if media else 5}:allf=t,format=yuv420p"
    )
    tone = ("-f", "lavfi", "-i", "anoisesrc=amplitude=0.1:sample_rate=48000")
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", *video, *tone, "-map", "0:v:0", "-map", "1:a"]
    command += ["-vf", filters, "-t", str(clip.seconds), "-c:v", *clip.encoder.split(), "-c:a", "aac", "-ac", "2", str(path)]
    subprocess.run(command, check=True)
    return path


def cases(presets: Sequence[str]) -> Iterator[Case]:
    """Yield all cases."""
    for size, frames in _FRAMES.items():
        clip = Clip(size, frames)
        yield Case("decode h264", clip)
        for encoder, codec in _CODECS.items():
            for preset in presets if size != "3840x2160" else _AT_2160:
                yield Case(f"{encoder} {preset}", clip, (_target("mp4", VideoSpec(codec, preset=preset)),))
    yield from _other_cases()


def _target(container: str, video: VideoSpec | None, audio: AudioSpec | None = None, **options: Any) -> TargetSpec:
    return TargetSpec(0, "file:///x", container, video, audio, video_asked=True, audio_asked=True, **options)


_DECODED = (
    ("hevc", "libx265 -preset ultrafast -x265-params log-level=none", "mp4"),
    ("vp9", "libvpx-vp9 -deadline realtime -cpu-used 8 -b:v 6M -row-mt 1", "mkv"),
    ("av1", "libsvtav1 -preset 12", "mkv"),
    ("mpeg2video", "mpeg2video -q:v 4", "mkv"),
    ("mjpeg", "mjpeg -q:v 4", "mkv"),
    ("prores", "prores_ks", "mov"),
)


def _other_cases() -> Iterator[Case]:
    for codec, options, suffix in _DECODED:
        yield Case(f"decode {codec}", Clip("1920x1080", 75, options, suffix))
    large = Clip("1920x1080", 250, "libx264 -preset ultrafast -crf 1 -g 50")
    yield Case("copy to mkv", large, (_target("mkv", VideoSpec(), AudioSpec()),))
    yield Case("copy to mp4", large, (_target("mp4", VideoSpec(), AudioSpec()),))
    audio = Clip("64x64", _AUDIO_SECONDS * _RATE)
    for codec, encoder, container in _AUDIO:
        yield Case(f"audio {encoder}", audio, (_target(container, None, AudioSpec(codec)),))
    blurred = VideoSpec("h264", preset="ultrafast", desensitization=DesensitizationSpec(face=DesensitizationRule()))
    yield Case("faces, ultrafast", Clip("1280x720", 120), (_target("mp4", blurred),), "needs the extra `privacy`")
    measured = _target("mp4", VideoSpec("h264", preset="ultrafast"), measure_vmaf=True)
    yield Case("VMAF, ultrafast", Clip("1280x720", 120), (measured,), "needs a libav with libvmaf")
    scaled = VideoSpec("h264", width=640, height=360, preset="ultrafast")
    yield Case("1080p to 360p ultrafast", Clip("1920x1080", 75), (_target("mp4", scaled),))
    ladder = [VideoSpec("h264", width=w, height=h, preset="veryfast") for w, h in ((1920, 1080), (1280, 720), (640, 360))]
    yield Case(
        "ladder of 3 veryfast",
        Clip("1920x1080", 75),
        tuple(replace(_target("mp4", video), index=at) for at, video in enumerate(ladder)),
    )
    long = Clip("1280x720", 1500)
    for name, kind, form, frames in _IMAGES:
        entry = ImageSpec(kind, 0, "file:///x-{index}", form, frames)
        yield Case(name, long, (TargetSpec(0, "", "", images=(entry,), subtitle="none"),))


_IMAGES = (
    ("20 snapshots by seeking", ImageKind.SNAPSHOT, "jpg", FramesSpec(interval_us=3 * _SECOND, number=20)),
    ("30 keyframes", ImageKind.SNAPSHOT, "jpg", FramesSpec(FrameMode.KEYFRAME)),
    ("240 snapshots, all decoded", ImageKind.SNAPSHOT, "jpg", FramesSpec(interval_us=_SECOND // 4)),
    ("60 snapshots png", ImageKind.SNAPSHOT, "png", FramesSpec(interval_us=_SECOND)),
    ("gif of 50", ImageKind.ANIMATION, "gif", FramesSpec(interval_us=_SECOND // 10, number=50)),
)


def row(
    case: Case, usage: Usage, size_bytes: int, decoding: float, plan: Plan | None, info: MediaInfo | None
) -> dict[str, object]:
    """Return the printed figures of a case; `decoding` is the core seconds needed to decode its clip alone."""
    megapixels = case.clip.megapixels
    figures: dict[str, object] = {
        "case": case.name,
        "size": case.clip.size,
        "cpu_s": round(usage.cpu_seconds, 2),
        "ms_per_mp": round((usage.cpu_seconds - decoding) / megapixels * 1000, 2),
        "cores": round(usage.cpu_seconds / usage.wall_seconds, 2),
        "rss_mb": round(usage.memory_bytes / 1e6),
        "disk_mb": round(usage.scratch_bytes / 1e6, 2),
        "source_mb": round(size_bytes / 1e6, 2),
    }
    if plan and info:
        cost = estimate(plan, [info], os.cpu_count() or 1)
        figures["cpu_ratio"] = round(cost.core_seconds / usage.cpu_seconds, 2)
        figures["rss_ratio"] = round(cost.memory_bytes / usage.memory_bytes, 2)
        figures["disk_ratio"] = round(cost.scratch_bytes / max(usage.scratch_bytes, 1), 2)
    return figures


def main() -> None:
    """Print a line per case, and write them as JSON if requested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--media", type=Path)
    parser.add_argument("--only", action="append", default=[], help="run cases whose name contains this; may be repeated")
    parser.add_argument("--preset", action="append", help=f"instead of {', '.join(_PRESETS)}; may be repeated")
    parser.add_argument("--size", action="append", help="of encodes, instead of all sizes; may be repeated")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    decodings: dict[Clip, float] = {}
    rows: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases(options.preset or _PRESETS):
            if options.only and not any(word in case.name for word in (*options.only, "decode")):
                continue
            if options.size and case.clip.size not in options.size:
                continue
            source = make_clip(case.clip, options.media, Path(folder))
            result = in_child(attempt if case.targets else decode, source, case.targets)
            if result is None:
                print(f"{case.name}: not measured, the child failed: {case.needs}", flush=True)
                continue
            usage, plan, info = result
            if not case.targets:
                decodings[case.clip] = usage.cpu_seconds
            rows.append(row(case, usage, source.stat().st_size, decodings.get(case.clip, 0.0), plan, info))
            if options.json:
                with options.json.open("a") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
            print(" ".join(f"{value!s:>{_WIDTHS.get(name, 9)}}" for name, value in rows[-1].items()), flush=True)


_WIDTHS = {"case": 26, "size": 10}


if __name__ == "__main__":
    main()
