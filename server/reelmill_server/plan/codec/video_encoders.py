"""Choose the video encoder for a codec: tables by encoder family."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.errors import HardwareUnavailable, UnsupportedFormat
from reelmill_server.model.capability import SOFTWARE, Capability
from reelmill_server.model.request import Hardware, VideoSpec

DEFAULT_ORDER = ("nvenc", "vaapi", "qsv", SOFTWARE)
LIBAV_CODEC: Mapping[str, str] = {"h264": "h264", "h265": "hevc", "vp9": "vp9", "av1": "av1"}
"""libav's name of each video codec of the contract."""
VIDEO_ENCODERS: Mapping[str, Mapping[str, str]] = {
    "h264": {"nvenc": "h264_nvenc", "vaapi": "h264_vaapi", "qsv": "h264_qsv", SOFTWARE: "libx264"},
    "h265": {"nvenc": "hevc_nvenc", "vaapi": "hevc_vaapi", "qsv": "hevc_qsv", SOFTWARE: "libx265"},
    "vp9": {"vaapi": "vp9_vaapi", "qsv": "vp9_qsv", SOFTWARE: "libvpx-vp9"},
    "av1": {"nvenc": "av1_nvenc", "vaapi": "av1_vaapi", "qsv": "av1_qsv", SOFTWARE: "libsvtav1"},
}
"""Encoders of each codec, by device family."""


def families_of(encoders: Sequence[str]) -> frozenset[str]:
    """Return the device families of some encoders."""
    return frozenset(family for known in VIDEO_ENCODERS.values() for family, name in known.items() if name in encoders)


_PLANAR = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le")
_AS_IS: Mapping[str, str] = {name: name for name in _PLANAR}
_SEMI_PLANAR: Mapping[str, str] = {"yuv420p": "nv12", "yuv420p10le": "p010le"}
_EIGHT_BIT: Mapping[str, str] = {"yuv420p": "nv12"}
PIXEL_FORMATS: Mapping[str, Mapping[str, str]] = {
    "libx264": _AS_IS,
    "libx265": _AS_IS,
    "libvpx-vp9": {**_AS_IS, "yuva420p": "yuva420p"},
    "libsvtav1": {"yuv420p": "yuv420p", "yuv420p10le": "yuv420p10le"},
    "h264_nvenc": {"yuv420p": "yuv420p", "yuv444p": "yuv444p"},
    "hevc_nvenc": {"yuv420p": "yuv420p", "yuv444p": "yuv444p", "yuv420p10le": "p010le"},
    "av1_nvenc": {"yuv420p": "yuv420p", "yuv420p10le": "p010le"},
    "h264_qsv": _EIGHT_BIT,
    "hevc_qsv": _SEMI_PLANAR,
    "vp9_qsv": _SEMI_PLANAR,
    "av1_qsv": _SEMI_PLANAR,
    "h264_vaapi": _EIGHT_BIT,
    "hevc_vaapi": _SEMI_PLANAR,
    "vp9_vaapi": _SEMI_PLANAR,
    "av1_vaapi": _SEMI_PLANAR,
}
"""Pixel formats of each encoder: the contract's name to the encoder's own."""


@dataclass(frozen=True)
class EncoderChoice:
    """The chosen encoder: its device family, its pixel format, why it was chosen and those before it were not, and the options
    that it lacks.
    """

    encoder: str
    device: str
    pixel_format: str
    reason: str
    lacks: tuple[str, ...] = ()


LOSSLESS_NVENC = ("h264", "h265")
"""Codecs that NVENC encodes losslessly, for a CRF of 0."""
TWO_PASS_ENCODERS = ("libx264", "libx265")
"""Encoders that write what their first pass found to a file, and read it in the second."""
TWO_PASS_CODECS = tuple(codec for codec, encoders in VIDEO_ENCODERS.items() if encoders[SOFTWARE] in TWO_PASS_ENCODERS)
"""Codecs that can be encoded in two passes."""
WITHOUT_REFERENCES = ("vp9", "av1")
"""Codecs for which neither B-frames nor reference frames can be set."""


def takes(encoder: str, capabilities: Mapping[str, Capability]) -> tuple[str, ...]:
    """Return the contract's pixel formats that `encoder` accepts: those its trial found, or without a trial all it may
    support.
    """
    formats = capabilities[encoder].pixel_formats if encoder in capabilities else ()
    return formats or tuple(PIXEL_FORMATS[encoder])


def choose(
    spec: VideoSpec,
    pixel_format: str,
    capabilities: Mapping[str, Capability],
    order: Sequence[str] = DEFAULT_ORDER,
    excluded: Mapping[str, str] | None = None,
    size: tuple[int, int] = (0, 0),
) -> EncoderChoice:
    """Return the first encoder in `order` that `spec.hardware` allows, accepts the pixel format and frames of `size` (0: any),
    passed its trial and is not `excluded` (encoder to reason).

    Raises HardwareUnavailable if hardware is REQUIRED and none is left, UnsupportedFormat if no encoder is.
    """
    passed: list[str] = []
    for device in order:
        encoder = VIDEO_ENCODERS[spec.codec].get(device)
        if encoder is None:
            continue
        objection = _objection(spec, encoder, device, pixel_format, capabilities, excluded or {})
        if objection is None and all(size):
            objection = capabilities[encoder].objection_to_size(*size) or None
        if objection is None:
            lacks = capabilities[encoder].lacks
            without = ", which has no B-frames" if "bf" in lacks else ""
            because = f"; {'; '.join(passed)}" if passed else ""
            reason = f"{_policy(spec, device)}{without}{because}"
            return EncoderChoice(encoder, device, PIXEL_FORMATS[encoder][pixel_format], reason, lacks)
        passed.append(f"{encoder}: {objection}")
    error = HardwareUnavailable if spec.hardware is Hardware.REQUIRED else UnsupportedFormat
    raise error(f"no encoder for {spec.codec} in {pixel_format} can run here: {'; '.join(passed) or 'none is in the order'}")


_RATES = {"bitrate": "a mean bit rate", "max_bitrate": "quality within a maximum bit rate"}
"""Rate control that an accelerator may lack, by the name of its feature."""


def _unsuited(spec: VideoSpec, device: str, known: Capability | None) -> str:
    """Return which of the settings of `spec` an encoder would not keep; empty: it keeps all."""
    return next(_not_kept(spec, device, known or Capability("", spec.codec, device, True)), "")


def _not_kept(spec: VideoSpec, device: str, known: Capability) -> Iterator[str]:
    if device == "nvenc" and spec.buffer_size and spec.max_bitrate:  # FFmpeg sets it to 0
        yield "keeps MaxBitrate with a CRF, but no BufferSize"
    if spec.b_frames and "bf" in known.lacks:
        yield "has no B-frames"
    most = known.max_b_frames
    if spec.b_frames and most and min(spec.b_frames, spec.gop_size - 2) > most:
        yield f"has at most {most} B-frames in a row"
    if spec.refs is not None and "refs" in known.lacks:
        yield "has no choice of reference frames"
    rate = "bitrate" if spec.bitrate else "max_bitrate" if spec.max_bitrate else ""
    if lack := known.lack_of(rate):
        yield f"does not control {_RATES[rate]}: {lack}"
    if device != SOFTWARE and spec.crf == 0 and spec.codec in LOSSLESS_NVENC:
        if device != "nvenc":
            yield "has no lossless encoding, which a CRF of 0 asks for"
        if lack := known.lack_of("lossless"):
            yield lack


def _policy(spec: VideoSpec, device: str) -> str:
    policy = _device_policy(spec, device)
    return f"{policy}, in two passes over the whole video" if spec.passes > 1 else policy


def _device_policy(spec: VideoSpec, device: str) -> str:
    if spec.hardware is Hardware.NEVER:
        return f"software, as {_no_hardware(spec)}"
    return "software" if device == SOFTWARE else f"{device} hardware"


def _no_hardware(spec: VideoSpec) -> str:
    """Return why no hardware may encode: the planner's reason, or that the request says so."""
    return spec.in_software or "hardware is NEVER to be used"


def _objection(
    spec: VideoSpec,
    encoder: str,
    device: str,
    pixel_format: str,
    capabilities: Mapping[str, Capability],
    excluded: Mapping[str, str],
) -> str | None:
    """Return why `encoder` cannot be used, None if it can."""
    if spec.hardware is Hardware.NEVER and device != SOFTWARE:
        return _no_hardware(spec)
    if spec.hardware is Hardware.REQUIRED and device == SOFTWARE:
        return "hardware is REQUIRED"
    lack = _lack(spec, encoder, pixel_format, capabilities) or _unsuited(spec, device, capabilities.get(encoder))
    if lack or encoder in excluded:
        return lack or excluded[encoder]
    capability = capabilities.get(encoder)
    if capability is None:
        return "was not tried on this worker"
    return None if capability.available else capability.reason


def may_encode(spec: VideoSpec, device: str) -> bool:
    """Return whether an accelerator of the family `device` may encode `spec`, whatever a machine has."""
    encoder = VIDEO_ENCODERS.get(spec.codec, {}).get(device)
    if encoder is None or spec.hardware is Hardware.NEVER:
        return False
    return not (_lack(spec, encoder, spec.pixel_format or "yuv420p", {}) or _unsuited(spec, device, None))


def _lack(spec: VideoSpec, encoder: str, pixel_format: str, capabilities: Mapping[str, Capability]) -> str:
    """Return what an encoder lacks for `spec`, wherever it runs; empty if nothing."""
    if pixel_format not in takes(encoder, capabilities):
        return f"does not take {pixel_format}"
    if spec.quality and encoder != VIDEO_ENCODERS[spec.codec][SOFTWARE]:
        return "has no quality target: no CRF is searched for hardware encoders"
    return "has no first pass" if spec.passes > 1 and encoder not in TWO_PASS_ENCODERS else ""
