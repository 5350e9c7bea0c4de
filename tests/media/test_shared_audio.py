"""Audio that several outputs write is encoded once; beside video it is encoded on a thread of its own."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from av import AudioFrame

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.model.request import AudioSpec, SegmentFormat, SegmentSpec, TargetSpec
from tests import judge
from tests.media.chunked import Chunked
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

CLIP = Clip("mp4", (Video(),), (Audio(),))
PAUSED = Clip("matroska", (Video(),), (Audio(gaps=((0.5, 1.25),)),))
AAC = AudioSpec("aac")
LONG = Clip("mp4", (Video(seconds=6.0),), (Audio(seconds=6.0),))
RUNGS = tuple(target("mp4", encoded(width=side, height=side), AAC) for side in (64, 48, 32))
HLS = SegmentSpec(SegmentFormat.HLS, 1_000_000)


@pytest.fixture
def encoders(monkeypatch: pytest.MonkeyPatch) -> dict[AudioTrack, int]:
    """How many samples each track has encoded by itself."""
    samples: dict[AudioTrack, int] = {}
    encode = AudioTrack._encode

    def counted(track: AudioTrack, frame: AudioFrame | None) -> Iterator[AnyPacket]:
        samples[track] = samples.get(track, 0) + (frame.samples if frame else 0)
        return encode(track, frame)

    monkeypatch.setattr(AudioTrack, "_encode", counted)
    return samples


@pytest.mark.parametrize(
    ("targets", "encodes"),
    [
        (RUNGS, 1),
        ((RUNGS[0], replace(RUNGS[1], audio=AudioSpec("aac", bitrate=64000))), 2),
        ((RUNGS[0], target("mp4", encoded(), AudioSpec("mp3")), target("mp4", None, AAC)), 2),
        ((target("mp4", audio=AAC), RUNGS[0]), 2),  # what is copied begins at the keyframe before the span
        (tuple(replace(target("ts", encoded(width=side, height=side), AAC), segment=HLS) for side in (64, 32)), 1),
    ],
    ids=["a ladder", "two bit rates", "two codecs", "beside a copy", "HLS"],
)
def test_equal_audio_is_encoded_once(
    convert: Converter, encoders: dict[AudioTrack, int], targets: tuple[TargetSpec, ...], encodes: int
) -> None:
    """And each file is the same as if it were made alone."""
    together = convert(CLIP, *targets, start=0.5, duration=1.25)
    assert len(encoders) == encodes
    for path, asked in zip(together.paths, targets, strict=True):
        alone = convert(CLIP, asked, start=0.5, duration=1.25).path
        assert judge.packets(path) == judge.packets(alone)


def test_silence_that_fills_gaps_is_shared_too(convert: Converter, encoders: dict[AudioTrack, int]) -> None:
    """As much of it as one output needs."""
    converted = convert(PAUSED, *RUNGS[:2])
    assert len(encoders) == 1
    first, second = map(judge.sound, converted.paths)
    assert len(first) and (first == second).all()


def test_chunks_share_their_audio(convert: Converter, encoders: dict[AudioTrack, int], tmp_path: Path) -> None:
    """One chunk has the audio of all targets, in files of their own."""
    joined = Chunked(convert, lambda: tmp_path)(LONG, *RUNGS)
    assert len(encoders) == 1
    for path, asked in zip(joined.paths, RUNGS, strict=True):
        assert judge.packets(path, "a:0") == judge.packets(convert(LONG, asked).path, "a:0")


def test_what_one_output_fails_with_ends_all(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """The shared encode fails for each of them, and nobody waits for it."""

    def fail(*_: object) -> None:
        raise MediaLimitExceeded("full")

    monkeypatch.setattr(AudioTrack, "_encode", fail)
    with pytest.raises(MediaLimitExceeded):
        convert(CLIP, *RUNGS)
