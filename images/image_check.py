"""Builds the images and uses them as a cluster would: `make image-check` (docs/images.md).

Everything of one run lies in a folder outside the repository. Exits with 1 when something is not as it should be.
"""

import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from images import stand_in
from images.containers import TOOLS, Store

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
    """A built image; `volumes`: folders that can be written, by where they are inside."""

    store: Store
    name: str
    volumes: dict[str, Path] = field(default_factory=dict)

    @property
    def user(self) -> str:
        """The user and the group of its processes, by number."""
        return self.store.inspect(self.name, "{{.Config.User}}")

    def start(
        self, *command: str, entrypoint: str | None = None, options: Sequence[str] = (), **environment: str
    ) -> subprocess.Popen[str]:
        """Start the image's own command, or another one; an empty entrypoint leaves the image's out."""
        return self.store.start(self.name, command, self.volumes, environment, entrypoint, options)

    def output(self, *command: str, entrypoint: str | None = None) -> str:
        """Return what a command says, which must succeed."""
        process = self.start(*command, entrypoint=entrypoint)
        text = process.communicate()[0]
        if process.returncode:
            sys.exit(f"{' '.join(command)}: ended with {process.returncode}\n{text}")
        return text


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


def check_closed(image: Image) -> None:
    """The user is nobody in particular, can write its data folder, and nothing else."""
    look = 'id -u; for f in / /usr /opt/reelmill /etc /tmp; do ! touch $f/x 2>/dev/null || echo "wrote $f"; done; touch /data/x'
    said = image.output("-c", look, entrypoint="sh").split()
    _expect(said == [image.user.partition(":")[0]], f"{image.name}: user {' '.join(said)}, only /data can be written")


def check_capabilities(image: Image) -> None:
    """All hardware encoders are built in, whether they have a device or not."""
    text = image.output("capabilities")
    print(text)
    rows = [line.split(maxsplit=3) for line in text.splitlines() if line.startswith("  ")]
    states = {row[1]: row[3] for row in rows if len(row) == len(("codec", "name", "device", "state"))}
    _expect(states.keys() >= _HARDWARE, f"{image.name}: all hardware encoders are named")
    missing = [name for name in sorted(_HARDWARE) if _NOT_BUILT_IN in states[name]]
    _expect(not missing, f"{image.name}: all hardware encoders are built in {' '.join(missing)}")


def check_service(image: Image) -> None:
    """The default command converts a file, and ends with 0 when it is told to stop."""
    image.output("-c", _CLIP, entrypoint="python")
    service = image.start(
        REELMILL_FILE_ROOT="/media", REELMILL_LISTEN="127.0.0.1:0", REELMILL_HTTP_API="127.0.0.1:0", REELMILL_HTTP="127.0.0.1:0"
    )
    assert service.stdout is not None
    try:
        ready = service.stdout.readline()
        print(ready, end="")
        address = re.search(r"gRPC (\S+:\d+)", ready)
        _expect(address is not None, f"{image.name}: its default command says that it is ready")
        assert address is not None
        command = [
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
        print(image.output(*command, entrypoint="reelmill"))
        made = image.output("-c", _LOOK, entrypoint="python").strip()
        _expect(made == "h264 320 180 100", f"{image.name}: converted a clip into {made}")
    finally:
        service.send_signal(signal.SIGTERM)
        status = service.wait(60)
    _expect(status == 0, f"{image.name}: ended with {status} after SIGTERM")


def check_media(image: Image, arguments: list[str]) -> None:
    """The media tests pass on this build."""
    chosen = arguments or ["tests/media", "tests/golden", "-n2", "--dist", "loadgroup"]
    process = image.start(*chosen, options=[f"--volume={CONTEXT}:/mnt:ro"])
    assert process.stdout is not None
    for line in process.stdout:
        print(line, end="", flush=True)
    _expect(process.wait() == 0, f"{image.name}: the media tests")


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
    if sys.platform != "linux" or os.geteuid() != 0 or not all(map(shutil.which, TOOLS)):
        sys.exit(f"image-check needs Linux, root, and {', '.join(TOOLS)}")
    check(options)


def check(options: argparse.Namespace) -> None:
    """Build what is to be checked, and check it."""
    defaults = dict(re.findall(r"^ARG (\w+)=(.+)$", (CONTEXT / "Dockerfile").read_text(), re.MULTILINE))
    with ExitStack() as stack:
        proxy = ""
        if not stand_in.reachable(defaults["ARCHIVE"]):
            print(f"{defaults['ARCHIVE']} cannot be reached: Debian's packages are those that {options.mirror} has now")
            proxy = stack.enter_context(stand_in.proxy_for(defaults["ARCHIVE"], options.mirror))
        store = Store(options.root, proxy)
        if not options.keep:
            stack.callback(store.remove)
        base = store.bootstrap(defaults["SUITE"], options.mirror, CONTEXT / "images")
        for target in (*_IMAGES, *(["test"] if options.media_tests else [])):
            image = Image(store, store.build(CONTEXT, target, {"BASE_IMAGE": base}))
            print(f"{target}: {int(store.inspect(image.name, '{{.Size}}')) // 10**6} MB in all")
            _check_image(image, target, options)


def _check_image(image: Image, target: str, options: argparse.Namespace) -> None:
    root, user = options.root, image.user
    with _volume(root / "data", user) as data, _volume(root / "media", user) as media:
        image.volumes.update({"/data": data, "/media": media})
        if target == "test":
            check_media(image, options.tests)
            return
        print(image.store.inspect(image.name, "{{json .Config}}"))
        check_closed(image)
        check_capabilities(image)
        check_service(image)


if __name__ == "__main__":
    main()
