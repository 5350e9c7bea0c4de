"""Outputs of a chunk: one file per encoded stream or image entry, for the join to read."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.format import ContainerFormat

from reelmill_server.media.chunk_file import ChunkFileWriter, Summary
from reelmill_server.media.image.chunk_frames import ChunkFrameTrack
from reelmill_server.media.input.account import Accountant, as_text
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.overlay.pipeline import make_overlays
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.media.track.vfr_video import VfrVideoTrack
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.quality import Metric

_GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER


class ChunkStreamOutput(Output):
    """Encode one stream of a chunk into a chunk file."""

    plan: TargetPlan
    shares_audio = True

    def __init__(
        self,
        plan: TargetPlan,
        task: Plan,
        path: Path,
        *,
        sources: Sequence[InputContainer],
        watermarks: Mapping[str, Location],
        limits: Limits,
        stop: StopSignal,
        window: Span | None,
        summary: Summary,
        accountant: Accountant,
    ) -> None:
        """`plan` has one stream; `window` is in seconds of the source's span. Raises EncoderDown when the encoder does not
        open.
        """
        super().__init__(plan, task, str(path), stop)
        self.summary, self._accountant = summary, accountant
        (stream,) = plan.streams
        self._head = Path(f"{path}.head")
        self._container = av.open(str(self._head), "w", format="nut")
        try:
            self.tracks = (self._open_track(stream, sources, watermarks, limits, window),)
        except (*LIBAV_ERRORS, OSError) as error:
            raise self._failure(error) from error
        self._chunk_file = ChunkFileWriter(path)

    def _open_track(
        self,
        stream: StreamPlan,
        sources: Sequence[InputContainer],
        watermarks: Mapping[str, Location],
        limits: Limits,
        window: Span | None,
    ) -> VfrVideoTrack | AudioTrack:
        most = limits.max_output_frames
        if stream.audio:
            return AudioTrack(stream, self._container, sources, False, most)
        overlays = make_overlays(stream, watermarks, limits, self._note)
        # Open the encoder as for the container that will hold its packets in the end.
        global_header = bool(ContainerFormat(self.plan.muxer, "w").flags & _GLOBAL_HEADER)
        return VfrVideoTrack(
            stream,
            self._container,
            sources,
            keep_metadata=False,
            max_frames=most,
            overlays=overlays,
            window=played(window, stream),
            global_header=global_header,
        )

    def _write(self) -> None:
        described = False
        for packet in self._packets():
            self.summary.time_base = str(packet.time_base)
            self.summary.add(packet)
            self._chunk_file.packet(packet)
            if not described and not self.plan.streams[0].audio:
                self._container.mux(packet)
                described = True
            if self._stop.is_set():
                raise Stopped
        self._chunk_file.finish(self._finish_summary())

    def _finish_summary(self) -> Summary:
        summary, (track,) = self.summary, self.tracks
        summary.frames, summary.unordered = track.frames, track.unordered
        summary.vmaf, summary.xpsnr = (track.written.scores.get(metric) for metric in (Metric.VMAF, Metric.XPSNR))
        summary.given = as_text(track.given(self._accountant, False))
        written = track.written
        summary.taken, summary.held = written.taken, written.held
        summary.samples, summary.silent = written.samples, written.silent
        summary.dropped, summary.cut = dict(written.dropped), dict(written.cut)
        summary.loudness = written.loudness
        summary.captioned, summary.captions_lost = written.captioned, written.captions_lost
        if isinstance(track, VfrVideoTrack):
            summary.shape, summary.extradata = track.shape, track.extradata.hex()
            self._container.start_encoding()  # a chunk without frames must describe its stream, too
            self._container.close()
            summary.head = self._head.read_bytes().hex()
        return summary

    def close(self) -> None:
        """End the thread and close all files, whatever happened before."""
        super().close()
        self._chunk_file.close()
        try:
            self._container.close()
        except (*LIBAV_ERRORS, OSError):
            pass
        self._head.unlink(missing_ok=True)


class ChunkImageOutput(Output):
    """Pack the frames of one image entry, in the form in which they will be written."""

    plan: ImagePlan

    def __init__(
        self, plan: ImagePlan, task: Plan, path: Path, *, stop: StopSignal, window: Span | None, summary: Summary
    ) -> None:
        """`window` is in seconds of the source's span; None: all of it."""
        super().__init__(plan, task, str(path), stop)
        self.summary = summary
        self._chunk_file = ChunkFileWriter(path)
        self._frames = ChunkFrameTrack(plan, self._chunk_file, window)
        self.tracks = (self._frames,)

    def _write(self) -> None:
        for _ in self._packets():
            pass
        self.summary.count, self.summary.final = self._frames.count, self._frames.final
        self.summary.unordered, self.summary.frames = self._frames.unordered, self._frames.frames
        self._chunk_file.finish(self.summary)

    def close(self) -> None:
        """End the thread and close the file, whatever happened before."""
        super().close()
        self._chunk_file.close()


def played(window: Span | None, stream: StreamPlan) -> Span | None:
    """Return a window of the source on the output's clock."""
    if window is None:
        return None
    return Span(window.begin / stream.speed, None if window.end is None else window.end / stream.speed, window.from_front)
