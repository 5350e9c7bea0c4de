from reelmill_server.errors import EncoderFailed, from_code
from reelmill_server.media.libav.encoder import EncoderDown


def test_an_error_of_another_process_is_restored_by_what_first_had_its_code() -> None:
    assert EncoderDown.code == EncoderFailed.code
    restored = from_code(EncoderFailed.code, "libx264: failed")
    assert type(restored) is EncoderFailed and restored.message == "libx264: failed"
