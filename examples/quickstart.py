"""Quick start: `make run` and `make serve`.

python examples/quickstart.py run [--source FILE]    start the service, convert a clip with live progress, stop
python examples/quickstart.py serve [--root FOLDER]  start the service and leave it running
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import av

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".reelmill"
_STOP_SECONDS = 60
_CLIP_SECONDS = 10
_FREE = "127.0.0.1:0"


class Addresses(NamedTuple):
    """What the service listens on, by the names of its settings."""

    listen: str
    http_api: str
    http: str


def program(name: str) -> str:
    """Return the path of a program installed in this environment."""
    return str(Path(sysconfig.get_path("scripts"), name))


def make_clip(path: Path) -> None:
    """Write a moving test pattern with a tone: H.264 1080p and AAC in mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.stem}-{os.getpid()}.part")
    with (
        av.open(f"testsrc2=size=1920x1080:rate=30:duration={_CLIP_SECONDS}", format="lavfi") as picture,
        av.open(f"sine=frequency=440:sample_rate=48000:duration={_CLIP_SECONDS}", format="lavfi") as tone,
        av.open(str(unfinished), "w", format="mp4") as clip,
    ):
        video = clip.add_stream("libx264", rate=30, options={"preset": "ultrafast", "crf": "20"})
        video.width, video.height, video.pix_fmt = 1920, 1080, "yuv420p"
        audio = clip.add_stream("aac", rate=48000, layout="stereo")
        for source, stream in ((picture, video), (tone, audio)):
            for frame in source.decode(source.streams[0]):
                if stream is video:
                    frame.pict_type = 0  # type: ignore[union-attr]  # decoded raw frames are all marked as I-frames
                clip.mux(stream.encode(frame))  # type: ignore[arg-type]
            clip.mux(stream.encode(None))
    unfinished.replace(path)


def clip_of_ours() -> Path:
    """Return the path of the clip, which is made at the first use."""
    path = FOLDER / "clip" / "clip.mp4"
    if not path.exists():
        print(f"generating a clip of {_CLIP_SECONDS} s: {path}", flush=True)
        make_clip(path)
    return path


@contextmanager
def service(name: str, addresses: Addresses, *roots: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the service and yield its process and gRPC address. Its log and its data, closed to tasks, are named `name`."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / f"{name}.log"
    arguments = [program("reelmill-server"), "serve", "--data-dir", str(FOLDER / name)]
    for flag, address in addresses._asdict().items():
        arguments += [f"--{flag.replace('_', '-')}", address]
    for root in roots:
        arguments += ["--file-root", str(root)]
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(0))
    with log.open("w") as errors:
        # A session of its own: Ctrl-C would reach it, too, and be followed by our signal, and two mean that it stops at once.
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            address = re.search(r"gRPC (\S+:\d+)", line)
            if not address:
                process.wait(_STOP_SECONDS)
                sys.exit(f"the service did not start: {why(log)}")
            print(line.strip(), flush=True)
            yield process, address[1]
        finally:
            stop(process)


def why(log: Path) -> str:
    """Return the sentence with which the server ended, or where to look for it."""
    sentences = [line for line in log.read_text().splitlines() if line.startswith("reelmill-server")]
    return sentences[-1].partition(": ")[2] if sentences else f"its log is {log}"


def stop(process: subprocess.Popen[str]) -> None:
    """Have the server end its tasks and stop; Ctrl-C meanwhile stops it at once."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(_STOP_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def request_for(source: Path, outputs: Path) -> dict[str, Any]:
    """Return a request for an H.264 720p mp4, a stream-copied mkv and an audio-only m4a, in the vendor's JSON."""
    base = f"{outputs.as_uri()}/{{barename}}"
    h264 = {"TranscodeVideo": {"Codec": "h264", "Resolution": "1280x720", "ScaleType": "fit"}}
    aac = {"TranscodeAudio": {"Codec": "aac"}}
    return {
        "ProjectName": "default",
        "Sources": [{"URI": source.as_uri()}],
        "Targets": [
            {"URI": f"{base}-720p", "Container": "mp4", "Video": h264, "Audio": aac},
            {"URI": f"{base}-copy", "Container": "mkv"},
            {"URI": f"{base}-audio", "Container": "m4a", "Video": {"DisableVideo": True}, "Audio": aac},
        ],
    }


def run(source: Path | None) -> int:
    """Start the service, convert one clip with live progress, stop, and return the client's exit status."""
    source = (source or clip_of_ours()).resolve()
    outputs = FOLDER / "outputs"
    request = FOLDER / "request.json"
    FOLDER.mkdir(exist_ok=True)
    request.write_text(json.dumps(request_for(source, outputs), indent=2))
    # The source and the outputs each have a file root; nothing else can be read or written.
    with service("run", Addresses(*[_FREE] * 3), source.parent, outputs) as (_, address):
        status = subprocess.call([program("reelmill"), "--server", address, "submit", str(request)])
    print(f"request: {request}\noutputs: {outputs}")
    if not status:
        print("next:    make run SRC=clip.mp4 converts yours; make serve keeps the service up")
    return status


def serve(*roots: Path) -> int:
    """Start the service and leave it running until Ctrl-C, with access to this folder and `roots`.

    Its addresses are those of the variables that the server itself reads, or the usual ones.
    """
    clip = clip_of_ours()
    usual = Addresses("127.0.0.1:50051", "127.0.0.1:8080", "127.0.0.1:9090")
    addresses = Addresses(
        *(os.environ.get(f"REELMILL_{name.upper()}", address) for name, address in zip(usual._fields, usual, strict=True))
    )
    with service("service", addresses, ROOT, *roots) as (process, address):
        server = "" if address == "127.0.0.1:50051" else f" --server {address}"
        convert = f"{_here(Path(program('reelmill')))}{server} convert {_here(clip)} {_here(FOLDER / 'small.mp4')}"
        try:
            print(f"files: below {', '.join(map(str, (ROOT, *roots)))} (make serve ROOT=folder: below that, too)")
            print(f"try:   {convert} --video h264 --size 640x360 --audio aac")
            print("stop:  Ctrl-C", flush=True)
            status = process.wait()
        except KeyboardInterrupt:
            print("\nstopping: running tasks have 30 s to end, others go on at the next start (Ctrl-C: at once)", flush=True)
            return 0
        print(f"the service ended: {why(FOLDER / 'service.log')}", file=sys.stderr)
        return status


def _path(text: str) -> Path | None:
    """Return a path, None for an empty text; some shells leave ROOT=~/Videos as it is."""
    return Path(text).expanduser() if text else None


def _here(path: Path) -> Path:
    """Return a path as it is written in the current folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--source", type=_path, help="a clip to convert instead")
    commands.add_parser("serve").add_argument("--root", type=_path, help="another folder that the service may use")
    options = parser.parse_args()
    try:
        if options.command == "serve":
            if options.root and not options.root.is_dir():
                sys.exit(f"{options.root} is not a folder")
            sys.exit(serve(*filter(None, [options.root])))
        if options.source and not options.source.is_file():
            sys.exit(f"{options.source} is not a file")
        sys.exit(run(options.source))
    except KeyboardInterrupt:  # before the service is ready, or while the clip is converted: it was stopped already
        sys.exit(130)


if __name__ == "__main__":
    main()
