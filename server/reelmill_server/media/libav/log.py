"""Error texts from libav's log, and escaping of filter options."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock

import av.logging

# An absolute path of two names or more, in quotes if it is quoted.
_PATH = re.compile(r"""(?P<quote>['"])?(?<![\w./:])/[^\s/'":,;]+/(?(quote)[^'"\n]*(?P=quote)|[^\s'":,;]*)""")


# Drivers say what they lack in lines that are no errors to libav: "Max B-frames 8 exceed 4".
_OF_A_LIMIT = re.compile(r"exceed|support|capable|require|minimum|maximum|fail|cannot", re.IGNORECASE)
# What FFmpeg says of NVENC before it looks further, and after it has told what is lacking.
_OF_NO_LIMIT = re.compile(r"^(\d+ CUDA|No) capable devices found|^supports NVENC", re.IGNORECASE)
_MOST_WORDS = 500
LogLine = tuple[int, str, str]
"""Level, name of what wrote it, and text, of a line of libav's log."""


class _Levels:
    """The level of libav's log, which is the process's: the most verbose that any block wants, and none without a block.

    Blocks of several threads overlap. Were each to put back what it found, the log could stay on for good.
    """

    def __init__(self) -> None:
        self._lock, self._wanted = Lock(), list[int]()

    @contextmanager
    def at_least(self, level: int) -> Iterator[None]:
        with self._lock:
            self._wanted.append(level)
            av.logging.set_level(max(self._wanted))
        try:
            yield
        finally:
            with self._lock:
                self._wanted.remove(level)
                av.logging.set_level(max(self._wanted, default=None))


_LEVELS = _Levels()


@contextmanager
def captured_log(level: int = av.logging.ERROR) -> Iterator[list[LogLine]]:
    """Add libav's own log message to its errors inside the block, and yield the lines of this thread up to `level`.

    Used only where encoders are opened and a file is not recognized: logging costs time, and each line of any thread of libav
    waits for the GIL.
    """
    logging.getLogger("libav").addHandler(logging.NullHandler())
    logging.getLogger("libav").propagate = False
    with _LEVELS.at_least(level), av.logging.Capture() as lines:
        yield lines


def error_text(error: Exception) -> str:
    """Return the explanation that libav logged, or else the name of the error, in words that users may read.

    Neither options, which libav's own text repeats, nor paths of this machine are in it.
    """
    log = getattr(error, "log", None)
    text = log[2].strip() if log else ""
    return _PATH.sub("(a file)", str(text or getattr(error, "strerror", None) or error))


def driver_words(error: Exception, lines: Sequence[LogLine], encoder: str) -> str:
    """Return what an encoder, or its driver, logged about a failure, or else the text of the error."""
    texts = dict.fromkeys(
        text.strip(" \n;")
        for level, name, text in lines
        if name == encoder and (level <= av.logging.ERROR or (level <= av.logging.VERBOSE and _OF_A_LIMIT.search(text)))
    )
    telling = [text for text in texts if text and not _OF_NO_LIMIT.match(text)] or [text for text in texts if text]
    return _PATH.sub("(a file)", "; ".join(telling))[:_MOST_WORDS] or error_text(error)


def option_text(path: Path) -> str:
    """Escape `path` as the value of a filter's option."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace("'", "\\'")
