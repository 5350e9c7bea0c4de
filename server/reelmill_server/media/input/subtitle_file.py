"""Open subtitle files that lie beside a source: text in any charset, or bitmaps in a container.

Text is converted to UTF-8 here, before libav sees it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from io import SEEK_END, BytesIO

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input.source import Location, open_bytes, open_stream
from reelmill_server.model.capability import Limits

_TEXT_FORMATS = ("srt", "webvtt", "ass")
_OTHER_FORMATS = ("sup", "mov", "mp4", "matroska", "webm", "mpeg", "mpegts")
_MAX_TEXT_BYTES = 32 << 20  # those of the longest movies have some hundred kilobytes
_MAX_OTHER_BYTES = 512 << 20
_HEAD_BYTES = 4096
_GUESS_BYTES = 1 << 16
_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
# Windows-1252 fits nearly all text that these fit, and is far more common in subtitles.
_LIKE_WESTERN = frozenset({"cp1250", "cp1254", "cp1257", "iso8859_10", "latin_1", "mac_roman", "mac_latin2", "cp1258"})
_WESTERN = "cp1252"


def charset_of(location: Location) -> str:
    """Return Python's name of the text's encoding; empty when the file is not text.

    Raises MediaLimitExceeded for a file that is too long, InvalidMedia for an empty file, UnsupportedFormat for half of a
    pair.
    """
    with open_bytes(location) as file:
        head, size = file.read(_HEAD_BYTES), file.seek(0, SEEK_END)
    if not head:
        raise InvalidMedia("the file is empty")
    if head.startswith(b"# VobSub index file"):
        raise UnsupportedFormat("the index of a VobSub pair holds no subtitles: give the .sub file, or dvd_subtitle in mkv")
    marked = next((name for mark, name in _MARKS if head.startswith(mark)), "")
    text = bool(marked) or b"\0" not in head
    limit = _MAX_TEXT_BYTES if text else _MAX_OTHER_BYTES
    if size > limit:
        raise MediaLimitExceeded(f"subtitles of {size} bytes are more than {limit}")
    return marked or (_guess(_whole(location)) if text else "")


def _whole(location: Location) -> bytes:
    with open_bytes(location) as file:
        return file.read()


def _guess(data: bytes) -> str:
    """Guess the charset of text without a byte order mark. Raises InvalidMedia when none fits."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    # Imported here: most children never need it, and its tables are large.
    from charset_normalizer import from_bytes

    # ASCII lines (numbers, times) say nothing about the charset, and outweigh those that do.
    sample = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_GUESS_BYTES]
    fitting = [match.encoding for match in from_bytes(sample)]
    if not fitting:
        raise InvalidMedia("the charset of the text is not recognized: store it as UTF-8")
    return _WESTERN if fitting[0] in _LIKE_WESTERN and _WESTERN in fitting else fitting[0]


@contextmanager
def open_subtitles(location: Location, charset: str, limits: Limits) -> Iterator[InputContainer]:
    """Open a subtitle file whose charset is known (`charset_of`). Raises as `open_source` does."""
    if not charset:
        with open_bytes(location) as file, open_stream(file, limits, _OTHER_FORMATS) as container:
            yield container
        return
    try:
        text = _whole(location).decode(charset)
    except UnicodeDecodeError as error:
        raise InvalidMedia(f"the text is not whole in {charset}: {error.reason} at byte {error.start}") from error
    with open_stream(BytesIO(text.encode()), limits, _TEXT_FORMATS) as container:
        yield container
