"""Still images as sources: shown for as long as is asked for, alone, with sound, and between films; and images in pieces."""

import io
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from struct import pack
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image, ImageOps

from reelmill_server.errors import MediaLimitExceeded, UnsupportedFormat
from reelmill_server.media.input import pieces
from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.request import AlignMode, AudioSpec, SegmentFormat, SegmentSpec, SourceSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_animations import animation, played
from tests.media.test_joined import PLAIN, SOUND, Joiner, beside, join, seconds_of_sound
from tests.media.test_snapshots import alone, made, snapshots
from tests.sources import BRIGHT, DARK, Clip, Shelf, Video
from tests.unit.media.input.test_color_profile import PLAIN as PLAIN_NAME
from tests.unit.media.input.test_color_profile import profile

__all__ = ["join"]

pytestmark = pytest.mark.media

FORMS = ("png", "jpg", "webp", "avif", "bmp", "tiff", "gif")
SECOND = 1_000_000


def picture(number: int, width: int = 96, height: int = 64) -> Image.Image:
    """Its number in ten blocks, as the clips have it."""
    luma = np.full((height, width), DARK, np.uint8)
    for bit in range(10):
        if number >> bit & 1:
            row, column = divmod(bit, 5)
            luma[row * height // 2 : (row + 1) * height // 2, column * width // 5 : (column + 1) * width // 5] = BRIGHT
    return Image.fromarray(luma).convert("RGB")


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Picture 700."""
    path = tmp_path_factory.mktemp("still") / "still.png"
    picture(700).save(path)
    return path


def lasting(seconds: float, **more: Any) -> SourceSpec:
    """A source with a duration."""
    return SourceSpec("file:///s", duration_us=round(seconds * SECOND), **more)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", FORMS)
def test_a_still_is_shown_for_the_duration(convert: Converter, tmp_path: Path, form: str) -> None:
    """At 25 frames a second, or the asked rate; a start changes nothing."""
    path = tmp_path / f"still.{form}"
    picture(700).save(path)
    for asked, start, count in ((encoded(), 0, 63), (encoded(frame_rate=Fraction(10)), 3, 25)):
        converted = convert(path, target("mp4", asked, None), start=start, duration=2.5)
        assert judge.numbers(converted.path) == [700] * count
        assert converted.artifact.duration_seconds == pytest.approx(2.5, abs=0.021)
        assert not any("still image" in text for text in converted.warnings)


def test_a_still_may_be_shown_for_less_than_it_claims(convert: Converter, tmp_path: Path) -> None:
    """AVIF as FFmpeg writes it lasts a second."""
    path = tmp_path / "still.avif"
    with av.open(str(path), "w", format="avif") as file:
        stream = file.add_stream("libsvtav1", rate=1, options={"preset": "12"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        file.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        file.mux(stream.encode(None))
    converted = convert(path, target("mp4", encoded(), None), duration=0.32)
    assert len(judge.times(converted.path)) == 8


@pytest.mark.parametrize(("size", "made"), [((1, 1), (2, 2)), pytest.param((1, 5), (2, 4), marks=pytest.mark.matrix)])
def test_a_still_of_a_few_pixels_is_encoded(convert: Converter, tmp_path: Path, size: tuple[int, int], made: Any) -> None:
    """A single column is shown twice, as colors are subsampled."""
    path = tmp_path / "dot.gif"
    Image.new("RGB", size, (255, 255, 255)).save(path)
    converted = convert(path, target("mp4", encoded(), None), duration=0.08)
    pictures = judge.pictures(converted.path)
    assert pictures.shape[1:] == made[::-1] and pictures.min() > 200
    assert any("cannot be subsampled" in text for text in converted.warnings)


@pytest.mark.parametrize("container", ["mkv", "mov", "ts", "webm"])
def test_containers_of_stills(convert: Converter, still: Path, container: str) -> None:
    """All hold it."""
    codec = "vp9" if container == "webm" else "h264"
    assert judge.numbers(convert(still, target(container, encoded(codec), None), duration=1).path) == [700] * 25


def test_a_still_in_segments(convert: Converter, still: Path) -> None:
    """Of the length that is asked for."""
    asked = replace(target("mp4", encoded(), None), segment=SegmentSpec(SegmentFormat.HLS, 2 * SECOND))
    converted = convert(still, asked, duration=6)
    segments = [artifact for artifact in converted.artifacts if artifact.kind == "playlist"]
    assert segments and converted.artifacts[0].duration_seconds == pytest.approx(6, abs=0.05)


def test_without_a_duration_a_still_is_one_frame_and_told(convert: Converter, still: Path) -> None:
    """Images of it need no warning."""
    converted = convert(still, target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == [700]
    assert any("sources[0] is a still image" in text for text in converted.warnings)
    assert not convert(still, alone(snapshots("jpg", number=1))).warnings


@pytest.mark.parametrize("rate", [12, 1])
def test_less_than_half_a_frame_of_the_rate_is_one(convert: Converter, still: Path, rate: int) -> None:
    """A still, and a film of one frame of a 25th of a second: rounded they would have none, and the task would fail."""
    for source in (still, Clip("mp4", (Video(seconds=0.04),), ())):
        converted = convert(source, target("mp4", encoded(frame_rate=Fraction(rate)), None))
        assert len(judge.numbers(converted.path)) == 1
        assert converted.artifact.duration_seconds == pytest.approx(1 / rate, abs=0.001)


@pytest.mark.parametrize("second", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("first", ["JPEG", "PNG", "WEBP", "BMP", "GIF"])
def test_images_behind_each_other_are_told(shelf: Shelf, first: str, second: str) -> None:
    """Of any kinds, still or animated; the first is read. libav makes a video of some, and is silent about others."""
    for pages in (1, 2) if first in ("PNG", "WEBP") else (1,):
        files = [io.BytesIO(), io.BytesIO()]
        pictures = [picture(number) for number in range(pages)]
        moving: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": 100} if pages > 1 else {}
        pictures[0].save(files[0], first, **moving)
        picture(3).save(files[1], second if first != "GIF" else "GIF")
        whole, more = (file.getvalue() for file in files)
        alone, joined = (probe_file(str(shelf.put("image", data)), Limits()) for data in (whole, whole + more))
        assert (joined.follower_bytes, alone.follower_bytes) == (len(more), 0)
        (video,) = joined.video
        assert video.still == (pages == 1) and replace(joined, follower_bytes=0, size_bytes=0, bitrate=0) == replace(
            alone, size_bytes=0, bitrate=0
        )


@pytest.mark.parametrize("listed", [True, False])
def test_a_photo_with_others_behind_it_is_a_still(convert: Converter, tmp_path: Path, listed: bool) -> None:
    """As phones write the brightness of HDR; libav takes it for the next frame. What is not listed is told."""
    first, exif = io.BytesIO(), Image.Exif()
    exif[0x112] = 3
    picture(700).save(first, "JPEG", quality=95, exif=exif)
    more = io.BytesIO()
    picture(3, 48, 32).save(more, "JPEG", progressive=True)
    data = first.getvalue()
    mark = b"\xff\xe2" + pack(">H", 6) + b"MPF\0" if listed else b""
    path = tmp_path / "photo.jpg"
    path.write_bytes(data[:2] + mark + data[2:] + more.getvalue())
    converted = convert(path, target("mp4", encoded(), None), duration=0.2)
    assert len(judge.times(converted.path)) == 5 and judge.pictures(converted.path).shape[1:] == (64, 96)
    told = [text for text in converted.warnings if f"{len(more.getvalue())} bytes follow" in text]
    assert bool(told) != listed


@pytest.mark.parametrize("form", ["jpg", "webp", "png"])
@pytest.mark.parametrize("orientation", [2, 5, 6, 7])
def test_a_photo_is_shown_as_its_exif_says(convert: Converter, tmp_path: Path, form: str, orientation: int) -> None:
    """Mirrored, too, as front cameras write them; Pillow says what is right."""
    path, exif = tmp_path / f"photo.{form}", Image.Exif()
    exif[0x112] = orientation
    photo = Image.linear_gradient("L").resize((96, 64)).rotate(30, fillcolor=255)
    photo.convert("RGB").save(path, exif=exif, quality=95)
    converted = convert(path, target("mp4", encoded(crf=4), None))
    right = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("L"))
    assert judge.psnr(judge.pictures(converted.path)[0], right) > 30


def test_a_webp_may_have_the_exif_of_a_jpeg(convert: Converter, tmp_path: Path) -> None:
    """With the six bytes before it that JPEG has, as many programs write it."""
    path, exif = tmp_path / "photo.webp", Image.Exif()
    exif[0x112] = 6
    picture(700).save(path, exif=exif, quality=95)
    data = path.read_bytes()
    at = data.rindex(b"EXIF")
    chunk = b"Exif\0\0" + data[at + 8 :]
    path.write_bytes(data[:4] + pack("<I", len(data) - 2) + data[8 : at + 4] + pack("<I", len(chunk)) + chunk)
    right = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("L"))
    assert right.shape == (96, 64)
    assert judge.psnr(judge.pictures(convert(path, target("mp4", encoded(crf=4), None)).path)[0], right) > 30


@pytest.mark.parametrize(("mode", "compression"), [("RGB", "jpeg"), ("CMYK", None), ("LAB", None), ("I;16", "tiff_lzw")])
def test_a_tiff_of_any_kind(convert: Converter, tmp_path: Path, mode: str, compression: str | None) -> None:
    """libav makes green or black of JPEG, of CMYK and of tiles, without an error."""
    path, photo = tmp_path / "photo.tiff", picture(700).convert("L" if mode == "I;16" else "RGB")
    deep = Image.fromarray(np.asarray(photo).astype(np.uint16) * 257) if mode == "I;16" else None
    lab = Image.merge("LAB", (photo.convert("L"), *[Image.new("L", photo.size, 128)] * 2)) if mode == "LAB" else None
    (deep or lab or photo.convert(mode)).save(path, compression=compression)
    converted = convert(path, target("mp4", encoded(crf=4), None))
    assert judge.numbers(converted.path) == [700]


@pytest.mark.parametrize(("form", "more"), [("jpeg", {}), ("jpeg", {"progressive": True}), ("gif", {})])
def test_an_image_that_breaks_off_is_told(convert: Converter, tmp_path: Path, form: str, more: dict[str, Any]) -> None:
    """What is missing is gray, and libav takes it for whole."""
    whole, path = io.BytesIO(), tmp_path / f"image.{form}"
    picture(700).save(whole, form, **more)
    path.write_bytes(whole.getvalue()[:-20])
    for asked in (target("mp4", encoded(), None), alone(snapshots("png", number=1))):
        assert any("1 packets are damaged" in text for text in convert(path, asked).warnings)
    other = tmp_path / f"whole.{form}"
    other.write_bytes(whole.getvalue() + b"\0" * 20 + b"\xff\xda, and what a camera or an archive puts there")
    assert not any("damaged" in text for text in convert(other, target("mp4", encoded(), None)).warnings)


def test_a_damaged_jpeg_is_told(convert: Converter, tmp_path: Path) -> None:
    """libav's decoder conceals what it cannot read, and says nothing."""
    whole, path = io.BytesIO(), tmp_path / "image.jpg"
    Image.linear_gradient("L").save(whole, "jpeg", quality=95)
    data = bytearray(whole.getvalue())
    at = data.index(b"\xff\xda") + 300
    data[at : at + 40] = b"\x55" * 40
    path.write_bytes(data)
    assert any("1 packets are damaged" in text for text in convert(path, target("mp4", encoded(), None)).warnings)


@pytest.mark.parametrize("head", [pack("<2sHHHQ", b"II", 43, 8, 0, 16), pack(">2sHHHQ", b"MM", 43, 8, 0, 16)])
def test_a_big_tiff_is_refused_by_name(convert: Converter, tmp_path: Path, head: bytes) -> None:
    path = tmp_path / "photo.tif"
    path.write_bytes(head + bytes(64))
    with pytest.raises(UnsupportedFormat, match="BigTIFF"):
        convert(path, target("mkv", encoded(), None))


@pytest.mark.parametrize("compression", [None, "jpeg"])
def test_pages_that_are_not_shown_are_told(convert: Converter, tmp_path: Path, compression: str | None) -> None:
    """Smaller forms of the first page are none."""
    path = tmp_path / "pages.tiff"
    pages = [picture(number) for number in (700, 701, 702)]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression=compression)
    converted = convert(path, target("mp4", encoded(), None), duration=0.2)
    assert judge.numbers(converted.path) == [700] * 5
    assert "sources[0] has 3 pages, of which the first is shown" in converted.warnings
    other = tmp_path / "overview.tiff"
    pages[1].encoderinfo = {"tiffinfo": {254: 1}}
    pages[0].save(other, save_all=True, append_images=pages[1:2], compression=compression)
    assert not any("pages" in text for text in convert(other, target("mp4", encoded(), None), duration=0.2).warnings)


@pytest.mark.parametrize("entries", [1, 9])
def test_broken_exif_of_png_is_no_reason_to_refuse_it(convert: Converter, tmp_path: Path, entries: int) -> None:
    """libav does; what it says of the orientation counts."""
    path = tmp_path / "photo.png"
    exif = b"MM\0*\0\0\0\x08" + pack(">HHHIHH", entries, 0x112, 3, 1, 6, 0)
    picture(700).save(path, exif=exif)
    right = np.asarray(picture(700).rotate(-90, expand=True).convert("L"))
    assert judge.psnr(judge.pictures(convert(path, target("mp4", encoded(crf=4), None)).path)[0], right) > 30


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_a_still_of_avif_is_copied_for_as_long_as_asked(convert: Converter, tmp_path: Path, seconds: float) -> None:
    """Its tick is a second."""
    path = tmp_path / "still.avif"
    picture(700).save(path)
    for container in ("mp4", "mkv"):
        converted = convert(path, target(container, audio=None), duration=seconds)
        assert judge.describe(converted.path).duration == pytest.approx(seconds, abs=0.011)


def test_images_of_a_still(convert: Converter, still: Path) -> None:
    """An animation lasts as long as is asked for; there is one snapshot."""
    moving = convert(still, alone(animation("gif")), duration=2)
    assert played(moving) == [(700, pytest.approx(2))] or moving.artifact.duration_seconds == 2
    assert len(made(convert(still, alone(snapshots("png", interval_us=SECOND)), duration=3))) == 1


def test_a_color_profile_is_kept_or_told(convert: Converter, tmp_path: Path) -> None:
    """Photos of phones have one (Display P3), by which libav converts no colors."""
    path = tmp_path / "photo.jpg"
    picture(700).save(path, icc_profile=profile(name=PLAIN_NAME))
    converted = convert(
        path, alone(snapshots("png", "file:///out/a"), snapshots("webp", "file:///out/b")), target(audio=None, video=encoded())
    )
    assert Image.open(made(converted)[0]).info["icc_profile"] == profile(name=PLAIN_NAME)
    told = {warning.partition(":")[0] for warning in converted.warnings if 'profile "Display P3"' in warning}
    assert told == {"targets[0].image.snapshots[0]", "targets[1]"}


def test_stills_and_films_follow_each_other(join: Joiner, still: Path, tmp_path: Path) -> None:
    """Each still with the silence that belongs to it."""
    other = tmp_path / "other.jpg"
    picture(701).save(other, quality=95)
    sources = [(still, lasting(1)), PLAIN, (other, lasting(0.6))]
    _, (path,) = join(sources, target("mp4", encoded(), AudioSpec("aac")))
    assert judge.numbers(path) == [700] * 25 + list(range(25)) + [701] * 15
    assert seconds_of_sound(path) == pytest.approx(2.6, abs=0.05)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize(
    "sources",
    [
        [(None, lasting(1)), (SOUND, beside())],
        [(None, SourceSpec("file:///s")), (SOUND, beside())],
        [(SOUND, SourceSpec("file:///s")), (None, beside())],
        [(SOUND, SourceSpec("file:///s")), (None, beside(AlignMode.LOOP))],
    ],
    ids=["a duration", "that of the sound", "beside the sound", "looping"],
)
def test_a_still_with_sound(join: Joiner, still: Path, sources: Sequence[Any]) -> None:
    """It is shown for as long as the sound is heard, if nothing else is asked for."""
    _, (path,) = join(
        [(still if clip is None else clip, spec) for clip, spec in sources], target("mp4", encoded(), AudioSpec("aac"))
    )
    assert judge.numbers(path) == [700] * 25
    assert seconds_of_sound(path) == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize("form", ["avif", "webp"])
@pytest.mark.parametrize("alpha", [False, True], ids=["opaque", "transparent"])
def test_all_frames_of_an_animation(convert: Converter, tmp_path: Path, form: str, alpha: bool) -> None:
    """The still that stands for an AVIF in viewers without animation is not taken; alpha is a track of its own there."""
    path = tmp_path / f"moving.{form}"
    first, *others = (picture(number) for number in (1, 2, 3))
    if alpha:
        first.putalpha(Image.fromarray(np.repeat(np.arange(64, dtype=np.uint8)[:, None] + 190, 96, axis=1)))
        others = [other.convert("RGBA") for other in others]
    first.save(path, save_all=True, append_images=others, duration=[200, 400, 600])
    converted = convert(path, target("mp4", encoded(), None))
    assert judge.numbers(converted.path) == [1, 2, 3]
    assert converted.artifact.duration_seconds == pytest.approx(1.2, abs=0.01)
    assert any("partly transparent" in text for text in converted.warnings) == alpha
    shown = played(convert(path, alone(animation("apng"))))
    assert shown == [(1, 0.2), (2, 0.4), (3, 0.6)]


def test_an_animation_that_is_read_in_memory_must_fit(
    convert: Converter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All frames of it are there at once."""
    path = tmp_path / "moving.avif"
    first, other = (picture(number).convert("RGBA") for number in (1, 2))
    first.putalpha(100)
    first.save(path, save_all=True, append_images=[other], duration=100)
    monkeypatch.setattr(pieces, "_MOST_BYTES", 96 * 64 * 4)
    with pytest.raises(MediaLimitExceeded, match="2 pictures"):
        convert(path, target("mp4", encoded(), None))


def _box(name: bytes, *content: bytes) -> bytes:
    data = b"".join(content)
    return pack(">I", len(data) + 8) + name + data


def _full(name: bytes, version_flags: int, *content: bytes) -> bytes:
    return _box(name, pack(">I", version_flags), *content)


def _coded(image: Image.Image) -> tuple[bytes, bytes]:
    """The av1C box of an image, and its samples, as libavif writes them."""
    file = io.BytesIO()
    image.save(file, format="AVIF", quality=90)
    written = file.getvalue()
    box, samples = written.index(b"av1C") - 4, written.index(b"mdat") - 4
    sizes = [int.from_bytes(written[begin : begin + 4], "big") for begin in (box, samples)]
    return written[box : box + sizes[0]], written[samples + 8 : samples + sizes[1]]


def grid(tiles: Sequence[Image.Image], width: int, height: int, brand: bytes = b"avif") -> bytes:
    """An AVIF file whose image is a row of `tiles` (ISO/IEC 23008-12)."""
    coded = [_coded(tile) for tile in tiles]
    configuration, data = coded[0][0], [samples for _, samples in coded]
    count = len(tiles)
    description = pack(">BBBBHH", 0, 0, 0, count - 1, width, height)
    infos = [_full(b"infe", 2 << 24, pack(">HH4s", number + 2, 0, b"av01"), b"\0") for number in range(count)]
    infos.insert(0, _full(b"infe", 2 << 24, pack(">HH4s", 1, 0, b"grid"), b"\0"))
    sizes = (_full(b"ispe", 0, pack(">II", width, height)), _full(b"ispe", 0, pack(">II", *tiles[0].size)))
    properties = _box(b"ipco", *sizes, configuration, _full(b"pixi", 0, b"\x03\x08\x08\x08"))
    links = [pack(">HBBB", 1, 2, 1, 4)] + [pack(">HBBBB", number + 2, 3, 2, 0x83, 4) for number in range(count)]
    associations = _full(b"ipma", 0, pack(">I", count + 1), *links)
    references = _full(b"iref", 0, _box(b"dimg", pack(">HH", 1, count), *(pack(">H", number + 2) for number in range(count))))

    def meta(begin: int) -> bytes:
        places, position = [pack(">HHHHII", 1, 1, 0, 1, 0, len(description))], begin
        for number, tile in enumerate(data):
            places.append(pack(">HHHHII", number + 2, 0, 0, 1, position, len(tile)))
            position += len(tile)
        located = _full(b"iloc", 1 << 24, pack(">BBH", 0x44, 0, count + 1), *places)
        handler = _full(b"hdlr", 0, bytes(4), b"pict", bytes(13))
        return _full(
            b"meta",
            0,
            handler,
            _full(b"pitm", 0, pack(">H", 1)),
            located,
            _full(b"iinf", 0, pack(">H", count + 1), *infos),
            references,
            _box(b"iprp", properties, associations),
            _box(b"idat", description),
        )

    head = _box(b"ftyp", brand, bytes(4), brand, b"mif1", b"miaf")
    return head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", *data)


def test_a_grid_of_avif_is_put_together(convert: Converter, tmp_path: Path) -> None:
    """For film and images, within the limits."""
    path = tmp_path / "grid.avif"
    whole = picture(0b1101101010, 192, 64)
    path.write_bytes(grid([whole.crop((0, 0, 64, 64)), whole.crop((64, 0, 128, 64)), whole.crop((128, 0, 192, 64))], 190, 64))
    converted = convert(path, target("mp4", encoded(crf=10), None), duration=1)
    assert judge.describe(converted.path).of("Video")[0].size == (190, 64)
    assert judge.numbers(converted.path) == [0b1101101010] * 25
    (shown,) = made(convert(path, alone(snapshots("png", number=1))))
    with Image.open(shown) as image, Image.open(path) as pillows:
        assert (np.asarray(image.convert("RGB")) == np.asarray(pillows.convert("RGB"))).all()
    with pytest.raises(MediaLimitExceeded):
        probe_file(str(path), Limits(max_pixels=96 * 96))


def test_a_grid_that_cannot_be_put_together_is_refused(tmp_path: Path) -> None:
    """With the number of its pieces, not its first tile as if it were all."""
    path = tmp_path / "grid.heic"
    tiles = [picture(number, 64, 64) for number in (1, 2)]
    path.write_bytes(grid(tiles, 128, 64, b"heic").replace(b"pitm", b"xxxx", 1))
    with pytest.raises(UnsupportedFormat, match="an image of 2 pieces"):
        probe_file(str(path), Limits())
    path.write_bytes(path.read_bytes().replace(b"dimg", b"cdsc", 1))  # a grid of nothing, and two images beside it
    with pytest.raises(UnsupportedFormat, match="the file has 3 images"):
        probe_file(str(path), Limits())


def test_an_avif_keeps_its_transparency(convert: Converter, tmp_path: Path) -> None:
    """Alpha is an image of its own in the file."""
    path = tmp_path / "clear.avif"
    samples = np.full((48, 64, 4), 255, np.uint8)
    samples[:, :32, 3] = 0
    Image.fromarray(samples).save(path, quality=90)
    (shown,) = made(convert(path, alone(snapshots("png", number=1))))
    with Image.open(shown) as image:
        alpha = np.asarray(image)[..., 3]
    assert alpha[:, :28].max() < 8 and alpha[:, 36:].min() > 247
