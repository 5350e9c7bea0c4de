"""VMAF by libvmaf's own C interface, as not every libav that it serves has a filter for it: Debian's has none.

The library is the one that PyAV's wheels bring along, or one of the system. Everything is checked that a header would have
told a compiler: the version, the sizes of structures, and what each call returns.
"""

import ctypes
import errno
import os
import re
import weakref
from collections.abc import Iterator
from ctypes import byref
from functools import cache
from pathlib import Path
from typing import Any

import av
from av import VideoFrame

_MODEL = b"vmaf_v0.6.1"  # libvmaf's default, for a screen of 1080 lines
_VERSION = re.compile(rb"v?3\.\d+")  # of the interface below, and of the scores
# As in the wheels of Linux and macOS, below the folder in which PyAV is; and as the loader knows it.
_BESIDE_PYAV = ("av.libs/libvmaf*.so*", "av/.dylibs/libvmaf*.dylib")
_BY_NAME = ("libvmaf.so.3", "libvmaf.3.dylib")
_NO_LOG, _LUMA_ONLY, _POOL_MEAN = 0, 4, 3  # the model looks at luma alone
_SENTINEL = bytes(range(1, 65))


class LibvmafError(OSError):
    """There is no libvmaf that can be used, or one of its calls failed."""


class _Configuration(ctypes.Structure):
    _fields_ = (
        ("log_level", ctypes.c_int),
        ("threads", ctypes.c_uint),
        ("every", ctypes.c_uint),
        ("cpu_mask", ctypes.c_uint64),
        ("gpu_mask", ctypes.c_uint64),
    )


class _ModelConfiguration(ctypes.Structure):
    _fields_ = (("name", ctypes.c_char_p), ("flags", ctypes.c_uint64))


class _Picture(ctypes.Structure):
    _fields_ = (
        ("format", ctypes.c_int),
        ("bits", ctypes.c_uint),
        ("widths", ctypes.c_uint * 3),
        ("heights", ctypes.c_uint * 3),
        ("strides", ctypes.c_ssize_t * 3),
        ("data", ctypes.c_void_p * 3),
        ("reference", ctypes.c_void_p),
        ("private", ctypes.c_void_p),
    )


class _Guarded(ctypes.Structure):
    _fields_ = (("picture", _Picture), ("sentinel", ctypes.c_char * len(_SENTINEL)))


@cache
def load() -> ctypes.CDLL:
    """Return libvmaf. Raises LibvmafError if there is none, or only another version."""
    unusable = ""
    for path in _candidates():
        try:
            library = ctypes.CDLL(path)
        except OSError:
            continue
        if not (unusable := _fault(library)):
            return library
    absent = "is neither on this system nor beside PyAV (the wheels of PyAV 19, for Python 3.12 and later, have it)"
    raise LibvmafError(errno.ENOENT, unusable or absent)


def _candidates() -> Iterator[str]:
    folder = Path(av.__file__).parent.parent
    for pattern in _BESIDE_PYAV:
        yield from map(str, sorted(folder.glob(pattern)))
    yield from _BY_NAME


def _fault(library: ctypes.CDLL) -> str:
    """Return what keeps a library from being used, or nothing."""
    try:
        library.vmaf_version.restype = ctypes.c_char_p
        version = library.vmaf_version()
    except AttributeError:
        return "is too old"
    if not _VERSION.match(version):
        return f"has version {version.decode(errors='replace')}; 3 is needed"
    # What it writes into a picture must be what is read here, and nothing behind it.
    guarded, (width, height, bits) = _Guarded(sentinel=_SENTINEL), (70, 50, 10)
    picture = guarded.picture
    _check("picture_alloc", library.vmaf_picture_alloc(byref(picture), _LUMA_ONLY, bits, width, height))
    found = (picture.format, picture.bits, picture.widths[0], picture.heights[0])
    alike = found == (_LUMA_ONLY, bits, width, height) and picture.strides[0] >= 2 * width and picture.data[0]
    if not alike or bytes(guarded)[ctypes.sizeof(_Picture) :] != _SENTINEL:
        return f"has version {version.decode()}, whose pictures are laid out differently"
    _check("picture_unref", library.vmaf_picture_unref(byref(picture)))
    return ""


@cache
def _model() -> ctypes.c_void_p:
    """Return the model, which is only read once it is parsed, and serves all scores of this process."""
    model = ctypes.c_void_p()
    _check("model_load", load().vmaf_model_load(byref(model), byref(_ModelConfiguration()), _MODEL))
    return model


def _check(name: str, code: int) -> None:
    """Raise LibvmafError if a call failed."""
    if code:
        raise LibvmafError(-code, f"libvmaf: {name}: {os.strerror(-code)}")


class VmafScore:
    """The VMAF of pairs of frames of one size and format, by their luma."""

    def __init__(self, threads: int, every: int) -> None:
        """`every`: one frame in so many is scored. Raises LibvmafError."""
        self._library, self._model, self._context, self._pairs = load(), _model(), ctypes.c_void_p(), 0
        configuration = _Configuration(log_level=_NO_LOG, threads=threads, every=every)
        self._call("init", byref(self._context), configuration)
        self._close = weakref.finalize(self, self._library.vmaf_close, self._context)  # waits for its threads
        self._close.atexit = False  # a thread that was left behind may still add frames
        self._call("use_features_from_model", self._context, self._model)

    def add(self, shown: VideoFrame, given: VideoFrame) -> None:
        """Compare a frame with the one that it should be. Raises LibvmafError."""
        pictures = (_Picture(), _Picture())
        try:
            for picture, frame in zip(pictures, (given, shown), strict=True):
                self._fill(picture, frame)
            self._call("read_pictures", self._context, *map(byref, pictures), self._pairs)  # it owns them from here on
        except LibvmafError:
            for picture in pictures:
                self._library.vmaf_picture_unref(byref(picture))  # of one that is freed already, it does nothing
            raise
        self._pairs += 1

    def mean(self) -> float | None:
        """Return the mean of all pairs, None if there were none; nothing can be added after it. Raises LibvmafError."""
        score = ctypes.c_double()
        if self._pairs:
            self._call("read_pictures", self._context, None, None, 0)
            self._call("score_pooled", self._context, self._model, _POOL_MEAN, byref(score), 0, self._pairs - 1)
        self._close()
        return score.value if self._pairs else None

    def _fill(self, picture: _Picture, frame: VideoFrame) -> None:
        """Make `picture` a copy of a frame's luma: its scores may be computed after the frame is gone."""
        bits, plane = frame.format.components[0].bits, frame.planes[0]
        self._call("picture_alloc", byref(picture), _LUMA_ONLY, bits, frame.width, frame.height)
        row = frame.width * (2 if bits > 8 else 1)
        source, step, target, stride = plane.buffer_ptr, plane.line_size, picture.data[0], picture.strides[0]
        if step == stride:
            ctypes.memmove(target, source, stride * (frame.height - 1) + row)
            return
        for line in range(frame.height):
            ctypes.memmove(target + line * stride, source + line * step, row)

    def _call(self, name: str, *arguments: Any) -> None:
        _check(name, getattr(self._library, f"vmaf_{name}")(*arguments))
