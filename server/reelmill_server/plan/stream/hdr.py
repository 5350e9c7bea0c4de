"""Map high dynamic range to 8 bits, and pass its metadata to encoders."""

from collections.abc import Callable, Mapping

from reelmill_server.model.colour import Matrix, Transfer
from reelmill_server.model.media_info import ContentLight, MasteringDisplay, VideoStreamInfo

_BT2020_MATRICES = (Matrix.UNSPECIFIED, Matrix.BT2020_NCL, Matrix.BT2020_CL)  # HDR without a matrix has that of BT.2020
_PEAKS = (1000, 4000, 10_000)
_LUMINANCE_UNITS = 10_000


def is_hdr(stream: VideoStreamInfo) -> bool:
    """Return whether the stream is HDR10 or HLG, by its transfer characteristics."""
    return stream.color_transfer in (Transfer.PQ, Transfer.HLG)


def unasked(codec: str) -> str:
    """Return the warning where HDR is mapped to SDR though no pixel format of 8 bits was requested."""
    return f"the source is HDR, and {codec} is encoded in 8 bits here: it becomes SDR (BT.709)"


def unusual(codec: str) -> str:
    """Return the warning where HDR stays in a codec in which few players show it; empty in others."""
    if codec != "h264":
        return ""
    return "HDR in H.264 of 10 bits is shown by few players: choose H.265 or AV1, or the pixel format yuv420p for SDR"


def tone_mapping(stream: VideoStreamInfo) -> tuple[str, ...]:
    """Return the filters that map the stream to BT.709 in limited range; `media.libav.tone_mapping` makes the file for
    `lut3d`.
    """
    matrix = ":in_color_matrix=bt2020" if stream.color_space in _BT2020_MATRICES else ""
    table = "hlg" if stream.color_transfer == Transfer.HLG else f"pq-{_peak(stream)}"
    return (
        f"scale=flags=accurate_rnd+full_chroma_int+full_chroma_inp{matrix}",
        "format=gbrp12le",
        f"lut3d=file={table}:interp=tetrahedral",
        "scale=out_color_matrix=bt709:out_range=tv",
    )


def _peak(stream: VideoStreamInfo) -> int:
    """Return the brightness in cd/m² that is mapped to white: the lowest of a few values that covers the metadata."""
    luminance = stream.content_light.max_content if stream.content_light else 0
    if not luminance and stream.mastering_display:
        luminance = stream.mastering_display.max_luminance // _LUMINANCE_UNITS
    return next((peak for peak in _PEAKS if luminance <= peak), _PEAKS[-1])


def _x26x_display(display: MasteringDisplay) -> str:
    points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    places = "".join(f"{name}({x},{y})" for name, (x, y) in points.items())
    return f"{places}L({display.max_luminance},{display.min_luminance})"


def _svt_display(display: MasteringDisplay) -> str:
    points = {"G": display.green, "B": display.blue, "R": display.red, "WP": display.white}
    places = "".join(f"{name}({x / 50_000:.5f},{y / 50_000:.5f})" for name, (x, y) in points.items())
    greatest, least = display.max_luminance / _LUMINANCE_UNITS, display.min_luminance / _LUMINANCE_UNITS
    return f"{places}L({greatest:.4f},{least:.4f})"


_ENCODERS: Mapping[str, tuple[str, str, Callable[[MasteringDisplay], str], str]] = {
    "libx264": ("x264-params", "mastering-display", _x26x_display, "cll"),
    "libx265": ("x265-params", "master-display", _x26x_display, "max-cll"),
    "libsvtav1": ("svtav1-params", "mastering-display", _svt_display, "content-light"),
}
"""HDR metadata by encoder: the option, name and format of the mastering display, name of the content light level."""

_BY_PACKETS = ("hevc_nvenc",)
"""Encoders that take no metadata from FFmpeg here, and whose packets are given them."""
_BY_FRAMES = ("hevc_vaapi", "av1_vaapi", "hevc_qsv", "av1_qsv")
"""Encoders that take them from the frames."""


def packet_metadata(encoder: str, stream: VideoStreamInfo) -> tuple[MasteringDisplay | None, ContentLight | None]:
    """Return the HDR metadata that the packets of `encoder` are to be given."""
    return (stream.mastering_display, stream.content_light) if encoder in _BY_PACKETS else (None, None)


def lost_metadata(encoder: str, stream: VideoStreamInfo) -> str:
    """Return the warning where the stream's HDR metadata is lost with `encoder`; empty: it is not, or there is none."""
    carries = encoder in _ENCODERS or encoder in _BY_PACKETS or encoder in _BY_FRAMES
    if carries or not (stream.mastering_display or stream.content_light):
        return ""
    return f"the source has HDR metadata (mastering display, content light level), which {encoder} does not write: it is lost"


def with_metadata(options: Mapping[str, str], encoder: str, stream: VideoStreamInfo) -> dict[str, str]:
    """Return `options` with those that pass the stream's HDR metadata to `encoder`, if it has any."""
    if encoder not in _ENCODERS:
        return dict(options)
    option, display_name, display_text, light_name = _ENCODERS[encoder]
    light: ContentLight | None = stream.content_light
    settings = [options[option]] if option in options else []
    if stream.mastering_display:
        settings.append(f"{display_name}={display_text(stream.mastering_display)}")
    if light:
        settings.append(f"{light_name}={light.max_content},{light.max_average}")
    return {**options, option: ":".join(settings)} if settings else dict(options)
