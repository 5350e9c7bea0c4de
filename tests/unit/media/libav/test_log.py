"""Words of libav's errors that users may read."""

import pytest

from reelmill_server.media.libav.log import driver_words, error_text


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


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (
            [(16, "h264_nvenc", "Cannot load libcuda.so.1\n"), (40, "h264_nvenc", "Nvenc unloaded\n")],
            "Cannot load libcuda.so.1",
        ),
        (
            [
                (40, "h264_nvenc", "Loaded Nvenc version 13.0\n"),
                (40, "h264_nvenc", "Max B-frames 8 exceed 4\n"),
                (16, "h264_nvenc", "No capable devices found\n"),
                (16, "h264_nvenc", "No capable devices found\n"),
            ],
            "Max B-frames 8 exceed 4",
        ),
        ([(16, "other", "cannot"), (48, "h264_nvenc", "cannot")], "Unknown error occurred"),
        ([(16, "h264_nvenc", "cannot open '/opt/driver/lib.so.1'\n")], "cannot open (a file)"),
    ],
)
def test_a_driver_is_quoted(lines: list[tuple[int, str, str]], words: str) -> None:
    """With what it lacks, which is no error to libav; without paths, what it loads, and what others say."""
    error = _Failure("Unknown error occurred")
    assert driver_words(error, lines, "h264_nvenc") == words
