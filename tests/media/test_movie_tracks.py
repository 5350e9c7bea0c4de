"""What MP4, MPEG-TS and FLV say of streams, and libav does not hand out: that they are encrypted, or empty, or that the
parameters of their codec change midway.
"""

from dataclasses import replace

import pytest

from reelmill_server.errors import ReelmillError, UnsupportedFormat
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import SegmentFormat, SegmentSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_snapshots import alone, snapshots
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

TINY = Video(size=(64, 48), seconds=0.8, gop=5)
KEY = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00" * 15 + "01", "encryption_kid": "11" * 16}
ENCRYPTED = Clip("mp4", (TINY,), (Audio(seconds=0.8),), options=tuple(KEY.items()))
RECORDING = Clip("flv", (replace(TINY, b_frames=0),), (Audio(seconds=0.8),))
NEXT = Clip("flv", (replace(TINY, b_frames=0, size=(96, 64)),), (Audio(seconds=0.8),), offset=0.9)
SENT = Clip("mpegts", (TINY,), (Audio(seconds=0.8),))
TS_PACKET = 188


def test_what_is_encrypted_is_refused_by_name(shelf: Shelf, convert: Converter) -> None:
    """Its packets could not be decoded, or failed in verification."""
    sent = bytearray(shelf.get(SENT).read_bytes())
    for at in range(0, len(sent), TS_PACKET):
        if (sent[at + 1] & 0x1F) << 8 | sent[at + 2] in (0x100, 0x101):
            sent[at + 3] |= 0x80
    for source in (shelf.get(ENCRYPTED), shelf.put("scrambled.ts", bytes(sent))):
        for spec in (target("mkv"), target("mp4", encoded()), target("m4a", None), alone(snapshots(number=1))):
            with pytest.raises(UnsupportedFormat, match="it is encrypted"):
                convert(source, spec)


def _without_audio(data: bytes) -> bytes:
    """Return an MP4 whose second track names no sample."""
    changed = bytearray(data)
    track = data.index(b"trak", data.index(b"trak") + 4)
    for table, place in ((b"stts", 8), (b"stsc", 8), (b"stsz", 12), (b"stco", 8)):
        at = data.index(table, track) + place
        changed[at : at + 4] = bytes(4)
    return bytes(changed)


@pytest.mark.parametrize("spec", [target("mkv"), target("mp4", encoded())], ids=["copy", "encode"])
def test_an_empty_audio_stream_is_left_out(shelf: Shelf, convert: Converter, spec: object) -> None:
    """As of a recorder without a microphone, or of a program whose tables name a stream that is not sent."""
    whole = shelf.get(Clip("mp4", (TINY,), (Audio(seconds=0.8),)))
    sent = shelf.get(replace(SENT, audio=(Audio(seconds=0.8), Audio("mp2", seconds=0.8)))).read_bytes()
    packets = [sent[at : at + TS_PACKET] for at in range(0, len(sent), TS_PACKET)]
    ghost = b"".join(packet for packet in packets if (packet[1] & 0x1F) << 8 | packet[2] != 0x101)
    converted = convert(shelf.put("empty.mp4", _without_audio(whole.read_bytes())), spec)  # type: ignore[arg-type]
    assert not judge.describe(converted.path).of("Audio") and judge.numbers(converted.path) == [*range(20)]
    assert [text for text in converted.warnings if "audio stream 0 of the source has no samples" in text]
    converted = convert(shelf.put("ghost.ts", ghost), spec)  # type: ignore[arg-type]
    assert len(judge.describe(converted.path).of("Audio")) == 1
    assert [text for text in converted.warnings if "audio stream 0 of the source has no samples" in text]


def test_parameters_that_change_midway_are_copied_where_they_can_be(shelf: Shelf, convert: Converter) -> None:
    """The second half of the copy could not be decoded. FLV tells new parameters in packets, MP4 in tables."""
    first, second = shelf.get(RECORDING).read_bytes(), shelf.get(NEXT).read_bytes()
    script = 13 + 11 + int.from_bytes(second[14:17]) + 4
    recordings = shelf.put("recordings.flv", first + second[script:])
    copied = convert(recordings, target("mp4")).path
    assert probe_file(str(copied), Limits()).video[0].descriptions == 2
    assert judge.numbers(copied) == judge.numbers(convert(recordings, target("mp4", encoded())).path) == [*range(20)] * 2
    segments = replace(target("mp4"), segment=SegmentSpec(SegmentFormat.HLS))
    for source in (recordings, copied):
        for spec in (target("mkv"), segments):
            with pytest.raises(ReelmillError, match=r"the parameters of the source's (h264|aac) change midway"):
                convert(source, spec)
    assert probe_file(str(copied), Limits()).video[0].described_until == pytest.approx(0.8, abs=0.12)
    for spec in (target("mkv"), segments):
        cut = convert(copied, spec, duration=0.5)
        assert judge.numbers(cut.published / "x.m3u8" if spec is segments else cut.path)[:12] == [*range(12)]
        with pytest.raises(ReelmillError, match="change midway"):
            convert(copied, spec, start=0.5)
