"""Frames that pass by: when they are taken, and which of them the parent takes."""

import base64
import io
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest
from av import VideoFrame

from reelmill_server.media.libav.frame_sample import FrameSample
from reelmill_server.media.libav.thumbnail import thumbnail
from reelmill_server.model.preview import MAX_BYTES, WIDTH, Preview, jpeg_of
from reelmill_server.model.task import Progress
from reelmill_server.model.worker_state import AttemptState, TaskPart, with_few_previews
from reelmill_server.worker.child import previews
from reelmill_server.worker.child.previews import Previews
from reelmill_server.worker.messages import Previewed
from reelmill_server.worker.parent.previews import preview_of


def frame(width: int, height: int, form: str = "yuv420p") -> VideoFrame:
    """Noise, which compresses worst, at three seconds."""
    pixels = np.random.default_rng(1).integers(0, 255, (height, width, 3), np.uint8)
    result = VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=form)
    result.pts, result.time_base = 75, Fraction(1, 25)
    return result


def shape(jpeg: bytes) -> tuple[int, int]:
    """Width and height of what a JPEG holds."""
    with av.open(io.BytesIO(jpeg), format="mjpeg") as opened:
        decoded = next(opened.decode(video=0))
    assert isinstance(decoded, VideoFrame)
    return decoded.width, decoded.height


@pytest.mark.parametrize(
    ("form", "width", "height", "aspect", "expected"),
    [
        ("yuv420p", 1280, 720, Fraction(1), (WIDTH, WIDTH * 9 // 16)),
        ("yuv420p10le", 720, 1280, Fraction(1), (WIDTH * 9 // 16, WIDTH)),
        ("yuv422p", 720, 576, Fraction(64, 45), (WIDTH, WIDTH * 9 // 16)),
        ("gbrp", 2, 600, Fraction(1), (2, WIDTH)),
        ("nv12", 192, 192, Fraction(0), (WIDTH, WIDTH)),
    ],
)
def test_thumbnails_are_small_jpegs(form: str, width: int, height: int, aspect: Fraction, expected: tuple[int, int]) -> None:
    """As a frame is shown, whatever its pixels are; the frame itself stays as it was."""
    whole = frame(width, height, form)
    result = thumbnail(whole, aspect)
    assert len(result) <= MAX_BYTES and jpeg_of(base64.b64encode(result).decode()) == result
    assert shape(result) == expected
    assert (whole.width, whole.format.name, whole.pts, whole.time_base) == (width, form, 75, Fraction(1, 25))


def test_a_frame_that_is_taken_as_it_is_is_left_alone() -> None:
    """The encoder would change the times that others read."""
    same = frame(WIDTH, WIDTH, "yuvj420p")
    assert thumbnail(same) == b"" and (same.pts, same.time_base) == (75, Fraction(1, 25))


class Clock:
    """A clock that is set."""

    now = 0.0

    def monotonic(self) -> float:
        """The time."""
        return self.now


@pytest.mark.slow
def test_frames_are_taken_more_and_more_rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first after a second, of the first video; no frame is held that was not asked for."""
    clock, sample = Clock(), FrameSample()
    monkeypatch.setattr(previews, "time", clock)
    video = SimpleNamespace(sample=sample, plan=SimpleNamespace(video=SimpleNamespace(sample_aspect_ratio=Fraction(1))))
    outputs: Any = [SimpleNamespace(tracks=[SimpleNamespace(sample=None)]), SimpleNamespace(tracks=[video])]
    wanted, times = Previews(True), []
    for tenth in range(2000):
        clock.now = tenth / 10
        sample.give(frame(16, 16))
        if taken := wanted.take(outputs):
            times.append(clock.now)
            assert taken.seconds == 3.0 and jpeg_of(taken.jpeg)
    assert times[0] == pytest.approx(1.1) and times[1] == pytest.approx(6.2, abs=0.2)
    pauses = [after - before for before, after in pairwise(times[10:])]
    assert pauses == sorted(pauses) and 15 < pauses[-1] < 25 and len(times) < 40
    assert Previews(False).take(outputs) is None


def test_what_cannot_be_shown_is_no_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    """A frame that libav does not scale, and lists without video."""
    clock, sample = Clock(), FrameSample()
    monkeypatch.setattr(previews, "time", clock)
    wanted = Previews(True)
    clock.now = 2.0
    assert wanted.take([]) is None
    video: Any = SimpleNamespace(sample=sample, plan=SimpleNamespace(video=None))
    outputs: Any = [SimpleNamespace(tracks=[video])]
    assert wanted.take(outputs) is None
    sample.give(frame(16, 16))
    monkeypatch.setattr(previews, "thumbnail", _refuses)
    assert wanted.take(outputs) is None


def _refuses(*_: object) -> bytes:
    raise ValueError("no")


JPEG = b"\xff\xd8\xff" + bytes(100) + b"\xff\xd9"


@pytest.mark.parametrize(
    "content",
    [b"", b"<svg/>", JPEG[1:], JPEG[:-1], b"\x89PNG" + JPEG, JPEG[:3] + bytes(MAX_BYTES) + JPEG[-2:]],
)
def test_the_parent_takes_small_jpegs_only(content: bytes) -> None:
    """It decodes none."""
    assert preview_of(Previewed(1.0, base64.b64encode(content).decode())) is None
    assert preview_of(Previewed(1.0, "no Base64" + base64.b64encode(content).decode())) is None


def test_the_parent_says_itself_when() -> None:
    """It has the text and the media time of the child, no more."""
    text = base64.b64encode(JPEG).decode()
    first, second = (preview_of(Previewed(1.23456, text)) for _ in range(2))
    assert first and second and first.taken_us <= second.taken_us
    assert (first.seconds, first.jpeg) == (1.235, text)


def test_a_worker_shows_few_and_new_previews() -> None:
    """All attempts stay."""
    attempt = AttemptState("default", "task", 1, "fast", TaskPart.WHOLE, 0, Progress())
    attempts = [attempt, *(replace(attempt, preview=Preview(taken, 0.0, "")) for taken in (5, 9, 7, 8, 6))]
    for since, most, kept in ((0, 9, [5, 9, 7, 8, 6]), (7, 9, [9, 7, 8]), (0, 2, [9, 8]), (10, 2, [])):
        shown = with_few_previews(attempts, since, most)
        assert len(shown) == 6 and [one.preview.taken_us for one in shown if one.preview] == kept
