"""Rates, speeds and lengths as JSON: the text that every version writes and reads, whatever writes it."""

import json
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from reelmill_server.engine.payloads import DATA_CONVERTER
from reelmill_server.model.image_request import ImageKind, ImageSpec
from reelmill_server.model.media_info import VideoStreamInfo
from reelmill_server.model.overlay_request import DelogoSpec, PlaceSpec, WatermarkSpec
from reelmill_server.model.plain import plain, to_json
from reelmill_server.model.plan import Plan, StreamPlan, StreamType, VideoOutput
from reelmill_server.model.request import VideoSpec

PLANS = sorted((Path(__file__).parents[2] / "golden" / "plans").glob("*.json"))
OUTPUT = VideoOutput(64, 48, "yuv420p", Fraction(1, 90_000), Fraction(30_000, 1001))


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        (OUTPUT, {"time_base": "1/90000", "frame_rate": "30000/1001", "sample_aspect_ratio": "1/1"}),
        (replace(OUTPUT, frame_rate=Fraction(25)), {"frame_rate": "25/1"}),
        (VideoStreamInfo(0, "h264"), {"time_base": "", "frame_rate": "", "average_rate": "", "sample_aspect_ratio": ""}),
        (VideoSpec("h264"), {"frame_rate": "", "speed": ""}),
        (VideoSpec("h264", speed=Fraction(2)), {"speed": "2/1"}),
        (StreamPlan(StreamType.DATA, (), "", "copy", "", speed=Fraction(1, 2)), {"speed": "1/2"}),
        (PlaceSpec(dx=Fraction(1, 10), dy=12), {"dx": "1/10", "dy": "12"}),
        (PlaceSpec(dx=Fraction(0), dy=Fraction(1)), {"dx": "0/1", "dy": "1/1"}),
        (DelogoSpec(width=Fraction(1, 4)), {"width": "1/4", "height": ""}),
        (WatermarkSpec(width=1), {"width": "1", "height": ""}),
        (ImageSpec(ImageKind.SNAPSHOT, 0, "", "jpg", width=160), {"width": "160", "height": "", "frame_rate": ""}),
    ],
)
def test_numbers_are_the_texts_that_earlier_versions_read(value: Any, texts: dict[str, str]) -> None:
    """Tasks that an earlier version has begun, or goes on with, mean the same; and all ways of writing agree."""
    written = json.loads(to_json(value))
    assert {name: written[name] for name in texts} == texts
    assert plain(value) == written
    (payload,) = DATA_CONVERTER.payload_converter_class().to_payloads([value])
    assert payload.data == to_json(value)
    assert TypeAdapter(type(value)).validate_json(payload.data) == value


@pytest.mark.parametrize("text", ["", "0/1", "1/0", "0"])
def test_a_rate_of_nothing_is_not_known(text: str) -> None:
    """libav's 0/1 and 1/0 say the same as an empty text."""
    assert TypeAdapter(VideoStreamInfo).validate_python({"index": 0, "codec": "", "frame_rate": text}).frame_rate == 0


@pytest.mark.parametrize("text", ["odd", "1/2/3", "1.5", "nan", "1" * 5000])
def test_what_is_no_number_is_refused_where_it_comes_in(text: str) -> None:
    """Else a child could have its parent fail at any later place."""
    with pytest.raises(ValidationError):
        TypeAdapter(VideoOutput).validate_python({**asdict(OUTPUT), "frame_rate": text})


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_a_plan_is_written_as_it_was_read(path: Path) -> None:
    """The digest that holds chunks together is made of this text."""
    text = json.loads(path.read_text())
    assert plain(TypeAdapter(Plan).validate_python(text)) == text
