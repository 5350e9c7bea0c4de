"""Meters of quality: how near frames that a decoder shows are to those that the encoder was given, or to larger ones."""

import csv
import os
from abc import ABC, abstractmethod
from fractions import Fraction
from math import isfinite
from pathlib import Path
from statistics import fmean
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph

from reelmill_server.media.libav.freeing import wait_for_freed
from reelmill_server.media.libav.log import option_text
from reelmill_server.model.quality import Metric

_THREADS = 4  # each has buffers of its own
# Pixel formats that the filters take, in place of those that some encoders take.
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuva420p": "yuv420p"}
_WEIGHTS = {"y": 4, "u": 1, "v": 1}
_MOST_DB = 100.0  # of equal frames, whose XPSNR is infinite


class Meter(ABC):
    """Compare frames by a filter of libav, at the size of those that were given."""

    metric: Metric
    _filter: str

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

    @property
    @abstractmethod
    def _arguments(self) -> str:
        """The arguments of the filter."""

    def _finish(self) -> bool:
        """Push the end; return whether there were frames."""
        if self._graph is None:
            return False
        self._push(None, None)
        self._graph, self._inputs = None, []
        return True

    def _passed(self, frame: Any) -> None:  # noqa: B027
        """Take a frame that the filter passes on, if there is something in it."""

    def _build(self, shown: VideoFrame, given: VideoFrame) -> Graph:
        graph = Graph()
        judge = graph.add(self._filter, self._arguments)
        for number, frame in enumerate((shown, given)):
            described = f"pix_fmt={frame.format.name}:time_base={1 / self._rate}:frame_rate={self._rate}"
            node = graph.add("buffer", f"video_size={frame.width}x{frame.height}:{described}")
            self._inputs.append(node)
            # One range for both, whatever their tags say: values are compared as they are.
            size = f"{given.width}:{given.height}:flags=bicubic"
            for name, words in (("scale", f"{size}:in_range=pc:out_range=pc"), ("format", self._pixel_format)):
                following = graph.add(name, words)
                node.link_to(following)
                node = following
            node.link_to(judge, 0, number)
        judge.link_to(graph.add("buffersink"))
        graph.configure()
        return graph

    def _push(self, *frames: VideoFrame | None) -> None:
        """Push a pair, or its end, and drain what the filter passes on: it stalls when nobody reads."""
        assert self._graph is not None
        for node, frame in zip(self._inputs, frames, strict=True):
            node.push(frame)
        try:
            while True:
                self._passed(self._graph.pull())
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class VmafMeter(Meter):
    """libvmaf's default model, vmaf_v0.6.1, for a screen of 1080 lines."""

    metric = Metric.VMAF
    _filter = "libvmaf"

    def __init__(self, pixel_format: str, log: Path, rate: Fraction = Fraction(25), every: int = 1) -> None:
        """`log` is where libvmaf writes the score of each frame; it is removed in the end. `every`: one frame in so many is
        scored.
        """
        super().__init__(pixel_format, rate)
        self._log, self._every = log, every

    @property
    def _arguments(self) -> str:
        threads = min(os.cpu_count() or 1, _THREADS)
        return f"n_threads={threads}:n_subsample={self._every}:log_fmt=csv:log_path={option_text(self._log)}"

    def mean(self) -> float | None:
        if not self._finish():
            return None
        wait_for_freed(self._log)  # it is written when the graph is freed
        with self._log.open(newline="") as file:
            mean = fmean(float(row["vmaf"]) for row in csv.DictReader(file))
        self._log.unlink()
        return round(mean, 3)


class XpsnrMeter(Meter):
    """XPSNR of each frame in dB, of luma and chroma as 4:1:1."""

    metric = Metric.XPSNR
    _filter = "xpsnr"
    _arguments = ""

    def __init__(self, pixel_format: str, rate: Fraction = Fraction(25)) -> None:
        super().__init__(pixel_format, rate)
        self._sum, self._frames = 0.0, 0

    def _passed(self, frame: Any) -> None:
        values = {plane: float(frame.metadata.get(f"lavfi.xpsnr.xpsnr.{plane}", "nan")) for plane in _WEIGHTS}
        planes = {plane: value for plane, value in values.items() if value == value}
        weights = sum(_WEIGHTS[plane] for plane in planes)
        if weights:
            capped = {plane: min(value, _MOST_DB) if isfinite(value) else _MOST_DB for plane, value in planes.items()}
            self._sum += sum(_WEIGHTS[plane] * value for plane, value in capped.items()) / weights
            self._frames += 1

    def mean(self) -> float | None:
        return round(self._sum / self._frames, 3) if self._finish() and self._frames else None
