"""Measure VMAF while encoding: how near what a decoder shows is to what the encoder was given.

The reference is the very frame that went into the encoder, after all filters, so that cuts, joins, rates and speed need no
alignment; it is held until its packet has come out and is decoded.
"""

import csv
import os
from fractions import Fraction
from pathlib import Path
from statistics import fmean
from typing import Any

import av
from av import VideoFrame
from av.filter import Graph

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.freeing import wait_for_freed
from reelmill_server.media.libav.log import error_text, option_text
from reelmill_server.model.plan import StreamPlan

_TICK = Fraction(1, 25)  # libvmaf pairs frames by timestamp; any tick will do
_THREADS = 4  # each has buffers of its own
# Pixel formats that libvmaf takes, in place of those that some encoders take.
_PLANAR = {"nv12": "yuv420p", "p010le": "yuv420p10le", "yuva420p": "yuv420p"}
_DECODERS = {"av1": "libdav1d"}  # libav's own av1 decoder needs hardware


class Meter:
    """Compare frames of one size by libvmaf's default model, vmaf_v0.6.1, for a screen of 1080 lines."""

    def __init__(self, pixel_format: str, log: Path) -> None:
        """`log` is where libvmaf writes the score of each frame; it is removed in the end."""
        self._pixel_format = _PLANAR.get(pixel_format, pixel_format)
        self._log = log
        self._graph: Graph | None = None
        self._inputs: list[Any] = []
        self._pairs = 0

    def compare(self, shown: VideoFrame, given: VideoFrame) -> None:
        """Take a frame that a decoder shows, and the one that was given to the encoder; changes their timestamps."""
        if self._graph is None:
            self._graph = self._build(shown, given)
        for frame in (shown, given):
            frame.pts, frame.time_base = self._pairs, _TICK
        self._push(shown, given)
        self._pairs += 1

    def mean(self) -> float | None:
        """Return the mean of all frames, None when there were none; nothing can be compared after it."""
        if self._graph is None:
            return None
        self._push(None, None)
        # libvmaf writes the log when the graph is freed, and a graph and its filters form a reference cycle.
        self._graph, self._inputs = None, []
        wait_for_freed(self._log)
        with self._log.open(newline="") as file:
            mean = fmean(float(row["vmaf"]) for row in csv.DictReader(file))
        self._log.unlink()
        return round(mean, 3)

    def _build(self, shown: VideoFrame, given: VideoFrame) -> Graph:
        graph = Graph()
        arguments = f"n_threads={min(os.cpu_count() or 1, _THREADS)}"
        judge = graph.add("libvmaf", f"{arguments}:log_fmt=csv:log_path={option_text(self._log)}")
        for number, frame in enumerate((shown, given)):
            size = f"{frame.width}x{frame.height}"
            node = graph.add("buffer", f"video_size={size}:pix_fmt={frame.format.name}:time_base={_TICK}")
            self._inputs.append(node)
            # One range for both, whatever their tags say: values are compared as they are.
            for name, words in (("scale", "in_range=pc:out_range=pc"), ("format", self._pixel_format)):
                following = graph.add(name, words)
                node.link_to(following)
                node = following
            node.link_to(judge, 0, number)
        judge.link_to(graph.add("buffersink"))
        graph.configure()
        return graph

    def _push(self, *frames: VideoFrame | None) -> None:
        """Push a pair, or its end, and drain what libvmaf passes on: it stalls when nobody reads."""
        assert self._graph is not None
        for node, frame in zip(self._inputs, frames, strict=True):
            node.push(frame)
        try:
            while True:
                self._graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return


class Comparison:
    """Decode an encoder's packets, and compare them with the frames it was given."""

    def __init__(self, plan: StreamPlan, encoder: Any, log: Path) -> None:
        """`encoder` is the open codec context; `log` as for Meter."""
        assert plan.video
        self._encoder, self._name = encoder, plan.encoder
        self._decoder: Any = av.CodecContext.create(_DECODERS.get(plan.codec, plan.codec), "r")
        self._decoder.thread_type = "AUTO"
        self._meter = Meter(plan.video.pixel_format, log)
        self._given: dict[int, VideoFrame] = {}

    def give(self, frame: VideoFrame) -> None:
        """Note that the encoder was given `frame`."""
        assert frame.pts is not None and frame.time_base
        self._given[round(frame.pts * frame.time_base / self._encoder.time_base)] = frame

    def see(self, packet: Any) -> None:
        """Note that the encoder gave `packet`; None: the end. Raises OutputInvalid when it does not decode."""
        if not self._decoder.is_open:
            self._decoder.extradata = self._encoder.extradata
        try:
            shown = self._decoder.decode(packet)
        except av.error.FFmpegError as error:
            raise meaning(error, OutputInvalid(f"{self._name}: its output cannot be decoded: {error_text(error)}")) from error
        for frame in shown:
            given = self._given.pop(frame.pts, None)
            if given is not None:
                self._meter.compare(frame, given)

    def finish(self) -> float | None:
        """Return the mean VMAF of all frames. Raises OutputInvalid when the decoder did not show all that the encoder was
        given.
        """
        self.see(None)
        if self._given:
            raise OutputInvalid(f"{self._name}: {len(self._given)} of its frames cannot be decoded")
        return self._meter.mean()
