"""Dolby Vision and spherical video: boxes beside the stream that copies keep, and that encodes cannot."""

import struct
import subprocess
from dataclasses import replace
from pathlib import Path

import av
import imageio_ffmpeg
import pytest

from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.image_request import ImageKind, ImageSpec
from reelmill_server.model.request import SegmentFormat, SegmentSpec, TargetSpec
from tests import judge
from tests.media.converter import Converter, encoded, target
from tests.media.test_snapshots import alone, snapshots
from tests.sources import Clip, Shelf, Video

PATH = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"stsd")
H265 = Clip(
    "mp4",
    (Video("libx265", pixel_format="yuv420p10le", color_transfer=16, color_space=9, color_primaries=9),),
    (),
    metadata=(("title", "dolby"),),
)
FLAT = Clip("mp4", (Video(),), ())


def box(name: bytes, content: bytes) -> bytes:
    """A box of MP4."""
    return struct.pack(">I4s", 8 + len(content), name) + content


def boxed(shelf: Shelf, name: str, clip: Clip, addition: bytes) -> Path:
    """`clip` with a box at the end of the description of its video; its index comes last, so that no offset changes."""
    data = bytearray(shelf.get(clip).read_bytes())
    begin = 0
    for level in (*PATH, {"libx265": b"hev1", "libx264": b"avc1"}[clip.video[0].codec]):
        begin = data.index(level, begin) - 4
        size = struct.unpack_from(">I", data, begin)[0]
        struct.pack_into(">I", data, begin, size + len(addition))
        begin += 8
    end = begin - 8 + size
    return shelf.put(name, bytes(data[:end] + addition + data[end:]))


def dolby(shelf: Shelf, profile: int, compatibility: int) -> Path:
    """A clip that claims to be Dolby Vision of level 3."""
    told = bytes((1, 0, profile << 1, 3 << 3 | 5, compatibility << 4)) + bytes(19)
    return boxed(shelf, f"dolby-{profile}-{compatibility}.mp4", H265, box(b"dvcC" if profile < 8 else b"dvvC", told))


def spherical(shelf: Shelf) -> Path:
    """A clip that claims to be equirectangular."""
    head, projection = box(b"svhd", bytes(4) + b"t\0"), box(b"prhd", bytes(16)) + box(b"equi", bytes(20))
    return boxed(shelf, "spherical.mp4", FLAT, box(b"sv3d", head + box(b"proj", projection)))


def said(path: Path) -> str:
    """What the judge prints of a file."""
    command = [imageio_ffmpeg.get_ffmpeg_exe(), "-hide_banner", "-i", str(path)]
    return subprocess.run(command, capture_output=True, check=False, text=True).stderr


def segmented(convert: Converter, path: Path, container: str, form: SegmentFormat) -> tuple[str, str, tuple[str, ...]]:
    """A copy in segments: what the judge prints of it, its list, and the warnings."""
    grouped = {"group": 0} if form is SegmentFormat.HLS else {}
    spec = replace(target(container, audio=None), segment=SegmentSpec(form, 1_000_000), **grouped)  # type: ignore[arg-type]
    done = convert(path, spec, group_uris=("file:///out/all",) if grouped else ())
    head = next(done.published.glob("*init.mp4"), None)
    first = min(done.published.glob("*.m4s" if head else "*.ts"))
    joined = done.published / "joined.mp4"
    joined.write_bytes((head.read_bytes() if head else b"") + first.read_bytes())
    listed = done.published / ("all.m3u8" if grouped else "x.mpd")
    return said(joined), listed.read_text(), done.warnings


@pytest.mark.parametrize("container", ["mp4", "mkv"])
@pytest.mark.parametrize(("profile", "compatibility"), [(5, 0), (8, 1), (8, 4)])
def test_copies_keep_dolby_vision(convert: Converter, shelf: Shelf, container: str, profile: int, compatibility: int) -> None:
    done = convert(dolby(shelf, profile, compatibility), target(container, audio=None))
    text = said(done.path)
    assert f"profile: {profile}" in text and f"compatibility id: {compatibility}" in text and not done.warnings
    if container == "mp4":
        assert ("dvh1" if profile == 5 else "hvc1") in text


@pytest.mark.parametrize("container", ["ts", "mov", "flv"])
def test_copies_that_lose_dolby_vision_say_so(convert: Converter, shelf: Shelf, container: str) -> None:
    (warning,) = convert(dolby(shelf, 5, 0), target(container, audio=None)).warnings
    assert "Dolby Vision (profile 5)" in warning and "wrong colors" in warning
    (warning,) = convert(dolby(shelf, 8, 1), target(container, audio=None)).warnings
    assert "Dolby Vision (profile 8.1)" in warning and "HDR10" in warning


@pytest.mark.parametrize(
    ("profile", "compatibility", "words"),
    [
        (5, 0, ('CODECS="dvh1.05.03"', "VIDEO-RANGE=PQ")),
        (8, 1, ('CODECS="hvc1.', 'SUPPLEMENTAL-CODECS="dvh1.08.03/db1p"', "VIDEO-RANGE=PQ")),
        (8, 4, ('SUPPLEMENTAL-CODECS="dvh1.08.03/db4h"',)),
    ],
)
def test_segments_keep_dolby_vision(
    convert: Converter, shelf: Shelf, profile: int, compatibility: int, words: tuple[str, ...]
) -> None:
    path = dolby(shelf, profile, compatibility)
    text, master, warnings = segmented(convert, path, "mp4", SegmentFormat.HLS)
    assert f"profile: {profile}" in text and not warnings and all(word in master for word in words), master
    text, manifest, _ = segmented(convert, path, "mp4", SegmentFormat.DASH)
    assert f"profile: {profile}" in text and ('codecs="dvh1.05.03"' if profile == 5 else 'codecs="hvc1.') in manifest
    _, master, warnings = segmented(convert, path, "ts", SegmentFormat.HLS)
    assert warnings and "dvh1" not in master


@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_encodes_say_what_becomes_of_dolby_vision(convert: Converter, shelf: Shelf, codec: str) -> None:
    converted = convert(dolby(shelf, 5, 0), target("mp4", encoded(codec), None))
    (warning,) = (text for text in converted.warnings if "Dolby Vision" in text)  # in H.264, HDR is warned of, too
    assert "colors" in warning and "wrong" in warning
    converted = convert(dolby(shelf, 8, 4), target("mp4", encoded(codec), None))
    (warning,) = (text for text in converted.warnings if "Dolby Vision" in text)  # in H.264, HDR is warned of, too
    assert "profile 8.4" in warning and "HLG" in warning


def test_images_of_dolby_vision_say_that_colors_are_wrong(convert: Converter, shelf: Shelf) -> None:
    image = ImageSpec(ImageKind.SNAPSHOT, 0, "file:///out/s{index}", "jpg")
    spec = replace(target("mp4", audio=None), images=(image,))
    (warning,) = convert(dolby(shelf, 5, 0), spec).warnings
    assert "colors" in warning


@pytest.mark.parametrize("container", ["mp4", "mov", "mkv"])
def test_copies_keep_the_projection(convert: Converter, shelf: Shelf, container: str) -> None:
    done = convert(spherical(shelf), target(container, audio=None))
    assert "Spherical Mapping: equirectangular" in said(done.path) and not done.warnings


@pytest.mark.parametrize("form", SegmentFormat)
def test_segments_keep_the_projection(convert: Converter, shelf: Shelf, form: SegmentFormat) -> None:
    text, _, warnings = segmented(convert, spherical(shelf), "mp4", form)
    assert "Spherical Mapping: equirectangular" in text and not warnings


@pytest.mark.parametrize("spec", [target("ts", audio=None), target("mp4", encoded(), None)], ids=["copy", "encode"])
def test_a_projection_that_is_lost_is_told(convert: Converter, shelf: Shelf, spec: object) -> None:
    (warning,) = convert(spherical(shelf), spec).warnings  # type: ignore[arg-type]
    assert "spherical (equirectangular)" in warning and "flat" in warning


@pytest.mark.parametrize(
    ("spec", "told"),
    [(target("mkv", encoded(), None), True), (target("mp4", audio=None), True), (target("mkv", audio=None), False)],
)
def test_views_of_both_eyes_in_a_frame_are_told(shelf: Shelf, convert: Converter, spec: TargetSpec, told: bool) -> None:
    """Side by side, as films in 3D have them: each frame stays whole, in the shape that the file says."""
    path = shelf.folder / "stereo.mkv"
    with av.open(str(shelf.get(Clip("matroska", audio=())))) as source, av.open(str(path), "w") as packed:
        stream = packed.add_stream_from_template(source.streams.video[0])
        stream.metadata["stereo_mode"] = "left_right"
        for packet in source.demux(video=0):
            if packet.size:
                packet.stream = stream
                packed.mux(packet)
    converted = convert(path, spec)
    assert any("stereoscopic (left_right)" in text for text in converted.warnings) == told
    assert judge.numbers(converted.path) == list(range(50))


def test_views_that_mp4_says_are_told(shelf: Shelf, convert: Converter) -> None:
    """libav's muxer writes MP4 without them, and Matroska with them."""
    path = boxed(shelf, "stereo.mp4", FLAT, box(b"st3d", bytes(4) + b"\1"))
    for spec in (target("mp4", audio=None), target("mkv", encoded(), None)):
        assert any("stereoscopic (top_bottom)" in text for text in convert(path, spec).warnings)
    copied = convert(path, target("mkv", audio=None))
    assert not copied.warnings and "top and bottom" in said(copied.path)


@pytest.mark.parametrize(("alpha", "words"), [(True, "transparency"), (False, "second view")])
def test_layers_that_are_not_decoded_are_told(shelf: Shelf, convert: Converter, alpha: bool, words: str) -> None:
    """Phones write them: transparency, and the view of the other eye. Here they are empty."""
    path = shelf.folder / f"layers-{alpha}.mp4"
    unit, message = b"\0\0\0\x04\x02\x09\x80\x80", b"\0\0\0\x09\x4e\x01\xa5\x04\0\0\x7f\x90\x80"
    with av.open(str(shelf.get(H265))) as source, av.open(str(path), "w") as layered:
        stream = layered.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.size:
                changed = twin(packet, AnyPacket((message if alpha else b"") + bytes(packet) + unit))
                changed.stream = stream
                layered.mux(changed)
    for wanted in (target("mp4", encoded(), None), alone(snapshots("png", number=1))):
        assert any(words in text for text in convert(path, wanted).warnings)
    assert not any(words in text for text in convert(path, target("mp4", audio=None)).warnings)
