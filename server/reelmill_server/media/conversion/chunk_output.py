"""What a unit makes of one stream, or of one entry of pictures: a file for the unit that joins all."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.format import ContainerFormat

from reelmill_server.errors import ReelmillError
from reelmill_server.media.chunk_file import ChunkFileWriter, Summary
from reelmill_server.media.image.chunk_frames import ChunkFrameTrack
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.overlay.pipeline import make_overlays
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.media.track.video import VfrVideoTrack
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, StreamPlan, TargetPlan

_BESIDE_PACKETS = 0x40  # AVFMT_GLOBALHEADER


class ChunkStreamOutput(Output):
    """One encoded stream."""

    plan: TargetPlan

    def __init__(
        self,
        plan: TargetPlan,
        task: Plan,
        path: Path,
        sources: Sequence[InputContainer],
        watermarks: Mapping[str, Location],
        limits: Limits,
        stop: StopSignal,
        window: Span | None,
        summary: Summary,
    ) -> None:
        """`plan` has one stream, `window` is in seconds of the source's span. Raises EncoderDown when its encoder does not
        open."""
        super().__init__(plan, task, str(path), stop)
        self.summary = summary
        (stream,) = plan.streams
        self._head = Path(f"{path}.head")
        self._container = av.open(str(self._head), "w", format="nut")
        try:
            self._track = self._made_track(stream, sources, watermarks, limits, window)
        except ReelmillError:
            raise
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise self._failure(error) from error
        self.tracks = (self._track,)
        self._pack = ChunkFileWriter(path)

    def _made_track(
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
        # As if it were opened for the file in which its packets will lie.
        beside_packets = bool(ContainerFormat(self.plan.muxer, "w").flags & _BESIDE_PACKETS)
        return VfrVideoTrack(stream, self._container, sources, False, most, overlays, _played(window, stream), beside_packets)

    def _write(self) -> None:
        described = False
        for packet in self._packets():
            self.summary.time_base = str(packet.time_base)
            self.summary.add(packet)
            self._pack.packet(packet)
            if not described and not self._track.plan.audio:
                self._container.mux(packet)
                described = True
            if self._stop.is_set():
                raise Stopped
        self._pack.finish(self._summed_up())

    def _summed_up(self) -> Summary:
        said, track = self.summary, self._track
        said.frames, said.unordered, said.vmaf = track.frames, track.unordered, track.written.vmaf
        if isinstance(track, VfrVideoTrack):
            said.shape, said.extradata = track.shape, track.extradata.hex()
            self._container.start_encoding()  # a chunk without a picture describes its stream all the same
            self._container.close()
            said.head = self._head.read_bytes().hex()
        return said

    def close(self) -> None:
        """Ends the thread and closes all files, whatever happened before."""
        super().close()
        self._pack.close()
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError, OSError):
            pass
        self._head.unlink(missing_ok=True)


class ChunkImageOutput(Output):
    """The pictures of one entry, as they are written in the end."""

    plan: ImagePlan

    def __init__(
        self, plan: ImagePlan, task: Plan, path: Path, stop: StopSignal, window: Span | None, summary: Summary
    ) -> None:
        """`window` in seconds of the source's span, None: all."""
        super().__init__(plan, task, str(path), stop)
        self.summary = summary
        self._pack = ChunkFileWriter(path)
        self._frames = ChunkFrameTrack(plan, self._pack, window)
        self.tracks = (self._frames,)

    def _write(self) -> None:
        for _ in self._packets():
            pass
        self.summary.count, self.summary.final = self._frames.count, self._frames.final
        self.summary.unordered, self.summary.frames = self._frames.unordered, self._frames.frames
        self._pack.finish(self.summary)

    def close(self) -> None:
        """Ends the thread and closes the file, whatever happened before."""
        super().close()
        self._pack.close()


def _played(window: Span | None, stream: StreamPlan) -> Span | None:
    """A window on the clock of the output."""
    if window is None:
        return None
    return Span(window.begin / stream.speed, None if window.end is None else window.end / stream.speed, window.from_front)
