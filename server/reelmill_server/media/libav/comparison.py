"""Measure quality while encoding: how near what a decoder shows is to what the encoder was given.

The reference is the very frame that went into the encoder, after all filters, so that cuts, joins, rates and speed need no
alignment; it is held until its packet has come out and is decoded.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import av
from av import VideoFrame

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.errors import meaning
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.meters import Meter, VmafMeter, XpsnrMeter
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.quality import Metric
from reelmill_server.model.time import FALLBACK_RATE

_DECODERS = {"av1": "libdav1d"}  # libav's own av1 decoder needs hardware


def make_meters(plan: StreamPlan) -> tuple[Meter, ...]:
    """Return the meters of what `plan` measures."""
    if plan.video is None:
        return ()
    form, rate = plan.video.pixel_format, plan.video.frame_rate or FALLBACK_RATE
    meters: list[Meter] = []
    if plan.measured:
        meters.append(VmafMeter(form, rate, plan.quality.every if plan.quality else 1))
    if plan.quality is not None and plan.quality.metric is Metric.XPSNR:
        meters.append(XpsnrMeter(form, rate))
    return tuple(meters)


class References:
    """Frames of one encoder that others are compared with, by their times, until each of the others had them."""

    def __init__(self, borrowers: int) -> None:
        self._borrowers = borrowers
        self._frames: dict[Fraction, tuple[VideoFrame, int]] = {}

    def lend(self, time: Fraction, frame: VideoFrame) -> None:
        """Note a frame, before it is taken."""
        self._frames[time] = frame, self._borrowers

    def take(self, time: Fraction) -> VideoFrame:
        """Return the frame of that time."""
        frame, left = self._frames.pop(time)
        if left > 1:
            self._frames[time] = frame, left - 1
        return frame


class Comparison:
    """Decode an encoder's packets, and compare them with the frames it was given."""

    def __init__(self, plan: StreamPlan, encoder: Any, meters: Sequence[Meter]) -> None:
        """`encoder` is the open codec context."""
        self._encoder, self._name, self._meters = encoder, plan.encoder, meters
        self._decoder: Any = av.CodecContext.create(_DECODERS.get(plan.codec, plan.codec), "r")
        self._decoder.thread_type = "AUTO"
        self._given: dict[int, VideoFrame] = {}
        self._references: References | None = None
        self._lends = False

    def judge_by(self, references: References, lends: bool) -> None:
        """Compare with `references` instead, at their size; `lends`: they are this encoder's."""
        self._references, self._lends = references, lends

    def give(self, frame: VideoFrame) -> None:
        """Note that the encoder was given `frame`."""
        assert frame.pts is not None and frame.time_base
        time = Fraction(frame.pts * frame.time_base)
        if self._references is not None:
            if self._lends:
                self._references.lend(time, frame)
            else:
                frame = self._references.take(time)
        self._given[round(time / self._encoder.time_base)] = frame

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
                for meter in self._meters:
                    meter.compare(frame, given)

    def finish(self) -> Mapping[Metric, float]:
        """Return the mean scores of all frames. Raises OutputInvalid when the decoder did not show all that the encoder was
        given.
        """
        self.see(None)
        if self._given:
            raise OutputInvalid(f"{self._name}: {len(self._given)} of its frames cannot be decoded")
        means = {meter.metric: meter.mean() for meter in self._meters}
        return {metric: mean for metric, mean in means.items() if mean is not None}
