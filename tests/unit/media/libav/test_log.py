"""Words of libav's errors that users may read."""

import pytest

from reelmill_server.media.libav.log import error_text


class _Failure(OSError):
    """An error as PyAV makes them: its own text has the path, and libav's log may have another."""

    def __init__(self, text: str, log: str = "") -> None:
        super().__init__(22, text, "/scratch/attempt-1/0.mkv")
        self.log = (16, "mov", log) if log else None


@pytest.mark.parametrize(
    "error, text",
    [
        (_Failure("Invalid argument"), "Invalid argument"),
        (_Failure("Invalid argument", "fps 60000 is too large\n"), "fps 60000 is too large"),
        (
            _Failure("Invalid argument", "Cannot open '/scratch/a b/0.vmaf' at 24/1"),
            "Cannot open (a file) at 24/1",
        ),
        (ValueError("x /scratch/attempt-1/0.mkv: no"), "x (a file): no"),
        (ValueError("rate 24/1, and/or http://host/path"), "rate 24/1, and/or http://host/path"),
    ],
)
def test_no_path_of_this_machine_is_told(error: Exception, text: str) -> None:
    """Of numbers and of what the user wrote nothing is lost."""
    assert error_text(error) == text
