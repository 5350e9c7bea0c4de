"""Remember how a stream looks and sounds where it begins, before any filter: `media.result.witness` compares the output.

Nothing here is shared with what turns frames, crops them or maps channels.
"""

from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from math import log10
from typing import Any

from av import AudioFrame, VideoFrame
from av.audio.plane import AudioPlane
from av.sidedata.sidedata import Type
from av.video.reformatter import Interpolation, VideoReformatter

from reelmill_server.media.input.cropping import edges
from reelmill_server.media.input.pieces import is_item
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.pillow import UNREADABLE, opened
from reelmill_server.media.libav.side_data import NAMING_CODECS, frame_data
from reelmill_server.plan.stream.alpha import has_alpha

FINE, COARSE = 64, 16
"""Samples of a row, and rows: as they are taken of the first frame, and of each frame of many."""
SECONDS = 1
"""For so long the audio at the beginning is heard."""
_RUN = 96  # samples of each frame and channel: as many crossings of zero tell a frequency
_OPAQUE = 255
_FULL_SCALES = {"u8": ("B", 128), "s16": ("h", 1 << 15), "s32": ("i", 1 << 31), "flt": ("f", 1), "dbl": ("d", 1)}
_TILT = 0.01
_LEAST = 1e-9  # of a mean square: -90 dB

Rows = tuple[bytes, ...]
Turn = tuple[int, int, int, int]
"""Where the unit vectors go: right to (a, b), down to (c, d)."""
UPRIGHT: Turn = (1, 0, 0, 1)


@dataclass(frozen=True)
class PictureSight:
    """The first frame of a span: `time` in seconds from its beginning, and `FINE` rows of gray samples.

    `cropped`: those that players show, if they show less; `on_black`: these where a frame is partly transparent. `turn`: how
    players turn it; None: unknown. `part_of`: the size of the image in which it is a tile; None: it is whole.
    """

    time: Fraction
    rows: Rows
    cropped: Rows | None
    on_black: Rows | None
    turn: Turn | None
    part_of: tuple[int, int] | None = None


def picture_sight(frame: VideoFrame, stream: Any, time: Fraction) -> PictureSight | None:
    """Return how a decoded frame of `stream` looks; None if it cannot be scaled."""
    cut = edges(stream)
    try:
        rows = samples(frame, "gray")
        alpha = samples(frame, "gbrap", 3) if has_alpha(frame.format.name) else ()
    except (*LIBAV_ERRORS, ValueError) as error:
        check_memory(error)
        return None
    transparent = min(map(min, alpha), default=_OPAQUE) < _OPAQUE
    black = tuple(bytes(map(_shown, row, opacity)) for row, opacity in zip(rows, alpha, strict=True)) if transparent else None
    size = frame.width, frame.height
    less = _within(rows, size, cut) if any(cut) else None
    within = black and _within(black, size, cut)
    return PictureSight(
        time, rows, less, within, _turn_of(frame, canonical_name(stream.codec_context)), _larger_image(stream, size)
    )


def _larger_image(stream: Any, size: tuple[int, int]) -> tuple[int, int] | None:
    """Return the size of an AVIF image as another library reads it, if it is not that of the frame; None: it is."""
    if not is_item(stream) or (file := getattr(stream.container.file, "file", None)) is None:
        return None
    position = file.tell()
    try:
        file.seek(0)
        with opened(file, ("AVIF",)) as image:
            whole: tuple[int, int] = image.size
    except UNREADABLE:
        return None
    finally:
        file.seek(position)  # libav goes on there
    return None if sorted(whole) == sorted(size) else whole


def _within(rows: Rows, size: tuple[int, int], cut: tuple[int, int, int, int]) -> Rows:
    """Return as many rows of the part of a frame of `size` that is left when its edges are `cut` off."""
    left, top, right, bottom = cut
    columns, lines = (
        [min(FINE - 1, int((first + (place + 0.5) * (whole - first - last) / FINE) * FINE / whole)) for place in range(FINE)]
        for first, last, whole in ((left, right, size[0]), (top, bottom, size[1]))
    )
    return tuple(bytes([rows[line][column] for column in columns]) for line in lines)


def look(frame: VideoFrame, opaque: bool = False) -> bytes | None:
    """Return `COARSE` rows of how green a frame is, on black if it is partly transparent; None if it cannot be scaled, or is
    not `opaque` as it has to be.
    """
    try:
        greens = b"".join(samples(frame, "gbrap", 0, COARSE))
        alpha = b"".join(samples(frame, "gbrap", 3, COARSE)) if has_alpha(frame.format.name) else b""
    except (*LIBAV_ERRORS, ValueError) as error:
        check_memory(error)
        return None
    if opaque and min(alpha, default=_OPAQUE) < _OPAQUE:
        return None
    return bytes(map(_shown, greens, alpha)) if alpha else greens


def _shown(value: int, alpha: int) -> int:
    return value * alpha // _OPAQUE


def samples(frame: VideoFrame, form: str, place: int = 0, side: int = FINE) -> Rows:
    """Return `side` rows of as many samples of a frame: those of the plane `place` of `form`.

    Colors are asked for in planes: into packed RGB, libav scales chroma to half as many columns.
    """
    small = VideoReformatter().reformat(frame, side, side, form, interpolation=Interpolation.AREA, threads=1)
    plane: Any = small.planes[place]
    data, stride = bytes(plane), plane.line_size
    return tuple(data[row * stride : row * stride + side] for row in range(side))


def _turn_of(frame: VideoFrame, codec: str) -> Turn | None:
    if codec in NAMING_CODECS:
        return None
    data = frame_data(frame, codec, Type.DISPLAYMATRIX)
    if data is None:
        return UPRIGHT
    a, b, c, d = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (0, 4, 12, 16))
    one = max(map(abs, (a, b, c, d)))
    if not one:
        return None
    turn: Turn = (round(a / one), round(b / one), round(c / one), round(d / one))
    tilted = any(abs(value - whole * one) > _TILT * one for value, whole in zip((a, b, c, d), turn, strict=True))
    return None if tilted or abs(turn[0] * turn[3] - turn[1] * turn[2]) != 1 else turn


@dataclass
class SoundSight:
    """The sound of each channel in the first second of a span: how loud it is, and how often it crosses zero."""

    layout: str = ""
    rate: int = 0
    heard: int = 0
    """Samples of a channel, of which a run of each frame is looked at."""
    _looked: int = 0
    _squares: list[float] = field(default_factory=list)
    _crossings: list[int] = field(default_factory=list)

    def add(self, frame: AudioFrame) -> bool:
        """Hear a frame; return whether more is wanted."""
        name = frame.format.name
        kind = _FULL_SCALES.get(name.removesuffix("p"))
        if kind is None or frame.layout.name != (self.layout or frame.layout.name):
            return False
        channels = frame.layout.nb_channels
        if not self.layout:
            self.layout, self.rate = frame.layout.name, frame.sample_rate
            self._squares, self._crossings = [0.0] * channels, [0] * channels
        code, full = kind
        size = min(frame.samples, _RUN)
        for channel in range(channels):
            planar = name.endswith("p")
            # Not by `planes`: PyAV 19 fails where there are eight.
            data: Any = memoryview(bytes(AudioPlane(frame, channel if planar else 0)))
            values = data.cast(code)
            run = values[:size].tolist() if planar else values[channel : size * channels : channels].tolist()
            if code == "B":
                run = [value - full for value in run]
            self._squares[channel] += sum(value * value for value in run) / full**2
            self._crossings[channel] += sum((a < 0) != (b < 0) for a, b in pairwise(run))
        self._looked += size
        self.heard += frame.samples
        return self.heard < SECONDS * self.rate

    @property
    def seconds(self) -> float:
        """Return for how long it was heard."""
        return self.heard / self.rate if self.rate else 0.0

    def channels(self) -> list[tuple[float, float]]:
        """Return of each channel the level against the loudest one, dB, and the share of samples at which it crosses zero."""
        levels = [10 * log10(square / max(self._looked, 1) + _LEAST) for square in self._squares]
        loudest = max(levels, default=0.0)
        return [
            (level - loudest, crossings / max(self._looked, 1))
            for level, crossings in zip(levels, self._crossings, strict=True)
        ]


Sight = PictureSight | SoundSight


class Sights:
    """Look at the first frame, or the first second, of each stream that is decoded."""

    def __init__(self) -> None:
        self._seen: dict[tuple[Any, int], Sight | None] = {}

    def take(self, part: Any, stream: int, frame: Any, begin: Fraction) -> bool:
        """Look at a frame in the span, which begins at `begin`, seconds of the source; return whether more is wanted."""
        key = part, stream
        if isinstance(frame, VideoFrame):
            assert frame.pts is not None and frame.time_base
            self._seen[key] = picture_sight(frame, part.source.streams[stream], frame.pts * frame.time_base - begin)
            return False
        sound = self._seen.setdefault(key, SoundSight())
        return isinstance(sound, SoundSight) and sound.add(frame)

    def of(self, number: int, stream: int) -> Sight | None:
        """Return what was seen of a stream of the input `number`."""
        return next((sight for (part, index), sight in self._seen.items() if (part.number, index) == (number, stream)), None)
