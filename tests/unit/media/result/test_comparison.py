"""What was read back is compared with what was written."""

from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import pytest

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.result.comparison import _compare_counts
from reelmill_server.model.plan import StreamType


def _side(first: int, last_start: int, last: int) -> Any:
    """One side of the comparison; times in samples of 48 kHz."""
    times = {"first": first, "last_start": last_start, "last": last}
    extent = SimpleNamespace(**{name: Fraction(at, 48000) for name, at in times.items()})
    return SimpleNamespace(packets=49, extent=extent, hidden=None)


@pytest.mark.parametrize(
    ("codec", "last_start", "fits"), [("vorbis", 48256, True), ("vorbis", 51000, False), ("opus", 48256, False)]
)
def test_blocks_of_vorbis_that_libav_misreads_are_no_fault(codec: str, last_start: int, fits: bool) -> None:
    """Of several streams in an Ogg file, the first block of 128 samples is read as one of 576."""
    planned: Any = SimpleNamespace(type=StreamType.AUDIO, codec=codec)
    written, read = _side(-128, 47680, 48000), _side(0, last_start, last_start + 64)
    if fits:
        _compare_counts(planned, written, read, "targets[0]")
    else:
        with pytest.raises(OutputInvalid, match="s of audio went in"):
            _compare_counts(planned, written, read, "targets[0]")
