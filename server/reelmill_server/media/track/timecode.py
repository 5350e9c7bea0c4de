"""Move timecodes (SMPTE ST 12-1): the number of a frame as `hours:minutes:seconds:frames`."""

import re
from fractions import Fraction

from reelmill_server.media.track.base import nearest

_TIME_CODE = re.compile(r"(\d\d):(\d\d):(\d\d)([:;.])(\d\d)")
_MINUTES_A_DAY = 24 * 60


def moved(code: str, rate: Fraction, seconds: Fraction) -> str:
    """Return the timecode `seconds` after `code`, at `rate` frames per second; `code` itself when it is not a timecode.

    With `;` or `.` before the frames (drop frame), the first numbers of each minute but every tenth are skipped: two at
    30000/1001.
    """
    match = _TIME_CODE.fullmatch(code)
    base = nearest(rate)
    if match is None or not base:
        return code
    hours, minutes, whole, number = (int(match[place]) for place in (1, 2, 3, 5))
    dropped = base // 15 if match[4] != ":" else 0
    minutes += 60 * hours
    pictures = (60 * minutes + whole) * base + number - dropped * (minutes - minutes // 10)
    pictures += nearest(seconds * rate)
    tens, rest = divmod(pictures, 600 * base - 9 * dropped)
    # Numbers are skipped in every minute but the first of ten.
    minute = 0 if rest < 60 * base else 1 + (rest - 60 * base) // (60 * base - dropped)
    number = rest + dropped * minute - 60 * base * minute
    minutes = (10 * tens + minute) % _MINUTES_A_DAY
    return f"{minutes // 60:02}:{minutes % 60:02}:{number // base:02}{match[4]}{number % base:02}"
