"""Files of which bytes were overwritten, as in a download that was never completed: what is missing is told."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest

from reelmill_server.media.libav.packet_damage import has_hole
from tests.media.converter import COPIED_VIDEO, Converter, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

VIDEO, SOUND = Video(size=(64, 48), seconds=1.6, gop=5, b_frames=0), Audio("libmp3lame", seconds=1.6)
CLIPS = {
    "matroska": Clip("matroska", (VIDEO,), (SOUND,)),
    "avi": Clip("avi", (VIDEO,), (SOUND,)),
    "asf": Clip("asf", (replace(VIDEO, codec="mpeg4"),), (SOUND,)),
    "flv": Clip("flv", (VIDEO,), (SOUND,)),
    "mpeg": Clip("mpeg", (replace(VIDEO, codec="mpeg2video"),), (replace(SOUND, codec="mp2"),)),
    "mpegts": Clip("mpegts", (VIDEO,), (SOUND,)),
    "mxf": Clip("mxf", (replace(VIDEO, codec="mpeg2video"),), ()),
    "ogg": Clip("ogg", (), (Audio("libopus", seconds=4),)),
}


@pytest.mark.parametrize("form", CLIPS)
def test_what_is_missing_is_told(convert: Converter, form: str) -> None:
    """Demuxers pass over what they cannot read."""
    whole = convert.shelf.get(CLIPS[form])
    copied = target("mkv", COPIED_VIDEO if CLIPS[form].video else None)
    assert not [text for text in convert(whole, copied).warnings if "lay there" in text]
    data = whole.read_bytes()
    begin, length = len(data) * 4 // 10, len(data) // 4
    path = convert.shelf.put("hole", data[:begin] + bytes(length) + data[begin + length :])
    assert any("that lay there are missing" in text for text in convert(path, copied).warnings)


@pytest.mark.parametrize("filling", [b"\0", b"\xb7"])
def test_packets_that_were_overwritten_are_told(convert: Converter, filling: bytes) -> None:
    """The index of MP4 still leads to them, and nothing decodes copies."""
    data = convert.shelf.get(Clip("mp4", (VIDEO,), ())).read_bytes()
    begin = data.index(b"mdat") + 4 + (len(data) - data.index(b"mdat")) // 4
    path = convert.shelf.put("hole.mp4", data[:begin] + filling * 400 + data[begin + 400 :])
    (warning,) = convert(path, target("mkv", audio=None)).warnings
    assert "packets are damaged" in warning


@pytest.mark.parametrize("codec", ["libx264", "libx265", "libvpx-vp9"])
@pytest.mark.parametrize("form", ["mp4", "matroska", "avi", "flv"])
def test_a_hole_within_a_large_packet_is_told(convert: Converter, tmp_path: Path, form: str, codec: str) -> None:
    """Its head, its size and its times are as they were; these codecs never give so many zeros."""
    if (form, codec) == ("avi", "libx265"):
        pytest.skip("libav does not put it into AVI")
    path, noise = tmp_path / "noise", np.random.default_rng(1)
    with av.open(str(path), "w", format=form) as output:
        stream = output.add_stream(codec, rate=10, options={"crf": "8", "bf": "0", "x265-params": "log-level=none:bframes=0"})
        stream.width, stream.height, stream.pix_fmt = 128, 96, "yuv420p"
        for _ in range(6):
            output.mux(stream.encode(av.VideoFrame.from_ndarray(noise.integers(0, 255, (144, 128), np.uint8), "yuv420p")))
        output.mux(stream.encode(None))
    assert not convert(path, target("mkv", audio=None)).warnings
    with av.open(str(path)) as source:
        packet = [bytes(packet) for packet in source.demux(video=0)][3]
    assert len(packet) > 7000
    data = path.read_bytes()
    begin = data.index(packet) + 1000
    data = data[:begin] + bytes(4096) + data[begin + 4096 :]
    (tmp_path / "holed").write_bytes(data)
    assert any("1 packets are damaged" in text for text in convert(tmp_path / "holed", target("mkv", audio=None)).warnings)


@pytest.mark.parametrize(
    ("begin", "zeros", "end", "expected"),
    [
        (b"\xb7" * 3000, 4096, b"\xb7" * 3000, True),
        (b"\xb7" * 3000, 4096, b"\x01\x09\xf0", False),
        (b"\xb7" * 3000, 4096, b"", False),
        (b"\xb7" * 3000, 1000, b"\xb7" * 3000, False),
        (b"\0" + b"\xb7" * 511, 0, (b"\0" + b"\xb7" * 511) * 20, False),
    ],
    ids=["a hole", "before a start code", "at the end", "short", "where it looks"],
)
def test_stuffing_is_no_hole(begin: bytes, zeros: int, end: bytes, expected: bool) -> None:
    """Encoders of a constant bit rate put zeros behind what they have."""
    assert has_hole(memoryview(begin + bytes(zeros) + end)) == expected
