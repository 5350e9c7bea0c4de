"""Quick start: `make run` and `make serve`.

python examples/quickstart.py run [--source FILE]    start the service, convert a clip with live progress, stop
python examples/quickstart.py serve [--root FOLDER]  start the service and leave it running
"""

import argparse
import json
import re
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".reelmill"
DATA = FOLDER / "service"  # closed to tasks, so beside clips and outputs
_STOP_SECONDS = 60
_CLIP_SECONDS = 15


def program(name: str) -> str:
    """Return the path of a program installed in this environment."""
    return str(Path(sysconfig.get_path("scripts"), name))


def make_clip(path: Path) -> None:
    """Write a moving test pattern with a tone: H.264 1080p and AAC in mp4."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with (
        av.open(f"testsrc2=size=1920x1080:rate=30:duration={_CLIP_SECONDS}", format="lavfi") as picture,
        av.open(f"sine=frequency=440:sample_rate=48000:duration={_CLIP_SECONDS}", format="lavfi") as tone,
        av.open(str(path), "w") as clip,
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


@contextmanager
def service(listen: str, http: str, *roots: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the service and yield its process and gRPC address. Its log is a file beside its data."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    log = FOLDER / "server.log"
    arguments = [program("reelmill-server"), "serve", "--listen", listen, "--http", http, "--data-dir", str(DATA)]
    for root in roots:
        arguments += ["--file-root", str(root)]
    with log.open("w") as errors:
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            line = process.stdout.readline() if process.stdout else ""
            address = re.search(r"gRPC (\S+:\d+)", line)
            if not address:
                sys.exit(f"the service did not start; see its log, {log}:\n{log.read_text()[-2000:]}")
            print(line.strip())
            yield process, address[1]
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()


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
    if source is None:
        source = FOLDER / "clip" / "clip.mp4"
        print(f"generating a clip of {_CLIP_SECONDS} s: {source}")
        make_clip(source)
    source = source.resolve()
    outputs = FOLDER / "outputs"
    request = FOLDER / "request.json"
    FOLDER.mkdir(exist_ok=True)
    request.write_text(json.dumps(request_for(source, outputs), indent=2))
    # The source and the outputs each have a file root; nothing else can be read or written.
    with service("127.0.0.1:0", "127.0.0.1:0", source.parent, outputs) as (_, address):
        status = subprocess.call([program("reelmill"), "--server", address, "submit", str(request)])
    print(f"request: {request}; outputs: {outputs}")
    return status


def serve(*roots: Path) -> int:
    """Start the service on its usual address and leave it running until Ctrl-C, with access to this folder and `roots`."""
    clip = FOLDER / "clip" / "clip.mp4"
    if not clip.exists():
        make_clip(clip)
    with service("127.0.0.1:50051", "127.0.0.1:9090", ROOT, *roots) as (process, address):
        client = Path(program("reelmill"))
        command = client.relative_to(Path.cwd()) if client.is_relative_to(Path.cwd()) else client
        print(f"try:  {command} --server {address} convert {clip} {FOLDER}/small.mp4 --video h264 --size 640x360 --audio aac")
        print("stop: Ctrl-C")
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
        try:
            return process.wait()
        except KeyboardInterrupt:
            return 0


def main() -> None:
    """Run one of the two commands."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run").add_argument("--source", type=Path, help="a clip to convert instead")
    commands.add_parser("serve").add_argument("--root", type=Path, help="another folder that the service may use")
    options = parser.parse_args()
    for name in ("root", "source"):  # some shells leave ROOT=~/Videos as it is
        if getattr(options, name, None):
            setattr(options, name, getattr(options, name).expanduser())
    if options.command == "serve":
        if options.root and not options.root.is_dir():
            sys.exit(f"{options.root} is not a folder")
        sys.exit(serve(*filter(None, [options.root])))
    if options.source and not options.source.is_file():
        sys.exit(f"{options.source} is not a file")
    sys.exit(run(options.source))


if __name__ == "__main__":
    main()
