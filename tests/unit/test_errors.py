from reelmill_server.errors import EncoderFailed, InvalidArgument, Violation, from_code
from reelmill_server.media.libav.encoder import EncoderDown


def test_an_error_of_another_process_is_restored_by_what_first_had_its_code() -> None:
    assert EncoderDown.code == EncoderFailed.code
    restored = from_code(EncoderFailed.code, "libx264: failed")
    assert type(restored) is EncoderFailed and restored.message == "libx264: failed"


def test_a_message_has_the_first_hundred_violations() -> None:
    """It is logged, and a request may have thousands."""
    error = InvalidArgument(violations=[Violation(f"f{number}", "is wrong") for number in range(1000)])
    assert error.message.endswith("f99: is wrong; and 900 more") and len(error.violations) == 1000
    assert "more" not in InvalidArgument(violations=error.violations[:100]).message
