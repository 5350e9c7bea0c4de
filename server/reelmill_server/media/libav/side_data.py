"""Read what PyAV hands out differently from version to version, or not safely: codec tags and the side data of frames.

Nothing else may touch `frame.side_data`. `tests/unit/media/libav/test_side_data.py` says so of the whole tree.
"""

from math import atan2, degrees
from struct import Struct
from typing import Any, NamedTuple

from av import VideoFrame
from av.filter import Graph
from av.sidedata.sidedata import SideDataContainer, Type

# PyAV 18 and 19 free the dictionary of side data that has one although the frame frees it as well. Of libav's decoders, that of
# PNG alone makes such a dictionary: it names the ICC profile, so that what is read of theirs is read of a twin without it.
NAMING_CODECS = ("png", "apng")
_MATRIX = Struct("=9i")


def _unnamed(cls: type[Any], value: object) -> Any:
    """Return a member for a type of side data that PyAV does not know, as Exif in PyAV 18: else it gives none of a frame's."""
    member = object.__new__(cls)
    member._name_, member._value_ = f"UNNAMED_{value}", value
    return member


Type._missing_ = classmethod(_unnamed)  # type: ignore[method-assign, assignment]
# As the ffmpeg command has it: degrees by which a turn is off a quarter that nobody would see.
_UNSEEN_DEGREES = 1.0
_PROJECTIONS = (
    "equirectangular",
    "cube map",
    "tile of an equirectangular one",
    "half equirectangular",
    "",
    "fisheye",
)  # AVSphericalProjection


class Orientation(NamedTuple):
    """How a frame is to be shown: `mirrored` left to right, then rotated clockwise by `rotation` (0, 90, 180 or 270) and by
    `tilt` more degrees, -45 to 45.
    """

    rotation: int
    mirrored: bool
    tilt: int


def codec_tag(context: Any) -> str:
    """Return a codec's four-character code in its container, "" for no codec. Bytes that are no printable ASCII are written as
    numbers in brackets, as FFmpeg does.
    """
    if context is None:
        return ""
    try:
        tag: bytes = context.codec_tag.encode("latin-1")
    except UnicodeDecodeError as error:  # PyAV takes the bytes for ASCII
        tag = bytes(error.object)
    if not any(tag):
        return ""
    return "".join(chr(byte) if 0x20 <= byte < 0x7F else f"[{byte}]" for byte in tag)


def frame_data(frame: VideoFrame, codec: str, kind: Type) -> bytes | None:
    """Return the side data of a kind that comes with a decoded frame of `codec` (libav's name).

    None where there is none, or where it cannot be read.
    """
    if codec in NAMING_CODECS:
        return None
    try:
        # Not `frame.side_data`: the frame would keep that, which keeps the frame, until the collector of cycles comes by; up to
        # 250 frames waited for it. Looked up by type: iterating gives items in PyAV 18 and types in 19.
        side_data: Any = SideDataContainer(frame)  # type: ignore[call-arg]
        return bytes(side_data[kind])
    except KeyError:
        return None


def _without_profile(frame: VideoFrame) -> VideoFrame:
    """Return a twin of a frame that lacks its ICC profile."""
    graph = Graph()
    described = f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
    colors = f"colorspace={int(frame.colorspace)}:range={int(frame.color_range)}"
    nodes = graph.add("buffer", f"{described}:{colors}"), graph.add("sidedata", "delete:ICC_PROFILE"), graph.add("buffersink")
    graph.link_nodes(*nodes).configure()
    graph.push(frame)
    twin = graph.pull()
    assert isinstance(twin, VideoFrame)
    return twin


def orientation(frame: VideoFrame, codec: str) -> Orientation:
    """Return how a decoded frame of `codec` is to be shown."""
    if codec in NAMING_CODECS:
        frame, codec = _without_profile(frame), ""
    data = frame_data(frame, codec, Type.DISPLAYMATRIX)
    if data is None or len(data) < _MATRIX.size:
        return _orientation(-frame.rotation, mirrored=False)
    # Where the frame's unit vectors go: right to (a, b), down to (c, d).
    a, b, _, c, d, *_ = _MATRIX.unpack_from(data)
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return _orientation(degrees(atan2(b, a)), mirrored)


def projection(frame: VideoFrame, codec: str) -> str:
    """Return how a decoded frame of `codec` covers a sphere; empty: it is flat."""
    data = frame_data(frame, codec, Type.SPHERICAL)
    number = int.from_bytes(data[:4], "little") if data else len(_PROJECTIONS)
    return _PROJECTIONS[number] if number < len(_PROJECTIONS) else ""


def _orientation(angle: float, mirrored: bool) -> Orientation:
    quarter = round(angle / 90) * 90
    off = angle - quarter
    return Orientation(quarter % 360, mirrored, round(off) if abs(off) > _UNSEEN_DEGREES else 0)
