"""Write animated images."""

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph

from reelmill_server.errors import MediaLimitExceeded
from reelmill_server.media.image.stills import ImageWriter, WrittenImage, to_pillow, unwritable
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.model.plan import ImagePlan
from reelmill_server.plan.codec.image_encoders import (
    ANIMATION_MUXER_OPTIONS,
    ANIMATION_MUXERS,
    ANIMATION_OPTIONS,
    GIF_TICK,
    OWN_PALETTES,
    OWN_PALETTES_USE,
    PALETTE,
    PALETTE_USE,
)

# A palette for all frames needs all of them in memory; beyond this, each frame gets its own.
_KEPT_BYTES = 256 << 20
_DRY = (av.error.BlockingIOError, av.error.EOFError)


def animation_writer(plan: ImagePlan, folder: Path, most: int) -> ImageWriter:
    """Return the writer of the animation of `plan`, with at most `most` frames."""
    kinds: dict[str, Callable[[ImagePlan, Path, int], ImageWriter]] = {"pillow": _AvifWriter, "gif": _GifWriter}
    return kinds.get(plan.stream.encoder, _LibavWriter)(plan, folder, most)


class _Animation:
    """Base of all formats: frames shown one after the other at a fixed rate, looping."""

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        self._plan, self._most = plan, most
        self._path = folder / f"1.{plan.format}"
        self._rate = plan.frame_rate
        self._times: list[Fraction] = []

    def _count(self, time: Fraction) -> int:
        """Count a frame; return its position, from 0."""
        if len(self._times) >= self._most:
            raise MediaLimitExceeded(f"more than {self._most} pictures in an animation")
        self._times.append(time)
        return len(self._times) - 1

    def _written(self) -> Sequence[WrittenImage]:
        if not self._times:
            return ()
        return (WrittenImage(1, self._path, self._plan.width, self._plan.height, tuple(self._times)),)


class _Muxed:
    """An animated file that libav writes."""

    def __init__(self, path: Path, encoder: str, frame: VideoFrame, tick: Fraction, rate: Fraction) -> None:
        options = dict(ANIMATION_MUXER_OPTIONS[encoder])
        if encoder == "gif":
            options["final_delay"] = str(
                max(round(1 / rate / tick), 1)
            )  # nothing follows the last frame to tell how long it is shown
        self._container: Any = av.open(str(path), "w", format=ANIMATION_MUXERS[encoder], options=options)
        self._stream: Any = self._container.add_stream(encoder, rate=1 / tick)
        context: Any = self._stream.codec_context
        context.width, context.height, context.pix_fmt = frame.width, frame.height, frame.format.name
        context.time_base, context.options = tick, dict(ANIMATION_OPTIONS.get(encoder, {}))

    def write(self, frame: VideoFrame | None) -> None:
        for packet in self._stream.encode(frame):
            self._container.mux(packet)

    def close(self) -> None:
        self.write(None)
        self._container.close()


class _LibavWriter(_Animation):
    """Write formats whose encoder takes frames as they are."""

    _file: _Muxed | None = None

    def take(self, time: Fraction, frame: VideoFrame) -> None:
        place = self._count(time)
        try:
            if self._file is None:
                self._file = _Muxed(self._path, self._plan.stream.encoder, frame, 1 / self._rate, self._rate)
            frame.pts, frame.time_base, frame.duration = place, 1 / self._rate, 1
            self._file.write(frame)
        except LIBAV_ERRORS as error:
            raise unwritable(error, f"{self._plan.format} animations") from error

    def finish(self) -> Sequence[WrittenImage]:
        if self._file is not None:
            self._file.close()
        return self._written()


class _GifWriter(_Animation):
    """Write GIF: one palette of 256 colors for all frames if they fit in memory, else one for each frame."""

    _file: _Muxed | None = None
    _apart: Graph | None = None
    _tick = -1  # timestamp of the frame before

    def __init__(self, plan: ImagePlan, folder: Path, most: int) -> None:
        super().__init__(plan, folder, most)
        self._kept: list[VideoFrame] = []

    def take(self, time: Fraction, frame: VideoFrame) -> None:
        # GIF counts in hundredths of a second: rounding the exact time keeps errors from adding up.
        tick = round(self._count(time) / self._rate / GIF_TICK)
        if tick == self._tick:
            return  # it would be shown for less than a hundredth of a second
        self._tick = frame.pts = tick
        frame.time_base = GIF_TICK
        self._kept.append(frame)
        if self._apart is None and len(self._kept) * frame.width * frame.height * 4 > _KEPT_BYTES:
            self._apart = _graph(frame, own_palettes=True)
        if self._apart is not None:
            for kept in self._kept:
                self._apart.push(kept)
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
            self._file.close()
        return self._written()

    def _write(self, frames: Iterator[VideoFrame]) -> None:
        for frame in frames:
            if self._file is None:
                self._file = _Muxed(self._path, "gif", frame, GIF_TICK, self._rate)
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

    def take(self, time: Fraction, frame: VideoFrame) -> None:
        self._count(time)
        self._kept.append(to_pillow(frame))
        if len(self._kept) * frame.width * frame.height * 4 > _KEPT_BYTES:
            raise MediaLimitExceeded(f"an AVIF animation is made in memory: more than {len(self._kept)} pictures do not fit")

    def finish(self) -> Sequence[WrittenImage]:
        if self._kept:
            # Rounding the exact times keeps errors from adding up.
            edges = [round(place * 1000 / self._rate) for place in range(len(self._kept) + 1)]
            milliseconds = [end - begin for begin, end in pairwise(edges)]
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
