"""Build codec strings (RFC 6381) from what the streams of a finished file say of themselves.

Formats: H.264 and AAC in RFC 6381, 3.3; H.265 in ISO/IEC 14496-15, E.3; VP9 and AV1 in their bindings to ISO media files.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from reelmill_server.model.media_info import DolbyVision

_START_CODE = re.compile(rb"\x00\x00\x01")
_H264_SPS, _H265_SPS = 7, 33
_DEPTH = re.compile(r"(9|10|12|14|16)(le|be)")
_AAC_LC = 2
# The largest frame, in luma samples, of each level of VP9 (VP9 bitstream specification, annex A), as levels are written.
_VP9_LEVELS = (
    (36864, 10),
    (73728, 11),
    (122880, 20),
    (245760, 21),
    (552960, 30),
    (983040, 31),
    (2228224, 40),
    (8912896, 50),
    (35651584, 60),
)
_FIXED = {
    "mp3": "mp4a.40.34",
    "mp2": "mp4a.40.33",
    "ac3": "ac-3",
    "eac3": "ec-3",
    "dts": "mp4a.A9",
    "opus": "Opus",
    "flac": "fLaC",
    "alac": "alac",
    "mpeg1video": "mp4v.6A",
    "mpeg2video": "mp4v.61",
    "mpeg4": "mp4v.20",
    "mjpeg": "mp4v.6C",
}


def codec_string(codec: str, context: Any) -> str:
    """Return the string for a stream of `codec` (libav's name) with this codec context; empty when it is unknown."""
    maker = _MAKERS.get(codec)
    try:
        return maker(context) if maker else _FIXED.get(codec, "")
    except IndexError:
        return ""


def _nal_units(data: bytes) -> list[bytes]:
    return [unit for unit in _START_CODE.split(data) if unit]


def _h264(context: Any) -> str:
    data = bytes(context.extradata or b"")
    if data[:1] == b"\1":
        return f"avc1.{data[1:4].hex()}"
    units = [unit for unit in _nal_units(data) if unit[0] & 0x1F == _H264_SPS]
    return f"avc1.{units[0][1:4].hex()}"


def _h265(context: Any) -> str:
    data = bytes(context.extradata or b"")
    if data[:1] == b"\1":
        profile = data[1:13]
    else:
        units = [unit for unit in _nal_units(data) if unit[0] >> 1 & 0x3F == _H265_SPS]
        profile = units[0].replace(b"\0\0\3", b"\0\0")[3:15]
    space, tier, number = ("", "A", "B", "C")[profile[0] >> 6], profile[0] >> 5 & 1, profile[0] & 0x1F
    flags = int(f"{int.from_bytes(profile[1:5]):032b}"[::-1], 2)
    constraints = [f"{byte:X}" for byte in profile[5:11].rstrip(b"\0")]
    return ".".join([f"hvc1.{space}{number}", f"{flags:X}", f"{'LH'[tier]}{profile[11]}", *constraints])


def _vp9(context: Any) -> str:
    pixels = context.width * context.height
    level = next((level for most, level in _VP9_LEVELS if pixels <= most), _VP9_LEVELS[-1][1])
    name = context.pix_fmt or ""
    depth = _DEPTH.search(name)
    deep, chroma = bool(depth), "444" in name or "422" in name
    return f"vp09.{2 * deep + chroma:02}.{level}.{depth[1] if depth else '8':0>2}"


def _av1(context: Any) -> str:
    data = bytes(context.extradata or b"")
    profile, level, tier = data[1] >> 5, data[1] & 0x1F, data[2] >> 7
    depth = (12 if data[2] >> 5 & 1 else 10) if data[2] >> 6 & 1 else 8
    return f"av01.{profile}.{level:02}{'MH'[tier]}.{depth:02}"


def _aac(context: Any) -> str:
    data = bytes(context.extradata or b"")
    return f"mp4a.40.{data[0] >> 3 if data else _AAC_LC}"


_MAKERS: Mapping[str, Callable[[Any], str]] = {"h264": _h264, "hevc": _h265, "vp9": _vp9, "av1": _av1, "aac": _aac}


_DOLBY_NAMES: Mapping[str, str] = {"hvc1": "dvh1", "hev1": "dvh1", "avc1": "dva1", "av01": "dav1"}
_DOLBY_BRANDS: Mapping[int, str] = {1: "db1p", 2: "db2g", 4: "db4h"}  # by what the base layer is


def dolby_codec_string(codec: str, dolby: DolbyVision) -> str:
    """Return the string for Dolby Vision of such a configuration in video that is `codec` (RFC 6381) to other players."""
    name = _DOLBY_NAMES.get(codec.partition(".")[0], "")
    return f"{name}.{dolby.profile:02}.{dolby.level:02}" if name else ""


def supplemental_codec(codec: str, dolby: DolbyVision) -> str:
    """Return the string with a brand that master playlists name besides `codec`; empty: there is none."""
    brand, name = _DOLBY_BRANDS.get(dolby.compatibility, ""), dolby_codec_string(codec, dolby)
    return f"{name}/{brand}" if brand and name else ""
