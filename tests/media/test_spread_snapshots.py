"""Snapshots that are spread evenly: as many as were asked for, of whatever source."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from PIL import ExifTags, Image

from reelmill_server.media.image.frames_ahead import FramesAhead
from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.model.image_request import FrameMode
from tests.media.converter import Converter
from tests.media.test_snapshots import alone, made, numbers, snapshots
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media


def spread(number: int) -> list[int]:
    """The frames in the middle of as many equal spans of two seconds."""
    return [int(50 * (2 * place + 1) / (2 * number)) for place in range(number)]


@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts", "flv"])
def test_a_pause_is_in_as_many_as_it_lasts(convert: Converter, form: str) -> None:
    """A frame is taken again for each time at which it is on screen; every image that was asked for is there."""
    paused = tuple(Fraction(number, 25) + 4 * (number >= 25) for number in range(50))
    result = convert(Clip(form, (Video(times=paused),), ()), alone(snapshots(mode=FrameMode.AVERAGE, number=6)))
    assert numbers(result) == pytest.approx([12, 24, 24, 24, 24, 37], abs=1)


def test_a_video_of_fewer_frames_gives_fewer(convert: Converter) -> None:
    """Spans shorter than a frame do not repeat it."""
    clip = Clip("mp4", (Video(seconds=0.08),), ())
    assert numbers(convert(clip, alone(snapshots(mode=FrameMode.AVERAGE, number=8)))) == [0, 1]


@pytest.mark.parametrize("form", ["flv", "h264", "hevc"])
def test_a_length_that_nothing_tells_is_measured(convert: Converter, form: str) -> None:
    """FLV may tell a wrong one, video without a container none."""
    codec = "libx265" if form == "hevc" else "libx264"
    audio = (Audio("aac"),) if form == "flv" else ()
    result = convert(Clip(form, (Video(codec),), audio), alone(snapshots(mode=FrameMode.AVERAGE, number=4)))
    assert numbers(result) == pytest.approx(spread(4), abs=1)


def test_matroska_without_a_length_is_measured(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """As it is streamed."""
    path = tmp_path / "live.mkv"
    with av.open(str(shelf.get(Clip("mp4", (Video(),), ())))) as source, av.open(str(path), "w", options={"live": "1"}) as live:
        stream = live.add_stream_from_template(source.streams.video[0], opaque=True)
        for packet in source.demux():
            if packet.size:
                packet.stream = stream
                live.mux(packet)
    assert numbers(convert(path, alone(snapshots(mode=FrameMode.AVERAGE, number=4)))) == pytest.approx(spread(4), abs=1)


def test_a_still_image_is_its_only_frame(convert: Converter, shelf: Shelf, tmp_path: Path) -> None:
    """However many are asked for; shown for a duration, each of them is there."""
    path = tmp_path / "still.png"
    with av.open(str(shelf.get(Clip("mp4", (Video(),), ())))) as source:
        next(source.decode(video=0)).to_image().save(path)
    entry = alone(snapshots(mode=FrameMode.AVERAGE, number=3))
    assert numbers(convert(path, entry)) == [0]
    assert numbers(convert(path, entry, duration=3)) == [0, 0, 0]


def test_flv_whose_first_keyframe_is_late_is_read_from_its_front(convert: Converter) -> None:
    """libav does not find a time before it: what was read went on anywhere, and decoded to gray."""
    late = tuple(Fraction(number + 1, 25) for number in range(75))
    clip = Clip("flv", (Video("flv", times=late, gop=12),), (Audio("libmp3lame", seconds=3),))
    result = convert(clip, alone(snapshots(mode=FrameMode.AVERAGE, number=3)))
    assert numbers(result) == pytest.approx([12, 37, 62], abs=1)


def test_frames_decoded_ahead_are_those_that_are_sought(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where one frame is shown at several of the times, and behind the last one."""
    sought, find = list[Fraction](), FramesAhead._find

    def finding(self: FramesAhead, wanted: Fraction, found: Any) -> None:
        sought.append(wanted)
        find(self, wanted, found)

    monkeypatch.setattr(FramesAhead, "_find", finding)
    paused = tuple(Fraction(number, 25) + 2 * (number >= 30) for number in range(75))
    clip, entry = Clip("mp4", (Video(times=paused, gop=5),), ()), alone(snapshots(interval_us=1_000_000, number=6))
    images = [path.read_bytes() for path in made(convert(clip, entry))]
    assert sought
    monkeypatch.setattr(FramesAhead, "_next_around", lambda *_: None)
    assert [path.read_bytes() for path in made(convert(clip, entry))] == images


@pytest.mark.parametrize("form", ["png", "jpg"])
def test_images_of_turned_video_claim_no_turn(convert: Converter, form: str) -> None:
    """They are upright already; FFmpeg 9 would write the turn of the frames into them, and viewers turn them again."""
    clip = Clip("mp4", (Video(seconds=0.4, rotation=90, mirrored=True),), ())
    (path,) = made(convert(clip, alone(snapshots(form, number=1))))
    with Image.open(path) as image:
        assert image.getexif().get(ExifTags.Base.Orientation, 1) == 1
        assert image.height > image.width


def test_an_image_tells_the_turn_that_is_left_out(convert: Converter) -> None:
    """Snapshots are turned as encodes are, by quarters."""
    clip = Clip("mp4", (Video(seconds=0.4, rotation=45),), ())
    assert any("rotated by 45°" in warning for warning in convert(clip, alone(snapshots(number=1))).warnings)


@pytest.mark.parametrize(("number", "alone_there"), [(1, True), (2, False)])
def test_a_small_frame_alone_is_decoded_by_one_thread(
    convert: Converter, monkeypatch: pytest.MonkeyPatch, number: int, alone_there: bool
) -> None:
    """Others would take longer to start than to decode what leads to it."""
    threads, decode = set[int](), StreamDecoding.decode

    def noted(self: StreamDecoding, packet: Any) -> Any:
        threads.add(packet.stream.codec_context.thread_count)
        return decode(self, packet)

    monkeypatch.setattr(StreamDecoding, "decode", noted)
    result = convert(Clip("mp4", (Video(),), ()), alone(snapshots(start_us=1_000_000, number=number)))
    assert numbers(result) == [25, 26][:number]
    assert (threads == {1}) is alone_there
