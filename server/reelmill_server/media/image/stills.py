"""Write frames as image files: one file each, or many on a sheet."""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import av
from av import VideoFrame
from PIL import Image

from reelmill_server.errors import MediaLimitExceeded, ReelmillError, UnsupportedFormat
from reelmill_server.media.input.sights import PictureSight, look
from reelmill_server.media.libav.errors import LIBAV_ERRORS, meaning_of_writing
from reelmill_server.media.libav.log import error_text
from reelmill_server.model.plan import PILLOW, ImagePlan, SheetPlan
from reelmill_server.plan.codec.image_encoders import STILL_OPTIONS

_SAVE_OPTIONS: dict[str, dict[str, Any]] = {
    "jpg": {"format": "JPEG", "quality": 90},
    "png": {"format": "PNG", "compress_level": 6},
    "webp": {"format": "WEBP", "quality": 85},
    "avif": {"format": "AVIF", "quality": 80, "speed": 8},
}


@dataclass(frozen=True)
class WrittenImage:
    """A file: its number from 1, its path, its size in pixels, the times of the frames in it, and how long it plays; seconds.

    `left_out`: how many frames were not written as they are shown too shortly. `looks`: how each of the frames looked, and
    `sight`: how the first of them did before it was turned and scaled; nothing of sheets.
    """

    number: int
    path: Path
    width: int
    height: int
    times: tuple[Fraction, ...]
    seconds: Fraction = Fraction(0)
    left_out: int = 0
    looks: tuple[bytes | None, ...] = ()
    sight: PictureSight | None = None


class ImageWriter(Protocol):
    """Write files of the frames of one plan, which come in the size and the pixel format that the plan says."""

    def take(self, time: Fraction, frame: VideoFrame, until: Fraction | None = None) -> None:
        """Add a frame; `until`: when the next one of the sources follows. Raises MediaLimitExceeded when there are too many."""

    def finish(self) -> Sequence[WrittenImage]:
        """End the last file; return all files."""


class StillEncoder:
    """Encode single frames, each into a file of its own, with an encoder of libav (`name`)."""

    def __init__(self, name: str, options: Mapping[str, str], what: str) -> None:
        """`what` errors say cannot be made."""
        self._name, self._options, self._what = name, options, what
        self._encoder: Any = None
        self._count = 0

    def encode(self, frame: VideoFrame) -> bytes:
        """Return the file of `frame`. Raises UnsupportedFormat if this encoder cannot be opened."""
        shape = (frame.width, frame.height, frame.format.name)
        if self._encoder is None or shape != (self._encoder.width, self._encoder.height, self._encoder.pix_fmt):
            self._encoder = self._opened(frame)
        self._count += 1
        frame.pts, frame.time_base = self._count, Fraction(1)
        packets = self._encoder.encode(frame)
        if not packets:  # the encoder delays frames: flush it for each, and open it again for the next
            packets, self._encoder = self._encoder.encode(None), None
        return b"".join(bytes(packet) for packet in packets)

    def _opened(self, frame: VideoFrame) -> Any:
        try:
            encoder: Any = av.CodecContext.create(self._name, "w")
            encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, frame.format.name
            encoder.time_base, encoder.options, encoder.thread_count = Fraction(1), dict(self._options), 1
            encoder.open(strict=False)
        except LIBAV_ERRORS as error:
            raise unwritable(error, self._what) from error
        return encoder


@dataclass
class StillWriter:
    """Write single images, at most `most`. Where all go to one URI, each replaces the one before it."""

    plan: ImagePlan
    folder: Path
    most: int
    _written: list[WrittenImage] = field(default_factory=list)
    _last: tuple[Fraction, VideoFrame] | None = None
    _encoder: StillEncoder | None = None
    _count: int = 0

    def take(self, time: Fraction, frame: VideoFrame, until: Fraction | None = None) -> None:
        self._count += 1
        if self._count > self.most and self.plan.numbered:
            raise MediaLimitExceeded(f"more than {self.most} pictures: ask for fewer by number or interval")
        if self.plan.numbered:
            self._write(self._count, time, frame)
        else:
            self._last = time, frame

    def finish(self) -> Sequence[WrittenImage]:
        if self._last is not None:
            self._write(1, *self._last)
        return self._written

    def _write(self, number: int, time: Fraction, frame: VideoFrame) -> None:
        path = self.folder / f"{number}.{self.plan.format}"
        seen = look(frame)
        path.write_bytes(self._encoded(frame))
        self._written.append(WrittenImage(number, path, frame.width, frame.height, (time,), looks=(seen,)))

    def _encoded(self, frame: VideoFrame) -> bytes:
        name = self.plan.stream.encoder
        if name == PILLOW:
            return encoded_image(to_pillow(frame), self.plan.format)
        self._encoder = self._encoder or StillEncoder(name, STILL_OPTIONS[name], f"{self.plan.format} pictures")
        return self._encoder.encode(frame)


class SheetWriter:
    """Write sheets of small images side by side, at most `most` images."""

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        assert plan.sheet
        self._plan, self._folder, self._most, self._sheet = plan, folder, most, plan.sheet
        self._canvas: Image.Image | None = None
        self._times: list[Fraction] = []
        self._written: list[WrittenImage] = []

    def take(self, time: Fraction, frame: VideoFrame, until: Fraction | None = None) -> None:
        if self._canvas is None:
            if len(self._written) >= self._most and self._plan.numbered:
                raise MediaLimitExceeded(f"more than {self._most} sheets: ask for fewer pictures by number or interval")
            self._canvas = Image.new("RGB", self._sheet.size(frame.width, frame.height))
        self._canvas.paste(to_pillow(frame), tile_place(self._sheet, len(self._times), frame.width, frame.height))
        self._times.append(time)
        if len(self._times) == self._sheet.columns * self._sheet.rows:
            self._write()

    def finish(self) -> Sequence[WrittenImage]:
        """End the last sheet; return all sheets.

        The last one is as large as the others, unless it is the only one: then it has no empty rows at its end.
        """
        if self._canvas is not None:
            self._write()
        return self._written

    def _write(self) -> None:
        assert self._canvas
        if not self._written and len(self._times) < self._sheet.columns * self._sheet.rows:
            self._canvas = self._canvas.crop((0, 0, *self._used()))
        if not self._plan.numbered:
            self._written.clear()
        number = len(self._written) + 1
        path = self._folder / f"{number}.{self._plan.format}"
        path.write_bytes(encoded_image(self._canvas, self._plan.format))
        self._written.append(WrittenImage(number, path, *self._canvas.size, tuple(self._times)))
        self._canvas, self._times = None, []

    def _used(self) -> tuple[int, int]:
        """Return the size of a sheet that is not full: whole rows, and whole columns when there is one row only."""
        count, sheet = len(self._times), self._sheet
        columns = min(count, sheet.columns)
        rows = -(-count // sheet.columns)
        return SheetPlan(columns, rows, sheet.pad, sheet.margin).size(self._plan.width, self._plan.height)


def tile_place(sheet: SheetPlan, position: int, width: int, height: int) -> tuple[int, int]:
    """Return the upper left corner of tile `position` (from 0): row by row, from the left."""
    row, column = divmod(position, sheet.columns)
    return sheet.margin + column * (width + sheet.pad), sheet.margin + row * (height + sheet.pad)


def to_pillow(frame: VideoFrame) -> Image.Image:
    """Convert a frame in rgb24 or rgba to a Pillow image."""
    plane: Any = frame.planes[0]
    mode = "RGBA" if frame.format.name == "rgba" else "RGB"
    return Image.frombuffer(mode, (frame.width, frame.height), bytes(plane), "raw", mode, plane.line_size, 1)


def encoded_image(image: Image.Image, form: str) -> bytes:
    """Return the file of an image; `form` is its extension."""
    buffer = io.BytesIO()
    try:
        image.save(buffer, **_SAVE_OPTIONS[form])
    except (OSError, KeyError, ValueError) as error:
        raise unwritable(error, f"{form} pictures") from error
    return buffer.getvalue()


def unwritable(error: Exception, what: str) -> ReelmillError:
    """Classify a failure to encode or write `what`."""
    return meaning_of_writing(error, what, UnsupportedFormat(f"{what} cannot be made here: {error_text(error)}"))
