"""What nobody asks for and everybody expects: fields become pictures; HDR is kept, or looks right where it cannot be."""

import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from reelmill_server.media.input.probe import probe_file
from reelmill_server.model.capability import Limits
from reelmill_server.model.media_info import ContentLight, MasteringDisplay
from tests import judge
from tests.field_pictures import write_field_pictures
from tests.media.converter import Converted, Converter, encoded, target
from tests.sources import Clip, Video

pytestmark = pytest.mark.media

_X264 = (("crf", "10"),)
_MPEG2 = (("flags", "+ildct+ilme"), ("b", "8000000"))
_TOLD = {order: (("field_order", order),) for order in ("tt", "bb")}  # by the container alone
_FULL: dict[str, Any] = {"pattern": "bar", "pixel_format": "yuvj420p"}
INTERLACED = {
    "h264-tt": Clip("mp4", (Video(pattern="bar", fields="tt", options=(*_X264, ("x264-params", "tff=1"))),), ()),
    "h264-bb": Clip("matroska", (Video(pattern="bar", fields="bb", options=(*_X264, ("x264-params", "bff=1"))),), ()),
    "mpeg2-tt": Clip("mpegts", (Video("mpeg2video", pattern="bar", fields="tt", options=_MPEG2),), ()),
    "mpeg2-bb": Clip("mpegts", (Video("mpeg2video", pattern="bar", fields="bb", options=_MPEG2),), ()),
    "mjpeg-tt": Clip("mov", (Video("mjpeg", fields="tt", options=_TOLD["tt"], **_FULL),), ()),
    "mjpeg-bb": Clip("matroska", (Video("mjpeg", fields="bb", options=_TOLD["bb"], **_FULL),), ()),
}
DISPLAY = "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
HDR10 = (("crf", "4"), ("x265-params", f"log-level=none:master-display={DISPLAY}:max-cll=1000,400"))
PQ, HLG = 16, 18


def combing(path: Converted | object) -> float:
    """How much rows differ from the mean of their neighbours: upright bars have none, two moments in one picture much."""
    luma = judge.pictures(path).astype(float)[2:-2]  # type: ignore[arg-type]
    return float(np.abs(luma[:, 1:-1] - (luma[:, :-2] + luma[:, 2:]) / 2).mean())


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("name", INTERLACED)
def test_fields_become_whole_pictures(convert: Converter, name: str) -> None:
    """Either field first, told by frames or by the container: the comb is gone, the pictures are as many, at the same times."""
    clip = INTERLACED[name]
    path = convert.shelf.get(clip)
    assert probe_file(str(path), Limits()).video[0].field_order == name[-2:]
    converted = convert(clip, target("mp4", encoded(crf=10), None))
    assert combing(path) > 3
    assert combing(converted.path) < combing(path) / 4
    times = judge.times(path)
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx(
        [float(time - times[0]) for time in times], abs=1e-4
    )
    assert "progressive" in judge.describe(converted.path).of("Video")[0].rest


def test_the_first_field_gives_the_picture(convert: Converter) -> None:
    """Which field is shown first is followed: the bar stands where the first moment had it."""
    for name in ("h264-tt", "h264-bb"):
        converted = convert(INTERLACED[name], target("mp4", encoded(crf=10), None))
        luma = judge.pictures(converted.path)[5]
        left = int(np.flatnonzero(luma[32] > 125)[0])
        assert abs(left - 2 * 5 * 3) <= 1, name


def test_fields_are_joined_before_the_rate_changes(convert: Converter) -> None:
    """A lower rate and another size work on whole pictures."""
    clip = INTERLACED["h264-tt"]
    converted = convert(clip, target("mp4", encoded(crf=10, frame_rate=Fraction(5), width=96, height=32), None))
    row = judge.pictures(converted.path)[4, 16].astype(int)
    assert np.count_nonzero((row > 70) & (row < 180)) <= 3, row  # scaled fields would leave half a bar on either side
    assert len(judge.times(converted.path)) == 10


@pytest.mark.parametrize("options", [(), (("x264-params", "fake-interlaced=1"),)])
def test_whole_pictures_stay_as_they_are(convert: Converter, options: tuple[tuple[str, str], ...]) -> None:
    """No filter touches a progressive source, however it was encoded."""
    clip = Clip("mp4", (Video(pattern="bar", seconds=0.4, options=options),), ())
    converted = convert(clip, target("mp4", encoded(), None))
    assert probe_file(str(convert.shelf.get(clip)), Limits()).video[0].field_order == "progressive"
    assert converted.plan.targets[0].streams[0].parts[0].filters == ("format=yuv420p",)


def test_progressive_pictures_that_claim_fields_stay_whole(convert: Converter) -> None:
    """Wrongly flagged, as much of what broadcasters send: as many pictures at the same times, and hardly softer."""
    clip = Clip("mp4", (Video(pattern="bar", options=(*_X264, ("x264-params", "tff=1"))),), ())
    path = convert.shelf.get(clip)
    assert probe_file(str(path), Limits()).video[0].field_order == "tt"
    converted = convert(clip, target("mp4", encoded(crf=10), None))
    before, after = judge.pictures(path), judge.pictures(converted.path)
    assert len(before) == len(after) == 50
    assert judge.times(converted.path) == judge.times(path)
    assert judge.psnr(before[5:-5], after[5:-5]) > 28


def test_a_comb_that_nothing_announces_stays(convert: Converter) -> None:
    """Fields in pictures that say they are progressive are not touched: stripes may be what is shown."""
    clip = Clip("mp4", (Video(pattern="bar", fields="tt", options=_X264),), ())
    path = convert.shelf.get(clip)
    assert probe_file(str(path), Limits()).video[0].field_order == "progressive"
    converted = convert(clip, target("mp4", encoded(crf=4), None))
    assert combing(converted.path) > combing(path) * 0.8 > 3


@pytest.fixture(params=["tt", "bb"])
def field_pictures(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Path]:
    """H.264 coded field by field, each field a packet, as broadcasters do; and which field is first."""
    path = tmp_path / "fields.ts"
    write_field_pictures(Video(pattern="bar", seconds=1, fields=request.param), path, "mpegts")
    return request.param, path


def test_pictures_coded_by_field_become_whole(convert: Converter, field_pictures: tuple[str, Path]) -> None:
    """One picture for two packets, at the time of its first field, without a comb."""
    order, path = field_pictures
    assert probe_file(str(path), Limits()).video[0].field_order == order
    converted = convert(path, target("mp4", encoded(crf=10), None))
    assert combing(path) > 3 and combing(converted.path) < 1
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx(
        [number / 25 for number in range(25)], abs=1e-4
    )
    lefts = [int(np.flatnonzero(luma[32] > 125)[0]) for luma in judge.pictures(converted.path)[:12]]
    assert lefts == pytest.approx([2 * number * 3 for number in range(12)], abs=3)


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("container", ["mp4", "mkv", "ts", "mov"])
def test_pictures_coded_by_field_are_copied(convert: Converter, field_pictures: tuple[str, Path], container: str) -> None:
    """Every field, and the pictures that they make."""
    _, path = field_pictures
    converted = convert(path, target(container, audio=None))
    assert converted.artifact.streams[0].packet_count == 50
    assert np.array_equal(judge.pictures(converted.path), judge.pictures(path))
    assert [float(time) for time in judge.times(converted.path)] == pytest.approx(
        [number / 25 for number in range(25)], abs=0.001
    )


def hdr_clip(transfer: int, pattern: str = "ramp") -> Clip:
    """Ten-bit BT.2020, with a mastering display and a light level."""
    video = Video(
        "libx265",
        pattern=pattern,
        seconds=0.2,
        pixel_format="yuv444p10le",
        color_range=1,
        color_space=9,
        color_primaries=9,
        color_transfer=transfer,
        options=HDR10,
    )
    return Clip("matroska", (video,), ())


def pq(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084."""
    power = (nits / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def from_pq(signal: NDArray[np.float64]) -> NDArray[np.float64]:
    """SMPTE ST 2084, backwards."""
    power = signal ** (1 / 78.84375)
    return 10_000 * (np.maximum(power - 0.8359375, 0) / (18.8515625 - 18.6875 * power)) ** (1 / 0.1593017578125)


def light(path: object, transfer: int) -> NDArray[np.float64]:
    """cd/m² in the primaries of BT.2020, from the source's own R'G'B' as the judge decodes it."""
    signal = judge.pictures(path, "rgb48le").astype(np.float64) / 65535  # type: ignore[arg-type]
    if transfer == PQ:
        return from_pq(signal)
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12)
    return 1000 * scene * (scene @ np.array([0.2627, 0.678, 0.0593]))[..., None] ** 0.2


def expected_sdr(nits: NDArray[np.float64]) -> NDArray[np.float64]:
    """BT.2390's EETF from 1000 to 203 cd/m² on the brightest component, BT.2087's matrix, BT.1886: 0..255."""
    brightest = np.maximum(nits.max(axis=-1, keepdims=True), 1e-6)
    top = pq(np.array(1000.0))
    signal, limit = np.minimum(pq(brightest) / top, 1), pq(np.array(203.0)) / top
    knee = 1.5 * limit - 0.5
    t = (signal - knee) / (1 - knee)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * limit
    mapped = from_pq(np.where(signal > knee, spline, signal) * top)
    matrix = np.array([[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]])
    linear = (nits * mapped / brightest / 203) @ matrix.T
    return np.asarray(255 * np.clip(linear, 0, 1) ** (1 / 2.4))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("transfer", [PQ, HLG])
@pytest.mark.parametrize(("pattern", "greatest", "mean"), [("quarters", 3, 2), ("ramp", 24, 3)])
def test_hdr_in_eight_bits_is_sdr(convert: Converter, transfer: int, pattern: str, greatest: float, mean: float) -> None:
    """Greys are within 3 of 255 of BT.2390's curve, colours within 3 on average; the tags say BT.709."""
    clip = hdr_clip(transfer, pattern)
    converted = convert(clip, target("mp4", encoded(pixel_format="yuv444p", crf=4), None))
    assert "(tv, bt709, " in judge.describe(converted.path).of("Video")[0].rest
    got = judge.pictures(converted.path, "rgb24")[0].astype(float)
    error = np.abs(got - expected_sdr(light(convert.shelf.get(clip), transfer)[0]))
    if pattern == "quarters":  # away from the edges, where coding rings
        error = error[[16, 16, 48, 48], [24, 72, 24, 72]]
    assert np.percentile(error, 99) <= greatest
    assert error.mean() <= mean


@pytest.mark.parametrize("codec", ["h265", "av1", "h264"])
def test_hdr_in_ten_bits_stays(convert: Converter, codec: str) -> None:
    """Tags, mastering display and light level come through, as this FFmpeg and the judge's read them."""
    clip = hdr_clip(PQ)
    converted = convert(clip, target("mp4", encoded(codec, pixel_format="yuv420p10le", crf=20), None))
    assert "yuv420p10le(tv, bt2020nc/bt2020/smpte2084" in judge.describe(converted.path).of("Video")[0].rest
    info = probe_file(str(converted.path), Limits()).video[0]
    white = MasteringDisplay((34000, 16000), (13250, 34500), (7500, 3000), (15635, 16450), 50, 10_000_000)
    assert info.content_light == ContentLight(1000, 400)
    assert info.mastering_display is not None
    numbers = np.array([*info.mastering_display.red, *info.mastering_display.white, info.mastering_display.max_luminance])
    assert np.abs(numbers - np.array([*white.red, *white.white, white.max_luminance])).max() <= 1
    shown = judge.first_picture_side_data(converted.path)
    assert re.search(r"mastering display", shown, re.IGNORECASE) and "MaxCLL=1000, MaxFALL=400" in shown


def test_hdr_tags_stay_in_vp9_where_it_has_ten_bits_else_it_is_sdr(convert: Converter) -> None:
    """Where libvpx takes eight bits only, its output is tone mapped."""
    converted = convert(hdr_clip(PQ), target("webm", encoded("vp9"), None))
    rest = judge.describe(converted.path).of("Video")[0].rest
    assert ("smpte2084" in rest) if "10le" in rest else ("bt709" in rest)
    assert any("becomes SDR" in text for text in converted.warnings) == ("10le" not in rest)
