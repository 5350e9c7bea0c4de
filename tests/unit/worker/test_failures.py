"""What a child makes of errors that nobody expected."""

import pytest

from reelmill_server.errors import InternalError, InvalidMedia
from reelmill_server.worker.child.main import _failed


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OverflowError("Python int too large to convert to C long"), InvalidMedia.code),
        (ValueError("what is this"), InternalError.code),
    ],
)
def test_numbers_that_no_clock_has_are_the_sources_fault(error: Exception, code: str) -> None:
    """A video whose second frame is shown after 10**20 seconds ended as a fault of the service."""
    assert _failed(error, "").code == code
