"""Frame rates, groups of pictures and rate control."""

import itertools
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests import judge
from tests.media.converter import CLIP, Converter, encoded, target
from tests.sources import Clip, Video

pytestmark = pytest.mark.media

CODE = Clip("mp4", (Video(),), ())
NOISE = Clip("mp4", (Video(pattern="noise", size=(160, 120), seconds=2, options=(("crf", "10"),)),), ())


def spacing(path: Path) -> set[float]:
    """The distances between pictures, in milliseconds."""
    times = judge.times(path)
    return {round(float((after - before) * 1000), 1) for before, after in itertools.pairwise(times)}


def test_a_higher_rate_repeats_pictures(convert: Converter) -> None:
    """25 to 50: each picture twice."""
    converted = convert(CODE, target("mp4", encoded(frame_rate=Fraction(50)), None)).path
    assert judge.numbers(converted) == [number for number in range(50) for _ in range(2)]
    assert spacing(converted) == {20.0}
    assert judge.describe(converted).duration == pytest.approx(2, abs=0.02)


def test_a_lower_rate_leaves_pictures_out(convert: Converter) -> None:
    """25 to 12.5: every other picture, as long as before."""
    converted = convert(CODE, target("mp4", encoded(frame_rate=Fraction(25, 2)), None)).path
    numbers = judge.numbers(converted)
    assert len(numbers) == 25
    assert {after - before for before, after in itertools.pairwise(numbers)} == {2}
    assert spacing(converted) == {80.0}
    assert judge.describe(converted).duration == pytest.approx(2, abs=0.08)


@pytest.mark.parametrize("rate", [1, 10, 60])
def test_a_single_frame_is_shown_at_any_rate(convert: Converter, rate: int) -> None:
    """Once at least, though it lasts for less than half of what a frame of the output does."""
    clip = Clip("mp4", (Video(size=(64, 48), seconds=0.04),), ())
    converted = convert(clip, target("mp4", encoded(frame_rate=Fraction(rate)), None))
    assert len(judge.times(converted.path)) == max(1, round(0.04 * rate))


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_ntsc_rates_are_exact(convert: Converter, container: str) -> None:
    """30000/1001: 60 pictures for two seconds, each at n * 1001/30000."""
    converted = convert(CODE, target(container, encoded(frame_rate=Fraction(30000, 1001)), None)).path
    times = judge.times(converted)
    assert len(times) == 60
    tolerance = 0.001 if container == "mkv" else 1e-4
    assert [float(time) for time in times] == pytest.approx([number * 1001 / 30000 for number in range(60)], abs=tolerance)
    assert "29.97 fps" in judge.describe(converted).of("Video")[0].rest


VARIABLE = Video(
    gop=4, times=tuple(Fraction(ms, 1000) for ms in (0, 33, 50, 300, 333, 1000, 1016, 1040, 1500, 1600)), last=Fraction(1, 10)
)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("form", ["mp4", "matroska", "mpegts"])
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_a_variable_rate_is_kept(convert: Converter, form: str, codec: str) -> None:
    """Without FrameRate every picture is shown when it was, to the millisecond."""
    converted = convert(Clip(form, (VARIABLE,), ()), target("mp4", encoded(codec), None))
    assert judge.numbers(converted.path) == list(range(10))
    times = judge.times(converted.path)
    assert [float(time - times[0]) for time in times] == pytest.approx([float(time) for time in VARIABLE.times], abs=0.0011)
    if form != "mpegts":  # which does not say how long the last picture lasts
        assert converted.artifact.duration_seconds == pytest.approx(1.7, abs=0.002)


def test_a_frame_rate_makes_a_variable_one_constant(convert: Converter) -> None:
    """At 20 pictures/s each moment shows the picture that was on screen then."""
    converted = convert(Clip("mp4", (VARIABLE,), ()), target("mp4", encoded(frame_rate=Fraction(20)), None)).path
    assert spacing(converted) == {50.0}
    numbers = judge.numbers(converted)
    assert len(numbers) == 34
    assert numbers == sorted(numbers)
    assert (numbers[0], numbers[8], numbers[15], numbers[25], numbers[-1]) == (0, 4, 4, 7, 9)


def test_a_copy_keeps_a_variable_rate_and_its_last_picture(convert: Converter) -> None:
    """Matroska does not say how long the last picture lasts: a copy still has it."""
    for form in ("mp4", "matroska"):
        converted = convert(Clip(form, (VARIABLE,), ()), target("mp4")).path
        assert judge.numbers(converted) == list(range(10)), form


@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_key_frames_are_as_far_apart_as_the_gop_size(convert: Converter, codec: str) -> None:
    """GOPSize is the longest distance, and without scene changes each one."""
    converted = convert(CODE, target("mp4", encoded(codec, gop_size=10), None)).path
    keys = [packet for packet in judge.packets(converted, "v:0") if packet.key]
    assert [round(float(key.pts) * 25) for key in keys] == [0, 10, 20, 30, 40]


def _b_pictures(path: Path) -> bool:
    packets = judge.packets(path, "v:0")
    return any(after.pts < before.pts for before, after in itertools.pairwise(packets))


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("codec", ["h264", "h265"])
def test_b_frames_are_made_unless_there_are_to_be_none(convert: Converter, codec: str) -> None:
    """BFrames 0 gives a stream in the order in which it is shown; by default there are some."""
    assert not _b_pictures(convert(CODE, target("mp4", encoded(codec, b_frames=0, preset="fast"), None)).path)
    assert _b_pictures(convert(NOISE, target("mp4", encoded(codec, preset="fast"), None)).path)


def test_reference_frames_are_as_asked(convert: Converter) -> None:
    """The number of references stands in the stream's own header, and the judge's decoder reads it."""
    for refs in (1, 4):
        converted = convert(CODE, target("mp4", encoded(refs=refs, b_frames=0, preset="fast"), None)).path
        with av.open(str(converted)) as container:
            container.decode(video=0).__next__()
            assert _sps_refs(bytes(container.streams.video[0].codec_context.extradata or b"")) == refs


def _sps_refs(avcc: bytes) -> int:
    """max_num_ref_frames of the first sequence parameter set (ISO/IEC 14496-10, 7.3.2.1.1) in an avcC record."""
    length = int.from_bytes(avcc[6:8], "big")
    payload = avcc[8 : 8 + length].replace(b"\0\0\3", b"\0\0")[1:]
    bits = "".join(f"{byte:08b}" for byte in payload)
    place = 24

    def golomb() -> int:
        nonlocal place
        zeros = bits.index("1", place) - place
        value = int(bits[place + zeros : place + 2 * zeros + 1], 2) - 1
        place += 2 * zeros + 1
        return value

    golomb()  # the set's number
    if payload[0] in (100, 110, 122, 244):
        assert golomb() == 1  # 4:2:0
        golomb(), golomb()
        place += 2
    golomb()  # log2_max_frame_num
    kind = golomb()
    if kind == 0:
        golomb()
    assert kind in (0, 2)
    return golomb()


@pytest.mark.sample(every=6)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_a_lower_crf_is_larger_and_better(convert: Converter, codec: str) -> None:
    """The order of sizes and of likeness to the source follows CRF."""
    source = judge.pictures(convert.shelf.get(NOISE))
    results = []
    for crf in (18.0, 30.0, 42.0):
        path = convert(NOISE, target("mp4", encoded(codec, crf=crf), None)).path
        results.append((path.stat().st_size, judge.psnr(judge.pictures(path), source)))
    assert results == sorted(results, reverse=True)
    assert results[0][0] > 1.5 * results[-1][0]


@pytest.mark.sample(every=6)
@pytest.mark.parametrize(("codec", "tolerance"), [("h264", 0.15), ("h265", 0.3), ("vp9", 0.3), ("av1", 0.3)])
def test_a_bitrate_is_met(convert: Converter, codec: str, tolerance: float) -> None:
    """The mean over the clip is near what was asked for."""
    clip = Clip("mp4", (Video(pattern="noise", size=(160, 120), seconds=4, options=(("crf", "10"),)),), ())
    path = convert(clip, target("mp4", encoded(codec, bitrate=300_000, preset="veryfast"), None)).path
    bits = sum(packet.size for packet in judge.packets(path, "v:0")) * 8
    assert bits / 4 == pytest.approx(300_000, rel=tolerance)


def test_a_bitrate_of_vp9_is_met_where_frames_become_harder(convert: Converter) -> None:
    """A black second, then grain: libvpx's variable bit rate is four times what was asked for."""
    black = Clip("mp4", (Video(pattern="black", size=(160, 96), seconds=1),), ())
    grain = Clip("mp4", (Video(pattern="noise", size=(160, 96), seconds=1, options=(("crf", "10"),)),), ())
    wanted = target("mkv", encoded("vp9", bitrate=250_000, preset="veryfast"), None)
    path = convert.concat([(black, CLIP), (grain, CLIP)], wanted).path
    bits = sum(packet.size for packet in judge.packets(path, "v:0")) * 8
    assert bits / 2 < 1.6 * 250_000


@pytest.mark.sample(every=4)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
def test_an_upper_bound_holds(convert: Converter, codec: str) -> None:
    """MaxBitrate with BufferSize bounds what a good CRF would take."""
    free = convert(NOISE, target("mp4", encoded(codec, crf=18.0), None)).path
    bound = convert(NOISE, target("mp4", encoded(codec, crf=18.0, max_bitrate=200_000, buffer_size=200_000), None)).path
    sizes = [sum(packet.size for packet in judge.packets(path, "v:0")) for path in (free, bound)]
    assert sizes[0] * 8 > 2 * 400_000
    # Two seconds at the bound, and what the buffer held before.
    assert sizes[1] * 8 < 1.25 * (2 * 200_000 + 200_000)


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("codec", ["h264", "h265", "vp9", "av1"])
@pytest.mark.parametrize("preset", ["ultrafast", "medium", "slow"])
def test_each_preset_opens(convert: Converter, codec: str, preset: str) -> None:
    """Presets that a codec does not have are mapped to its own."""
    clip = Clip("mp4", (Video(seconds=0.4),), ())
    converted = convert(clip, target("mp4", encoded(codec, preset=preset), None)).path
    assert judge.numbers(converted) == list(range(10))


FEW = [("h264", "mp4"), ("h265", "mkv"), ("h265", "mov"), ("h265", "ts"), ("av1", "mp4"), ("vp9", "webm")]


@pytest.mark.sample(every=2)
@pytest.mark.parametrize("codec, container", FEW)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_videos_of_few_frames_are_encoded(convert: Converter, codec: str, container: str, count: int) -> None:
    """x265 tells decode timestamps at random when it ends before it knows its delay."""
    clip = Clip("matroska", (Video(seconds=count / 2, fps=Fraction(2), gop=1),), ())
    times = judge.times(convert(clip, target(container, encoded(codec), None)).path)
    assert [time - times[0] for time in times] == [Fraction(number, 2) for number in range(count)]


@pytest.mark.parametrize(("source", "asked"), [(60, 30), (50, 25), (48, 24)])
@pytest.mark.parametrize("form", ["matroska", "flv", "mp4"])
def test_every_second_frame_is_kept(convert: Converter, form: str, source: int, asked: int) -> None:
    """Every other one lies halfway between two frames of the output, and its rounded time on either side of that."""
    clip = Clip(form, (Video(fps=Fraction(source), seconds=1, b_frames=0, size=(64, 48)),), ())
    converted = convert(clip, target("mp4", encoded(frame_rate=Fraction(asked)), None))
    assert judge.numbers(converted.path) == list(range(0, source, 2))
