"""Parameter sets of two encoders in one stream: numbers, descriptions and slices."""

import random

import pytest

from reelmill_server.media.libav.parameter_sets import Unspliceable, broken_link, spare_number, splice

AVC_SPS = bytes.fromhex("6764000aacd9431e")
AVC_PPS = bytes.fromhex("68ebe3cb22c0")
AVC = bytes.fromhex("0164000affe1") + b"\0\x08" + AVC_SPS + b"\1\0\x06" + AVC_PPS + bytes.fromhex("fdf8f800")
CODE = b"\0\0\0\1"
HEVC_VPS, HEVC_SPS, HEVC_PPS = (
    bytes.fromhex(text)
    for text in (
        "40010c01ffff01600000030090000003000003001e959809",
        "42010101600000030090000003000003001ea01810126796",
        "4401c172b46240",
    )
)
HEVC_SETS = (HEVC_VPS, HEVC_SPS, HEVC_PPS)
HEVC = b"".join(CODE + unit for unit in HEVC_SETS)
HVCC = (
    bytes([1])
    + bytes(20)
    + bytes([0xF, 3])
    + b"".join(bytes([0x80 | unit[0] >> 1]) + b"\0\1" + len(unit).to_bytes(2) + unit for unit in HEVC_SETS)
)


def own_avc(number: int) -> bytes:
    """Parameter sets of an encoder, of a number below 15 and in codes of seven bits."""
    assert 7 <= number < 15
    bits = f"{number + 1:07b}"
    return CODE + AVC_SPS[:4] + bytes([int(bits + "1", 2), 0x80]) + CODE + b"\x68" + bytes([int(bits + "1", 2), 0x80])


def test_a_number_is_taken_that_the_stream_does_not_use() -> None:
    """The last one, if it is free."""
    assert spare_number("h264", AVC) == 31
    assert spare_number("h264", CODE + AVC_SPS + CODE + AVC_PPS) == 31


def test_avc_describes_both_encoders() -> None:
    """The sets are counted, and what follows them stays."""
    result = splice("h264", AVC, own_avc(9))
    assert result.length_bytes == 4
    assert result.extradata[:5] == AVC[:5] and result.extradata[5] == 0xE2
    assert AVC_SPS in result.extradata and AVC_PPS in result.extradata and result.extradata.endswith(bytes.fromhex("fdf8f800"))
    assert all(unit in result.extradata for unit in result.sets) and len(result.sets) == 2


def test_packets_have_lengths_or_start_codes_as_the_stream() -> None:
    """With start codes, the sets go into the keyframes."""
    slices = CODE + b"\x65\x88\x84" + b"\0\0\1" + b"\x41\x9a"
    note = CODE + b"\x06\x05\x01\xff\x80"
    (result,) = splice("h264", AVC, own_avc(9)).packets([(note + slices, True)], None)
    assert result == b"\0\0\0\3\x65\x88\x84\0\0\0\2\x41\x9a"
    plain = splice("h264", CODE + AVC_SPS + CODE + AVC_PPS, own_avc(9))
    key, other = plain.packets([(slices, True), (slices, False)], None)
    assert key == b"".join(CODE + unit for unit in (*plain.sets, b"\x65\x88\x84", b"\x41\x9a"))
    assert other == CODE + b"\x65\x88\x84" + CODE + b"\x41\x9a"


def test_hevc_is_renumbered_by_whole_bytes() -> None:
    """Each set and slice grows by bytes, and what follows the number keeps its bits."""
    result = splice("hevc", HVCC, HEVC)
    vps, sps, pps = result.sets
    assert vps[:2] == HEVC_VPS[:2] and vps[2] >> 4 == 15 and vps[3:] == HEVC_VPS[3:]
    assert len(sps) == len(HEVC_SPS) + 1 and sps[2] >> 4 == 15
    assert len(pps) == len(HEVC_PPS) + 2 and pps.endswith(HEVC_PPS[3:])
    assert result.extradata[22] == 3 and all(unit in result.extradata for unit in (*HEVC_SETS, *result.sets))
    data = random.Random(1).randbytes(40).replace(b"\0", b"\1")
    key, other = b"\x26\x01\xaf" + data, b"\x02\x01\xd0" + data
    (packet,) = result.packets([(CODE + key + CODE + other, False)], None)
    assert packet.count(data) == 2 and len(packet) == len(key) + len(other) + 2 + 8


def test_sets_of_hevc_have_the_level_of_the_stream() -> None:
    """Whatever level the encoder chose."""
    higher = HEVC.replace(b"\x1e\x95", b"\x5d\x95").replace(b"\x1e\xa0", b"\x5d\xa0")
    assert higher.count(b"\x5d") == 2 and splice("hevc", HVCC, higher) == splice("hevc", HVCC, HEVC)


def test_an_open_keyframe_begins_anew() -> None:
    """An end of sequence stands before a CRA frame, and before no other."""
    result = splice("hevc", HVCC, HEVC)
    cra, idr = (len(unit).to_bytes(4) + unit for unit in (b"\x2a\x01\xaf\x11", b"\x26\x01\xaf\x11"))
    slices = [(CODE + b"\x02\x01\xd0\x11", False)] * 2
    ended, plain = result.packets(slices, cra), result.packets(slices, idr)
    assert ended == [plain[0], plain[1] + b"\0\0\0\2\x48\x01"]


def test_a_keyframe_behind_another_part_is_a_broken_link() -> None:
    """A CRA frame becomes a BLA one, and nothing else is changed."""
    cra, idr = (len(unit).to_bytes(4) + unit for unit in (b"\x2a\x01\xaf\x11", b"\x26\x01\xaf\x11"))
    assert broken_link("hevc", HVCC, cra) == b"\0\0\0\4\x20\x01\xaf\x11"
    assert broken_link("hevc", HVCC, idr) == b"" == broken_link("h264", AVC, cra) == broken_link("vp9", b"", cra)


@pytest.mark.parametrize("extradata", [b"", b"\1", AVC[:9], b"\1" * 30])
def test_what_cannot_be_read_is_said(extradata: bytes) -> None:
    """Whatever a file describes its stream with."""
    with pytest.raises(Unspliceable):
        splice("h264", extradata, own_avc(9))


def test_hevc_has_numbers_for_fifteen_encoders() -> None:
    """As a cut of a cut needs them: the sets of each differ, and end where units end."""
    described, slices = HVCC, []
    for number in range(15):
        result = splice("hevc", described, HEVC)
        assert result.number == number and all(unit[-1] for unit in result.sets)
        described = result.extradata
        slices += result.packets([(CODE + b"\x02\x01\xd0\x11", False)], None)
    assert len(set(slices)) == 15 and {len(packet) for packet in slices} == {9}
    with pytest.raises(Unspliceable, match="no number"):
        splice("hevc", described, HEVC)


def test_messages_in_a_description_are_no_sets() -> None:
    """x265 describes HDR metadata there (SEI); they stay."""
    message = b"\x4e\x01\x90\x04\x03\xe8\x01\x90\x80"
    described = HVCC[:22] + b"\4" + HVCC[23:] + b"\xa7\0\1" + len(message).to_bytes(2) + message
    assert splice("hevc", described, HEVC).extradata.endswith(message)
