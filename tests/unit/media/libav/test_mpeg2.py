"""What MPEG-2 says of sequences and frames before their data."""

from reelmill_server.media.libav.mpeg2 import Headers, as_sequence, begins_sequence

PLAIN = bytes.fromhex("000001b31400b013ffffec80")
MATRICES = PLAIN[:-1] + bytes([PLAIN[-1] | 3]) + bytes(128)
PROGRESSIVE, FIELDS = bytes.fromhex("000001b5148a000103000000"), bytes.fromhex("000001b51482000103000000")
DISPLAY = bytes.fromhex("000001b52305050514028000")
GROUP, PICTURE = bytes.fromhex("000001b800080040"), bytes.fromhex("00000100000ffff8")
SLICE = bytes.fromhex("000001011349000001b58fff")  # what looks like a header in the data of slices is none


def coding(structure: int = 3, order: int = 0, progressive: bool = True) -> bytes:
    """An extension of a picture."""
    return b"\0\0\1\xb5\x8f\xff" + bytes([0xF0 | structure, order | 0x41, 0x80 * progressive])


def test_a_sequence_is_known_without_its_matrices() -> None:
    """Each encoder has matrices of its own: a header may set them anew, and nothing else."""
    headers = Headers.of(MATRICES + PROGRESSIVE + DISPLAY + GROUP + PICTURE + coding() + SLICE)
    assert headers.sequence == PLAIN + PROGRESSIVE + DISPLAY
    assert headers.is_progressive_sequence and headers.is_progressive


def test_decoding_begins_with_a_sequence() -> None:
    """Not with a group or a frame alone, nor with a header of MPEG-1 or one that is cut off."""
    assert begins_sequence(PLAIN + FIELDS + PICTURE + coding() + SLICE)
    for packet in (GROUP + PICTURE + coding() + SLICE, PLAIN + GROUP + PICTURE + SLICE, PLAIN[:6], b"", PLAIN[:9] + FIELDS[:5]):
        assert not begins_sequence(packet)


def test_the_order_of_fields_is_kept() -> None:
    """Of frames, and of frames of two pictures, whose first is the field shown first; none is shown again unless both are of
    one moment.
    """
    encoded = PLAIN + PROGRESSIVE + GROUP + PICTURE
    for frame, progressive, expected in (
        (coding(order=0x82), True, 0x82),
        (coding(order=0x82), False, 0x80),
        (coding(structure=1), False, 0x80),
        (coding(structure=2), False, 0),
    ):
        headers = Headers.of(PLAIN + FIELDS + PICTURE + frame)
        result = as_sequence(encoded + coding(progressive=progressive) + SLICE, PLAIN + FIELDS, headers.order)
        assert result == PLAIN + FIELDS + GROUP + PICTURE + coding(order=expected, progressive=progressive) + SLICE


def test_frames_within_a_sequence_stay() -> None:
    """Only what the encoder says of its own sequence is exchanged."""
    frame = PICTURE + coding() + SLICE
    assert as_sequence(frame, PLAIN + FIELDS, 0) == frame
