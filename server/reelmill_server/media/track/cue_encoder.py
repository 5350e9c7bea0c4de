"""Encode subtitle cues, which are ASS events, in another codec."""

import re
from typing import Any

import av
from av.subtitles.subtitle import SubtitleSet

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.subtitle_cues import Cue
from reelmill_server.media.track.webvtt_settings import settings_data

_READ_ORDER = re.compile(rb"^-?\d+")
_WEBVTT_MARKUP = re.compile(rb"\{[^}]*\}|[&<]|(?<=--)>")  # not inside ASS override codes, which become tags
_WEBVTT_ESCAPES = {b"&": b"&amp;", b"<": b"&lt;", b">": b"&gt;"}
_BLANK_LINES = re.compile(rb"\n\s*\n")


class CueEncoder:
    """The encoder of one output stream.

    libav writes WebVTT with unescaped markup characters, and it and SubRip with empty lines, which end a cue: both are mended.
    """

    def __init__(self, context: Any, codec: str) -> None:
        self._context, self._webvtt, self._lined = context, codec == "webvtt", codec in ("webvtt", "subrip")
        self._read_order = 0

    def encode(self, cue: Cue) -> AnyPacket:
        """Return the packet of a cue, without times; it is empty if the codec has nothing to show. Raises InvalidMedia."""
        # ReadOrder is renumbered: ASS muxers sort by it, and a cut or a second source would leave gaps or start over.
        content = _READ_ORDER.sub(str(self._read_order).encode(), cue.content, count=1)
        self._read_order += 1
        if self._webvtt:
            content = _WEBVTT_MARKUP.sub(lambda match: _WEBVTT_ESCAPES.get(match[0], match[0]), content)
        try:
            packet: AnyPacket = self._context.encode_subtitle(SubtitleSet.create(content, 0, _milliseconds(cue), 0))
        except av.error.FFmpegError as error:
            text = f"a subtitle at {float(cue.start):.3f} s cannot be written: {error_text(error)}"
            raise meaning(error, InvalidMedia(text)) from error
        if self._lined:
            packet = AnyPacket(_BLANK_LINES.sub(b"\n", bytes(packet)).strip())
        if packet.size and cue.settings:
            packet.set_sidedata(settings_data(cue.settings))
        return packet


def _milliseconds(cue: Cue) -> int:
    return max(1, round((cue.end - cue.start) * 1000)) if cue.end is not None else 0
