"""Encode frames whose timestamps are final."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from av import VideoFrame
from av.container import OutputContainer
from av.video.frame import PictureType

from reelmill_server.media.libav.comparison import Comparison, References, make_meters
from reelmill_server.media.libav.encoder import encode, open_encoder
from reelmill_server.media.libav.frame_sample import FrameSample
from reelmill_server.media.libav.segment_clock import SegmentClock
from reelmill_server.media.libav.sei import hdr_messages, with_messages
from reelmill_server.media.libav.timestamps import AffineMap, exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.base import StreamStats
from reelmill_server.media.track.captions import Captions
from reelmill_server.media.track.packet_times import PacketTimes
from reelmill_server.media.track.picture_check import PictureCheck, checks_pictures
from reelmill_server.model.capability import SOFTWARE
from reelmill_server.model.plan import StreamPlan

# x265 tells decode timestamps at random of streams that end with so many frames: none of them can have been reordered.
_UNDATED_FRAMES = {"libx265": 2}


class FrameEncoder:
    """Encode frames whose timestamps are final, and measure their quality if the plan says so."""

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        written: StreamStats,
        overlays: Overlays,
        captions: Captions,
        global_header: bool | None = None,
    ) -> None:
        """`written` counts the packets, `captions` are those of the source; `global_header` as for `open_encoder`."""
        self._written, self._captions = written, captions
        self.stream = open_encoder(plan, output, global_header)
        self._plan, self._overlays = plan, overlays
        self.sample = FrameSample()
        self._durations: dict[int, int] = {}
        self._frame_base: Any = None
        self._scale = AffineMap(Fraction(1))  # of timestamps in it to those of packets
        self._packet_base: Any = None
        self._encoded = 0
        self._metadata = hdr_messages(plan.mastering_display, plan.content_light)
        self._segment_clock = SegmentClock(plan.segment_us)
        self._checks: list[PacketTimes | PictureCheck] = []
        if plan.device not in ("", SOFTWARE):
            self._checks.append(PacketTimes(plan))
            if checks_pictures(plan):
                self._checks.append(pictures := PictureCheck(plan, self.stream.codec_context))
                written.given = pictures.given
        meters = make_meters(plan)
        self._comparison = Comparison(plan, self.stream.codec_context, meters) if meters else None
        self._output, self._global_header = output, global_header
        self._variants: list[FrameEncoder] = []

    def add_variant(self, plan: StreamPlan, written: StreamStats) -> None:
        """Encode all frames as `plan` says, too, from the first one on, after the overlays; `written` counts the packets."""
        captions = Captions(plan, written)
        self._variants.append(FrameEncoder(plan, self._output, written, self._overlays, captions, self._global_header))

    def judge_by(self, references: References, lends: bool) -> None:
        """Measure quality as `Comparison.judge_by` says. Variants of what is lent are compared with their own frames."""
        if self._comparison:
            self._comparison.judge_by(references, lends)
        for variant in self._variants if not lends else ():
            variant.judge_by(references, lends)

    def encode(self, frame: VideoFrame | None) -> Iterator[AnyPacket]:
        """Yield the packets that are ready once the frame has passed the overlays; None: the end. Raises EncoderDown."""
        for passed in self._overlays.push(frame) if frame is not None else self._overlays.flush():
            yield from self._encode_all(passed)
            self.sample.give(passed)
        if frame is None:
            yield from self._encode_all(None)

    def _encode_all(self, frame: VideoFrame | None) -> Iterator[AnyPacket]:
        """Encode a frame here and in each variant; comparing a frame changes its time."""
        time = (frame.pts, frame.time_base) if frame is not None and self._variants else None
        yield from self._encode(frame)
        for variant in self._variants:
            if frame is not None and time is not None:
                frame.pts, frame.time_base = time
            yield from variant._encode(frame)

    def _encode(self, frame: VideoFrame | None) -> Iterator[AnyPacket]:
        if frame is not None:
            self._prepare(frame)
        packets = encode(self.stream, self._plan, frame)
        if self._comparison and frame is not None:
            self._comparison.give(frame)
        if self._packet_base is None and packets:
            self._packet_base = packets[0].time_base
        for encoded in packets:
            for check in self._checks:
                check.check(encoded)
            packet = self._captions.onto(encoded)
            if self._metadata and packet.is_keyframe:
                packet = with_messages(packet, self._plan.codec, self._metadata)
            if self._encoded <= _UNDATED_FRAMES.get(self._plan.encoder, 0):
                packet.dts = packet.pts
            packet.duration = self._durations.pop(packet.pts, packet.duration) if packet.pts is not None else packet.duration
            self._written.count(packet, self._packet_base)
            if self._comparison:
                self._comparison.see(packet)
            yield packet
        if self._comparison and frame is None:
            self._written.scores.update(self._comparison.finish())

    def _prepare(self, frame: VideoFrame) -> None:
        """Choose the kind of a frame that is about to be encoded, and remember what its packet will need."""
        boundary = self._plan.segment_us and self._segment_clock.begins((frame.pts or 0) * (frame.time_base or Fraction(0)))
        # NONE: otherwise the encoder repeats the source's choice of I, P and B frames.
        frame.pict_type = PictureType.I if boundary else PictureType.NONE
        ticks = self._remember_duration(frame)
        self._captions.give(frame, ticks)
        self._encoded += 1
        for check in self._checks:
            check.give(ticks, frame)

    def _remember_duration(self, frame: VideoFrame) -> int:
        """Return the timestamp that a frame's packet will have, and remember how long the frame is shown: video encoders
        forget it, and only that of a file's last frame cannot be told otherwise.
        """
        pts, base, duration = frame.pts, frame.time_base, frame.duration
        if pts is None or not base:
            return 0
        if base != self._frame_base:
            self._frame_base, self._scale = base, AffineMap(exact(base) / exact(self.stream.codec_context.time_base))
        begin = self._scale.at(pts)
        if duration:
            self._durations[begin] = self._scale.at(pts + duration) - begin
        return begin
