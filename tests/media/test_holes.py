"""Files of which bytes were overwritten, as in a download that was never completed: what is missing is told."""

from dataclasses import replace

import pytest

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
