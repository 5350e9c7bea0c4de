"""Install the built packages in clean environments and use them: python tools/dist_check.py FOLDER.

For each version of Python that the project supports: an environment with the client alone, another with the server, and a
conversion from one to the other. Versions that are not here are named.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

_VERSIONS = ("3.11", "3.12", "3.13")
_CLIP = """
import sys, av
with av.open("testsrc2=size=320x180:rate=25:duration=2", format="lavfi") as made, av.open(sys.argv[1], "w") as clip:
    stream = clip.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
    stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
    for frame in made.decode(video=0):
        frame.pict_type = 0
        clip.mux(stream.encode(frame))
    clip.mux(stream.encode(None))
"""


def interpreters() -> Iterator[tuple[str, Path | None]]:
    """Yield each version with an interpreter of it, None if there is none: on the PATH, or among pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")
    for version in _VERSIONS:
        candidates = [*sorted(pyenv.glob(f"{version}.*/bin/python")), Path(shutil.which(f"python{version}") or "/nowhere")]
        yield version, next((found for found in candidates if found.exists() and _is(found, version)), None)


def _is(python: Path, version: str) -> bool:
    command = [str(python), "-c", "import sys, ensurepip; print('%d.%d' % sys.version_info[:2])"]
    return str(subprocess.run(command, capture_output=True, text=True, check=False).stdout).strip() == version


def check(python: Path, packages: Path, folder: Path) -> None:
    """Install with one interpreter and convert a clip. Raises CalledProcessError or AssertionError."""
    client, server = (_environment(python, folder / name, packages, f"reelmill-{name}") for name in ("client", "server"))
    listed = _output(client / "python", "-m", "pip", "list", "--disable-pip-version-check")
    assert not re.search(r"^(av|numpy|temporalio|sqlalchemy) ", listed, re.MULTILINE), (
        "the client brings what only servers need"
    )
    print(f"  {_output(client / 'reelmill', '--version')}, {_output(server / 'reelmill-server', '--version')}", flush=True)
    media = folder / "media"
    media.mkdir()
    subprocess.run([server / "python", "-c", _CLIP, str(media / "clip.mp4")], check=True)
    addresses = ("--listen", "127.0.0.1:0", "--http-api", "127.0.0.1:0", "--http", "127.0.0.1:0")
    folders = ("--data-dir", str(folder / "data"), "--file-root", str(media))
    command = [str(server / "reelmill-server"), "serve", *addresses, *folders]
    log = folder / "server.log"
    with log.open("w") as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True) as process:
        try:
            assert process.stdout
            ready = re.search(r"gRPC (\S+:\d+)", process.stdout.readline())
            assert ready, log.read_text()[-2000:]
            convert = ("convert", str(media / "clip.mp4"), str(media / "small.webm"), "--video", "vp9", "--size", "160x90")
            print(_output(client / "reelmill", "--server", ready[1], *convert))
        finally:
            process.terminate()
    assert process.returncode == 0, log.read_text()[-2000:]
    assert (media / "small.webm").stat().st_size


def _environment(python: Path, folder: Path, packages: Path, name: str) -> Path:
    """Make an environment with a package and all that it needs, and return the folder of its programs."""
    subprocess.run([python, "-m", "venv", folder], check=True)
    install = ("install", "-qq", "--disable-pip-version-check", "--no-compile", "--find-links", str(packages), name)
    subprocess.run([folder / "bin" / "python", "-m", "pip", *install], check=True)
    return folder / "bin"


def _output(*command: Path | str) -> str:
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def main(packages: Path) -> int:
    """Check with all interpreters, and return the exit status."""
    failures = 0
    for version, python in interpreters():
        if python is None:
            print(f"Python {version}: not here, not checked", flush=True)
            continue
        print(f"Python {version}: {python}", flush=True)
        with tempfile.TemporaryDirectory(prefix="reelmill-dist-") as folder:
            try:
                check(python, packages, Path(folder))
                print("  works", flush=True)
            except (subprocess.CalledProcessError, AssertionError) as error:
                failures += 1
                print(f"  FAILED: {error}", flush=True)
    return min(failures, 1)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))
