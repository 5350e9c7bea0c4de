"""What leads into a recovery point of H.264: parameter sets, and how encoded frames are counted."""

import pytest

from reelmill_server.media.libav.avc_bridge import RecoveryPoint, bridge
from reelmill_server.media.libav.avc_headers import SequenceSet, recovers
from reelmill_server.media.libav.nal_units import parted, united
from reelmill_server.media.libav.parameter_sets import Unspliceable, own_sets

CODE = b"\0\0\0\1"
# Of x264, 320x180: up to 4 references, 4 bits of frame numbers, 6 of order.
SPS = bytes.fromhex("6764000cacd941419f9f011000000300100000030320f1429960")
AVC = bytes.fromhex("0164000cffe1001a") + SPS + bytes.fromhex("01000668eae3cb22c0fdf8f800")
# Without B-frames and with one reference.
ENCODER = CODE + bytes.fromhex("6764000cac8ec141419f9f0110000003001000000303") + b"\x20\xf1" + CODE + bytes.fromhex("68ee3cb0")


def test_a_sequence_is_read() -> None:
    """As far as headers of slices need it."""
    facts = SequenceSet.of(SPS)
    assert (facts.number, facts.frame_bits, facts.order_bits, facts.references, facts.usual) == (0, 4, 6, 4, True)


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
