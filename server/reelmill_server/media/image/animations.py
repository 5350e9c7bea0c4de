"""Write animated images."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.image.last_delay import set_last_delay
from reelmill_server.media.image.stills import ImageWriter, StillEncoder, WrittenImage, to_pillow, unwritable
from reelmill_server.media.image.webp import WebpFile
from reelmill_server.media.input.sights import look
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.model.plan import ImagePlan
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.codec.image_encoders import (
    ANIMATION_MUXER_OPTIONS,
    ANIMATION_MUXERS,
    GIF_LEAST,
    GIF_TICK,
    OWN_PALETTES,
    OWN_PALETTES_USE,
    PALETTE,
    PALETTE_USE,
    WEBP_OPTIONS,
)

# A palette for all frames needs all of them in memory; beyond this, each frame gets its own.
_KEPT_BYTES = 256 << 20
_MILLISECOND = Fraction(1, 1000)
_DRY = (av.error.BlockingIOError, av.error.EOFError)


def animation_writer(plan: ImagePlan, folder: Path, most: int) -> ImageWriter:
    """Return the writer of the animation of `plan`, with at most `most` frames."""
    return _WRITERS[plan.stream.encoder](plan, folder, most)


class _Animation(ABC):
    """Base of all formats: frames shown one after the other, looping.

    They are shown as long as in the sources if the plan is `timed`, else at its frame rate.
    """

    least = Fraction(0)
    """Seconds for which a frame must be shown: one that is followed sooner is left out."""

    opaque = False
    """Whether what is partly transparent becomes so, or transparent."""

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        self._plan, self._most = plan, most
        self._path = folder / f"1.{plan.format}"
        self._count = 0
        self._begins: list[Fraction] = []
        self._times: list[Fraction] = []
        self._looks: list[bytes | None] = []
        self._origin: Fraction | None = None
        self._until: Fraction | None = None

    def take(self, time: Fraction, frame: VideoFrame, until: Fraction | None = None) -> None:
        """Add a frame."""
        if self._count >= self._most:
            raise MediaLimitExceeded(f"more than {self._most} pictures in an animation")
        begin = self._begin(time)
        self._count += 1
        self._until = until
        if self._begins and begin < self._begins[-1] + self.least:
            return
        self._begins.append(begin)
        self._times.append(time)
        self._looks.append(look(frame, self.opaque))
        try:
            self._add(frame, begin)
        except LIBAV_ERRORS as error:
            raise unwritable(error, f"{self._plan.format} animations") from error

    @abstractmethod
    def _add(self, frame: VideoFrame, begin: Fraction) -> None:
        """Show `frame` from `begin` on, seconds of the animation."""

    def _begin(self, time: Fraction) -> Fraction:
        if not self._plan.timed:
            return self._count / self._plan.frame_rate
        if self._origin is None:  # the first frame may have been on screen already
            self._origin = max(time, Fraction(self._plan.frames.start_us, MICROSECONDS))
        return max(time - self._origin, Fraction(0))

    @property
    def _end(self) -> Fraction:
        """When the last frame ends, seconds of the animation."""
        begin = self._begins[-1]
        if not self._plan.timed:
            return max(self._count / self._plan.frame_rate, begin + self.least)
        until = None if self._until is None or self._origin is None else self._until - self._origin
        return max(begin + 1 / self._plan.frame_rate if until is None else until, begin + (self.least or _MILLISECOND))

    def _written(self) -> Sequence[WrittenImage]:
        if not self._times:
            return ()
        size, left_out = (self._plan.width, self._plan.height), self._count - len(self._times)
        return (WrittenImage(1, self._path, *size, tuple(self._times), self._end, left_out, tuple(self._looks)),)


class _Muxed:
    """An animated file that libav writes."""

    def __init__(self, path: Path, encoder: str, frame: VideoFrame, tick: Fraction) -> None:
        self._path, self._format = path, ANIMATION_MUXERS[encoder]
        self._container: Any = av.open(str(path), "w", format=self._format, options=dict(ANIMATION_MUXER_OPTIONS[encoder]))
        self._stream: Any = self._container.add_stream(encoder, rate=1 / tick)
        context: Any = self._stream.codec_context
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base = tick
        self._last_bytes = 0

    def write(self, frame: VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._last_bytes = packet.size
            self._container.mux(packet)

    def close(self, last: Fraction) -> None:
        """Complete the file, whose last frame is shown for `last` seconds."""
        self.write(None)
        self._container.close()
        set_last_delay(self._path, self._format, self._last_bytes, last)


class _ApngWriter(_Animation):
    """Write APNG, whose encoder takes frames as they are."""

    _file: _Muxed | None = None

    def _begin(self, time: Fraction) -> Fraction:
        begin = super()._begin(time)
        return _milliseconds(begin) * _MILLISECOND if self._plan.timed else begin

    def _add(self, frame: VideoFrame, begin: Fraction) -> None:
        tick = _MILLISECOND if self._plan.timed else 1 / self._plan.frame_rate
        if self._file is None:
            self._file = _Muxed(self._path, self._plan.stream.encoder, frame, tick)
        frame.pts, frame.time_base, frame.duration = int(begin / tick), tick, 1
        self._file.write(frame)

    def finish(self) -> Sequence[WrittenImage]:
        if self._file is not None:
            self._file.close(self._end - self._begins[-1])
        return self._written()


class _WebpWriter(_Animation):
    """Write WebP."""

    _file: WebpFile | None = None

    def _add(self, frame: VideoFrame, begin: Fraction) -> None:
        if self._file is None:
            self._file = WebpFile(self._path, StillEncoder("libwebp", WEBP_OPTIONS, "webp animations"), frame)
        self._file.add(frame, _milliseconds(begin))

    def finish(self) -> Sequence[WrittenImage]:
        if self._file is not None:
            self._file.close(_milliseconds(self._end))
        return self._written()


class _GifWriter(_Animation):
    """Write GIF: one palette of 256 colors for all frames if they fit in memory, else one for each frame."""

    least, opaque = GIF_LEAST, True
    _file: _Muxed | None = None
    _apart: Graph | None = None

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        super().__init__(plan, folder, most)
        self._kept: list[VideoFrame] = []

    def _begin(self, time: Fraction) -> Fraction:
        # Rounding the exact time keeps errors from adding up.
        return round(super()._begin(time) / GIF_TICK) * GIF_TICK

    def _add(self, frame: VideoFrame, begin: Fraction) -> None:
        frame.pts, frame.time_base = int(begin / GIF_TICK), GIF_TICK
        self._kept.append(frame)
        if self._apart is None and len(self._kept) * frame.width * frame.height * 4 > _KEPT_BYTES:
            self._apart = _graph(frame, own_palettes=True)
        if self._apart is not None:
            for earlier in self._kept:
                self._apart.push(earlier)
                self._write(_pulled(self._apart))
            self._kept.clear()

    def finish(self) -> Sequence[WrittenImage]:
        if self._apart is not None:
            self._apart.push(None)
            self._write(_pulled(self._apart))
        elif self._kept:
            graph = _graph(self._kept[0], own_palettes=False)
            for frame in self._kept:
                graph.push(frame)
            graph.push(None)
            self._kept.clear()
            self._write(_pulled(graph))
        if self._file is not None:
            self._file.close(self._end - self._begins[-1])
        return self._written()

    def _write(self, frames: Iterator[VideoFrame]) -> None:
        for frame in frames:
            if self._file is None:
                self._file = _Muxed(self._path, "gif", frame, GIF_TICK)
            self._file.write(frame)


def _graph(frame: VideoFrame, own_palettes: bool) -> Graph:
    """Build the filters that reduce frames to 256 colors."""
    graph = Graph()
    source = graph.add(
        "buffer",
        f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}:pixel_aspect=1/1",
    )
    split = graph.add("split")
    palette = graph.add("palettegen", OWN_PALETTES if own_palettes else PALETTE)
    use = graph.add("paletteuse", OWN_PALETTES_USE if own_palettes else PALETTE_USE)
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(palette, 1, 0)
    palette.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


def _pulled(graph: Graph) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except _DRY:
            return
        assert isinstance(frame, VideoFrame)
        yield frame


class _AvifWriter(_Animation):
    """Write AVIF by Pillow, which takes all frames at once."""

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        super().__init__(plan, folder, most)
        self._kept: list[Any] = []

    def _add(self, frame: VideoFrame, begin: Fraction) -> None:
        self._kept.append(to_pillow(frame))
        if len(self._kept) * frame.width * frame.height * 4 > _KEPT_BYTES:
            raise MediaLimitExceeded(f"an AVIF animation is made in memory: more than {len(self._kept)} pictures do not fit")

    def finish(self) -> Sequence[WrittenImage]:
        if self._kept:
            # Rounding the exact times keeps errors from adding up.
            edges = [*map(_milliseconds, (*self._begins, self._end))]
            milliseconds = [max(end - begin, 1) for begin, end in pairwise(edges)]
            try:
                self._kept[0].save(
                    self._path,
                    format="AVIF",
                    save_all=True,
                    append_images=self._kept[1:],
                    duration=milliseconds if len(milliseconds) > 1 else milliseconds[0],
                    quality=70,
                    speed=8,
                )
            except (OSError, KeyError, ValueError) as error:
                raise unwritable(error, "avif animations") from error
        return self._written()


def _milliseconds(time: Fraction) -> int:
    return round(time * 1000)


# `libwebp_anim`: what plans of earlier versions say.
_WRITERS: Mapping[str, Callable[[ImagePlan, Path, int], ImageWriter]] = {
    "pillow": _AvifWriter,
    "gif": _GifWriter,
    "apng": _ApngWriter,
    "libwebp": _WebpWriter,
    "libwebp_anim": _WebpWriter,
}
