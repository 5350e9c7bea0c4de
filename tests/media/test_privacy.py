"""Faces and license plates are found, followed and blurred; all else stays as it was.

The face is that of the astronaut Eileen Collins (NASA, public domain, as in scikit-image); the plate is drawn.
"""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame
from numpy.typing import NDArray

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.capabilities import try_privacy
from reelmill_server.media.input.probe import probe_file
from reelmill_server.media.libav.planes import planes
from reelmill_server.media.overlay.privacy.blur import Region, blur
from reelmill_server.media.overlay.privacy.boxes import Box
from reelmill_server.model.capability import PRIVACY, Limits
from reelmill_server.model.overlay_plan import BlurPlan
from reelmill_server.model.overlay_request import DelogoSpec, DesensitizationRule, DesensitizationSpec, TextSpec, WatermarkSpec
from reelmill_server.model.request import ConvertRequest
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.planner import make_plan
from tests.media.converter import CLIP, Converter, capabilities, encoded, target

pytest.importorskip("onnxruntime", reason="needs the extra `privacy`")

from reelmill_server.media.overlay.privacy.detect import FaceDetector, PlateDetector
from reelmill_server.media.overlay.privacy.overlay import Pace, Privacy, Watch, watches

DATA = Path(__file__).parents[1] / "data"
WIDTH, HEIGHT = 320, 192
PICTURES = 16
RULE = DesensitizationRule()
FACE = DesensitizationSpec(face=RULE)
FORMATS = ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le", "yuva420p", "nv12", "p010le")
# Where the face lies in the picture that is pasted, and how large it is.
_FACE_X, _FACE_Y, _FACE_WIDTH, _FACE_HEIGHT = 49, 51, 46, 62


@cache
def image(name: str, step: int) -> NDArray[np.uint8]:
    """A picture of the tests' data, every `step`-th pixel of it."""
    with av.open(DATA / name) as file:
        return np.ascontiguousarray(next(file.decode(video=0)).to_ndarray(format="rgb24")[::step, ::step])  # type: ignore[return-value]


@cache
def background() -> NDArray[np.uint8]:
    """Soft structure in all colours."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    waves = [np.sin(columns / 9 + shift) * np.cos(rows / 7 - shift) for shift in (0, 1, 2)]
    return np.stack([110 + 40 * wave for wave in waves], axis=-1).astype(np.uint8)


def place(number: int) -> tuple[int, int]:
    """Where the face's picture lies in picture `number`: it moves."""
    return 8 + 8 * number, 20 + 2 * number


def face_box(number: int) -> Box:
    """Where the face itself is."""
    x, y = place(number)
    return Box(x + _FACE_X, y + _FACE_Y, _FACE_WIDTH, _FACE_HEIGHT)


def pictures(count: int = PICTURES, pixel_format: str = "yuv420p", shown: Sequence[int] | None = None) -> Iterator[VideoFrame]:
    """The face moves over the background; it is there in the pictures `shown`, None: in all."""
    face = image("face.jpg", 2)
    for number in range(count):
        rgb = background().copy()
        if shown is None or number in shown:
            x, y = place(number)
            rgb[y : y + face.shape[0], x : x + face.shape[1]] = face
        frame = VideoFrame.from_ndarray(rgb, format="rgb24").reformat(format=pixel_format)
        frame.pts, frame.time_base = number, Fraction(1, 25)
        yield frame


def through(stage: Privacy, frames: Iterator[VideoFrame]) -> list[VideoFrame]:
    """All that a stage makes of pictures."""
    return [*(done for frame in frames for done in stage.push(frame)), *stage.flush()]


def blurred(spec: DesensitizationSpec, pixel_format: str = "yuv420p", **how: Any) -> list[VideoFrame]:
    """The pictures with what `spec` names blurred."""
    pace = Pace(3, 6)
    done = through(Privacy(watches(spec, pace), pace), pictures(pixel_format=pixel_format, **how))
    assert [frame.pts for frame in done] == list(range(len(done)))
    return done


class Blinking:
    """A detector that sees the moving thing in some pictures only. Each is asked for once, in order, with its number."""

    longest_side = WIDTH

    def __init__(self, *seen: int) -> None:
        self._seen, self.number = seen, 0

    def __call__(self, _: NDArray[Any]) -> list[Box]:
        number, self.number = self.number, self.number + 1
        return [replace(face_box(number), score=0.9)] if number in self._seen else []


def seen_by(
    detector: Blinking, pace: Pace, pixel_format: str = "yuv420p", count: int = 4, rule: DesensitizationRule = RULE
) -> list[VideoFrame]:
    """The pictures with what `detector` sees blurred."""
    return through(Privacy([Watch(detector, rule, pace)], pace), pictures(count, pixel_format))


def ruled(**rule: Any) -> list[VideoFrame]:
    """Four pictures, in all of which the face is seen and treated as a rule says."""
    return seen_by(Blinking(*range(4)), Pace(1, 2), rule=DesensitizationRule(**rule))


def rgb(frame: VideoFrame) -> NDArray[np.uint8]:
    """As a viewer sees it."""
    return frame.to_ndarray(format="rgb24")  # type: ignore[return-value]


def luma(frame: VideoFrame) -> NDArray[np.float64]:
    """Brightness."""
    return planes(frame)[0].astype(np.float64)


def detail(values: NDArray[np.float64], box: Box) -> float:
    """How much neighbours differ within a box: what makes a face one."""
    part = values[
        round(box.y - box.height / 2) : round(box.y + box.height / 2),
        round(box.x - box.width / 2) : round(box.x + box.width / 2),
    ]
    return float(np.abs(np.diff(part, axis=0)).mean() + np.abs(np.diff(part, axis=1)).mean())


def changed(done: list[VideoFrame]) -> list[int]:
    """How many samples of luma each picture has that are not those of the untouched one."""
    return [int((luma(own) != luma(other)).sum()) for own, other in zip(done, pictures(len(done)), strict=True)]


def check_only_the_face_changed(number: int, before: VideoFrame, after: VideoFrame) -> None:
    """The face's detail is gone, and beyond the seam all samples of all planes are the same."""
    box = face_box(number)
    assert detail(luma(after), box) < detail(luma(before), box) / 5
    for own, other in zip(planes(after), planes(before), strict=True):
        rows, columns = np.nonzero(own != other)
        assert np.all(np.abs((columns + 0.5) * WIDTH / own.shape[1] - box.x) < box.width)
        assert np.all(np.abs((rows + 0.5) * HEIGHT / own.shape[0] - box.y) < box.height)


@pytest.mark.slow
def test_the_face_is_gone_from_every_picture_and_nothing_else_is() -> None:
    """The detector knew it before, and does not any more."""
    sharp, done = list(pictures()), blurred(FACE)
    assert len(done) == PICTURES
    for number, (before, after) in enumerate(zip(sharp, done, strict=True)):
        check_only_the_face_changed(number, before, after)
        if number % 4 == 1:  # those that were not looked at
            assert any(result.score > 0.5 for result in FaceDetector()(rgb(before)))
            assert all(result.score < 0.5 for result in FaceDetector()(rgb(after)))


@pytest.mark.parametrize("pixel_format", FORMATS)
def test_every_pixel_format_is_blurred_in_all_its_planes(pixel_format: str) -> None:
    """Luma and chroma, of 8 and 10 bits, however they lie in memory."""
    for number, (before, after) in enumerate(
        zip(pictures(4, pixel_format), seen_by(Blinking(*range(4)), Pace(1, 2), pixel_format), strict=True)
    ):
        check_only_the_face_changed(number, before, after)
        assert all(not np.array_equal(own, other) for own, other in zip(planes(after)[:3], planes(before)[:3], strict=True))


def test_an_alpha_channel_stays() -> None:
    """What is transparent is not the detector's business."""
    before, after = next(pictures(1, "yuva420p")), seen_by(Blinking(0), Pace(1, 2), "yuva420p")[0]
    assert np.array_equal(planes(before)[3], planes(after)[3]) and not np.array_equal(planes(before)[0], planes(after)[0])


def with_plate(frame: VideoFrame) -> VideoFrame:
    """The picture with a plate at the bottom right."""
    picture, plate = rgb(frame).copy(), image("plate.png", 1)
    picture[145 : 145 + plate.shape[0], 180 : 180 + plate.shape[1]] = plate
    changed_frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
    changed_frame.pts, changed_frame.time_base = frame.pts, frame.time_base
    return changed_frame


def test_plates_are_blurred_and_faces_are_not_when_only_plates_are_named() -> None:
    """Each kind has a rule of its own."""
    frames, pace, plate = [with_plate(frame) for frame in pictures(8)], Pace(3, 6), Box(246, 166, 100, 28)
    sharp = [luma(frame).copy() for frame in frames]
    spec = DesensitizationSpec(license_plate=DesensitizationRule())
    for number, frame in enumerate(through(Privacy(watches(spec, pace), pace), iter(frames))):
        assert detail(luma(frame), plate) < detail(sharp[number], plate) / 4
        assert detail(luma(frame), face_box(number)) == detail(sharp[number], face_box(number))


@pytest.mark.parametrize(
    "rule", [{"min_size": 50}, {"confidence": 0.95}, {"transparency": 1.0}], ids=["too small", "not sure enough", "transparent"]
)
def test_what_a_rule_leaves_alone_is_not_touched(rule: dict[str, Any]) -> None:
    """Not by a single bit."""
    assert changed(ruled(**rule)) == [0] * 4


def test_a_rule_that_is_met_blurs() -> None:
    """The limits of the test above are what keeps the face."""
    assert min(changed(ruled(min_size=46, confidence=0.85, transparency=0.9))) > 1000


def test_the_scale_ratio_scales_the_blurred_box() -> None:
    """Twice as wide and high is about four times the area."""
    small, usual, large = (np.mean(changed(ruled(scale_ratio=ratio))) for ratio in (0.5, 1.0, 1.5))
    assert small * 2.5 < usual and usual * 1.6 < large


def test_transparency_and_radius_set_how_much_is_left() -> None:
    """Half transparent is half way; a larger radius leaves less detail."""

    def left(frames: Iterable[VideoFrame]) -> float:
        return sum(detail(luma(frame), face_box(number)) for number, frame in enumerate(frames))

    full, half, none = left(ruled()), left(ruled(transparency=0.5)), left(pictures(4))
    assert full < half < none and half == pytest.approx((full + none) / 2, rel=0.15)
    assert left(ruled(blur_radius=10)) < left(ruled(blur_radius=4)) < left(ruled(blur_radius=1)) < none


@pytest.mark.parametrize("seen", [(0, 3, 6, 9, 12, 15), (0, 5, 10), (6,), (4, 5, 10, 11)])
def test_nothing_flickers_into_view_when_detections_drop_out(seen: tuple[int, ...]) -> None:
    """Found in some pictures, covered in all those before, between and after, as far as the reach goes."""
    pace = Pace(1, 6)
    done = seen_by(Blinking(*seen), pace, count=PICTURES)
    covered = [number for number, count in enumerate(changed(done)) if count]
    assert covered == list(range(max(0, seen[0] - 6), min(PICTURES, seen[-1] + 7)))
    for number in range(seen[0], seen[-1] + 1):
        assert detail(luma(done[number]), face_box(number).grown(0.8)) < 3


def test_a_cut_keeps_blurs_in_their_shot() -> None:
    """The picture before a cut and the one behind it are both looked at, and nothing is blurred across it."""
    other = np.full((HEIGHT, WIDTH, 3), 230, np.uint8)

    def shots() -> Iterator[VideoFrame]:
        for frame in pictures(12):
            if 4 <= (frame.pts or 0) < 8:
                bright = VideoFrame.from_ndarray(other, format="rgb24").reformat(format="yuv420p")
                bright.pts, bright.time_base = frame.pts, frame.time_base
                yield bright
            else:
                yield frame

    pace = Pace(8, 6)  # but for the cuts, only the first and the ninth picture would be looked at
    done, sharp = through(Privacy(watches(FACE, pace), pace), shots()), list(shots())
    touched = [not np.array_equal(luma(own), luma(before)) for own, before in zip(done, sharp, strict=True)]
    assert touched == [True] * 4 + [False] * 4 + [True] * 4


def test_few_pictures_are_held_whatever_their_size() -> None:
    """Large ones are fewer; and two looks in turn lie within the reach, so that one of them may miss a thing."""
    for rate, size in ((Fraction(25), 640 * 360), (Fraction(60), 3840 * 2160), (Fraction(240), 8192 * 8192), (Fraction(1), 1)):
        pace = Pace.of(rate, size * 3)
        assert 1 <= pace.step <= pace.reach // 2 and pace.held <= 40
        assert pace.held * size * 3 <= max(256 << 20, 3 * size * 3)
    pace = Pace(2, 4)
    stage = Privacy([Watch(Blinking(), DesensitizationRule(), pace)], pace)
    waiting = 0
    for frame in pictures(40, shown=()):
        waiting += 1 - len(list(stage.push(frame)))
        assert waiting <= pace.held


def test_a_region_at_the_edge_or_outside_is_clipped() -> None:
    """Boxes may reach beyond the picture, or lie beside it."""
    frame = next(pictures(1, shown=()))
    before = luma(frame).copy()
    blur(frame, [Region(Box(0, 0, 40, 40)), Region(Box(-100, 50, 40, 40)), Region(Box(WIDTH, HEIGHT, 30, 30))])
    touched = luma(frame) != before
    assert touched[:20, :20].any() and touched[-15:, -15:].any() and not touched[60:150, 60:250].any()


def lossless(folder: Path, count: int) -> Path:
    """The pictures as a file."""
    path = folder / "face.mkv"
    with av.open(path, "w") as file:
        stream: Any = file.add_stream("ffv1", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for frame in (*pictures(count), None):
            file.mux(stream.encode(frame))
    return path


@pytest.mark.slow
def test_a_conversion_blurs_every_picture_of_a_file(convert: Converter, tmp_path: Path) -> None:
    """In a file, through the plan, after the size was changed; and upside down, which leaves rows in another order."""
    path = lossless(tmp_path, PICTURES)
    video = encoded(width=480, height=288, crf=12.0, desensitization=FACE)
    upright, turned = convert(
        path, target(video=video), target("mkv", video=replace(video, rotation=180, width=0, height=0))
    ).paths
    with av.open(upright) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == PICTURES
    assert all(result.score < 0.5 for frame in frames for result in FaceDetector()(rgb(frame)))
    with av.open(turned) as file:
        frames = list(file.decode(video=0))
    assert len(frames) == PICTURES  # the detector does not know faces that stand on their heads


def test_blurs_lie_between_delogos_and_watermarks(tmp_path: Path) -> None:
    """A watermark may lie over a face, and what hides a logo does not undo a blur."""
    video = encoded(desensitization=FACE, watermarks=(WatermarkSpec(text=TextSpec("x")),), delogos=(DelogoSpec(),))
    info = probe_file(str(lossless(tmp_path, 1)), Limits())
    plan = make_plan(ConvertRequest("task", "project", (CLIP,), (target(video=video),)), PlanFacts((info,), capabilities()))
    assert [overlay.kind for overlay in plan.targets[0].streams[0].overlays] == ["delogo", "blur", "text"]
    assert plan.targets[0].streams[0].overlays[1] == BlurPlan(FACE)


def test_without_the_extra_the_field_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The worker's own trial says why, and the plan repeats it under the field's name."""
    assert try_privacy().available
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.delitem(sys.modules, "reelmill_server.media.overlay.privacy.detect")
    monkeypatch.delattr("reelmill_server.media.overlay.privacy.detect")
    tried = try_privacy()
    assert not tried.available and "pip install 'onnxruntime>=1.23,<2'" in tried.reason
    path = lossless(tmp_path, 1)
    request = ConvertRequest("task", "project", (CLIP,), (target(video=encoded(desensitization=FACE)),))
    known = {**capabilities(), PRIVACY: tried}
    with pytest.raises(UnsupportedFormat, match=r"video\.filter_video\.desensitization: .*pip install 'onnxruntime"):
        make_plan(request, PlanFacts((probe_file(str(path), Limits()),), known))


def test_the_drawn_plate_and_the_face_are_found_where_they_are() -> None:
    """The detectors' own boxes, at two sizes."""
    for step in (1, 2):
        (face, *_) = FaceDetector()(image("face.jpg", step))
        assert face.score > 0.7 and abs(face.x - 98 / step) < 8 and abs(face.y - 102 / step) < 8
    framed = np.pad(image("plate.png", 1), ((60, 60), (60, 60), (0, 0)), constant_values=90)
    (plate, *_) = PlateDetector()(framed)
    assert plate.score > 0.3 and abs(plate.x - 126) < 12 and abs(plate.y - 81) < 8 and plate.width > 90
