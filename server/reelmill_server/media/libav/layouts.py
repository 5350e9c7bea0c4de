"""Read the channel layouts of contexts and frames without freeing what is not ours."""

import ctypes
from collections.abc import Iterable
from typing import Any

import av

# Before 19, PyAV shares the list of channels of a layout in an order of its own with the context or frame that owns it, and
# both free it: the process dies. CAF, AIFF and MOV have such layouts whenever they name channels one by one.
_SHARES = int(av.__version__.split(".")[0]) < 19
_OWN_ORDER = " channels ("  # in libav's name of such a layout, behind their number


def layout_of(context: Any) -> tuple[str, int]:
    """Return libav's name of a context's layout, and its number of channels. PyAV's `channels` is as unsafe as its `layout`."""
    layout = context.layout
    if layout is None:
        return "", 0
    _keep(layout)
    return layout.name, layout.nb_channels


def keep_layouts(frames: Iterable[Any]) -> None:
    """Keep the layouts of audio frames from being freed twice, before any of the frames is freed."""
    if _SHARES:
        for frame in frames:
            layout = getattr(frame, "layout", None)
            if layout:
                _keep(layout)


def is_shared(layout: Any) -> bool:
    """Return whether two would free the list of channels of a layout, which no more objects may share."""
    return _SHARES and _OWN_ORDER in layout.name


def _keep(layout: Any) -> None:
    # What is never freed frees nothing: some fifty bytes for each frame of such a stream.
    if is_shared(layout):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(layout))
