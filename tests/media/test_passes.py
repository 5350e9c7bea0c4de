"""Two passes: the bit rate that was asked for, in every kind of target, and nothing left of the first."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from reelmill_server.model.request import AudioSpec, Hardware, SegmentFormat, SegmentSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

# Half is hard, half is easy: one pass cannot know what comes.
HARD = Video(pattern="noise", size=(160, 96), seconds=8, options=(("crf", "18"),))
CLIP = Clip("matroska", (HARD,), (Audio(seconds=8),))
RATE = 200_000


def in_two_passes(
    codec: str = "h264", container: str = "mkv", audio: AudioSpec | None = None, **settings: object
) -> TargetSpec:
    """A target for `RATE`, with larger groups than tests have usually: key frames weigh much in so small frames."""
    return target(container, encoded(codec, bitrate=RATE, passes=2, preset="medium", gop_size=150, **settings), audio)


def rate(path: Path) -> float:
    """The bit rate of the video in bit/s."""
    packets = judge.packets(path, "v:0")
    return 8 * sum(packet.size for packet in packets) / 8.0


@pytest.mark.slow
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_two_passes_meet_the_bit_rate(convert: Converter, codec: str) -> None:
    """Within 3 % over 8 s, with all frames; one pass is further off, unless it is within 1 % by chance. (2 % over 60 s:
    `bench/passes.py`.)
    """
    once = replace(in_two_passes(codec).video or encoded(), passes=1)
    converted = convert(CLIP, in_two_passes(codec), target("mkv", once, None))
    two, one = (abs(rate(path) / RATE - 1) for path in converted.paths)
    assert two < 0.03 and two < max(one, 0.01)
    assert len(judge.times(converted.paths[0])) == 200
    assert "two passes" in converted.artifacts[0].streams[0].reason
    assert "two passes" not in converted.artifacts[1].streams[0].reason


@pytest.mark.slow
def test_members_of_a_target_join_and_segments_have_two_passes(convert: Converter) -> None:
    """Beside audio, at another rate, a part of the source, in segments; statistics of one stream are not those of another."""
    aac = AudioSpec("aac")
    segments = replace(
        in_two_passes(container="ts", audio=aac), uri="file:///out/x.m3u8", segment=SegmentSpec(SegmentFormat.HLS, 2_000_000)
    )
    small = in_two_passes(width=80, height=48, frame_rate=Fraction(50))
    converted = convert(CLIP, in_two_passes(container="mp4", audio=aac), segments, small, start=1.0, duration=6.0)
    assert len(judge.times(converted.paths[0])) == 150
    assert len(judge.times(converted.paths[2])) == 300
    whole, segmented = (artifact.streams[0] for artifact in converted.artifacts[:2])
    assert whole.packet_count == segmented.packet_count == 150
    for path in (converted.paths[0], converted.paths[2]):
        assert abs(8 * sum(packet.size for packet in judge.packets(path, "v:0")) / 6.0 / RATE - 1) < 0.05


@pytest.mark.slow
def test_hardware_gives_way_to_software(convert: Converter, shelf: Shelf) -> None:
    """Where it is only preferred."""
    converted = convert(CLIP, in_two_passes(hardware=Hardware.PREFERRED))
    assert converted.artifact.streams[0].encoder == "libx264"
