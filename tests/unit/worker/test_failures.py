"""What a child makes of errors that nobody expected."""

import pytest

from reelmill_server.errors import InternalError
from reelmill_server.worker.child.main import _failed


@pytest.mark.parametrize("error", [OverflowError("Python int too large to convert to C long"), ValueError("what is this")])
def test_what_nobody_expected_is_no_fault_of_a_source(error: Exception) -> None:
    """Times of sources have bounds of their own, which tell where they are broken."""
    assert _failed(error, "").code == InternalError.code
