"""Find the GPU that encodes by VAAPI. Of several, FFmpeg takes the first, which may be one without a driver."""

from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
from av.codec.hwaccel import HWAccel

from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.log import captured_log

_FOLDER = Path("/dev/dri")
_SIDE = 256  # every accelerator takes it


@cache
def device_of(encoder: str) -> HWAccel:
    """Return the device on which `encoder`, one of VAAPI's, opens first; FFmpeg's own choice if there is one node, or none
    opens.
    """
    nodes = sorted(_FOLDER.glob("renderD*"), key=lambda node: (len(node.name), node.name))
    if len(nodes) > 1:
        for node in nodes:
            device = HWAccel("vaapi", str(node))
            if _opens(encoder, device):
                return device
    return HWAccel("vaapi")


def _opens(encoder: str, device: HWAccel) -> bool:
    with captured_log():
        try:
            context: Any = av.CodecContext.create(encoder, "w", hwaccel=device)
            context.width, context.height, context.pix_fmt, context.time_base = _SIDE, _SIDE, "nv12", Fraction(1, 25)
            context.open(strict=False)
        except (*LIBAV_ERRORS, OSError):
            return False
    return True
