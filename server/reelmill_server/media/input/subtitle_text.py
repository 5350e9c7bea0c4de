"""Mend text of subtitles of which libav leaves out, without a word, what it does not understand.

It takes times only as each format writes them, but players and editors take more, and write more.
"""

import re
from collections.abc import Sequence

_TIME = r"(?:\d{1,5}:)?\d{1,3}:\d{1,3}[.,]\d{1,9}"
_TIMING = re.compile(rf"^[ \t]*({_TIME})[ \t]*-->[ \t]*({_TIME})", re.MULTILINE)
_WEBVTT, _ASS = "WEBVTT", "[Script Info]"
_EVENT = re.compile(r"^Dialogue:", re.MULTILINE)
_SHOWN_TIMING = re.compile(_TIMING.pattern + r"[^\n]*\n[ \t]*[^\s]", re.MULTILINE)
# Of WebVTT: what looks like a cue there is none.
_COMMENT = re.compile(r"(?:\A|(?<=\n\n))(?:NOTE|STYLE|REGION)(?:[ \t][^\n]*)?(?:\n[^\n]+)*")
_HOURS = 2  # colons in a time that has them
_MARKS, _PARTS = re.compile("[:.,]"), 4


def mended(text: str) -> str:
    """Return SubRip or WebVTT with the times of its format, and with the beginning without which libav takes it for no
    subtitles; other text as it is.

    WebVTT has a point before the milliseconds, SubRip has hours.
    """
    beginning = text.lstrip("\ufeff \t\r\n")
    if beginning.startswith(_ASS) or not (first := _TIMING.search(text)):
        return text
    if not beginning.startswith(_WEBVTT) and _TIMING.match(beginning):
        text = ("1\n" if "," in first[1] else f"{_WEBVTT}\n\n") + beginning
    write = _webvtt_time if text.lstrip("\ufeff \t\r\n").startswith(_WEBVTT) else _subrip_time
    return _TIMING.sub(lambda match: f"{write(match[1])} --> {write(match[2])}", text)


def _webvtt_time(time: str) -> str:
    return time.replace(",", ".")


def _subrip_time(time: str) -> str:
    return time if time.count(":") == _HOURS else f"00:{time}"


def unread_cues(text: str, begins: Sequence[int | None]) -> int:
    """Return how many cues of a text that show something are not among those that libav gives, which begin at `begins`.

    Of SubRip and WebVTT those that begin together count as one: libav leaves out repetitions.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    if _ASS in lines:
        return max(0, sum(1 for _ in _EVENT.finditer(lines)) - len(begins))
    if lines.lstrip("\ufeff \t\n").startswith(_WEBVTT):
        lines = _COMMENT.sub("", lines)
    timings = {tuple(map(int, _MARKS.split(f"0:{match[1]}")))[-_PARTS:] for match in _SHOWN_TIMING.finditer(lines)}
    return max(0, len(timings) - len(set(begins)))
