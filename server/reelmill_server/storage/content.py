"""Attributes of published objects: media type, cache control, tags."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

CONTENT_TYPES: Mapping[str, str] = {
    "aac": "audio/aac",
    "ac3": "audio/ac3",
    "amr": "audio/amr",
    "apng": "image/apng",
    "asf": "video/x-ms-asf",
    "ass": "text/x-ssa",
    "avi": "video/x-msvideo",
    "avif": "image/avif",
    "flac": "audio/flac",
    "flv": "video/x-flv",
    "gif": "image/gif",
    "jpg": "image/jpeg",
    "json": "application/json",
    "m3u8": "application/vnd.apple.mpegurl",
    "m4a": "audio/mp4",
    "m4s": "video/iso.segment",
    "mkv": "video/matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpd": "application/dash+xml",
    "mxf": "application/mxf",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "png": "image/png",
    "srt": "application/x-subrip",
    "ts": "video/mp2t",
    "vtt": "text/vtt",
    "wav": "audio/wav",
    "webm": "video/webm",
    "webp": "image/webp",
}
_ANY_EXTENSION = "*"
_REFERENCING_EXTENSIONS = frozenset({"m3u8", "mpd", "vtt", "json"})


def extension(name: str) -> str:
    """Return the extension of an object's name in lower case, without the dot."""
    return PurePosixPath(name).suffix.lower().removeprefix(".")


def references_others(name: str) -> bool:
    """Return whether an object, such as a playlist, references others, which must be published before it."""
    return extension(name) in _REFERENCING_EXTENSIONS


@dataclass(frozen=True)
class Labels:
    """Attributes of published objects; `cache_control` is keyed by extension, with `*` for all others."""

    cache_control: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)

    def content_type(self, name: str) -> str:
        """Return the media type of an object."""
        return CONTENT_TYPES.get(extension(name), "application/octet-stream")

    def cache(self, name: str) -> str:
        """Return the Cache-Control of an object, or ""."""
        return self.cache_control.get(extension(name), self.cache_control.get(_ANY_EXTENSION, ""))
