"""Opens subtitle files that lie beside a source: text in any charset, or pictures in a container.

Text is turned into UTF-8 here, before libav sees it.
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
_MAX_TEXT_BYTES = 32 << 20  # the longest films have some hundred kilobytes
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
# Western Europe's charset fits nearly all that these do, and is far more common in subtitles.
_LIKE_WESTERN = frozenset({"cp1250", "cp1254", "cp1257", "iso8859_10", "latin_1", "mac_roman", "mac_latin2", "cp1258"})
_WESTERN = "cp1252"


def charset_of(place: Location) -> str:
    """Python's name of the encoding of the text in the file, empty when it is no text.

    Raises MediaLimitExceeded for a file that is too long, InvalidMedia for an empty file, UnsupportedFormat for half of a pair.
    """
    with open_bytes(place) as file:
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
    return marked or (_guess(_whole(place)) if text else "")


def _whole(place: Location) -> bytes:
    with open_bytes(place) as file:
        return file.read()


def _guess(data: bytes) -> str:
    """The charset of text without a mark. Raises InvalidMedia when none fits."""
    try:
        data.decode("utf-8")
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    # Here, as most children never need it and its tables are large.
    from charset_normalizer import from_bytes

    # Numbers and times say nothing of the charset and drown what does.
    telling = b"\n".join(line for line in data.split(b"\n") if not line.isascii())[:_GUESS_BYTES]
    fitting = [match.encoding for match in from_bytes(telling)]
    if not fitting:
        raise InvalidMedia("the charset of the text is not recognized: store it as UTF-8")
    return _WESTERN if fitting[0] in _LIKE_WESTERN and _WESTERN in fitting else fitting[0]


@contextmanager
def open_subtitles(place: Location, charset: str, limits: Limits) -> Iterator[InputContainer]:
    """Opens a subtitle file whose charset is known (`charset_of`). Raises as `open_source` does."""
    if not charset:
        with open_bytes(place) as file, open_stream(file, limits, _OTHER_FORMATS) as container:
            yield container
        return
    try:
        text = _whole(place).decode(charset)
    except UnicodeDecodeError as error:
        raise InvalidMedia(f"the text is not whole in {charset}: {error.reason} at byte {error.start}") from error
    with open_stream(BytesIO(text.encode()), limits, _TEXT_FORMATS) as container:
        yield container
