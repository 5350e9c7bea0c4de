"""Encode MP3 with the LAME of the system where PyAV brings a slow one along: PyAV 18's wheels have it compiled without
optimization. The same version makes the same bytes in a third of the time.
"""

import ctypes
import importlib.util
from contextlib import suppress
from pathlib import Path

_NAME = "libmp3lame.so.0"
_VERSION = b"3.100"
_BESIDE_PYAV = "av.libs/libmp3lame-*.so*"


def use_system_lame() -> None:
    """Let libav find the functions of the system's LAME first. Call it before PyAV is imported; without such a LAME, or with a
    PyAV that does not bring its own as a library apart, nothing happens.
    """
    spec = importlib.util.find_spec("av")
    if spec is None or spec.origin is None or not any(Path(spec.origin).parents[1].glob(_BESIDE_PYAV)):
        return
    with suppress(OSError, AttributeError):
        version = ctypes.CDLL(_NAME).get_lame_version
        version.restype = ctypes.c_char_p
        if version() == _VERSION:
            ctypes.CDLL(_NAME, mode=ctypes.RTLD_GLOBAL)  # the loader looks here before it looks beside PyAV
