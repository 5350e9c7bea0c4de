"""Time codes, moved on."""

from fractions import Fraction

import pytest

from reelmill_server.media.track.timecode import moved

NTSC = Fraction(30000, 1001)


@pytest.mark.parametrize(
    ("code", "rate", "pictures", "expected"),
    [
        ("01:00:00:00", Fraction(25), 0, "01:00:00:00"),
        ("01:00:00:20", Fraction(25), 30, "01:00:02:00"),
        ("23:59:59:24", Fraction(25), 1, "00:00:00:00"),
        ("00:00:59:23", Fraction(24000, 1001), 1, "00:01:00:00"),
        # The known steps of drop-frame: 00:00:59;29 is followed by 00:01:00;02, 00:09:59;29 by 00:10:00;00.
        ("00:00:59;29", NTSC, 1, "00:01:00;02"),
        ("00:09:59;29", NTSC, 1, "00:10:00;00"),
        ("00:00:00;00", NTSC, 107892, "01:00:00;00"),
        ("00:00:59;59", Fraction(60000, 1001), 1, "00:01:00;04"),
        ("no code", Fraction(25), 5, "no code"),
    ],
)
def test_a_time_code_is_moved_by_pictures(code: str, rate: Fraction, pictures: int, expected: str) -> None:
    """Across minutes, midnight and the numbers that are left out."""
    assert moved(code, rate, pictures / rate) == expected
