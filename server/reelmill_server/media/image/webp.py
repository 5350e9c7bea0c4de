"""Write animated WebP (https://developers.google.com/speed/webp/docs/riff_container).

libwebp's own animation encoder leaves out pixels that are nearly those of the frame before: in a slow fade, they stay for ever.
Here each frame stores the rectangle in which it differs at all.
"""

from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import BinaryIO

from av import VideoFrame

from reelmill_server.media.image.stills import StillEncoder

_RIFF, _CHUNK = Struct("<4sI4s"), Struct("<4sI")
_ALPHA, _ANIMATED = 0x10, 0x02
_NO_BLENDING = 0x02  # what is transparent replaces what was there
_LONGEST = (1 << 24) - 1  # milliseconds
_KEPT_CHUNKS = (b"ALPH", b"VP8 ", b"VP8L")


@dataclass(frozen=True)
class _Stored:
    """A frame that waits for its duration: where it lies, and its chunks."""

    left: int
    top: int
    width: int
    height: int
    begin: int
    chunks: bytes


class WebpFile:
    """An animated WebP file that loops forever. Times are in milliseconds."""

    def __init__(self, path: Path, encoder: StillEncoder, first: VideoFrame) -> None:
        """All frames are like `first`: yuv420p or yuva420p."""
        self._file: BinaryIO = path.open("wb")
        self._encoder = encoder
        self._before: VideoFrame | None = None
        self._stored: _Stored | None = None
        self._until = 0  # frames that are shown for less than a millisecond take it from those behind them
        alpha = _ALPHA * (first.format.name == "yuva420p")
        canvas = _three(first.width - 1) + _three(first.height - 1)
        self._file.write(_RIFF.pack(b"RIFF", 0, b"WEBP"))  # the size is known at the end
        self._file.write(_chunk(b"VP8X", bytes([alpha | _ANIMATED, 0, 0, 0]) + canvas))
        self._file.write(_chunk(b"ANIM", bytes(4) + bytes(2)))  # a transparent background; for ever

    def add(self, frame: VideoFrame, begin: int) -> None:
        """Show `frame` from `begin` on."""
        box = (0, 0, frame.width, frame.height) if self._before is None else _difference(self._before, frame)
        self._before = frame
        self._end(begin)
        left, top, right, bottom = box
        chunks = _image_chunks(self._encoder.encode(_cropped(frame, *box)))
        self._stored = _Stored(left, top, right - left, bottom - top, max(begin, self._until), chunks)

    def close(self, end: int) -> None:
        """Show the last frame until `end`, and complete the file."""
        self._end(end)
        size = self._file.tell()
        self._file.seek(4)
        self._file.write((size - 8).to_bytes(4, "little"))
        self._file.close()

    def _end(self, time: int) -> None:
        stored = self._stored
        if stored is None:
            return
        place = _three(stored.left // 2) + _three(stored.top // 2) + _three(stored.width - 1) + _three(stored.height - 1)
        shown = min(max(time - stored.begin, 1), _LONGEST)
        self._until = stored.begin + shown
        self._file.write(_chunk(b"ANMF", place + _three(shown) + bytes([_NO_BLENDING]) + stored.chunks))


def _three(value: int) -> bytes:
    return value.to_bytes(3, "little")


def _chunk(name: bytes, content: bytes) -> bytes:
    return _CHUNK.pack(name, len(content)) + content + b"\0" * (len(content) & 1)


def _image_chunks(image: bytes) -> bytes:
    """Return the chunks of a WebP image that hold its samples."""
    chunks, position = b"", _RIFF.size
    while position < len(image):
        name, size = _CHUNK.unpack_from(image, position)
        end = position + _CHUNK.size + size + (size & 1)
        if name in _KEPT_CHUNKS:
            chunks += image[position:end]
        position = end
    return chunks


def _difference(before: VideoFrame, frame: VideoFrame) -> tuple[int, int, int, int]:
    """Return left, top, right and bottom of what differs, from even pixels on and to even ones; the least there can be where
    nothing does.
    """
    # Here, as a child without animations does without arrays.
    import numpy as np

    from reelmill_server.media.libav.planes import planes

    rows, columns = np.zeros(-(-frame.height // 2), bool), np.zeros(-(-frame.width // 2), bool)
    for old, new in zip(planes(before), planes(frame), strict=True):
        changed = old != new
        # Pairs of luma and alpha are one sample of chroma.
        step = 1 if changed.shape[0] == len(rows) and changed.shape[1] == len(columns) else 2
        down, across = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
        rows[down // step], columns[across // step] = True, True
    down, across = np.flatnonzero(rows), np.flatnonzero(columns)
    left, right = (int(across[0]), int(across[-1]) + 1) if len(across) else (0, 1)
    top, bottom = (int(down[0]), int(down[-1]) + 1) if len(down) else (0, 1)
    return 2 * left, 2 * top, min(2 * right, frame.width), min(2 * bottom, frame.height)


def _cropped(frame: VideoFrame, left: int, top: int, right: int, bottom: int) -> VideoFrame:
    from reelmill_server.media.libav.planes import planes  # here, as above

    part = VideoFrame(right - left, bottom - top, frame.format.name)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for own, whole in zip(planes(part), planes(frame), strict=True):
        step = 1 if whole.shape == (frame.height, frame.width) else 2
        own[...] = whole[top // step : top // step + own.shape[0], left // step : left // step + own.shape[1]]
    return part
