"""Measure how far the bounds for wrong pictures are from what encoders make of hard videos.

    python -m bench.likeness [FILE…]

Encodes 100 frames of each video (default: generated ones) with libx264 and libx265 at CRF 51 and at the lowest bit rate that
is checked, and compares the samples of each decoded frame with those of the frame that went in, as is done for accelerators.
Prints one line for each video: the worst PSNR of any frame, the most times that a frame was nearer to an earlier one, how many
frames were taken for wrong (each a false alarm), the best PSNR of a green picture, and in how many of the frames a frozen
picture would be found.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import islice
from math import log10
from typing import Any

import av
from av import VideoFrame
from av.video.frame import PictureType

from reelmill_server.media.libav.likeness import mistaken, samples_of, squared_error

_SIZE, _RATE, _FRAMES = "640x360", 25, 100
_FROZEN = 9  # the frame that is repeated
_BEFORE = 30  # frames that one is compared with
_GIVEN = f"s={_SIZE}:r={_RATE}"
VIDEOS: Mapping[str, str] = {
    "noise": f"nullsrc={_GIVEN},format=yuv420p,geq=lum='random(1)*255':cb='random(2)*255':cr='random(3)*255'",
    "black and white noise": (
        f"nullsrc={_GIVEN},format=yuv420p,geq=lum='255*gt(random(1),0.5)':cb='255*gt(random(2),0.5)':cr='255*gt(random(3),0.5)'"
    ),
    "test pattern": f"testsrc2={_GIVEN}",
    "fractal": f"mandelbrot={_GIVEN}",
    "game of life": f"life={_GIVEN}:mold=10:ratio=0.5:death_color=#C83232:life_color=#00ff00",
    "cellular automaton": f"cellauto={_GIVEN}:rule=110",
    "scrolling": f"testsrc2={_GIVEN},scroll=h=0.05:v=0.03",
    "strobe": f"color=c=black:{_GIVEN},geq=lum='255*mod(N,2)':cb=128:cr=128",
    "heavy grain": f"testsrc2={_GIVEN},noise=alls=100:allf=t",
    "fade": f"testsrc2={_GIVEN},fade=in:0:50",
    "black": f"color=c=black:{_GIVEN}",
}
_QUIET = "log-level=none"
_ENCODERS: Sequence[tuple[str, Mapping[str, str]]] = (
    ("libx264", {"preset": "ultrafast", "crf": "51", "g": "250"}),
    ("libx264", {"preset": "medium", "crf": "51", "g": "250", "bf": "3"}),
    ("libx265", {"preset": "medium", "crf": "51", "x265-params": _QUIET}),
    ("libx265", {"preset": "ultrafast", "crf": "51", "x265-params": f"{_QUIET}:keyint=25:bframes=0"}),
    # 0.05 bits for a pixel: the least that is checked.
    ("libx264", {"preset": "ultrafast", "b": "288000", "maxrate": "288000", "bufsize": "288000", "bf": "3"}),
)


def _generated(source: str) -> Iterator[VideoFrame]:
    with av.open(source, format="lavfi") as container:
        yield from container.decode(video=0)


def _read(path: str) -> Iterator[VideoFrame]:
    width, height = map(int, _SIZE.split("x"))
    with av.open(path) as container:
        yield from (frame.reformat(width, height) for frame in container.decode(video=0))


def _encoded(frames: Sequence[VideoFrame], encoder: str, options: Mapping[str, str]) -> Mapping[int, bytes]:
    """Return the samples of the decoded frames, by number."""
    writing: Any = av.CodecContext.create(encoder, "w")
    writing.width, writing.height, writing.pix_fmt = frames[0].width, frames[0].height, "yuv420p"
    writing.time_base, writing.framerate, writing.options = Fraction(1, _RATE), _RATE, dict(options)
    packets = []
    for number, frame in enumerate(frames):
        frame.pts, frame.time_base, frame.pict_type = number, Fraction(1, _RATE), PictureType.NONE
        packets += writing.encode(frame)
    packets += writing.encode(None)
    reading: Any = av.CodecContext.create("h264" if encoder == "libx264" else "hevc", "r")
    return {shown.pts: samples_of(shown) for packet in (*packets, None) for shown in reading.decode(packet)}


def _decibels(error: float) -> float:
    return 10 * log10(255**2 / max(error, 1e-9))


def measure(name: str, source: Iterator[VideoFrame]) -> str:
    """Return the line of one video."""
    frames = [frame.reformat(format="yuv420p") for frame in islice(source, _FRAMES)]
    given = [samples_of(frame) for frame in frames]
    worst, nearest, alarms = 0.0, 0.0, 0
    for encoder, options in _ENCODERS:
        for number, shown in _encoded(frames, encoder, options).items():
            error, before = squared_error(shown, given[number]), given[max(0, number - _BEFORE) : number]
            worst = max(worst, error)
            other = min((squared_error(shown, earlier) for earlier in before), default=error)
            nearest = max(nearest, error / max(other, 1e-9))
            alarms += bool(mistaken(shown, given[number], before))
    green = bytes(len(given[0]))
    best = max(_decibels(squared_error(green, samples)) for samples in given)
    result = sum(bool(mistaken(given[_FROZEN], given[number], given[:number])) for number in range(_FROZEN + 1, len(given)))
    return (
        f"{name:24} worst {_decibels(worst):5.1f} dB, {nearest:6.2f} times nearer to an earlier one, {alarms} false alarms; "
        f"green {best:5.1f} dB, frozen found {result} of {len(given) - _FROZEN - 1}"
    )


def cost() -> float:
    """Return the CPU time of taking samples of frames of 1080p, as a share of that of decoding them in one thread."""
    writing: Any = av.CodecContext.create("libx264", "w")
    writing.width, writing.height, writing.pix_fmt = 1920, 1080, "yuv420p"
    writing.time_base, writing.framerate, writing.options = Fraction(1, _RATE), _RATE, {"preset": "ultrafast"}
    frames = islice(_generated(f"testsrc2=s=1920x1080:r={_RATE}"), _FRAMES)
    packets = [packet for frame in (*frames, None) for packet in writing.encode(frame and frame.reformat(format="yuv420p"))]
    reading: Any = av.CodecContext.create("h264", "r")
    reading.extradata, reading.thread_count = writing.extradata, 1
    begin = time.process_time()
    last = [shown for packet in (*packets, None) for shown in reading.decode(packet)][-1]
    decoded = time.process_time()
    for _ in range(_FRAMES):
        samples_of(last)
    return (time.process_time() - decoded) / (decoded - begin)


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", nargs="*")
    parser.add_argument("--cost", action="store_true", help="measure what taking samples costs, and nothing else")
    told = parser.parse_args()
    if told.cost:
        print("samples take", ", ".join(f"{cost():.2%}" for _ in range(5)), "of what decoding takes")
        return
    files = told.file
    videos = {path: _read(path) for path in files} or {name: _generated(source) for name, source in VIDEOS.items()}
    for name, source in videos.items():
        print(measure(name, source), flush=True)


if __name__ == "__main__":
    main()
