"""Which decoders files of strangers reach."""

from pathlib import Path

import av
import pytest

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.input import decoders
from reelmill_server.media.input.probe import probe_beside, probe_file
from reelmill_server.media.input.source import open_source
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AudioSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_snapshots import alone, snapshots
from tests.sources import Audio, Clip, Video

pytestmark = pytest.mark.media

ODD = Clip("avi", (Video("zmbv", seconds=0.4, pixel_format="bgr0"),), (Audio("adpcm_yamaha", seconds=0.4),))
WIDE = Limits(more_decoders=("zmbv", "adpcm_y*"))


@pytest.fixture
def odd(convert: Converter) -> Path:
    """A file in codecs that nobody needs."""
    return convert.shelf.get(ODD)


def test_a_decoder_that_is_not_allowed_is_not_opened(odd: Path) -> None:
    """Neither by libav, which opens decoders to learn what a file is, nor afterwards, whatever asks for it."""
    info = probe_file(str(odd), Limits())
    assert [(stream.codec, stream.decodable, stream.barred) for stream in (*info.video, *info.audio)] == [
        ("zmbv", False, True),
        ("adpcm_yamaha", False, True),
    ]
    with open_source(str(odd), Limits()) as container:
        for packet in container.demux():
            with pytest.raises(av.error.ArgumentError):
                packet.decode()
            break


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (target("mp4", encoded(), None), "the source's zmbv video"),
        (target("mp3", None, AudioSpec("mp3")), "in adpcm_yamaha: it"),
        (alone(snapshots(number=1)), "the source's zmbv video"),
    ],
    ids=["video", "audio", "snapshot"],
)
def test_the_refusal_names_the_codec_and_the_setting(convert: Converter, odd: Path, asked: object, words: str) -> None:
    """As does the one for a watermark."""
    with pytest.raises(UnsupportedFormat, match=rf"{words} cannot be decoded: .*--decoder, REELMILL_DECODER"):
        convert(odd, asked)


def test_the_setting_allows_others(convert: Converter, odd: Path) -> None:
    """By libav's names, with wildcards."""
    info = probe_file(str(odd), WIDE)
    assert all(stream.decodable and not stream.barred for stream in (*info.video, *info.audio))
    converted = convert(odd, target("mp4", encoded(), AudioSpec("aac")), limits=WIDE)
    assert judge.numbers(converted.path) == list(range(10))


def test_a_copy_needs_no_decoder(convert: Converter, odd: Path) -> None:
    """It is made all the same, and not decoded when it is read back."""
    snow = Clip("avi", (Video("snow", seconds=0.4),), ())
    converted = convert(snow, target("mkv", audio=None))
    assert [stream.codec for stream in converted.artifact.streams] == ["snow"]
    with pytest.raises(UnsupportedFormat, match="snow video cannot be decoded"):
        convert(snow, target("mkv", encoded(), None))


def test_what_is_beside_stays_usable(convert: Converter) -> None:
    """The stream that cannot be decoded is left out, and the warning says why."""
    path = convert.shelf.get(
        Clip("avi", (Video("mpeg4", seconds=0.4),), (Audio("adpcm_yamaha", seconds=0.4), Audio(seconds=0.4)))
    )
    converted = convert(path, target("mp4", encoded(), AudioSpec("aac")))
    assert [stream.codec for stream in converted.artifact.streams] == ["h264", "aac"]
    assert any("adpcm_yamaha, which cannot be decoded: its decoder is not one" in text for text in converted.warnings)
    assert probe_beside(str(path), "file:///x", Limits()).audio[1].decodable


def test_few_decoders_are_reachable() -> None:
    """Of the hundreds that libav has; each name in the table is one of them."""
    reachable = set(decoders.decoder_options(Limits())["codec_whitelist"].split(","))
    codecs = {av.Codec(name, "r").canonical_name for name in reachable - {"libx264"} if _decodes(name)}
    assert len({codec for codec in codecs if not codec.startswith("pcm_")}) < 80
    some_builds = {"libopencore_amrnb", "libopencore_amrwb", "webp_anim"}  # the last: FFmpeg 9
    assert all("*" in name or _decodes(name) for name in set(decoders._PATTERNS) - some_builds)


def _decodes(name: str) -> bool:
    try:
        av.Codec(name, "r")
    except av.codec.codec.UnknownCodecError:
        return False
    return True
