"""Watermarks, delogos and blurs of requests: what is refused, and what becomes of the rest."""

from fractions import Fraction
from typing import Any

import pytest
from PIL import ImageColor

from reelmill_server.api.field_values import color
from reelmill_server.errors import InvalidArgument
from reelmill_server.model.overlay_request import (
    Corner,
    DelogoSpec,
    DesensitizationRule,
    DesensitizationSpec,
    PlaceSpec,
    TextSpec,
    WatermarkSpec,
)
from reelmill_server.model.request import VideoSpec
from tests.unit.api.test_messages import converted
from tests.unit.api.test_validate import check, fields

FILE = {"Type": "file", "URI": "file:///logo.png"}


def filtered(kind: str, *entries: dict[str, Any], codec: str = "h264") -> dict[str, Any]:
    """A target's video with overlays."""
    return {"Video": {"TranscodeVideo": {"Codec": codec}, "FilterVideo": {kind: list(entries)}}}


@pytest.mark.parametrize(
    ("mark", "field"),
    [
        ({"Dx": 1.5}, "dx"),
        ({"Dy": -1}, "dy"),
        ({"Dx": 4097}, "dx"),
        ({"StartTime": -1}, "start_time"),
        ({"Duration": 2e9}, "duration"),
        ({"Content": "x" * 1025}, "content"),
        ({"FontName": "Arial"}, "font_name"),
        ({"FontSize": 4}, "font_size"),
        ({"FontSize": 120}, "font_size"),
        ({"FontApha": 0}, "font_apha"),
        ({"FontApha": 1.1}, "font_apha"),
        ({"FontColor": "#12345"}, "font_color"),
        ({"FontColor": "rgb(1,2,3)"}, "font_color"),
        ({"BorderColor": "reddish"}, "border_color"),
        ({"BorderWidth": 4097}, "border_width"),
        ({"URI": "file:///logo.png"}, "uri"),
        ({"Width": 5}, "width"),
        ({"Type": "file"}, "uri"),
        ({**FILE, "URI": "file:///bad"}, "uri"),
        ({**FILE, "Content": "x"}, "content"),
        ({**FILE, "FontApha": 0.5}, "font_apha"),
        ({**FILE, "Width": 0}, "width"),
        ({**FILE, "Height": 2.5}, "height"),
    ],
)
@pytest.mark.parametrize("codec", ["h264", "copy"])
def test_each_objection_to_a_watermark_names_its_field(mark: dict[str, Any], field: str, codec: str) -> None:
    """At its place in the list, whether or not the video is encoded."""
    with pytest.raises(InvalidArgument) as failure:
        check(filtered("Watermarks", FILE, mark, codec=codec))
    assert fields(failure.value) == {f"targets[0].video.filter_video.watermarks[1].{field}"}


@pytest.mark.parametrize(
    ("delogo", "field"),
    [
        ({"Width": 0}, "width"),
        ({"Height": 1.5}, "height"),
        ({"Dx": 0.5, "Dy": 5000}, "dy"),
        ({"StartTime": -0.1}, "start_time"),
    ],
)
def test_each_objection_to_a_delogo_names_its_field(delogo: dict[str, Any], field: str) -> None:
    """As of watermarks."""
    with pytest.raises(InvalidArgument) as failure:
        check(filtered("Delogos", delogo))
    assert fields(failure.value) == {f"targets[0].video.filter_video.delogos[0].{field}"}


@pytest.mark.parametrize("kind", ["Watermarks", "Delogos"])
def test_there_are_at_most_a_hundred(kind: str) -> None:
    """A bound of our own."""
    check(filtered(kind, *[{}] * 100))
    with pytest.raises(InvalidArgument) as failure:
        check(filtered(kind, *[{}] * 101))
    assert fields(failure.value) == {f"targets[0].video.filter_video.{kind.lower()}"}


def test_overlays_become_plain_data() -> None:
    """Numbers and ratios, colours by name, the misspelt opacity, and the defaults of the contract."""
    text = {"Content": "hi", "ReferPos": "bottomright", "Dx": 0.1, "Dy": 12, "StartTime": 1.5, "Duration": 0.25}
    text |= {"FontName": "SourceHanSerif-Bold", "FontSize": 20, "FontColor": "Red", "FontApha": 0.3}
    text |= {"BorderWidth": 2, "BorderColor": "#00FF7f"}
    filters = filtered("Watermarks", text, {}, {**FILE, "Width": 0.5, "Height": 1})["Video"]["FilterVideo"]
    filters["Delogos"] = [{"Width": 0.25, "ReferPos": "topright"}]
    video = converted(Video={"TranscodeVideo": {"Codec": "h264"}, "FilterVideo": filters}).targets[0].video
    assert video
    assert video.watermarks == (
        WatermarkSpec(
            PlaceSpec(Corner.BOTTOM_RIGHT, Fraction(1, 10), 12, 1_500_000, 250_000),
            TextSpec("hi", "SourceHanSerif-Bold", 20, "#ff0000", 0.3, 2, "#00ff7f"),
        ),
        WatermarkSpec(PlaceSpec(), TextSpec("")),
        WatermarkSpec(PlaceSpec(), None, "file:///logo.png", Fraction(1, 2), 1),
    )
    assert video.delogos == (DelogoSpec(PlaceSpec(Corner.TOP_RIGHT), Fraction(1, 4)),)


def test_a_named_color_is_hexadecimal_whoever_asked_before() -> None:
    """Pillow's table of colors holds a tuple from the first time that a color of its is asked for."""
    ImageColor.getrgb("tomato")
    assert color("Tomato") == color("tomato") == "#ff6347"
    assert color("#FF6347") == "#ff6347"
    assert color("rgb(255, 99, 71)") == color("none such") == ""


def test_a_copied_video_has_no_overlays_and_fetches_no_files() -> None:
    """As the contract says: no effect."""
    request = converted(**filtered("Watermarks", FILE, codec="copy"))
    assert request.targets[0].video == VideoSpec()
    assert request.watermark_uris == ()
    assert converted(**filtered("Watermarks", FILE, FILE)).watermark_uris == ("file:///logo.png",)


@pytest.mark.parametrize(
    ("rule", "field"),
    [
        ({"Confidence": 1.1}, "face.confidence"),
        ({"MinSize": -1}, "face.min_size"),
        ({"BlurRadius": 0}, "face.blur_radius"),
        ({"BlurRadius": 101}, "face.blur_radius"),
        ({"ScaleRatio": 0.05}, "face.scale_ratio"),
        ({"ScaleRatio": 5.5}, "face.scale_ratio"),
        ({"Transparency": 1.5}, "face.transparency"),
    ],
)
def test_each_objection_to_a_blur_names_its_field(rule: dict[str, Any], field: str) -> None:
    """The ranges of the contract."""
    with pytest.raises(InvalidArgument) as failure:
        check(blurring({"Face": rule}))
    assert fields(failure.value) == {f"targets[0].video.filter_video.desensitization.{field}"}


def blurring(asked: dict[str, Any], **transcode: str) -> dict[str, Any]:
    """A target's video with things to blur."""
    return {"Video": {"TranscodeVideo": {"Codec": "h264", **transcode}, "FilterVideo": {"Desensitization": asked}}}


@pytest.mark.parametrize("target", [blurring({}), blurring({"Face": {}}, Codec="copy")], ids=["nothing named", "copied video"])
def test_what_would_blur_nothing_is_refused(target: dict[str, Any]) -> None:
    """Nobody is to believe that faces are hidden when they are not."""
    with pytest.raises(InvalidArgument) as failure:
        check(target)
    assert fields(failure.value) == {"targets[0].video.filter_video.desensitization"}


def test_blurs_become_plain_data() -> None:
    """What is absent has the contract's default, or ours."""
    rule = {"Confidence": 0.4, "MinSize": 12, "BlurRadius": 30, "ScaleRatio": 1.3, "Transparency": 0.25}
    check(blurring({"Face": rule, "LicensePlate": {}}))
    video = converted(**blurring({"Face": rule, "LicensePlate": {}})).targets[0].video
    assert isinstance(video, VideoSpec)
    assert video.desensitization == DesensitizationSpec(DesensitizationRule(0.4, 12, 30, 1.3, 0.25), DesensitizationRule())
    assert converted(**blurring({"Face": {}})).targets[0].video.desensitization == DesensitizationSpec(DesensitizationRule())
    assert converted(**filtered("Delogos")).targets[0].video.desensitization is None
