"""Meters of quality: how near frames that a decoder shows are to those that the encoder was given, or to larger ones."""

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from fractions import Fraction
from math import ceil, isfinite, sqrt
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph

from reelmill_server.media.libav.libvmaf import VmafScore
from reelmill_server.model.quality import Metric

_THREADS = 4  # each has buffers of its own
_NEIGHBORS = 3  # a frame, the one before it and the one after it: how much moves between them is part of its VMAF
# Pixel formats that are compared, in place of those that some encoders take.
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuva420p": "yuv420p"}
_WEIGHTS = {"y": 4, "u": 1, "v": 1}
_MOST_DB = 100.0  # of equal frames, whose XPSNR is infinite
_LEAST_PIXELS = 2025  # of smaller frames, libav's filter makes blocks of no pixel, and divides by their size
_BYTE = 8
_ROW = 64  # samples in whose multiples filters store rows


class Meter(ABC):
    """Compare frames at the size of those that were given."""

    metric: Metric

    def __init__(self, pixel_format: str, rate: Fraction) -> None:
        """`rate`: frames per second; they are counted at that rate, whatever their timestamps are."""
        self._pixel_format, self._rate = _PLANAR.get(pixel_format, pixel_format), rate
        self._graph: Graph | None = None
        self._inputs: list[Any] = []
        self._pairs = 0

    def compare(self, shown: VideoFrame, given: VideoFrame) -> None:
        """Take a frame that a decoder shows, and the one that was given to the encoder; changes their timestamps."""
        if self._graph is None:
            self._graph = self._build(shown, given)
        for frame in (shown, given):
            frame.pts, frame.time_base = self._pairs, 1 / self._rate
        self._push(shown, given)
        self._pairs += 1

    @abstractmethod
    def mean(self) -> float | None:
        """Return the mean of all frames, None when there were none; nothing can be compared after it."""

    @abstractmethod
    def _add_ends(self, graph: Graph) -> Sequence[tuple[Any, int]]:
        """Add to the graph what takes both frames; return where each goes: a filter, and the number of its input."""

    @abstractmethod
    def _push(self, shown: VideoFrame, given: VideoFrame) -> None:
        """Compare a pair whose timestamps are equal."""

    def _build(self, shown: VideoFrame, given: VideoFrame) -> Graph:
        graph = Graph()
        for frame, end in zip((shown, given), self._add_ends(graph), strict=True):
            described = f"pix_fmt={frame.format.name}:time_base={1 / self._rate}:frame_rate={self._rate}"
            node = graph.add("buffer", f"video_size={frame.width}x{frame.height}:{described}")
            self._inputs.append(node)
            # One range for both, whatever their tags say: values are compared as they are.
            size = f"{given.width}:{given.height}:flags=bicubic"
            scaled = ("scale", f"{size}:in_range=pc:out_range=pc"), ("format", self._pixel_format)
            for name, words in (*scaled, *self._fitted(given.width, given.height)):
                following = graph.add(name, words)
                node.link_to(following)
                node = following
            node.link_to(end[0], 0, end[1])
        graph.configure()
        return graph

    def _fitted(self, width: int, height: int) -> Iterator[tuple[str, str]]:
        """Yield the filters that bring frames of that size to one that can be compared."""
        yield from ()


class VmafMeter(Meter):
    """libvmaf's default model, vmaf_v0.6.1, for a screen of 1080 lines."""

    metric = Metric.VMAF

    def __init__(self, pixel_format: str, rate: Fraction = Fraction(25), every: int = 1) -> None:
        """`every`: one frame in so many is scored. Raises LibvmafError if there is no libvmaf."""
        super().__init__(pixel_format, rate)
        self._score = VmafScore(min(os.cpu_count() or 1, _THREADS), min(every, _NEIGHBORS))
        self._sinks: list[Any] = []
        self._every, self._number = every, 0

    def compare(self, shown: VideoFrame, given: VideoFrame) -> None:
        """Take a pair, if it is scored or next to one that is."""
        if (self._number + 1) % self._every < _NEIGHBORS:
            super().compare(shown, given)
        self._number += 1

    def mean(self) -> float | None:
        mean = self._score.mean()
        self._graph, self._inputs, self._sinks = None, [], []
        return None if mean is None else round(mean, 3)

    def _add_ends(self, graph: Graph) -> Sequence[tuple[Any, int]]:
        self._sinks = [graph.add("buffersink"), graph.add("buffersink")]
        return [(sink, 0) for sink in self._sinks]

    def _push(self, shown: VideoFrame, given: VideoFrame) -> None:
        for node, frame in zip(self._inputs, (shown, given), strict=True):
            node.push(frame)
        self._score.add(*(sink.pull() for sink in self._sinks))


class XpsnrMeter(Meter):
    """XPSNR of each frame in dB, of luma and chroma as 4:1:1."""

    metric = Metric.XPSNR

    def __init__(self, pixel_format: str, rate: Fraction = Fraction(25)) -> None:
        super().__init__(pixel_format, rate)
        self._sum, self._frames = 0.0, 0

    def mean(self) -> float | None:
        if self._graph is not None:
            self._push(None, None)
        self._graph, self._inputs = None, []
        return round(self._sum / self._frames, 3) if self._frames else None

    def _add_ends(self, graph: Graph) -> Sequence[tuple[Any, int]]:
        judge = graph.add("xpsnr")
        judge.link_to(graph.add("buffersink"))
        return [(judge, 0), (judge, 1)]

    def _fitted(self, width: int, height: int) -> Iterator[tuple[str, str]]:
        # Of more than 8 bits, libav's filter takes gaps between rows for samples; of odd heights, it leaves out a row.
        deep = av.VideoFormat(self._pixel_format).components[0].bits > _BYTE
        grown = max(1, ceil(sqrt(_LEAST_PIXELS / (width * height))), ceil(2 * _ROW / width) if deep else 1)
        wide, high = grown * width, grown * height
        if grown > 1:
            yield "scale", f"{wide}:{high}:flags=neighbor"
        right, bottom = -wide % _ROW if deep else 0, high % 2
        if deep or bottom:
            yield "pad", f"{wide + right}:{high + bottom}"
            yield "fillborders", f"right={right}:bottom={bottom}:mode=mirror"
            yield "copy", ""

    def _push(self, shown: VideoFrame | None, given: VideoFrame | None) -> None:
        """Push a pair, or its end, and drain what the filter passes on: it stalls when nobody reads."""
        assert self._graph is not None
        for node, frame in zip(self._inputs, (shown, given), strict=True):
            node.push(frame)
        try:
            while True:
                self._count(self._graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return

    def _count(self, frame: Any) -> None:
        values = {plane: float(frame.metadata.get(f"lavfi.xpsnr.xpsnr.{plane}", "nan")) for plane in _WEIGHTS}
        planes = {plane: value for plane, value in values.items() if value == value}
        weights = sum(_WEIGHTS[plane] for plane in planes)
        if weights:
            capped = {plane: min(value, _MOST_DB) if isfinite(value) else _MOST_DB for plane, value in planes.items()}
            self._sum += sum(_WEIGHTS[plane] * value for plane, value in capped.items()) / weights
            self._frames += 1
