"""Find layers of H.265 above the base one, which libav does not decode: transparency, or the view of the other eye."""

from typing import Any

from reelmill_server.media.libav.nal_units import length_bytes, parted

_CODEC = "hevc"
_SLICES = range(32)
_HEADER_BYTES = 2
_ALPHA_INFO = b"\x4e\x01\xa5"  # of the base layer, a message of the kind "alpha channel information" (H.265, F.14)


def layer_above(packet: Any, codec: str) -> str:
    """Return what the first packet of a stream in `codec` (libav's name) has beside the base layer: "alpha", "view", or ""."""
    if codec != _CODEC:
        return ""
    data, extradata = bytes(packet), bytes(packet.stream.codec_context.extradata or b"")
    if not any(_is_above(unit) for unit in parted(data, length_bytes(_CODEC, extradata))):
        return ""
    return "alpha" if _ALPHA_INFO in extradata or _ALPHA_INFO in data else "view"


def _is_above(unit: bytes) -> bool:
    """Return whether a unit is a slice of another layer than the base one."""
    return len(unit) >= _HEADER_BYTES and unit[0] >> 1 & 63 in _SLICES and bool((unit[0] & 1) << 5 | unit[1] >> 3)
