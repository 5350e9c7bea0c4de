"""Error texts from libav's log, and escaping of filter options."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import av.logging

# An absolute path of two names or more, in quotes if it is quoted.
_PATH = re.compile(r"""(?P<quote>['"])?(?<![\w./:])/[^\s/'":,;]+/(?(quote)[^'"\n]*(?P=quote)|[^\s'":,;]*)""")


@contextmanager
def captured_log() -> Iterator[None]:
    """Add libav's own log message to its errors inside the block. Used only where encoders are opened, since logging costs
    time.
    """
    logging.getLogger("libav").addHandler(logging.NullHandler())
    logging.getLogger("libav").propagate = False
    before = av.logging.get_level()
    av.logging.set_level(av.logging.ERROR)
    try:
        yield
    finally:
        av.logging.set_level(before)


def error_text(error: Exception) -> str:
    """Return the explanation that libav logged, or else the name of the error, in words that users may read.

    Neither options, which libav's own text repeats, nor paths of this machine are in it.
    """
    log = getattr(error, "log", None)
    text = log[2].strip() if log else ""
    return _PATH.sub("(a file)", str(text or getattr(error, "strerror", None) or error))


def option_text(path: Path) -> str:
    """Escape `path` as the value of a filter's option."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:").replace("'", "\\'")
