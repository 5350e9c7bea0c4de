"""What a task with several targets gives, and sources that lack a kind of stream."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reelmill_server.errors import InvalidMedia
from reelmill_server.model.request import AudioSpec, SourceSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

BOTH = Clip()
SILENT = Clip("mp4", (Video(),), ())
SOUND = Clip("mp4", (), (Audio(),))
TARGETS = (
    target("mp4", encoded(width=48, height=32), AudioSpec("aac")),
    target("mkv", encoded("h265", b_frames=0), AudioSpec("flac")),
    target("webm", encoded("vp9"), AudioSpec("opus")),
    target("mp3", None, AudioSpec("mp3")),
    target("ts"),
)


def _content(path: Path) -> list[tuple[int, str]]:
    return [(packet.size, packet.checksum) for packet in judge.packets(path)]


@pytest.mark.slow
def test_several_targets_of_one_decode_equal_separate_runs(convert: Converter) -> None:
    """Packet by packet, whatever else the task makes."""
    together = convert(BOTH, *TARGETS)
    for path, asked in zip(together.paths, TARGETS, strict=True):
        alone = convert(BOTH, asked).path
        if asked.video is not None and asked.video.codec in (
            "vp9",
            "h265",
        ):  # threads may change their bits, not their pictures
            assert judge.numbers(path) == judge.numbers(alone)
        else:
            assert _content(path) == _content(alone), asked.container


def test_equal_targets_are_made_twice(convert: Converter) -> None:
    """Duplicates are fine; two that go to one place are made, with a warning."""
    converted = convert(BOTH, TARGETS[0], TARGETS[0])
    assert _content(converted.paths[0]) == _content(converted.paths[1])
    assert converted.warnings == ("several outputs go to file:///out/x.mp4: the last one stays",)


def test_a_source_without_sound_gives_video(convert: Converter) -> None:
    """What is not there is left out, with a warning when it was asked for by name."""
    converted = convert(SILENT, target("mp4", encoded(), AudioSpec("aac")))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Video"]
    assert converted.warnings == ("targets[0].audio: the source has no audio",)
    quiet = convert(SILENT, replace(target("mp4"), audio_asked=False))
    assert quiet.warnings == ()


def test_a_source_without_video_gives_sound(convert: Converter) -> None:
    """Likewise."""
    converted = convert(SOUND, target("mp4", encoded(), AudioSpec("aac")))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Audio"]
    assert converted.warnings == ("targets[0].video: the source has no video",)


def test_nothing_to_take_is_an_error(convert: Converter) -> None:
    """A song asked for a silent film."""
    with pytest.raises(InvalidMedia, match="no stream"):
        convert(SOUND, target("mp4", encoded(), None))
    with pytest.raises(InvalidMedia, match="no stream"):
        convert(SILENT, target("mp3", None, AudioSpec("mp3")))


def test_a_source_may_have_a_kind_disabled(convert: Converter) -> None:
    """DisableVideo and DisableAudio hide streams of the source from every target."""
    converted = convert(BOTH, source=SourceSpec("file:///in/clip.mp4", disable_video=True))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Audio"]
    converted = convert(BOTH, source=SourceSpec("file:///in/clip.mp4", disable_audio=True))
    assert [stream.kind for stream in judge.describe(converted.path).streams] == ["Video"]


def test_the_first_video_and_audio_are_taken(convert: Converter) -> None:
    """Of several streams the first of each kind."""
    clip = Clip(
        "matroska",
        (Video(size=(96, 64)), Video(size=(64, 48))),
        (Audio("flac", hz=500), Audio("flac", hz=900, default=False)),
    )
    converted = convert(clip, target("mkv", encoded(), AudioSpec("flac"))).path
    assert judge.describe(converted).of("Video")[0].size == (96, 64)
    assert judge.pitch(judge.sound(converted)[4800:52800, 0], 48000) == pytest.approx(500, abs=3)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(("video_seconds", "audio_seconds"), [(3.0, 1.0), (1.0, 3.0)])
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_one_stream_may_be_shorter_than_the_other(
    convert: Converter, form: str, video_seconds: float, audio_seconds: float
) -> None:
    """A short stream, alone or beside the other, is no sign of a broken source."""
    clip = Clip(form, (Video(seconds=video_seconds),), (Audio("flac", seconds=audio_seconds),))
    converted = convert(
        clip,
        target("mkv", encoded(), AudioSpec("flac")),
        target("mkv", encoded(), None),
        target("flac", None, AudioSpec("flac")),
        target("mkv", audio=None),
    )
    assert len(judge.numbers(converted.paths[0])) == len(judge.numbers(converted.paths[1])) == round(video_seconds * 25)
    assert judge.sound(converted.paths[2]).shape[0] == pytest.approx(audio_seconds * 48000, abs=1200)


def test_a_picture_alone_is_video(convert: Converter, shelf: object) -> None:
    """A PNG is a film of one picture."""
    clip = Clip("apng", (Video("apng", size=(96, 64), seconds=0.04, pixel_format="rgb24"),), ())
    converted = convert(clip, target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == [0]


def test_decoding_once_gives_all_targets_the_same_pictures(convert: Converter) -> None:
    """A filter of one target does not touch the pictures of another."""
    converted = convert(
        BOTH,
        target("mkv", encoded(rotation=180, crf=10), None),
        target("mkv", encoded(crf=10), None),
    )
    turned, straight = judge.pictures(converted.paths[0]), judge.pictures(converted.paths[1])
    assert np.abs(turned[:, ::-1, ::-1].astype(int) - straight).mean() < 4
    assert judge.numbers(converted.paths[1]) == list(range(50))


TONES = (440.0, 880.0, 1320.0)
SOUNDS = Clip("mp4", (Video(seconds=1),), tuple(Audio(seconds=1, hz=hz) for hz in TONES))


@pytest.mark.sample(every=3)
@pytest.mark.parametrize("container", ["mp3", "flac", "aac", "ac3", "wav", "amr"])
def test_each_sound_becomes_a_file_where_the_container_holds_one(convert: Converter, container: str) -> None:
    """The file of a number has the sound of that number, to the end."""
    codec = "ac3" if container == "wav" else container
    asked = replace(target(container, None, AudioSpec(codec)), audio_streams=(0, 2), uri="file:///out/x")
    converted = convert(SOUNDS, asked)
    assert [artifact.uri for artifact in converted.artifacts] == [f"file:///out/x_{number}.{container}" for number in (0, 2)]
    assert {artifact.target_index for artifact in converted.artifacts} == {0} and converted.warnings == ()
    for path, hz in zip(converted.paths, (TONES[0], TONES[2]), strict=True):
        judge.check(path)
        sound = judge.sound(path)
        assert judge.pitch(sound[:, 0], judge.sample_rate(path)) == pytest.approx(hz, abs=2)
        assert sound.shape[0] / judge.sample_rate(path) == pytest.approx(1, abs=0.15)


def test_templates_number_the_files_of_sound_and_one_name_is_one_file(convert: Converter) -> None:
    """`streamindex` is the stream's own number, for a single file, too; one URI for several files is warned of."""
    asked = replace(target("mp3", None, AudioSpec("mp3")), audio_streams=(1, 2), uri="file:///out/{streamindex}-{index}")
    assert [artifact.uri for artifact in convert(SOUNDS, asked).artifacts] == ["file:///out/1-1.mp3", "file:///out/2-2.mp3"]
    alone = convert(SOUNDS, replace(asked, audio_streams=(2,), uri="file:///out/x"))
    assert alone.artifact.uri == "file:///out/x.mp3"
    assert convert(SOUNDS, replace(asked, audio_streams=(2,))).artifact.uri == "file:///out/2-1.mp3"
    same = convert(SOUNDS, replace(asked, uri="file:///out/x.mp3"))
    assert same.warnings == ("several outputs go to file:///out/x.mp3: the last one stays",)


def test_several_sounds_stay_together_where_they_may_or_are_mixed(convert: Converter) -> None:
    """M4A and Ogg hold them all; mixed, there is one."""
    for container, codec in (("m4a", "aac"), ("oga", "vorbis"), ("opus", "opus")):
        converted = convert(SOUNDS, replace(target(container, None, AudioSpec(codec)), audio_streams=(101,))).path
        assert len(judge.describe(converted).of("Audio")) == 3, container
        assert judge.describe(convert(converted, target("mkv", None)).path).duration < 1.2  # libav's demuxer of Ogg says a day
    mixed = convert(SOUNDS, replace(target("mp3", None, AudioSpec("mp3", mixing=True)), audio_streams=(101,)))
    assert mixed.artifact.uri == "file:///out/x.mp3"
