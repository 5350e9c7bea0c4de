"""Write the settings of the contract as options of each family's encoders, here and nowhere else.

CRF is 0 to 51 in the sense of x264 (higher is worse). Families with another scale get it linearly (libvpx, SVT-AV1: 0 to 63).
"""

from collections.abc import Callable, Mapping

from reelmill_server.model.request import VideoSpec
from reelmill_server.plan.codec.video_encoders import LOSSLESS_NVENC, WITHOUT_REFERENCES, EncoderChoice

DEFAULT_CRF = 23.0
DEFAULT_B_FRAMES = 3
DEFAULT_REFS = 2
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_X26X_PRESET = dict(zip(PRESETS, PRESETS, strict=True))
_VPX_CPU_USED = dict(zip(PRESETS, ("8", "7", "6", "5", "4", "3", "2", "1", "0"), strict=True))
_SVT_PRESET = dict(zip(PRESETS, ("10", "10", "9", "9", "8", "7", "5", "4", "3"), strict=True))
_NVENC_PRESET = dict(zip(PRESETS, ("p1", "p1", "p2", "p3", "p3", "p4", "p5", "p6", "p7"), strict=True))
_QSV_PRESET = {**_X26X_PRESET, "ultrafast": "veryfast", "superfast": "veryfast"}


def _number(value: float) -> str:
    return f"{value:g}"


def _crf63(crf: float) -> str:
    """Map a CRF of 0 to 51 to the 0 to 63 of libvpx and SVT-AV1."""
    return str(round(crf * 63 / 51))


def _above_lossless(crf: float) -> str:
    """Return a CRF above 0 for encoders that read a smaller one than 1 as 0, which is lossless to some, automatic to others."""
    return _number(max(crf, 1.0) if crf else crf)


_CRF63_ENCODERS = ("libvpx-vp9", "libsvtav1")
_VPX_STEADY_SECONDS = 5
_MOST_BITS = 2**31 - 1  # that libav's options of bits take


def _vbv(spec: VideoSpec) -> dict[str, str]:
    return {"maxrate": str(spec.max_bitrate), "bufsize": str(spec.buffer_size)} if spec.max_bitrate else {}


def _references(spec: VideoSpec) -> dict[str, str]:
    b_frames = DEFAULT_B_FRAMES if spec.b_frames is None else spec.b_frames
    return {"bf": str(b_frames), "refs": str(DEFAULT_REFS if spec.refs is None else spec.refs)}


def _rate(spec: VideoSpec, quality: dict[str, str]) -> dict[str, str]:
    """Return the options of rate control: the mean bit rate if one is requested, else the family's `quality` options, capped if
    requested.
    """
    return {"b": str(spec.bitrate)} if spec.bitrate else {**quality, **_vbv(spec)}


def quality_option(encoder: str, crf: float) -> dict[str, str]:
    """Return the option that sets a CRF of the contract's scale for a software encoder."""
    return {"crf": _crf63(crf) if encoder in _CRF63_ENCODERS else _number(crf)}


def _crf(spec: VideoSpec) -> float:
    return DEFAULT_CRF if spec.crf is None else spec.crf


def _x264(spec: VideoSpec) -> dict[str, str]:
    deep = (spec.pixel_format or "").endswith("10le")
    crf = _number(_crf(spec)) if deep else _above_lossless(_crf(spec))
    return {"preset": _X26X_PRESET[spec.preset], **_rate(spec, {"crf": crf}), **_references(spec)}


def _x265(spec: VideoSpec) -> dict[str, str]:
    # Unlike libx264, libx265 keeps captions (A/53) only when told to.
    return {**_x264(spec), **_rate(spec, {"crf": _number(_crf(spec))}), "a53cc": "1", "x265-params": "log-level=none"}


def _vpx(spec: VideoSpec) -> dict[str, str]:
    # Given a maximum rate, libvpx wants it as the target ("constrained quality"); 0 means pure quality.
    quality = {"crf": _crf63(_crf(spec)), "b": str(spec.max_bitrate or 0)}
    effort = {"deadline": "good", "cpu-used": _VPX_CPU_USED[spec.preset], "row-mt": "1"}
    alpha = {"auto-alt-ref": "0"} if spec.pixel_format == "yuva420p" else {}  # libvpx refuses alpha with alt-ref frames
    return {**effort, **_rate(spec, quality), **_vpx_steady(spec), **alpha}


def _vpx_steady(spec: VideoSpec) -> dict[str, str]:
    """Return the options by which a requested mean bit rate is met over seconds: libvpx's variable bit rate may become several
    times as high in one pass.
    """
    if not spec.bitrate:
        return {}
    bitrate = str(spec.bitrate)
    return {"minrate": bitrate, "maxrate": bitrate, "bufsize": str(min(_VPX_STEADY_SECONDS * spec.bitrate, _MOST_BITS))}


def _svt(spec: VideoSpec) -> dict[str, str]:
    return {"preset": _SVT_PRESET[spec.preset], **_rate(spec, {"crf": _crf63(_crf(spec))})}


def _nvenc(spec: VideoSpec) -> dict[str, str]:
    if spec.crf == 0 and spec.codec in LOSSLESS_NVENC:
        rate = {"tune": "lossless", "rc": "constqp", "qp": "0"}
    else:  # a cq of 0 leaves the quality to the driver
        rate = {"rc": "vbr", **_rate(spec, {"cq": _number(max(_crf(spec), 1.0)), "b": "0"})}
    references = _references(spec)
    # The driver wants more frames in a group than B-frames in a row, and the one that follows them.
    b_frames = str(max(0, min(int(references["bf"]), spec.gop_size - 2)))
    # By default FFmpeg 8 makes Main, and 9 High, as software does.
    profile = {"profile": "high"} if spec.codec == "h264" else {}
    return {"preset": _NVENC_PRESET[spec.preset], **profile, **rate, **references, "bf": b_frames}


def _global_quality(spec: VideoSpec) -> str:
    return str(max(1, round(_crf(spec))))  # 0 means that none is asked for


def _qsv(spec: VideoSpec) -> dict[str, str]:
    return {
        "preset": _QSV_PRESET[spec.preset],
        **_rate(spec, {"global_quality": _global_quality(spec)}),
        **_references(spec),
    }


def _vaapi(spec: VideoSpec) -> dict[str, str]:
    mode = {"rc_mode": "VBR"} if spec.bitrate else {"rc_mode": "QVBR" if spec.max_bitrate else "CQP"}
    # Without a mean bit rate, FFmpeg refuses QVBR; it is the bound's, as with libvpx.
    mean = {"b": str(spec.max_bitrate)} if spec.max_bitrate and not spec.bitrate else {}
    return {**mode, **_rate(spec, {"global_quality": _global_quality(spec)}), **mean, **_references(spec)}


_FAMILY_OPTIONS: Mapping[str, Callable[[VideoSpec], dict[str, str]]] = {
    "libx264": _x264,
    "libx265": _x265,
    "libvpx-vp9": _vpx,
    "libsvtav1": _svt,
    "nvenc": _nvenc,
    "qsv": _qsv,
    "vaapi": _vaapi,
}


def options(choice: EncoderChoice, spec: VideoSpec) -> dict[str, str]:
    """Return the options to open `choice.encoder` with, as libav names and writes them."""
    family = _FAMILY_OPTIONS.get(choice.encoder) or _FAMILY_OPTIONS[choice.device]
    mapped = family(spec)
    if spec.codec in WITHOUT_REFERENCES:
        mapped = {name: value for name, value in mapped.items() if name not in ("bf", "refs")}
    if "bf" in choice.lacks:
        mapped["bf"] = "0"
    if "refs" in choice.lacks:
        mapped.pop("refs", None)
    # libav's word for keyframes only is 0, and NVENC takes no other.
    return {**mapped, "g": "0" if choice.device == "nvenc" and spec.gop_size == 1 else str(spec.gop_size)}
