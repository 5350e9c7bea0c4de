"""Outputs that are not what was planned, and sources that break off, never count as success."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from reelmill_server.errors import InvalidMedia, OutputError, OutputInvalid, ReelmillError
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.result import reading
from reelmill_server.media.result.files import make_results
from reelmill_server.media.result.verify import verify
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import AttachmentPlan, Plan
from reelmill_server.model.request import AudioSpec, SourceSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, plan_of, target
from tests.media.extents import reaching
from tests.sources import Audio, Clip, Shelf, Video

pytestmark = pytest.mark.media

CLIP = Clip("mp4", (Video(pattern="ramp", seconds=3, gop=25),), (Audio(seconds=3),))


def run(shelf: Shelf, clip: Clip | Path, folder: Path, *targets: TargetSpec) -> list[MediaFile]:
    """Runs a conversion without looking at what it wrote."""
    path = clip if isinstance(clip, Path) else shelf.get(clip)
    plan = plan_of(path, targets, SourceSpec("file:///in/clip.mp4"), Limits())
    produced, _ = Conversion(plan, (str(path),), folder, limits=Limits(), stop=threading.Event()).run()
    return produced


def cut_off(path: Path) -> None:
    """The file loses its last third."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])


@pytest.fixture
def produced(shelf: Shelf, tmp_path: Path) -> MediaFile:
    """An MPEG-TS with encoded video and sound."""
    (result,) = run(shelf, CLIP, tmp_path, target("ts", encoded("h264", gop_size=25), AudioSpec("aac")))
    return result


def test_a_good_file_passes(produced: MediaFile) -> None:
    """The artifact says what is in the file."""
    plan = Plan((produced.plan,))
    (result,) = make_results(plan, [verify(produced)], Path(produced.path).parent)
    artifact = result.artifact
    assert [stream.codec for stream in artifact.streams] == ["h264", "aac"]
    assert artifact.streams[0].packet_count == 75
    assert artifact.duration_seconds == pytest.approx(3, abs=0.1)
    assert artifact.size_bytes == Path(produced.path).stat().st_size
    assert (artifact.streams[0].width, artifact.streams[0].height) == (96, 64)


@pytest.mark.parametrize("container", ["ts", "mkv", "mp4", "mov"])
def test_a_file_that_is_cut_off_is_rejected(shelf: Shelf, tmp_path: Path, container: str) -> None:
    """A disk that filled up, or a crash while writing."""
    (result,) = run(shelf, CLIP, tmp_path, target(container, encoded(), AudioSpec("aac")))
    cut_off(Path(result.path))
    with pytest.raises(OutputInvalid):
        verify(result)


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_a_last_group_that_does_not_decode_is_rejected(shelf: Shelf, tmp_path: Path, codec: str) -> None:
    """All packets are there, and the last of them are noise."""
    (result,) = run(shelf, CLIP, tmp_path, target("mkv", encoded(codec, crf=20), None))
    packets = judge.packets(Path(result.path), "v:0")
    content = bytearray(Path(result.path).read_bytes())
    with av.open(result.path) as container:
        last = [packet for packet in container.demux() if packet.pts is not None][-5:]
        for packet in last:
            place = content.find(bytes(packet))
            assert place > 0
            for offset in range(place + 6, place + packet.size):
                content[offset] = (content[offset] * 7 + offset * 13) % 256
    Path(result.path).write_bytes(content)
    assert len(packets) == 75
    with pytest.raises(OutputInvalid):
        verify(result)


def test_a_copy_may_be_as_imperfect_as_its_source(convert: Converter) -> None:
    """A recording whose first and last packets of sound are broken, more than are decoded at first, can be copied; one of noise
    cannot.
    """
    clip = Clip("matroska", (), (Audio("aac", seconds=3),))
    path = convert.shelf.get(clip)
    content = bytearray(path.read_bytes())
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux() if packet.size]
    for broken, good in (([*packets[:10], *packets[-3:]], True), (packets, False)):
        spoilt = bytearray(content)
        for packet in broken:
            place = content.index(packet)
            spoilt[place : place + len(packet)] = b"*" * len(packet)
        damaged = convert.shelf.put(f"imperfect-{good}.mkv", bytes(spoilt))
        if good:
            assert convert(damaged, target("mkv")).artifact.streams[0].packet_count == len(packets)
        else:
            with pytest.raises(OutputInvalid):
                convert(damaged, target("mkv"))


def test_of_a_copy_few_packets_are_decoded(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are the source's: a few of each GOP show whether headers and framing fit."""
    clip = Clip("mp4", (Video(pattern="ramp", seconds=6, gop=50),), (Audio(seconds=6),))
    groups: list[int] = []
    decode = reading._decoded

    def counting(context: Any, packets: Sequence[Any], *more: Any) -> Any:
        groups.append(len(packets))
        return decode(context, packets, *more)

    monkeypatch.setattr(reading, "_decoded", counting)
    assert convert(clip, target("mkv")).artifact.streams[0].packet_count == 150
    assert groups == [8] * 5  # begin, middle and end of the video, begin and end of the audio


def test_a_full_disk_is_worth_another_attempt(shelf: Shelf, tmp_path: Path) -> None:
    """A device that takes nothing: the error is the disk's, and another attempt may succeed."""
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    (tmp_path / "0.mkv").symlink_to("/dev/full")
    with pytest.raises(OutputError) as caught:
        run(shelf, CLIP, tmp_path, target("mkv", encoded(), AudioSpec("aac")))
    assert caught.value.retryable


def test_a_missing_stream_is_rejected(produced: MediaFile) -> None:
    """Video and sound were planned, one of them is there."""
    audio = produced.plan.streams[1]
    plan = replace(produced.plan, streams=(*produced.plan.streams, audio))
    with pytest.raises(OutputInvalid, match="streams"):
        verify(replace(produced, plan=plan, written=(*produced.written, produced.written[1])))


def test_a_missing_attachment_is_rejected(produced: MediaFile) -> None:
    """A file attached to Matroska was planned."""
    plan = replace(produced.plan, attachments=(AttachmentPlan(0, 2),))
    with pytest.raises(OutputInvalid, match="has 0 attached files, not 1"):
        verify(replace(produced, plan=plan))


def longer(written: StreamStats) -> StreamStats:
    """The same, but the last packet begins a second after the end."""
    return reaching(written, written.extent.last + 1, written.extent.last + 1)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda result: replace(result, written=(replace(result.written[0], packets=76), result.written[1])),
            "pictures went in",
        ),
        (
            lambda result: replace(result, written=(result.written[0], longer(result.written[1]))),
            "of audio went in",
        ),
        (
            lambda result: replace(
                result,
                plan=replace(result.plan, streams=(replace(result.plan.streams[0], codec="hevc"), result.plan.streams[1])),
            ),
            "planned was hevc",
        ),
    ],
)
def test_a_difference_between_plan_and_file_is_rejected(
    produced: MediaFile, change: Callable[[MediaFile], MediaFile], words: str
) -> None:
    """Counts, lengths, codecs and sizes are compared."""
    with pytest.raises(OutputInvalid, match=words):
        verify(change(produced))


def test_another_size_is_rejected(produced: MediaFile) -> None:
    """The picture has the planned size."""
    video = produced.plan.streams[0]
    assert video.video is not None
    other = replace(video, video=replace(video.video, width=98))
    with pytest.raises(OutputInvalid, match="98x64"):
        verify(replace(produced, plan=replace(produced.plan, streams=(other, produced.plan.streams[1]))))


def test_an_empty_file_is_rejected(produced: MediaFile) -> None:
    """Nothing was written at all."""
    Path(produced.path).write_bytes(b"")
    with pytest.raises(OutputInvalid):
        verify(produced)


ENCODE = target("mp4", encoded(), AudioSpec("aac"))
COPY = target("mkv")


@pytest.mark.sample(every=20)
@pytest.mark.parametrize("share", [0.35, 0.6, 0.8])
@pytest.mark.parametrize("asked", [ENCODE, COPY, target("mp3", None, AudioSpec("mp3"))], ids=["encode", "copy", "sound"])
@pytest.mark.parametrize("form", ["mp4", "matroska"])
def test_a_source_that_breaks_off_fails(convert: Converter, form: str, asked: TargetSpec, share: float) -> None:
    """A truncated upload is an error that names the lengths, not a short output."""
    video = Video(pattern="noise", seconds=6, gop=25)
    options = (("movflags", "+faststart"),) if form == "mp4" else ()
    whole = convert.shelf.get(Clip(form, (video,), (Audio("libmp3lame", seconds=6),), options=options))
    content = whole.read_bytes()
    part = convert.shelf.put(f"broken-{form}-{share}{whole.suffix}", content[: round(len(content) * share)])
    with pytest.raises(InvalidMedia, match="truncated"):
        convert(part, asked)


@pytest.mark.parametrize("asked", [ENCODE, COPY], ids=["encode", "copy"])
def test_an_mp4_that_lacks_its_last_half_second_fails(convert: Converter, asked: TargetSpec) -> None:
    """MP4 says how long each stream is: the loss of a few pictures is seen."""
    clip = Clip("mp4", (Video(pattern="noise", seconds=3),), (Audio(seconds=3),), options=(("movflags", "+faststart"),))
    content = convert.shelf.get(clip).read_bytes()
    part = convert.shelf.put("almost.mp4", content[: round(len(content) * 0.9)])
    with pytest.raises(InvalidMedia, match="truncated"):
        convert(part, asked)


def test_an_mp4_without_its_index_fails(convert: Converter) -> None:
    """A recording that was never finished."""
    content = convert.shelf.get(CLIP).read_bytes()
    part = convert.shelf.put("no-index.mp4", content[: content.rindex(b"moov") - 4])
    with pytest.raises(InvalidMedia):
        convert(part, ENCODE)


def test_a_source_with_a_damaged_stretch_is_told(convert: Converter) -> None:
    """Packets that are lost or do not decode give a warning or an error: the output is never silently short."""
    clip = Clip("mpegts", (Video(pattern="noise", seconds=3, gop=5, b_frames=0),), ())
    content = bytearray(convert.shelf.get(clip).read_bytes())
    for share in (2, 9):
        damaged = bytearray(content)
        for place in range(188 * (len(content) // 1880), len(content) * share // 10, 188):
            begins_a_picture = content[place + 1] & 0x40
            if not begins_a_picture:
                damaged[place + 20 : place + 120] = bytes(100)
        path = convert.shelf.put(f"damaged-{share}.ts", bytes(damaged))
        try:
            converted = convert(path, target("mkv", encoded(), None))
        except ReelmillError as error:
            assert isinstance(error, InvalidMedia)
        else:
            # Decoders hide damage inside a picture without a word.
            assert converted.warnings or converted.artifact.streams[0].packet_count == 75


def test_a_long_file_is_seen_to_be_read(convert: Converter, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading back moves: an attempt must not look stalled meanwhile."""
    from reelmill_server.media.input import bundle
    from reelmill_server.media.result import reading
    from reelmill_server.media.result import verify as module

    monkeypatch.setattr(reading, "_RUNS_TO_MOVE", 1)
    monkeypatch.setattr(bundle, "_MOST_PACKETS", 10)
    moves: list[int] = []
    original = reading.read_streams
    monkeypatch.setattr(
        module,
        "read_streams",
        lambda container, media, unordered, _, *rest: original(container, media, unordered, lambda: moves.append(1), *rest),
    )
    convert(Clip("mp4"), target("mkv"))
    assert len(moves) > 3
