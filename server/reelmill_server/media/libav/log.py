"""Error texts from libav's log, and escaping of filter options."""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

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


@contextmanager
def captured_log(verbose: bool = False) -> Iterator[list[LogLine]]:
    """Add libav's own log message to its errors inside the block, and yield the lines of this thread: errors, or what is
    `verbose`. Used only where encoders are opened, since logging costs time.
    """
    logging.getLogger("libav").addHandler(logging.NullHandler())
    logging.getLogger("libav").propagate = False
    before = av.logging.get_level()
    av.logging.set_level(av.logging.VERBOSE if verbose else av.logging.ERROR)
    try:
        with av.logging.Capture() as lines:
            yield lines
    finally:
        av.logging.set_level(before)


def error_text(error: Exception) -> str:
    """Return the explanation that libav logged, or else the name of the error, in words that users may read.

    Neither options, which libav's own text repeats, nor paths of this machine are in it.
    """
    log = getattr(error, "log", None)
    text = log[2].strip() if log else ""
    return _PATH.sub("(a file)", str(text or getattr(error, "strerror", None) or error))


def driver_words(error: Exception, lines: Sequence[LogLine], encoder: str) -> str:
    """Return what an encoder, or its driver, logged about a failure, or else the text of the error."""
    said = dict.fromkeys(
        text.strip(" \n;")
        for level, name, text in lines
        if name == encoder and (level <= av.logging.ERROR or (level <= av.logging.VERBOSE and _OF_A_LIMIT.search(text)))
    )
    telling = [text for text in said if text and not _OF_NO_LIMIT.match(text)] or [text for text in said if text]
    return _PATH.sub("(a file)", "; ".join(telling))[:_MOST_WORDS] or error_text(error)


def option_text(path: Path) -> str:
    """Escape `path` as the value of a filter's option."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace("'", "\\'")
