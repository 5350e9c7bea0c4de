"""Single pictures: which frame each is, when it is shown, its shape, and where it goes."""

import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import imageio_ffmpeg
import numpy as np
import pytest

from reelmill_server.errors import InvalidArgument, InvalidMedia, MediaLimitExceeded
from reelmill_server.media.conversion.feed import Feed
from reelmill_server.media.conversion.whole import Conversion
from reelmill_server.media.image import output as image_output
from reelmill_server.media.image import stills
from reelmill_server.media.input import reader, seek
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec
from reelmill_server.model.plan import FrameAccess
from reelmill_server.model.request import AudioSpec, ConvertRequest, SourceSpec, TargetSpec
from reelmill_server.model.sizes import ScaleType
from reelmill_server.model.task import ArtifactKind
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.output import images
from reelmill_server.plan.output.frame_access import AccessChoice
from reelmill_server.plan.planner import make_plan
from tests import judge
from tests.media.converter import CLIP, Converted, Converter, capabilities, encoded, target
from tests.media.test_right_by_default import INTERLACED, hdr_clip
from tests.sources import Audio, Clip, Video

FILM = Clip("mp4", (Video(seconds=4, gop=25),), (Audio("aac", seconds=4),))


def snapshots(form: str = "png", uri: str = "file:///out/pic", **asked: Any) -> ImageSpec:
    """An entry of snapshots; what is no field of it is one of its frames."""
    own = {name: asked.pop(name) for name in ("width", "height", "scale_type") if name in asked}
    return ImageSpec(ImageKind.SNAPSHOT, 0, uri, form, FramesSpec(**asked), **own)


def alone(*entries: ImageSpec) -> TargetSpec:
    """A target of nothing but pictures."""
    return TargetSpec(0, "", "", images=entries, subtitle="none")


def made(converted: Converted, kind: ArtifactKind = ArtifactKind.SNAPSHOT) -> list[Path]:
    """The files of a kind, in their order, where they were published."""
    named = [artifact.uri for artifact in converted.artifacts if artifact.kind is kind]
    return [converted.published / uri.removeprefix("file:///out/") for uri in named]


def times(converted: Converted, kind: ArtifactKind = ArtifactKind.SNAPSHOT) -> list[float]:
    """The reported times of all frames of a kind."""
    return [time for artifact in converted.artifacts if artifact.kind is kind for time in artifact.frame_times]


def numbers(converted: Converted) -> list[int]:
    """The numbers of the frames in the pictures, as the independent judge decodes them."""
    return [judge.numbers(path)[0] for path in made(converted)]


SECOND = 1_000_000
MODES: dict[str, tuple[dict[str, Any], list[int]]] = {
    "interval": ({"interval_us": SECOND}, [0, 25, 50, 75]),
    "interval from a start": ({"start_us": SECOND // 2, "interval_us": SECOND}, [12, 37, 62, 87]),
    "a number": ({"start_us": 2 * SECOND, "interval_us": SECOND // 2, "number": 2}, [50, 62]),
    "one in the middle": ({"start_us": 1_990_000, "number": 1}, [49]),
    "two in the middle": ({"start_us": 1_990_000, "number": 2}, [49, 50]),
    "every frame": ({"start_us": 3_800_000}, [95, 96, 97, 98, 99]),
    "shorter than a frame": ({"start_us": 3_800_000, "interval_us": 10_000}, [95, 96, 97, 98, 99]),
    "key frames": ({"mode": FrameMode.KEYFRAME}, [0, 25, 50, 75]),
    "key frames from a start": ({"mode": FrameMode.KEYFRAME, "start_us": SECOND // 2, "number": 2}, [25, 50]),
    "average": ({"mode": FrameMode.AVERAGE, "number": 4}, [12, 37, 62, 87]),
    "average of one": ({"mode": FrameMode.AVERAGE, "number": 1}, [50]),
}


@pytest.mark.parametrize(
    ("container", "codec", "pixel_format"), [("mov", "qtrle", "rgb24"), ("webm", "libvpx-vp9", "yuva420p")]
)
def test_keyframes_that_no_decoder_tells(convert: Converter, container: str, codec: str, pixel_format: str) -> None:
    """Their packets do. Frames with an alpha channel are decoded by libvpx."""
    video = Video(codec, size=(64, 48), seconds=0.4, gop=5, b_frames=0, pixel_format=pixel_format)
    converted = convert(Clip(container, (video,), ()), alone(snapshots("png", mode=FrameMode.KEYFRAME)))
    assert times(converted) == [0.0, 0.2]


def test_a_last_keyframe_is_not_the_end(convert: Converter) -> None:
    """A source that is followed by another one lasts as long as it claims, of which there is no warning."""
    clip = Clip("mp4", (Video(size=(64, 48), seconds=1.2, gop=99, b_frames=0),), ())
    converted = convert.concat([(clip, CLIP), (clip, CLIP)], alone(snapshots("jpg", mode=FrameMode.KEYFRAME)))
    assert (times(converted), converted.warnings) == ([0.0, 1.2], ())


@pytest.mark.sample(every=8)
@pytest.mark.parametrize("beside", ["alone", "beside an encode", "beside a copy"])
@pytest.mark.parametrize("mode", MODES)
def test_the_frames_of_each_mode(convert: Converter, mode: str, beside: str) -> None:
    """The frame shown at the asked time, whether sought or taken from what is decoded anyway; its time is told."""
    asked, expected = MODES[mode]
    entry = snapshots(**asked)
    whole = {"alone": alone(), "beside an encode": target("mp4", encoded(), None), "beside a copy": target("mp4")}[beside]
    converted = convert(FILM, replace(whole, images=(entry,)))
    assert numbers(converted) == expected
    assert times(converted) == [number / 25 for number in expected]
    assert all(path.name == f"pic_0_{place}.png" for place, path in enumerate(made(converted), 1))
    (image,) = converted.plan.images
    assert (image.reading == "shared") == (beside == "beside an encode")


SOURCES: dict[str, Clip] = {
    "B-frames": Clip("mp4", (Video(seconds=4, gop=100, b_frames=4),), ()),
    "low rate": Clip("mp4", (Video(seconds=12, fps=Fraction(1), gop=24, b_frames=3),), ()),
    "pyramid": Clip("mp4", (Video(seconds=4, gop=100, b_frames=7, options=(("x264-params", "b-pyramid=normal"),)),), ()),
    "variable rate": Clip("matroska", (Video(times=tuple(Fraction(n * n, 100) for n in range(20)), gop=5),), ()),
    "late start": Clip("mpegts", (Video(seconds=4, gop=25),), (Audio("aac", seconds=4),), offset=Fraction(10)),
    "transport stream": Clip("mpegts", (Video(seconds=4, gop=50),), ()),
    "flv": Clip("flv", (Video(seconds=4, gop=25),), ()),
    "milliseconds": Clip("matroska", (Video(seconds=4, gop=30, fps=Fraction(30000, 1001)),), ()),
    "open groups": Clip("matroska", (Video(seconds=4, gop=25, options=(("x264-params", "open-gop=1"),)),), ()),
    "edit list": Clip("mp4", (Video(seconds=4, gop=50, b_frames=0),), (), offset=-0.6),
    "edit list, B-frames": Clip("mp4", (Video(seconds=4, gop=50),), (Audio("aac", seconds=4),), offset=-0.6),
    "raw": Clip("h264", (Video(seconds=4, gop=25, b_frames=0),), ()),
    "hevc": Clip("mp4", (Video("libx265", seconds=4, gop=25),), ()),
    "vp9": Clip("webm", (Video("libvpx-vp9", seconds=2, gop=10, b_frames=0),), ()),
    "avi": Clip("avi", (Video("mpeg4", seconds=2, gop=12, b_frames=0),), ()),
}


@pytest.mark.sample(every=16)
@pytest.mark.parametrize("way", ["seek", "through"])
@pytest.mark.parametrize("name", SOURCES)
def test_the_frame_shown_at_the_asked_time(convert: Converter, monkeypatch: pytest.MonkeyPatch, name: str, way: str) -> None:
    """Of all kinds of sources, sought and in a row: the one that the judge's decoder shows then, and its time."""
    if name != "raw":  # which has no times, and is read through whatever is asked
        monkeypatch.setattr(images, "choose_access", lambda *_: AccessChoice(FrameAccess(way), "asked for by the test"))
    path = convert.shelf.get(SOURCES[name])
    first = Fraction(str(judge.describe(path).start))
    shown = [time - first for time in judge.times(path)]
    asked = [Fraction(4, 100) + Fraction(37, 100) * step for step in range(5)]
    entries = [
        snapshots(uri=f"file:///out/{way}-{place}", start_us=int(time * SECOND), number=1) for place, time in enumerate(asked)
    ]
    converted = convert(SOURCES[name], alone(*entries))
    assert {image.reading for image in converted.plan.images} <= {"through" if name == "raw" else way, "shared"}
    # Containers that count in milliseconds show a frame up to 2 ms late.
    locations = [max(place for place, moment in enumerate(shown) if moment <= time + Fraction(2, 1000)) for time in asked]
    assert numbers(converted) == [judge.numbers(path)[place] for place in locations]
    assert times(converted) == pytest.approx([float(shown[place]) for place in locations], abs=0.0011)


def test_a_source_that_breaks_off_gives_what_there_is(convert: Converter) -> None:
    """Half of a Matroska file: the pictures of its second half are missing, the others are right."""
    whole = convert.shelf.get(Clip("matroska", (Video(seconds=4, gop=25),), ())).read_bytes()
    half = convert.shelf.put("half.mkv", whole[: len(whole) // 2])
    converted = convert(half, alone(snapshots(interval_us=SECOND // 2)))
    assert any("claims 4.000 s" in warning for warning in converted.warnings)
    got = numbers(converted)
    assert 2 <= len(got) < 8
    assert got == [0, 12, 25, 37, 50, 62, 75, 87][: len(got)]


def break_off(monkeypatch: pytest.MonkeyPatch, time: float) -> None:
    """Makes every source unreadable from `time` on."""

    def breaking(packets: Iterator[Any]) -> Iterator[Any]:
        for packet in packets:
            if packet.size and packet.pts * packet.time_base >= time:
                raise av.error.InvalidDataError(1, "broken")
            yield packet

    def packets_from(*given: Any) -> seek.SeekResult:
        result = whole(*given)
        return replace(result, packets=breaking(result.packets))

    whole = seek.packets_from
    monkeypatch.setattr(reader, "packets_from", packets_from)
    monkeypatch.setattr(seek, "packets_from", packets_from)


@pytest.mark.parametrize("way", ["seek", "through"])
def test_a_source_that_cannot_be_read_on_gives_what_there_is(
    convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """An error of reading ends the source; it is told, and the pictures before it are made."""
    monkeypatch.setattr(images, "choose_access", lambda *_: AccessChoice(FrameAccess(way), "asked for by the test"))
    break_off(monkeypatch, 2)
    running = converting(convert, tmp_path, alone(snapshots(interval_us=SECOND // 2)))
    _, warnings = running.run()
    (files,) = running.images
    assert [judge.numbers(file.path)[0] for file in files] == [0, 12, 25, 37]
    assert [warning for warning in warnings if "could not be read to its end" in warning]


@pytest.mark.parametrize("way", ["seek", "keyframes", "through"])
def test_a_source_without_a_frame_takes_no_time(
    convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str
) -> None:
    """What follows it begins where it began."""
    monkeypatch.setattr(images, "choose_access", lambda *_: AccessChoice(FrameAccess(way), "asked for by the test"))
    late = Clip("mpegts", (Video(seconds=2, gop=25),), (), offset=Fraction(10))
    paths = [str(convert.shelf.get(clip)) for clip in (late, Clip("mp4", (Video(seconds=2, gop=25),), ()))]
    request = ConvertRequest("t", "p", (SourceSpec("file:///a"),) * 2, (alone(snapshots(interval_us=SECOND)),))
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], capabilities()))
    break_off(monkeypatch, 5)
    running = Conversion(plan, paths, tmp_path, limits=Limits(), stop=threading.Event())
    running.run()
    (files,) = running.images
    assert [float(file.times[0]) for file in files] == [0, 1]
    assert [judge.numbers(file.path)[0] for file in files] == [0, 25]


@pytest.mark.parametrize("beside", [False, True])
def test_cut_and_joined_sources(convert: Converter, beside: bool) -> None:
    """Times count from the beginning of the span."""
    entry = snapshots(interval_us=SECOND, number=2)
    whole = replace(target("mp4", encoded(), None), images=(entry,)) if beside else alone(entry)
    converted = convert(FILM, whole, start=1.2, duration=2)
    assert numbers(converted) == [30, 55]
    assert times(converted) == [0, 1]


SIZES: dict[str, tuple[dict[str, Any], tuple[int, int]]] = {
    "as it is": ({}, (96, 64)),
    "one side": ({"width": 48}, (48, 64)),
    "ratio": ({"width": Fraction(1, 2), "height": Fraction(1, 4)}, (48, 16)),
    "odd": ({"width": 33, "height": 17}, (33, 17)),
    "fit": ({"width": 48, "height": 48, "scale_type": ScaleType.FIT}, (48, 32)),
    "fill": ({"width": 48, "height": 48, "scale_type": ScaleType.FILL}, (48, 48)),
    "crop": ({"width": 48, "height": 48, "scale_type": ScaleType.CROP}, (48, 48)),
    "one pixel": ({"width": 1, "height": 1}, (1, 1)),
}


@pytest.mark.sample(every=5)
@pytest.mark.parametrize("form", ["jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("name", SIZES)
def test_sizes(convert: Converter, name: str, form: str) -> None:
    """Every format in every size; the artifact tells it."""
    asked, size = SIZES[name]
    converted = convert(FILM, alone(snapshots(form, number=1, **asked)))
    (artifact,) = converted.artifacts
    assert (artifact.width, artifact.height) == size
    if form != "avif":  # which the judge cannot read
        assert judge.describe(made(converted)[0]).of("Video")[0].size == size
    assert artifact.container == form
    assert made(converted)[0].name == f"pic_0_1.{form}"


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("form", ["jpg", "png", "webp"])
@pytest.mark.parametrize(
    "video",
    [
        Video(seconds=1, pattern="ramp"),
        Video(seconds=1, pattern="ramp", color_range=2),
        Video(seconds=1, pattern="ramp", color_space=1, color_primaries=1, color_transfer=1),
        Video(seconds=1, pattern="ramp", pixel_format="yuv444p"),
        Video("libx265", seconds=1, pattern="ramp", pixel_format="yuv420p10le"),
    ],
    ids=["limited", "full", "bt709", "444", "10bit"],
)
def test_colours(convert: Converter, video: Video, form: str) -> None:
    """The colours are those that the judge sees in the source's frame."""
    clip = Clip("matroska", (video,), ())
    converted = convert(clip, alone(snapshots(form, number=1)))
    expected = judge.pictures(convert.shelf.get(clip), "rgb24")[0]
    got = judge.pictures(made(converted)[0], "rgb24")[0]
    assert judge.psnr(got, expected) > (45 if form == "png" else 32)


@pytest.mark.parametrize("mirrored", [False, True])
def test_rotation_and_square_pixels(convert: Converter, mirrored: bool) -> None:
    """Pictures are upright, in square pixels."""
    clip = Clip("mp4", (Video(seconds=1, rotation=90, mirrored=mirrored),), ())
    converted = convert(clip, alone(snapshots(number=1)))
    assert (converted.artifact.width, converted.artifact.height) == (64, 96)
    upright = judge.pictures(convert.shelf.get(clip), upright=True)[0]
    assert judge.psnr(judge.pictures(made(converted)[0])[0], upright) > 40
    wide = Clip("mp4", (Video(seconds=1, sample_aspect_ratio=Fraction(2)),), ())
    converted = convert(wide, alone(snapshots(number=1)))
    assert (converted.artifact.width, converted.artifact.height) == (192, 64)


def test_names(convert: Converter) -> None:
    """As the contract says; without a number in the name the last picture stays, and a warning tells."""
    entry = snapshots("jpg", "file:///out/a/{index}-{streamindex}.{autoext}", interval_us=SECOND)
    converted = convert(FILM, alone(entry))
    assert [path.name for path in made(converted)] == ["1-0.jpg", "2-0.jpg", "3-0.jpg", "4-0.jpg"]
    converted = convert(FILM, alone(snapshots("jpg", "file:///out/one.jpg", interval_us=SECOND)))
    assert [artifact.uri for artifact in converted.artifacts] == ["file:///out/one.jpg"]
    assert times(converted) == [3]
    assert any("the last one stays" in warning for warning in converted.warnings)
    assert numbers(converted) == [75]


def test_changes_of_content(convert: Converter) -> None:
    """dhash takes the first picture of each scene; of a number, the strongest changes, in their order."""
    clip = Clip("mp4", (Video(seconds=4, pattern="scenes"),), ())
    every = convert(clip, alone(snapshots(mode=FrameMode.DHASH, threshold=10)))
    assert times(every) == [scene * 20 / 25 for scene in range(5)]
    strongest = convert(clip, alone(snapshots(mode=FrameMode.DHASH, threshold=10, number=2)))
    assert len(times(strongest)) == 2
    assert set(times(strongest)) <= set(times(every))
    assert times(strongest)[0] == 0
    none = convert(clip, alone(snapshots(mode=FrameMode.DHASH, threshold=100)))
    assert times(none) == [0]


def test_blank_pictures_are_skipped(convert: Converter) -> None:
    """Only those before the first that shows something, and only when asked."""
    clip = Clip("mp4", (Video(seconds=2, pattern="dawn"),), ())
    plain = convert(clip, alone(snapshots(number=1)))
    assert times(plain) == [0]
    skipped = convert(clip, alone(snapshots(number=1, skip_blank=True)))
    assert times(skipped) == [12 / 25]
    assert np.ptp(judge.pictures(made(skipped)[0])[0]) > 20
    black = convert(Clip("mp4", (Video(seconds=1, pattern="black"),), ()), alone(snapshots(number=3, skip_blank=True)))
    assert times(black) == [0]


def test_what_is_refused(convert: Converter) -> None:
    """Nothing to take, a start behind the end, and more than may be made."""
    sound = Clip("mp4", (), (Audio("aac", seconds=1),))
    with pytest.raises(InvalidMedia, match="no video"):
        convert(sound, alone(snapshots()))
    with pytest.raises(InvalidArgument) as refused:
        convert(FILM, alone(snapshots(start_us=5 * SECOND)))
    assert refused.value.violations[0].field == "targets[0].image.snapshots[0].start_time"
    with pytest.raises(MediaLimitExceeded, match="more than 10 pictures"):
        convert(FILM, alone(snapshots()), limits=Limits(max_pictures=10))


def test_several_entries_share_one_decode(convert: Converter) -> None:
    """An entry that needs every frame serves the others."""
    few, every = snapshots(interval_us=SECOND), replace(snapshots(uri="file:///out/all"), number=1)
    converted = convert(FILM, alone(few, every))
    assert [image.reading for image in converted.plan.images] == ["shared", "through"]
    assert len(times(converted)) == 104


def test_the_source_of_a_span_is_not_read_whole(convert: Converter) -> None:
    """One picture of a long source decodes a part of it."""
    converted = convert(FILM, alone(snapshots(start_us=3 * SECOND, number=1)), source=SourceSpec("file:///in/clip.mp4"))
    assert converted.plan.images[0].reading == "seek"


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("way", ["seek", "through"])
def test_pictures_of_joined_sources(convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, way: str) -> None:
    """Times go on over the seam; every picture has the size of the first source's, the shape of its own; sound alone gives
    none."""
    monkeypatch.setattr(images, "choose_access", lambda *_: AccessChoice(FrameAccess(way), "asked for by the test"))
    upright = Clip(
        "mpegts", (Video(size=(64, 96), fps=Fraction(10), seconds=2, gop=5),), (Audio(seconds=2),), offset=Fraction(7)
    )
    clips = [FILM, Clip("wav", (), (Audio("pcm_s16le", seconds=1),)), upright]
    paths = [str(convert.shelf.get(clip)) for clip in clips]
    request = ConvertRequest(
        "t",
        "p",
        tuple(SourceSpec("file:///a", duration_us=2 * SECOND) for _ in clips),
        (alone(snapshots(interval_us=SECOND // 2)),),
    )
    plan = make_plan(request, PlanFacts([probe_file(path, Limits()) for path in paths], {}))
    conversion = Conversion(plan, paths, tmp_path, limits=Limits(), stop=threading.Event())
    conversion.run()
    (files,) = conversion.images
    pictures = [judge.pictures(file.path)[0] for file in files]
    assert {picture.shape for picture in pictures} == {(64, 96)}
    begin = next(place for place, file in enumerate(files) if file.times[0] >= Fraction(29, 10))
    assert [judge.number_of(picture) for picture in pictures[:4]] == [0, 12, 25, 37]
    # 64x96 fitted into 96x64 is 43 wide, with bars beside it.
    seam = files[begin].times[0]
    shown = [judge.number_of(picture[:, 27:69]) for picture in pictures[begin:]]
    assert shown == [round((file.times[0] - seam) * 10) for file in files[begin:]]
    asked = [Fraction(place, 2) for place in range(6, 10)]
    assert all(
        time - Fraction(1, 10) < file.times[0] <= time + Fraction(3, 100)
        for file, time in zip(files[begin:], asked, strict=True)
    )
    assert pictures[-1][:, :24].max() < 20


def test_of_pictures_that_go_to_one_place_only_the_last_is_encoded(
    convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The others would be replaced at once."""
    encode, count = stills.StillWriter._encoded, 0

    def counted(writer: stills.StillWriter, frame: Any) -> bytes:
        nonlocal count
        count += 1
        return encode(writer, frame)

    monkeypatch.setattr(stills.StillWriter, "_encoded", counted)
    running = converting(convert, tmp_path, alone(snapshots(uri="file:///out/one.png", interval_us=SECOND // 2)))
    running.run()
    ((file,),) = running.images
    assert judge.numbers(file.path) == [87]
    assert file.times == (Fraction(87, 25),)
    assert count == 1


def test_hdr_pictures_look_as_the_video_does(convert: Converter) -> None:
    """Brought to SDR as for video in 8 bits."""
    clip = hdr_clip(16)
    video = convert(clip, target("mkv", encoded("h264", pixel_format="yuv420p", crf=4.0), None))
    picture = convert(clip, alone(snapshots(number=1)))
    shown, made_of = judge.pictures(made(picture)[0], "rgb24")[0], judge.pictures(video.path, "rgb24")[0]
    assert judge.psnr(shown, made_of) > 30


@pytest.mark.slow
@pytest.mark.sample(every=3)
@pytest.mark.parametrize("name", INTERLACED)
def test_fields_become_one_picture(convert: Converter, name: str) -> None:
    """Of an interlaced source, no comb: a single frame has no neighbours, and is made whole all the same."""
    clip = INTERLACED[name]
    converted = convert(clip, alone(snapshots(start_us=SECOND, number=1), replace(snapshots("jpg"), number=1)))
    for picture in made(converted):
        assert comb(picture) < comb(convert.shelf.get(clip)) / 4


def comb(path: Path) -> float:
    """How much the rows of the first picture differ from the mean of their neighbours: upright bars have none."""
    luma = judge.pictures(path)[0].astype(float)
    return float(np.abs(luma[1:-1] - (luma[:-2] + luma[2:]) / 2).mean())


def converting(convert: Converter, folder: Path, asked: TargetSpec) -> Conversion:
    """A conversion of the film, ready to run."""
    path = str(convert.shelf.get(FILM))
    request = ConvertRequest("t", "p", (SourceSpec("file:///a"),), (asked,))
    plan = make_plan(request, PlanFacts([probe_file(path, Limits())], capabilities()))
    return Conversion(plan, [path], folder, limits=Limits(), stop=threading.Event())


def test_pictures_that_fail_end_the_task_at_once(convert: Converter, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Though they are read beside a copy, which does not wait for them."""

    def fail(*_: object) -> object:
        raise InvalidMedia("no frame can be found")

    monkeypatch.setattr(image_output, "frames_from", fail)
    running = converting(convert, tmp_path, replace(target("mp4"), images=(snapshots(interval_us=SECOND),)))
    step, steps = Feed._step, []

    def counted(feed: Feed, *arguments: Any) -> None:
        pictures = running.outputs[-1]
        pictures._thread.join()
        steps.append(arguments)
        step(feed, *arguments)

    monkeypatch.setattr(Feed, "_step", counted)
    with pytest.raises(InvalidMedia, match="no frame"):
        running.run()
    assert len(steps) < 100  # of 288 packets, a second of media


@pytest.mark.sample(every=9)
@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts", "avi"])
@pytest.mark.parametrize("beside", [False, True], ids=["sought", "decoded anyway"])
def test_audio_that_goes_on_has_no_frames(convert: Converter, form: str, beside: bool) -> None:
    """Evenly spread snapshots lie where the video is, and nothing is said to be missing."""
    video = Video("mpeg4" if form == "avi" else "libx264", seconds=2, b_frames=0)
    clip = Clip(form, (video,), (Audio("libmp3lame" if form == "avi" else "aac", seconds=4),))
    spec = (
        replace(target("mkv", encoded(), AudioSpec("flac")), subtitle="none")
        if beside
        else TargetSpec(0, "", "", subtitle="none")
    )
    for frames in (FramesSpec(mode=FrameMode.AVERAGE, number=4), FramesSpec(mode=FrameMode.INTERVAL, interval_us=520_000)):
        entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", frames)
        converted = convert(clip, replace(spec, images=(entry,)))
        files = [
            converted.published / one.uri.removeprefix("file:///out/") for one in converted.artifacts if one.uri.endswith("png")
        ]
        even = frames.mode is FrameMode.AVERAGE
        expected = [6, 18, 31, 43] if even else [0, 13, 26, 39]
        assert [judge.numbers(path)[0] for path in files] == pytest.approx(expected, abs=1)
        assert converted.warnings == ()


def test_one_frame_beside_longer_audio_is_found(convert: Converter) -> None:
    """Of short Matroska, libav says that all streams last as long as the file: nothing was found in the middle of that."""
    source = convert.shelf.get(Clip("matroska", (Video(seconds=0.04, b_frames=0),), (Audio("aac", seconds=4),)))
    path = convert.shelf.folder / "one-frame.mkv"
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-v", "error", "-y", "-i", source, "-c", "copy", path]
    subprocess.run(command, check=True, capture_output=True)
    entry = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/pic", "png", FramesSpec(mode=FrameMode.AVERAGE, number=4))
    assert len(made(convert(path, alone(entry)))) == 1
