"""A driver of NVIDIA's for tests: libcuda and libnvidia-encode, built here, with libx264 and libx265 behind NVENC's interface.

FFmpeg's own `h264_nvenc` and `hevc_nvenc` load them. What they do wrong is read from a file for each session, so that faults
can be switched while a server runs.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from reelmill_server.worker.child import main

_HERE = Path(__file__).parent
_PACKAGES = "gcc libc6-dev libffmpeg-nvenc-dev libx264-dev libx265-dev"
_LIBRARIES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "libcuda.so.1": (("cuda.c", "faults.c"), ("-ldl",)),
    "libnvidia-encode.so.1": (("nvenc.c", "h264.c", "hevc.c", "faults.c"), ("-lx264", "-lx265", "-ldl")),
}
"""Sources and libraries of each."""
_FLAGS = ("-std=gnu11", "-O1", "-fPIC", "-shared", "-Wall", "-Werror", "-Wl,-Bsymbolic")
_INCLUDE = ("-I/usr/include/ffnvcodec", "-I/usr/local/include/ffnvcodec")
_MOST_SESSIONS = 8


class Driver:
    """The driver's libraries in a folder, and its faults: names and numbers as in faults.h."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(_MOST_SESSIONS):
            (folder / f"session.{number}").touch()
        self.fault()

    def fault(self, **faults: int) -> None:
        """Have these faults from the next session on, and no others."""
        new = self.folder / "faults.new"
        new.write_text("".join(f"{name} {number}\n" for name, number in faults.items()))
        new.replace(self.folder / "faults")


def build(folder: Path) -> Driver:
    """Build the driver into `folder`; skip the test where a compiler, a header or a library is missing."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip(f"no C compiler: {_PACKAGES}")
    driver = Driver(folder)
    for name, (sources, libraries) in _LIBRARIES.items():
        paths = [str(_HERE / source) for source in sources]
        command = (compiler, *_FLAGS, *_INCLUDE, f"-Wl,-soname,{name}", "-o", str(folder / name), *paths, *libraries)
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        if "No such file" in built.stderr or "cannot find -l" in built.stderr:
            pytest.skip(f"a header or a library is missing: {_PACKAGES}")
        assert built.returncode == 0, built.stderr
    return driver


def child_with(folder: str, *arguments: object) -> None:
    """The entry point of a child on a machine with the driver in `folder`, as if LD_LIBRARY_PATH had named it at the start."""
    os.environ["LD_LIBRARY_PATH"] = folder
    for name in _LIBRARIES:
        ctypes.CDLL(str(Path(folder, name)))
    main.main(*arguments)  # type: ignore[arg-type]
