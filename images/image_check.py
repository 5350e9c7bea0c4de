"""Builds the images without a container engine, and uses them as a cluster would: `make image-check` (docs/images.md).

Everything of one run lies in a folder outside the repository. Exits with 1 when something is not as it should be.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from images import dockerfile, stand_in
from images.chroots import Builder, Run, own_mounts
from images.dockerfile import Config

CONTEXT = Path(__file__).resolve().parent.parent
_IMAGES = ("cpu", "intel", "nvidia")
_HARDWARE = {f"{codec}_{family}" for codec in ("h264", "hevc", "av1") for family in ("nvenc", "qsv", "vaapi")}
_NOT_BUILT_IN = "is not built in"
_CLIP = """
import av
with av.open("testsrc2=size=640x360:rate=25:duration=4", format="lavfi") as made, av.open("/media/clip.mkv", "w") as clip:
    stream = clip.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
    for frame in made.decode(video=0):
        frame.pict_type = 0
        clip.mux(stream.encode(frame))
    clip.mux(stream.encode(None))
"""
_LOOK = """
import av
with av.open("/media/small.mp4") as made:
    video = made.streams.video[0]
    print(video.codec_context.name, video.width, video.height, sum(1 for _ in made.decode(video)))
"""


@dataclass(frozen=True)
class Image:
    """A built image: what it says of itself, and all its files in one place."""

    name: str
    config: Config
    place: Path

    def run(self, *command: str, volumes: dict[str, Path], entrypoint: bool = True, **environment: str) -> Run:
        """The command, or what the entrypoint makes of it, as the image's user; only `volumes` can be written."""
        return Run(
            self.place,
            [*(self.config.entrypoint if entrypoint else []), *command],
            {**self.config.environment, **environment},
            self.config.user,
            self.config.folder,
            volumes,
        )


def _output(run: Run) -> str:
    done = subprocess.run(run.command(), check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(run.arguments)}: ended with {done.returncode}\n{done.stdout}")
    return done.stdout


@contextmanager
def _volume(folder: Path, owner: str) -> Iterator[Path]:
    """An empty folder that belongs to the image's user."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    os.chown(folder, *map(int, owner.split(":")))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def check_closed(image: Image, data: Path) -> None:
    """The user is nobody in particular, can write its data folder, and nothing else."""
    look = 'id -u; for f in / /usr /opt/reelmill /etc /tmp; do ! touch $f/x 2>/dev/null || echo "wrote $f"; done; touch /data/x'
    said = _output(image.run("sh", "-c", look, volumes={"/data": data}, entrypoint=False)).split()
    _expect(said == [image.config.user.partition(":")[0]], f"{image.name}: user {' '.join(said)}, only /data can be written")


def check_capabilities(image: Image, data: Path) -> None:
    """All hardware encoders are built in, whether they have a device or not."""
    text = _output(image.run("capabilities", volumes={"/data": data}))
    print(text)
    rows = [line.split(maxsplit=3) for line in text.splitlines() if line.startswith("  ")]
    states = {row[1]: row[3] for row in rows if len(row) == len(("codec", "name", "device", "state"))}
    _expect(states.keys() >= _HARDWARE, f"{image.name}: all hardware encoders are named")
    missing = [name for name in sorted(_HARDWARE) if _NOT_BUILT_IN in states[name]]
    _expect(not missing, f"{image.name}: all hardware encoders are built in {' '.join(missing)}")


def check_service(image: Image, data: Path, media: Path) -> None:
    """The default command converts a file, and ends with 0 when it is told to stop."""
    volumes = {"/data": data, "/media": media}
    _output(image.run("python", "-c", _CLIP, volumes=volumes, entrypoint=False))
    service = image.run(
        *image.config.command,
        volumes=volumes,
        REELMILL_FILE_ROOT="/media",
        REELMILL_LISTEN="127.0.0.1:0",
        REELMILL_HTTP="127.0.0.1:0",
    )
    process = subprocess.Popen(service.command(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        ready = process.stdout.readline()
        print(ready, end="")
        address = re.search(r"gRPC (\S+:\d+)", ready)
        _expect(address is not None, f"{image.name}: `{' '.join(service.arguments)}` says that it is ready")
        assert address is not None
        command = [
            "reelmill",
            "--server",
            address[1],
            "convert",
            "/media/clip.mkv",
            "/media/small.mp4",
            "--video",
            "h264",
            "--size",
            "320x180",
        ]
        print(_output(image.run(*command, volumes=volumes, entrypoint=False)))
        made = _output(image.run("python", "-c", _LOOK, volumes=volumes, entrypoint=False)).strip()
        _expect(made == "h264 320 180 100", f"{image.name}: converted a clip into {made}")
    finally:
        # The service is process 1 of a namespace whose parent, `unshare`, passes nothing on.
        for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
            os.kill(int(child), signal.SIGTERM)
        status = process.wait(60)
    _expect(status == 0, f"{image.name}: ended with {status} after SIGTERM")


def check_media(image: Image, data: Path, arguments: list[str]) -> None:
    """The media tests pass on this build."""
    chosen = arguments or [*image.config.command, "-n2", "--dist", "loadgroup"]
    run = replace(image.run(*chosen, volumes={"/data": data}), extra={"/mnt": CONTEXT})
    _expect(subprocess.run(run.command(), check=False).returncode == 0, f"{image.name}: the media tests")


def _expect(holds: bool, what: str) -> None:
    if not holds:
        sys.exit(f"FAILED {what}")
    print(f"ok     {what}", flush=True)


def main() -> None:
    """Reads the command line, builds and checks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=Path, default=Path("/tmp/reelmill-image"), help="where all of it lies")
    parser.add_argument("--mirror", default="http://deb.debian.org/debian", help="a mirror of Debian")
    parser.add_argument("--keep", action="store_true", help="leave the images there, so that the next run is quicker")
    parser.add_argument("--media-tests", action=argparse.BooleanOptionalAction, default=True, help="run the media tests, too")
    parser.add_argument("tests", nargs="*", help="arguments of the media tests instead of all of them")
    options = parser.parse_args()
    if sys.platform != "linux" or os.geteuid() != 0 or not shutil.which("debootstrap"):
        sys.exit("image-check needs Linux, root and debootstrap")
    own_mounts()
    try:
        check(options)
    finally:
        if not options.keep:
            shutil.rmtree(options.root)


def check(options: argparse.Namespace) -> None:
    """Builds what is to be checked, and checks it."""
    text = (CONTEXT / "Dockerfile").read_text()
    arguments, _ = dockerfile.read(text)
    with ExitStack() as stack:
        proxy = ""
        if not stand_in.reachable(arguments["ARCHIVE"]):
            print(f"{arguments['ARCHIVE']} cannot be reached: Debian's packages are those that {options.mirror} has now")
            proxy = stack.enter_context(stand_in.proxy_for(arguments["ARCHIVE"], options.mirror))
        builder = Builder(text, CONTEXT, options.root, options.mirror, proxy)
        for name in (*_IMAGES, *(["test"] if options.media_tests else [])):
            config = builder.build(name)
            print(f"{name}: its own layer has {_megabytes(builder.layer(name))} MB")
            with builder.mounted(name, read_only=True) as place:
                _check_image(Image(name, config, place), options)


def _check_image(image: Image, options: argparse.Namespace) -> None:
    with _volume(options.root / "data", image.config.user) as data, _volume(options.root / "media", image.config.user) as media:
        if image.name == "test":
            check_media(image, data, options.tests)
            return
        print(f"{image.name}: {_megabytes(image.place)} MB in all; {image.config}")
        check_closed(image, data)
        check_capabilities(image, data)
        check_service(image, data, media)


def _megabytes(folder: Path) -> int:
    """As `du` counts."""
    said = subprocess.run(
        ["du", "--summarize", "--one-file-system", "--block-size=1M", folder], check=False, stdout=subprocess.PIPE, text=True
    )
    return int(said.stdout.split()[0])


if __name__ == "__main__":
    main()
