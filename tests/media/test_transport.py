"""MPEG-TS whose streams become others midway, as where recordings lie behind each other."""

from dataclasses import replace

import pytest

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

SMALL = Video(size=(64, 64), seconds=0.4, b_frames=0)
FIRST = Clip("mpegts", (SMALL,), (Audio(seconds=0.4),))
SECOND = {
    "hevc": replace(FIRST, video=(replace(SMALL, codec="libx265"),), offset=1),
    "mp2": replace(FIRST, audio=(Audio("mp2", seconds=0.4),), offset=1),
}
MOVED = replace(FIRST, offset=1, options=(("mpegts_start_pid", "768"), ("mpegts_pmt_start_pid", "5000")))


@pytest.mark.parametrize("codec", SECOND)
def test_a_copy_of_a_stream_that_changes_its_codec_is_refused(shelf: Shelf, convert: Converter, codec: str) -> None:
    """It succeeded, and its second half was noise to every player. Other streams are copied, without a warning of that one."""
    source = shelf.join(f"{codec}.ts", shelf.get(FIRST), shelf.get(SECOND[codec]))
    with pytest.raises(UnsupportedFormat, match=f"changes to {codec} midway"):
        convert(source, target("mkv"))
    (video,), (audio,) = (info := probe_file(str(source), Limits())).video, info.audio
    assert not info.moved_bytes
    assert (video.becomes, audio.becomes) == (("hevc", "") if codec == "hevc" else ("", "mp2"))
    other = target("mkv", None) if codec == "hevc" else target("mkv", audio=None)
    assert not [text for text in convert(source, other).warnings if "codec" in text]


def test_recordings_under_other_pids_are_told(shelf: Shelf, convert: Converter) -> None:
    """The first is converted, as streams are those of a PID."""
    behind = shelf.get(MOVED).stat().st_size
    converted = convert(shelf.join("moved.ts", shelf.get(FIRST), shelf.get(MOVED)), target("mkv"))
    (said,) = [int(text.split()[4]) for text in converted.warnings if "under other PIDs" in text]
    assert behind * 0.9 < said <= behind
    assert not convert(MOVED, target("mkv")).warnings


@pytest.mark.parametrize(("begin", "length"), [(0.1, 0.2), (0.2, 0.4), (0.3, 0.0)])
def test_a_copied_cut_of_a_stream_that_changes_its_codec_in_it_is_refused(
    shelf: Shelf, convert: Converter, begin: float, length: float
) -> None:
    """Its packets are noise to every player. Of small files, libav takes the codec that comes last for that of all."""
    source = shelf.join("mp2.ts", shelf.get(FIRST), shelf.get(SECOND["mp2"]))
    with pytest.raises(InvalidMedia, match="stream 1: the stream's codec changes to mp2 midway, within what is to be copied"):
        convert(source, target("mkv"), start=begin, duration=length)


def test_a_copied_cut_on_one_side_of_a_change_is_made(shelf: Shelf, convert: Converter) -> None:
    source = shelf.join("mp2.ts", shelf.get(FIRST), shelf.get(SECOND["mp2"]))
    path = convert(source, target("mkv"), start=1.0).path
    assert judge.describe(path).of("Audio")[0].codec == "mp2"
    assert judge.numbers(path) == [*range(10)] and len(judge.sound(path)) / 48000 == pytest.approx(0.4, abs=0.05)


def test_an_encode_over_a_change_of_codec_fails_with_its_name(shelf: Shelf, convert: Converter) -> None:
    source = shelf.join("hevc.ts", shelf.get(FIRST), shelf.get(SECOND["hevc"]))
    with pytest.raises(InvalidMedia, match=r"packets could not be decoded \(the stream's codec changes to hevc midway\)"):
        convert(source, target("mkv", encoded(), None))
