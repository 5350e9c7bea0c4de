"""Filter graphs: one chain from a stream's decoded frames to what its encoder takes."""

import os
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from typing import Any

import av
from av import AudioFrame, VideoFrame
from av.filter import Graph

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.media.libav.tone_mapping import table_files
from reelmill_server.model.time import FALLBACK_RATE

# Waking threads for parts of a small frame takes longer than these filters do with it, and the codecs use the cores already.
_CHEAP = frozenset(("crop", "format", "fps", "pad", "scale", "setparams", "setpts", "setsar", "settb"))
_THREAD_PIXELS = 1920 * 1088
# A graph raises these while it needs more input, and when it is drained.
_DRY = (av.error.BlockingIOError, av.error.EOFError)


class Chain:
    """A chain of filters, built for the first frame it sees; `filters` names them then.

    Audio whose rate, layout or format changes midway gets a new chain, since libav's audio source cannot change. Video whose
    size or format changes is first scaled to that of the first frame, with bars where its aspect ratio differs.
    """

    def __init__(
        self,
        filters: Callable[[], Sequence[str]],
        sample_aspect_ratio: Fraction = Fraction(1),
        frame_rate: Fraction = FALLBACK_RATE,
    ) -> None:
        self._filters = filters
        self._sample_aspect_ratio = sample_aspect_ratio
        self._frame_rate = frame_rate
        self._graph: Graph | None = None
        self._shape: tuple[Any, ...] = ()
        self._levelling: dict[tuple[Any, ...], Graph] = {}

    def push(self, frame: VideoFrame | AudioFrame) -> Iterator[VideoFrame | AudioFrame]:
        """Yield the frames that are ready once `frame` went in."""
        if isinstance(frame, AudioFrame):
            shape = (frame.sample_rate, frame.layout.name, frame.format.name)
            if self._graph is not None and shape != self._shape:
                yield from self.flush()
            self._shape = shape
        else:
            frame = self._levelled(frame)
        if self._graph is None:
            self._graph = self._build(frame)
        try:
            self._graph.push(frame)
        except av.error.EOFError:
            return  # a trim filter has all of its span
        yield from self._pull()

    def _levelled(self, frame: VideoFrame) -> VideoFrame:
        shape = (frame.width, frame.height, frame.format.name)
        self._shape = self._shape or shape
        if shape == self._shape:
            return frame
        if shape not in self._levelling:
            self._levelling[shape] = self._level(frame)
        self._levelling[shape].push(frame)
        level: Any = self._levelling[shape].pull()
        return level  # type: ignore[no-any-return]

    def _level(self, frame: VideoFrame) -> Graph:
        graph = Graph()
        width, height, pixel_format = self._shape
        ratio = min(Fraction(width, frame.width), Fraction(height, frame.height))
        inner = tuple(min(most, max(1, round(side * ratio))) for side, most in ((frame.width, width), (frame.height, height)))
        fitted = (f"scale={inner[0]}:{inner[1]}:flags=bicubic", f"pad={width}:{height}:-1:-1:black", f"format={pixel_format}")
        return _connected(graph, self._video_source(graph, frame), fitted, "buffersink")

    def flush(self) -> Iterator[VideoFrame | AudioFrame]:
        """Yield the frames that were held back; the next push begins anew."""
        if self._graph is None:
            return
        try:
            self._graph.push(None)
        except av.error.EOFError:
            pass
        yield from self._pull()
        self._graph = None

    def _pull(self) -> Iterator[VideoFrame | AudioFrame]:
        while self._graph is not None:
            try:
                frame = self._graph.pull()
            except _DRY:
                return
            yield frame

    def _build(self, frame: VideoFrame | AudioFrame) -> Graph:
        graph, named = Graph(), tuple(self._filters())
        if isinstance(frame, VideoFrame):
            graph.threads = _threads(frame, named)
        node = self._video_source(graph, frame) if isinstance(frame, VideoFrame) else self._audio_source(graph, frame)
        with table_files(named) as filters:
            try:
                return _connected(graph, node, filters, "buffersink" if isinstance(frame, VideoFrame) else "abuffersink")
            except av.error.NotImplementedError as error:
                matrix = f", whose matrix is {int(frame.colorspace)} of H.273" if isinstance(frame, VideoFrame) else ""
                raise UnsupportedFormat(f"libav cannot convert frames of {frame.format.name}{matrix}") from error

    def _video_source(self, graph: Graph, frame: VideoFrame) -> Any:
        # Graph.add_buffer would set square pixels, and neither frame rate nor colors.
        ratio, rate = self._sample_aspect_ratio, self._frame_rate
        return graph.add(
            "buffer",
            f"video_size={frame.width}x{frame.height}:pix_fmt={frame.format.name}:time_base={frame.time_base}"
            f":pixel_aspect={ratio.numerator}/{ratio.denominator}:frame_rate={rate.numerator}/{rate.denominator}"
            f":colorspace={int(frame.colorspace)}:range={int(frame.color_range)}",
        )

    def _audio_source(self, graph: Graph, frame: AudioFrame) -> Any:
        return graph.add_abuffer(
            sample_rate=frame.sample_rate, format=frame.format, layout=frame.layout.name, time_base=frame.time_base
        )


def _threads(frame: VideoFrame, filters: Sequence[str]) -> int:
    """Return how many threads share the work of filters on each frame; 0: as many as there are cores."""
    if not _CHEAP.issuperset(text.partition("=")[0] for text in filters):
        return 0
    return min(-(-frame.width * frame.height // _THREAD_PIXELS), os.cpu_count() or 1)


class FrameTwins:
    """Make twins of frames: with times and memory of their own, where outputs share a frame or show it again."""

    def __init__(self, frame_rate: Fraction = FALLBACK_RATE) -> None:
        self._chain = Chain(lambda: (), frame_rate=frame_rate)

    def of(self, frame: VideoFrame) -> VideoFrame:
        """Return a twin of `frame`; all frames have one time base."""
        (twin,) = self._chain.push(frame)
        assert isinstance(twin, VideoFrame)
        return twin


def _connected(graph: Graph, node: Any, filters: Sequence[str], sink: str) -> Graph:
    for text in filters:
        name, _, arguments = text.partition("=")
        following = graph.add(name, arguments or None)
        node.link_to(following)
        node = following
    node.link_to(graph.add(sink))
    graph.configure()
    return graph
