"""Fragmented MP4, whole and from its middle: it ends when its index says."""

from pathlib import Path

import pytest

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

FLAGS = "frag_keyframe+empty_moov+default_base_moof+global_sidx"
INDEXED = Clip("mp4", (Video(size=(64, 48), seconds=0.8, gop=5),), (Audio(seconds=0.8),), options=(("movflags", FLAGS),))


@pytest.mark.parametrize("fragments", ["all", "last"])
def test_fragments_with_an_index_end_when_it_says(shelf: Shelf, convert: Converter, tmp_path: Path, fragments: str) -> None:
    """libav's length is that end, to which it adds the beginning once more: such files, as segments of HLS and DASH put behind
    each other are, were refused as truncated.
    """
    data = shelf.get(INDEXED).read_bytes()
    source = tmp_path / "fragments.mp4"
    index, first, second = data.index(b"sidx") - 4, data.index(b"moof") - 4, data.index(b"moof", data.index(b"moof") + 4) - 4
    assert index < first
    source.write_bytes(data if fragments == "all" else data[:first] + data[second:])
    wanted = [*range(20)] if fragments == "all" else [*range(5, 20)]
    info = probe_file(str(source), Limits())
    assert info.start_seconds + info.duration_seconds == pytest.approx(0.86, abs=0.03)
    for spec in (target("mp4"), target("mkv", encoded())):
        assert judge.numbers(convert(source, spec).path) == wanted


@pytest.mark.parametrize("b_frames", [0, 2])
def test_audio_of_fragments_that_claim_one_time_is_heard(convert: Converter, b_frames: int) -> None:
    """As libav writes one for every frame: two of audio between two of video claim the time of the second, which was lost."""
    video, clicks = Video(size=(64, 48), seconds=0.8, b_frames=b_frames), tuple(number / 25 for number in range(4, 18))
    options = (("movflags", "frag_every_frame+empty_moov"),)
    source = Clip("mp4", (video,), (Audio(seconds=0.8, clicks=clicks),), options=options)
    for wanted in (target("mkv", encoded(), AudioSpec("flac")), target("mp4")):
        converted = convert(source, wanted)
        assert len(judge.clicks(converted.path, threshold=0.2)) == len(clicks)
        assert judge.numbers(converted.path) == [*range(20)]
