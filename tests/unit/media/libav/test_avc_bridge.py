"""What leads into a recovery point of H.264: parameter sets, and how encoded frames are counted."""

import pytest

from reelmill_server.media.libav.avc_bridge import RecoveryPoint, bridge
from reelmill_server.media.libav.avc_headers import SequenceSet, recovers, timing_of
from reelmill_server.media.libav.bits import aligned, golomb
from reelmill_server.media.libav.nal_units import parted, united
from reelmill_server.media.libav.parameter_sets import Unspliceable, own_sets

CODE = b"\0\0\0\1"
# Of x264, 320x180: up to 4 references, 4 bits of frame numbers, 6 of order.
SPS = bytes.fromhex("6764000cacd941419f9f011000000300100000030320f1429960")
AVC = bytes.fromhex("0164000cffe1001a") + SPS + bytes.fromhex("01000668eae3cb22c0fdf8f800")
# Without B-frames and with one reference.
ENCODER = CODE + bytes.fromhex("6764000cacb40a0cfcf0800000030080000019078a1550") + CODE + bytes.fromhex("68ee0f2c8b")


def test_a_sequence_is_read() -> None:
    """As far as headers of slices need it."""
    facts = SequenceSet.of(SPS)
    assert (facts.number, facts.frame_bits, facts.order_bits, facts.references, facts.usual) == (0, 4, 6, 4, True)


def _sequence(kind: str, matrices: str, shown: str) -> bytes:
    """A sequence parameter set of fields: High, 64x64, two references."""
    head = golomb(0) + golomb(1) + golomb(0) * 2 + "0" + matrices + golomb(0) + kind
    return bytes((0x67, 100, 0, 30)) + aligned(f"{head}{golomb(2)}0{golomb(3)}{golomb(1)}0010{shown}1", "0")


BUFFER = golomb(0) + "0" * 8 + golomb(9) * 2 + "0" + f"{23:05b}{15:05b}{7:05b}{24:05b}"
COUNTED = golomb(0) + golomb(2)


@pytest.mark.parametrize(
    ("kind", "matrices", "shown", "usual", "delays"),
    [
        (COUNTED, "0", "0", True, None),
        (COUNTED, "0", "1" + "1" + f"{255:08b}" + "0" * 32 + "10" + "100001" + "0" * 24 + "00001", True, 0),
        (COUNTED, "0", "1" + "00001" + "0" * 65 + "1" + BUFFER + "0" + "0" + "1", True, 24),
        (COUNTED, "0", "1" + "000", True, None),  # broken
        (COUNTED, "1" + "1" + golomb(16) + "0" * 7, "0", False, None),
        (golomb(1) + "0" + golomb(0) * 2 + golomb(2) + golomb(0) * 2, "0", "0", False, None),
    ],
)
def test_what_a_sequence_says_of_fields(kind: str, matrices: str, shown: str, usual: bool, delays: int | None) -> None:
    """Behind matrices and orders of all kinds, and how long what precedes it in messages is."""
    facts = SequenceSet.of(_sequence(kind, matrices, shown))
    assert (facts.fields, facts.adaptive, facts.rows, facts.references, facts.usual) == (True, False, 4, 2, usual)
    assert facts.delay_bits == delays


@pytest.mark.parametrize(("said", "shown"), [(0, "00000"), (1, "001100"), (2, "010000"), (5, "0101000")])
def test_how_a_frame_is_shown_is_kept(said: int, shown: str) -> None:
    """The message of a field becomes one of its frame, and none has clocks."""
    body = aligned(f"{0xAB:08b}{said:04b}" + "1111", "0")
    unit = timing_of(united([bytes([6, 1, len(body)]) + body + b"\x80", b"\x41"], 4), 4, 8)
    assert unit == b"\x06\x01\x02" + aligned(f"{0xAB:08b}{shown}1", "0") + b"\x80"
    assert timing_of(united([b"\x41"], 4), 4, 8) == b""


def test_numbers_may_be_missing_then() -> None:
    """One bit of the parameter set is changed, wherever it is."""
    result = bridge(AVC, ENCODER, (), True)
    (changed,) = [unit for unit in own_sets("h264", result.extradata) if unit[0] & 0x1F == 7]
    assert len(changed) == len(SPS) and sum((one ^ two).bit_count() for one, two in zip(SPS, changed, strict=True)) == 1
    other = b"\x41\x9a\x11"
    assert [*parted(result.copied(united([SPS, other], 4)), 4)] == [changed, other]
    assert result.copied(united([other], 4)) == b""


@pytest.mark.parametrize("key", [b"\x41", b"\x41" + bytes(20), b"\x41\x88\x84\x11\x11\x11", b"\x41\xff\xff"])
def test_a_keyframe_that_changed_is_an_error_of_the_source(key: bytes) -> None:
    """It was read when the cut was planned, but may be broken by now, as may be the frames before it."""
    with pytest.raises(Unspliceable):
        bridge(AVC, ENCODER, (1,), True).packets([], united([key], 4))


def test_a_broken_set_in_a_packet_stays() -> None:
    """Decoders cannot read it either."""
    broken = united([SPS[:5], SPS[:9] + bytes(9)], 4)
    assert bridge(AVC, ENCODER, (), True).copied(broken) == b""


@pytest.mark.parametrize("extradata", [b"", AVC[:12], b"\1" * 30, AVC[:9] + bytes(40), CODE + SPS + CODE + SPS])
def test_what_nothing_can_lead_into_is_said(extradata: bytes) -> None:
    """Whatever a file describes its stream with."""
    with pytest.raises(Unspliceable):
        RecoveryPoint(extradata).see(united([b"\x41" + bytes(9)], 4))
        bridge(extradata, ENCODER, (), True)


def test_a_recovery_point_says_so() -> None:
    """By a message, of intra slices only."""
    message, intra, other = b"\x06\x06\x01\xc4\x80", b"\x41\x88\x84\x11\x11", b"\x41\x9a\x11\x11\x11"
    assert recovers(united([message, intra], 4), 4) and recovers(united([message, intra], 0), 0)
    assert not recovers(united([intra], 4), 4)
    assert not recovers(united([message, intra, other], 4), 4)
    assert not recovers(b"", 4)


@pytest.mark.parametrize("unit", [b"\x65", b"\x65" + bytes(20), b"\x06\x06\x00", b"\x06\x06\x01\x00\x80"])
def test_broken_packets_are_no_recovery_points(unit: bytes) -> None:
    """Of a stranger's file: headers that end too early, and numbers without an end."""
    assert not recovers(len(unit).to_bytes(4) + unit, 4)
