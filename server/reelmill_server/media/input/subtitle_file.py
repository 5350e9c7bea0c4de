"""Open subtitle files that lie beside a source: text in any charset, or bitmaps in a container.

Text is converted to UTF-8 here, before libav sees it.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input.charset import HEAD_BYTES, TextEncoding, find_encoding, marked_charset
from reelmill_server.media.input.source import MOST_TEXT_BYTES, TEXT_FORMATS, Location, open_bytes, open_stream
from reelmill_server.media.input.subtitle_text import mended, unread_cues
from reelmill_server.model.capability import Limits
from reelmill_server.model.media_info import TextInfo

_OTHER_FORMATS = ("sup", "mov", "mp4", "matroska", "webm", "mpeg", "mpegts")
_MAX_OTHER_BYTES = 512 << 20
STYLES = re.compile(rb"^(?:STYLE|REGION)[ \t]*\r?$", re.MULTILINE)
"""Finds styles and regions in a WebVTT file."""


def encoding_of(location: Location, language: str = "") -> TextEncoding:
    """Return how the file's text is encoded; `language`, in ISO 639, is what it is said to be in.

    Raises MediaLimitExceeded for a file that is too long, InvalidMedia for an empty file, UnsupportedFormat for half of
    a pair.
    """
    with open_bytes(location) as file:
        head, size = file.read(HEAD_BYTES), file.seek(0, SEEK_END)
    if not head:
        raise InvalidMedia("the file is empty")
    if head.startswith(b"# VobSub index file"):
        raise UnsupportedFormat("the index of a VobSub pair holds no subtitles: give the .sub file, or dvd_subtitle in mkv")
    marked = marked_charset(head)
    text = bool(marked) or b"\0" not in head
    limit = MOST_TEXT_BYTES if text else _MAX_OTHER_BYTES
    if size > limit:
        raise MediaLimitExceeded(f"subtitles of {size} bytes are more than {limit}")
    return find_encoding(_whole(location), marked, language) if text else TextEncoding("")


def _whole(location: Location) -> bytes:
    with open_bytes(location) as file:
        return file.read()


def text_of(location: Location, limits: Limits, language: str = "") -> TextInfo:
    """Return what is known of the text of a subtitle file, as `encoding_of` finds it, and what libav does not read of it:
    styles and regions of WebVTT, and cues. Raises as `open_source` does.
    """
    encoding = encoding_of(location, language)
    if not encoding.charset:
        return TextInfo()
    text = _text(location, encoding.charset)
    styled = text.startswith("WEBVTT") and bool(STYLES.search(text.encode()))
    with open_subtitles(location, encoding.charset, limits) as container:
        begins = [packet.pts for packet in container.demux() if packet.size]
    return TextInfo(encoding.charset, encoding.guessed, encoding.broken, styled, unread_cues(text, begins))


def _text(location: Location, charset: str) -> str:
    return mended(_whole(location).decode(charset, "replace"))


@contextmanager
def open_subtitles(location: Location, charset: str, limits: Limits) -> Iterator[InputContainer]:
    """Open a subtitle file whose charset is known (`encoding_of`); bytes that are no text in it become U+FFFD.

    Raises as `open_source` does.
    """
    if not charset:
        with open_bytes(location) as file, open_stream(file, limits, _OTHER_FORMATS) as container:
            yield container
        return
    with open_stream(BytesIO(_text(location, charset).encode()), limits, TEXT_FORMATS) as container:
        yield container
