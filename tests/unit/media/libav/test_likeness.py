"""Likeness of pictures, by samples."""

import pytest
from av import VideoFrame

from reelmill_server.media.libav.likeness import GivenFrames, mistaken, samples_of

FORMATS = ("yuv420p", "nv12", "yuv444p", "yuv420p10le", "p010le", "gray")
GREEN = bytes(768)


def striped(number: int, form: str = "yuv420p", width: int = 320, height: int = 180) -> VideoFrame:
    """A frame with diagonal bands, which lie elsewhere in each."""
    frame = VideoFrame(width, height, "rgb24")
    row = frame.planes[0].line_size
    lines = (
        bytes(
            channel
            for x in range(row // 3)
            for channel in ((170, 150, 90) if (x + y + 8 * number) // 64 % 2 else (90, 100, 160))
        )
        for y in range(height)
    )
    frame.planes[0].update(b"".join(line.ljust(row, b"\0") for line in lines))
    return frame.reformat(format=form)


@pytest.mark.parametrize("form", FORMATS)
def test_samples_are_those_of_the_frame_in_every_format(form: str) -> None:
    """Of 8 bits, at the same places; a gray frame has gray chromas."""
    planar, other = samples_of(striped(0)), samples_of(striped(0, form))
    assert len(other) == len(planar) == 768
    luma = [abs(a - b) for a, b in zip(planar[:256], other[:256], strict=True)]
    assert sum(luma) / 256 < 6
    if form == "gray":
        assert other[256:] == bytes((128,)) * 512
    else:
        assert sum(abs(a - b) for a, b in zip(planar[256:], other[256:], strict=True)) / 512 < 20


@pytest.mark.parametrize("size", [(1, 1), (2, 2), (15, 7), (17, 33)])
def test_small_frames_have_as_many_samples(size: tuple[int, int]) -> None:
    """Some of them more than once."""
    assert len(samples_of(VideoFrame(*size, "yuv420p"))) == 768


def test_wrong_pictures_are_told_from_bad_ones() -> None:
    """Green and earlier ones are wrong; a blurred one, and noise that became gray, are only bad."""
    frames = [samples_of(striped(number)) for number in range(8)]
    blurred = bytes((3 * value + 128) // 4 for value in frames[7])
    assert mistaken(frames[7], frames[7], frames[:7]) == mistaken(blurred, frames[7], frames[:7]) == ""
    assert "unlike" in mistaken(GREEN, frames[7], frames[:7])
    assert "went in before" in mistaken(frames[2], frames[7], frames[:7])
    noise = bytes(255 * (number * number // 7 % 2) for number in range(768))
    assert mistaken(bytes((128,)) * 768, noise, [noise[::-1]]) == ""


def test_the_first_and_the_last_pictures_are_known() -> None:
    """Of a long video, those of its last group."""
    given = GivenFrames()
    samples = [given.add(striped(number)) for number in range(8)]
    assert given.mistaken_first(samples[:4]) == given.mistaken_last(samples[4:]) == ""
    assert given.mistaken_last([samples[2]])
    assert given.mistaken_first([*samples[:3], GREEN]) and given.mistaken_last([*samples[2:7], samples[2]])
