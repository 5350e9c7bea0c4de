"""Sheets of small pictures, and the lists that tell players where each is."""

import re
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from reelmill_server.errors import InvalidArgument
from reelmill_server.model.capability import Limits
from reelmill_server.model.image_request import FrameMode, FramesSpec, ImageKind, ImageSpec, SheetSpec
from reelmill_server.model.task import ArtifactKind
from tests import judge
from tests.media.converter import CLIP, Converted, Converter, encoded, plan_of, target
from tests.media.test_snapshots import FILM, SECOND, alone, made
from tests.sources import Clip, Video

SIDE = (96, 64)


def sprites(form: str = "png", uri: str = "file:///out/sheet", sheet: SheetSpec | None = None, **asked: Any) -> ImageSpec:
    """An entry of sprites; what is no field of it is one of its frames."""
    own = {name: asked.pop(name) for name in ("width", "height", "scale_type") if name in asked}
    return ImageSpec(ImageKind.SPRITE, 0, uri, form, FramesSpec(**asked), sheet=sheet or SheetSpec(), **own)


def tiles(converted: Converted, sheet: SheetSpec, size: tuple[int, int] = SIDE) -> list[int]:
    """The numbers of the small pictures on all sheets, by the locations where the contract says they are."""
    results = []
    for artifact, path in zip(converted.artifacts, made(converted, ArtifactKind.SPRITE), strict=False):
        luma = judge.pictures(path)[0]
        for place in range(len(artifact.frame_times)):
            row, column = divmod(place, sheet.columns)
            x, y = sheet.margin + column * (size[0] + sheet.pad), sheet.margin + row * (size[1] + sheet.pad)
            results.append(judge.number_of(luma[y : y + size[1], x : x + size[0]]))
    return results


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["png", "jpg", "webp"])
@pytest.mark.parametrize("sheet", [SheetSpec(3, 2), SheetSpec(4, 1, pad=0, margin=0), SheetSpec(2, 2, pad=7, margin=11)])
def test_every_picture_is_in_its_place(convert: Converter, sheet: SheetSpec, form: str) -> None:
    """Several sheets of one size; between and around the pictures it is black."""
    converted = convert(FILM, alone(sprites(form, sheet=sheet, interval_us=SECOND // 2)))
    assert tiles(converted, sheet) == [0, 12, 25, 37, 50, 62, 75, 87]
    each = sheet.columns * sheet.rows
    assert len(converted.artifacts) == -(-8 // each)
    width = sheet.columns * SIDE[0] + (sheet.columns - 1) * sheet.pad + 2 * sheet.margin
    height = sheet.rows * SIDE[1] + (sheet.rows - 1) * sheet.pad + 2 * sheet.margin
    for artifact, path in zip(converted.artifacts, made(converted, ArtifactKind.SPRITE), strict=True):
        assert (artifact.width, artifact.height) == judge.describe(path).of("Video")[0].size == (width, height)
    luma = judge.pictures(made(converted, ArtifactKind.SPRITE)[0])[0]
    if sheet.margin:
        edge = np.concatenate([luma[: sheet.margin - 2].ravel(), luma[:, : sheet.margin - 2].ravel()])
        assert edge.max(initial=0) < 25


def test_sheets_beside_an_encode_and_of_other_modes(convert: Converter) -> None:
    """From the same decode; average and key frames."""
    sheet = SheetSpec(2, 2)
    both = replace(target("mp4", encoded(), None), images=(sprites(sheet=sheet, mode=FrameMode.AVERAGE, number=4),))
    converted = convert(FILM, both)
    only = replace(converted, artifacts=converted.artifacts[1:])
    assert tiles(only, sheet) == [12, 37, 62, 87]
    converted = convert(FILM, alone(sprites(sheet=sheet, mode=FrameMode.KEYFRAME)))
    assert tiles(converted, sheet) == [0, 25, 50, 75]


def test_the_only_sheet_has_no_empty_rows(convert: Converter) -> None:
    """Small pictures by ratio: 1 is the whole side."""
    entry = sprites(sheet=SheetSpec(6, 6), interval_us=SECOND, width=Fraction(1, 2), height=Fraction(1, 2))
    converted = convert(FILM, alone(entry))
    assert (converted.artifact.width, converted.artifact.height) == (4 * 48 + 3 * 2 + 4, 32 + 4)
    assert tiles(converted, SheetSpec(6, 6), (48, 32)) == [0, 25, 50, 75]


def test_a_sheet_may_not_be_larger_than_the_contract_allows(convert: Converter) -> None:
    """The field and the size are told."""
    with pytest.raises(InvalidArgument) as refused:
        convert(FILM, alone(sprites(sheet=SheetSpec(200, 6), interval_us=SECOND)))
    (violation,) = refused.value.violations
    assert violation.field == "targets[0].image.sprites[0].tile_width"
    assert "16384" in violation.description


def test_a_sheet_may_not_be_larger_than_its_format_allows(convert: Converter) -> None:
    """WebP holds one pixel less than the contract allows."""
    sheet, path = SheetSpec(256, 1, pad=0, margin=0), convert.shelf.get(FILM)
    entries = {form: alone(sprites(form, sheet=sheet, interval_us=SECOND, width=64)) for form in ("png", "webp")}
    assert plan_of(path, [entries["png"]], CLIP, Limits()).images[0].sheet
    with pytest.raises(InvalidArgument) as refused:
        plan_of(path, [entries["webp"]], CLIP, Limits())
    assert "16384 pixels, more than 16383" in refused.value.violations[0].description


CUE = re.compile(r"(\d+):(\d+):([\d.]+) --> (\d+):(\d+):([\d.]+)\n(\S+)#xywh=(\d+),(\d+),(\d+),(\d+)")


def test_web_vtt(convert: Converter) -> None:
    """Each cue names the picture that is shown at its beginning; together they cover the film without gaps."""
    sheet = SheetSpec(3, 2, web_vtt_uri="file:///out/previews", pad=4, margin=6)
    entry = sprites("jpg", "file:///out/sheets/{index}.{autoext}", sheet, interval_us=SECOND // 2)
    converted = convert(FILM, alone(entry))
    (listed,) = [artifact for artifact in converted.artifacts if artifact.kind is ArtifactKind.SPRITE_WEB_VTT]
    assert listed.uri == "file:///out/previews.vtt"
    text = (converted.published / "previews.vtt").read_text()
    assert text.startswith("WEBVTT\n\n")
    cues = CUE.findall(text)
    begins = [int(cue[0]) * 3600 + int(cue[1]) * 60 + float(cue[2]) for cue in cues]
    ends = [int(cue[3]) * 3600 + int(cue[4]) * 60 + float(cue[5]) for cue in cues]
    assert begins[0] == 0
    assert begins[1:] == ends[:-1]
    assert ends[-1] == pytest.approx(4, abs=0.05)
    for begin, cue in zip(begins, cues, strict=True):
        x, y, width, height = map(int, cue[7:])
        luma = judge.pictures(converted.published / cue[6])[0]
        assert judge.number_of(luma[y : y + height, x : x + width]) == round(begin * 25)


def test_image_playlist(convert: Converter) -> None:
    """Tiles without gaps; the durations add up."""
    sheet = SheetSpec(3, 2, pad=0, margin=0, playlist_uri="file:///out/images.m3u8")
    converted = convert(FILM, alone(sprites("jpg", sheet=sheet, interval_us=SECOND // 2)))
    text = (converted.published / "images.m3u8").read_text()
    assert "#EXT-X-IMAGES-ONLY" in text
    assert "#EXT-X-ENDLIST" in text
    tiles = "RESOLUTION=96x64,LAYOUT=3x2,DURATION=0.500"
    assert re.findall(r"#EXT-X-TILES:(.*)", text) == [tiles, tiles]
    assert sum(float(seconds) for seconds in re.findall(r"#EXTINF:([\d.]+)", text)) == pytest.approx(4, abs=0.05)
    assert [line for line in text.splitlines() if not line.startswith("#")] == ["sheet_0_1.jpg", "sheet_0_2.jpg"]


def test_the_last_tile_of_an_image_playlist_may_be_short(convert: Converter) -> None:
    """Players count tiles by their length: the others on the last sheet keep theirs."""
    sheet = SheetSpec(3, 1, pad=0, margin=0, playlist_uri="file:///out/images.m3u8")
    converted = convert(FILM, alone(sprites("jpg", sheet=sheet, interval_us=SECOND * 7 // 10)))
    text = (converted.published / "images.m3u8").read_text()
    assert re.findall(r"LAYOUT=3x1,DURATION=(.*)", text) == ["0.700", "0.700"]
    assert sum(float(seconds) for seconds in re.findall(r"#EXTINF:([\d.]+)", text)) == pytest.approx(4, abs=0.05)


def test_small_pictures_of_a_turned_source(convert: Converter) -> None:
    """Upright on the sheet."""
    clip = Clip("mp4", (Video(seconds=1, rotation=90),), ())
    converted = convert(clip, alone(sprites(sheet=SheetSpec(1, 1, pad=0, margin=0), number=1)))
    assert (converted.artifact.width, converted.artifact.height) == (64, 96)
    upright = judge.pictures(convert.shelf.get(clip), upright=True)[0]
    assert judge.psnr(judge.pictures(made(converted, ArtifactKind.SPRITE)[0])[0], upright) > 40
