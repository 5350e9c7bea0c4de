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


VA_PACKAGES = "gcc libc6-dev libva-dev libx265-dev, and an ffmpeg with h264_vaapi in the path"
_VA_LIBRARIES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "test_drv_video.so": (("vaapi.c", "cabac.c", "va_hevc.c", "faults.c"), ("-lx265", "-ldl")),
    "drm.so": (("drm.c",), ()),
}
VA_DEVICE = Path("/dev/fuse")
"""Stands for a render node: to open it does nothing. By 0x80 in its minor number old versions of libva know one."""


def build_va(folder: Path) -> Driver:
    """Build the driver of VA-API into `folder`; skip the test where a compiler or a header is missing."""
    compiler = shutil.which("cc")
    if compiler is None or not VA_DEVICE.is_char_device():
        pytest.skip(f"no C compiler, or no {VA_DEVICE}: {VA_PACKAGES}")
    driver = Driver(folder)
    for name, (sources, libraries) in _VA_LIBRARIES.items():
        paths = [str(_HERE / source) for source in sources]
        built = subprocess.run(
            (compiler, *_FLAGS, "-o", str(folder / name), *paths, *libraries), capture_output=True, text=True, check=False
        )
        if "No such file" in built.stderr or "cannot find -l" in built.stderr:
            pytest.skip(f"a header or a library is missing: {VA_PACKAGES}")
        assert built.returncode == 0, built.stderr
    return driver


def va_environment(driver: Driver) -> Mapping[str, str]:
    """Return the variables by which libva finds the driver."""
    folder = str(driver.folder)
    return {"LIBVA_DRIVERS_PATH": folder, "LIBVA_DRIVER_NAME": "test", "LD_PRELOAD": f"{folder}/drm.so"}


def child_with(folder: str, *arguments: object) -> None:
    """The entry point of a child on a machine with the driver in `folder`, as if LD_LIBRARY_PATH had named it at the start."""
    os.environ["LD_LIBRARY_PATH"] = folder
    for name in _LIBRARIES:
        ctypes.CDLL(str(Path(folder, name)))
    main.main(*arguments)  # type: ignore[arg-type]


def va_child(folder: str, *arguments: object) -> None:
    """The entry point of a child on a machine with the driver of VA-API in `folder`."""
    os.environ.update(LIBVA_DRIVERS_PATH=folder, LIBVA_DRIVER_NAME="test")
    main.main(*arguments)  # type: ignore[arg-type]
