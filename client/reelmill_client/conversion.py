"""Short form of a request: one source, one target, and the settings people change most."""

import os
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import TypedDict

from reelmill_client.errors import InvalidArgument, Violation


class Conversion(TypedDict, total=False):
    """Keyword arguments of `submit` and `plan`; `source` and `destination` are required, None means not given.

    `source`, `destination`: URIs, or paths on the server's machine. `container`: default by the destination's extension.
    `start_seconds`, `duration_seconds`: the range of the source to convert; default all.

    `video`: h264, h265, vp9, av1, copy (the default) or none. With a codec: `crf` [0, 51], `bitrate` (bit/s, or a string such
    as 2M; with `passes` 2 met in two passes), or the quality that the CRF is searched for (`vmaf` 1 to 99, or `xpsnr` in dB);
    `size` (1280x720, 1280x or x720), `scale_type` (stretch, crop, fill, fit), `fps`, `gop` (frames), `b_frames`, `refs`,
    `pixel_format`, `rotate` (0, 90, 180, 270), `preset` (ultrafast … veryslow), `hardware` (preferred, required, never).
    `ladder`: auto, for a master playlist whose variants are made for the source.
    Copied: `smart_cut` (preferred, required), to cut at the frame instead of the keyframe.

    `audio`: aac, mp3, opus, flac, vorbis, ac3, amr, copy (the default) or none. With a codec: `audio_bitrate` (bit/s, or a
    string such as 128k), `sample_rate` (Hz), `channels`, `loudness` (Target loudness in LUFS, such as -23; ebu;
    podcast; or measure). `subtitles`: copy (the default) or none.

    `strip_metadata`, `tags`, `user_data`, `priority` (1 first to 5 last), `parallelism` (chunks of a long encode, 1: not split)
    and `request_id` are those of the request.
    """

    source: str | os.PathLike[str]
    destination: str | os.PathLike[str]
    container: str | None
    start_seconds: float | None
    duration_seconds: float | None
    video: str | None
    crf: float | None
    bitrate: int | str | None
    vmaf: float | None
    xpsnr: float | None
    ladder: str | None
    passes: int | None
    size: str | None
    scale_type: str | None
    fps: float | None
    gop: int | None
    b_frames: int | None
    refs: int | None
    pixel_format: str | None
    rotate: int | None
    preset: str | None
    hardware: str | None
    smart_cut: str | None
    audio: str | None
    audio_bitrate: int | str | None
    sample_rate: int | None
    channels: int | None
    loudness: float | str | None
    subtitles: str | None
    strip_metadata: bool
    tags: Mapping[str, str | int | float | bool | None]
    user_data: str | None
    priority: int | None
    parallelism: int | None
    request_id: str | None


# Option -> field of TranscodeVideo.
VIDEO_FIELDS = {
    "crf": "crf",
    "bitrate": "bitrate",
    "vmaf": "vmaf",
    "xpsnr": "xpsnr",
    "passes": "passes",
    "size": "resolution",
    "scale_type": "scale_type",
    "fps": "frame_rate",
    "gop": "gop_size",
    "b_frames": "b_frames",
    "refs": "refs",
    "pixel_format": "pixel_format",
    "rotate": "rotation",
    "preset": "preset",
    "hardware": "hardware",
}

# Options of copied video, likewise.
COPIED_VIDEO_FIELDS = {"smart_cut": "smart_cut"}

# Option -> field of TranscodeAudio.
AUDIO_FIELDS = {"audio_bitrate": "bitrate", "sample_rate": "sample_rate", "channels": "channel"}

_LOUDNESS_PRESETS = ("ebu", "podcast")

# Extension -> container, and the segment format when the extension names a playlist or manifest.
_EXTENSIONS: dict[str, tuple[str, str | None]] = {
    **{name: (name, None) for name in "mp4 mkv mov asf avi mxf ts flv mp3 aac flac oga ac3 opus webm wav m4a amr".split()},
    "m4v": ("mp4", None),
    "wmv": ("asf", None),
    "wma": ("asf", None),
    "m2ts": ("ts", None),
    "ogg": ("oga", None),
    "m3u8": ("ts", "hls"),
    "mpd": ("mp4", "dash"),
}

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
_BITS = re.compile(r"([0-9]+(?:\.[0-9]+)?)([kmg]?)", re.IGNORECASE)
_BITS_UNITS = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


def conversion_request(conversion: Conversion) -> dict[str, object]:
    """Return the request for a conversion as snake_case JSON data; raises InvalidArgument naming the options at fault."""
    options = {name: value for name, value in conversion.items() if value is not None}
    unknown = options.keys() - Conversion.__annotations__.keys()
    if unknown:
        raise TypeError(f"unknown options: {', '.join(sorted(unknown))}")
    _require(options, "source", "destination")
    target = _target(conversion, options)
    return {
        "sources": [
            {
                "uri": to_uri(conversion["source"]),
                "start_time": options.get("start_seconds"),
                "duration": options.get("duration_seconds"),
            }
        ],
        **({"targets": [target]} if "ladder" not in options else {"target_groups": [_ladder(target, options)]}),
        "tags": options.get("tags") or None,
        "user_data": options.get("user_data"),
        "priority": options.get("priority"),
        "parallelism": options.get("parallelism"),
        "request_id": options.get("request_id"),
    }


def is_uri(location: str) -> bool:
    """Return whether a location is a URI rather than a path."""
    return _URI.match(location) is not None


def to_uri(location: str | os.PathLike[str], *, templates: bool = False) -> str:
    """Return a URI unchanged, or a path as an absolute, percent-encoded file:// URI; `templates` keeps `{` and `}`."""
    text = os.fspath(location)
    if is_uri(text):
        return text
    if not text:
        raise InvalidArgument(violations=[Violation("", "a path or URI must not be empty")])
    uri = Path(os.path.abspath(text)).as_uri()
    return uri.replace("%7B", "{").replace("%7D", "}") if templates else uri


def bits_per_second(text: int | str) -> int:
    """Parse a bit rate: a number or a string such as `800k`, `2M` or `2.5M` (decimal units); raises InvalidArgument."""
    match = _BITS.fullmatch(str(text).strip())
    if match is None:
        raise InvalidArgument(violations=[Violation("bitrate", f"must be bit/s such as 800k or 2M, not {text!r}")])
    return round(float(match[1]) * _BITS_UNITS[match[2].lower()])


def _target(conversion: Conversion, options: Mapping[str, object]) -> dict[str, object]:
    uri = to_uri(conversion["destination"], templates=True)
    container, segments = _container(uri, conversion.get("container"))
    return {
        "uri": uri,
        "container": container,
        "segment": {"format": segments} if segments else None,
        "video": _stream("video", options, VIDEO_FIELDS, COPIED_VIDEO_FIELDS),
        "audio": _audio(options),
        "subtitle": _subtitles(conversion.get("subtitles")),
        "strip_metadata": options.get("strip_metadata"),
    }


def _ladder(target: Mapping[str, object], options: Mapping[str, object]) -> dict[str, object]:
    """Return the group of a ladder; `target` is as if it were its master playlist. Raises InvalidArgument."""
    uri, asked = str(target["uri"]), options["ladder"]
    if asked != "auto":
        raise InvalidArgument(violations=[Violation("ladder", f"must be auto, not {asked!r}")])
    if target["segment"] != {"format": "hls"}:
        raise InvalidArgument(violations=[Violation("destination", "must end in .m3u8 with a ladder: it is a master playlist")])
    if options.get("video") in (None, "copy", "none"):
        raise InvalidArgument(violations=[Violation("ladder", "needs video to be encoded: set video to a codec")])
    variant = {**target, "uri": f"{uri.removesuffix('.m3u8')}-{{rung}}.m3u8"}
    # Segments of a group have no subtitles unless asked for, and need not be told so.
    variant.pop("subtitle")
    return {"uri": uri, "auto_ladder": {}, "targets": [variant]}


def _container(uri: str, container: str | None) -> tuple[str, str | None]:
    """Return the container of an output and its segment format."""
    extension = PurePosixPath(uri).suffix.removeprefix(".").lower()
    by_extension, segments = _EXTENSIONS.get(extension, (None, None))
    chosen = container or by_extension
    if chosen is None:
        text = f"must be given, such as mp4: the extension of {uri} implies none"
        raise InvalidArgument(violations=[Violation("container", text)])
    return chosen, segments


def _stream(
    kind: str, options: Mapping[str, object], fields: Mapping[str, str], copied: Mapping[str, str]
) -> dict[str, object] | None:
    """Return a target's video or audio settings, or None (copy the first stream) if nothing was asked for.

    `fields` are the options of encoded streams, `copied` those of copied ones, each to its field.
    """
    settings = {field: options[name] for name, field in fields.items() if name in options}
    if "bitrate" in settings:
        settings["bitrate"] = bits_per_second(str(settings["bitrate"]))
    settings.update(_quality(settings))
    codec = options.get(kind)
    if codec in (None, "copy", "none") and settings:
        text = f"needs {kind} to be encoded: set {kind} to a codec" + (f", not {codec}" if codec else "")
        raise InvalidArgument(violations=[Violation(name, text) for name in fields if name in options])
    if (kept := {field: options[name] for name, field in copied.items() if name in options}) and codec not in (None, "copy"):
        text = f"needs copied {kind}, not {codec}"
        raise InvalidArgument(violations=[Violation(name, text) for name in copied if name in options])
    if kept:
        return {f"transcode_{kind}": {"codec": "copy", **kept}}
    if codec is None:
        return None
    return {f"disable_{kind}": True} if codec == "none" else {f"transcode_{kind}": {"codec": codec, **settings}}


def _quality(settings: dict[str, object]) -> dict[str, object]:
    """Take the quality out of the settings; return it as their field. Raises InvalidArgument if there are two."""
    asked = {name: settings.pop(name) for name in ("vmaf", "xpsnr") if name in settings}
    if len(asked) > 1:
        raise InvalidArgument(violations=[Violation("xpsnr", "vmaf and xpsnr are mutually exclusive")])
    metric, value = next(iter(asked.items()), ("", None))
    return {"quality_target": {"metric": metric, "value": value}} if metric else {}


def _audio(options: Mapping[str, object]) -> dict[str, object] | None:
    """Return a target's audio settings, with what is done about loudness."""
    settings, asked = _stream("audio", options, AUDIO_FIELDS, {}), options.get("loudness")
    if asked is None:
        return settings
    if settings is None or "transcode_audio" not in settings or options.get("audio") == "copy":
        raise InvalidArgument(violations=[Violation("loudness", "needs audio to be encoded: set audio to a codec")])
    return {**settings, "filter_audio": {"loudness": _loudness(str(asked))}}


def _loudness(text: str) -> dict[str, object]:
    word = text.strip().lower()
    if word == "measure":
        return {"mode": "measure"}
    if word in _LOUDNESS_PRESETS:
        return {"mode": "normalize", "preset": word}
    try:
        return {"mode": "normalize", "integrated": float(word)}
    except ValueError:
        words = ", ".join(_LOUDNESS_PRESETS)
        text = f"must be LUFS such as -23, or {words}, or measure, not {text!r}"
        raise InvalidArgument(violations=[Violation("loudness", text)]) from None


def _subtitles(choice: str | None) -> dict[str, object] | None:
    if choice in (None, "copy"):
        return None
    if choice != "none":
        raise InvalidArgument(violations=[Violation("subtitles", f"must be copy or none, not {choice!r}")])
    return {"disable_subtitle": True}


def _require(options: Mapping[str, object], *names: str) -> None:
    missing = [Violation(name, "must be given") for name in names if name not in options]
    if missing:
        raise InvalidArgument(violations=missing)
