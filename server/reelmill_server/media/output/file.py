"""Write one media file, or one set of segments: the container, and what is written beside its tracks."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from av.container import InputContainer, OutputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.chunk_file import ChunkFile
from reelmill_server.media.input.account import UNORDERED, Accountant
from reelmill_server.media.input.edit_lists import end_tracks, name_languages
from reelmill_server.media.input.part import Part, Span, own_parts
from reelmill_server.media.input.source import Location
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.avi import LateStreams, set_beginnings
from reelmill_server.media.output.base import MediaFile, Output, Stopped, StopSignal
from reelmill_server.media.output.beginning import begun_together
from reelmill_server.media.output.even_audio import EvenAudio
from reelmill_server.media.output.front_index import index_to_front
from reelmill_server.media.output.last_decoded import LastDecoded
from reelmill_server.media.output.reservation import Reservation
from reelmill_server.media.overlay.pipeline import make_overlays
from reelmill_server.media.package.segments import (
    Reframing,
    begun_late,
    has_index_first,
    join_tail,
    open_output,
    pad_transport_stream,
)
from reelmill_server.media.track import timecode
from reelmill_server.media.track.audio import AudioTrack
from reelmill_server.media.track.base import Track, copy_metadata
from reelmill_server.media.track.cfr_video import CfrVideoTrack
from reelmill_server.media.track.copied_stream import CopiedStream
from reelmill_server.media.track.copy import CopyTrack
from reelmill_server.media.track.cover_art import CoverInputs, CoverTrack
from reelmill_server.media.track.joined import JoinedTrack, in_decode_order
from reelmill_server.media.track.smart_cut import SmartCutTrack
from reelmill_server.media.track.subtitle import SubtitleTrack
from reelmill_server.media.track.subtitle_cues import SubtitleInputs
from reelmill_server.media.track.vfr_video import VfrVideoTrack
from reelmill_server.model import tags
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import COPY, InputPlan, Plan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.model.time import MICROSECONDS

# Their muxers take chapters until the end: only then is it known where copies begin, and how long inputs are.
_CHAPTERS_AT_THE_END = ("mp4", "mov", "ipod", "matroska", "webm")
_GAPLESS_CHAPTERS = ("mp4", "mov", "ipod")
# Containers that must not be closed are kept alive, since freeing closes them; the child process ends soon anyway.
_LEFT_OPEN: list[OutputContainer] = []

FinalBytes = Callable[[str, int, int], None]
"""Takes the path of a file, how many bytes at its front are final, and how many it will have."""


@dataclass(frozen=True)
class SideInputs:
    """The inputs of outputs besides packets of the sources: subtitles, cover art, and watermark files by URI."""

    subtitles: SubtitleInputs
    covers: CoverInputs
    watermarks: Mapping[str, Location]


class FileOutput(Output):
    """Write one media file, or one set of segments."""

    plan: TargetPlan
    shares_audio = True

    def __init__(
        self,
        plan: TargetPlan,
        task: Plan,
        path: str,
        *,
        sources: Sequence[InputContainer],
        side_inputs: SideInputs,
        limits: Limits,
        stop: StopSignal,
        chunk_files: Mapping[int, Sequence[ChunkFile]] | None = None,
        final: FinalBytes = lambda path, size, whole: None,
    ) -> None:
        """Open the file and all encoders.

        `sources` follow the inputs of the whole plan `task`; `chunk_files` are, by stream number, those of each stream that
        chunks have encoded; `final` is told how much of a file that is still written to will stay as it is. Raises EncoderDown
        when an encoder does not open, OutputError when the file cannot be created, UnsupportedFormat when a stream cannot.
        """
        super().__init__(plan, task, path, stop)
        self._final = final
        self._joined: list[JoinedTrack] = []
        try:
            self._container = open_output(plan, path)
            self.tracks = tuple(
                self._track(stream, sources, side_inputs, limits, (chunk_files or {}).get(number, ()))
                for number, stream in enumerate(plan.streams)
            )
        except (*LIBAV_ERRORS, OSError) as error:
            raise self._failure(error) from error
        self._sources = sources
        self._attach(sources)
        self.fed = len(self._joined) < len(self.tracks)
        if plan.keep_metadata:
            described = copy_metadata(sources[plan.described_by].metadata)
            if plan.package and plan.package.format == SegmentFormat.DASH:  # libav writes the title into the manifest
                described = {name: tags.in_xml(text) for name, text in described.items()}
            self._container.metadata.update(described)
            if plan.muxer not in _CHAPTERS_AT_THE_END:
                self._container.set_chapters(self._chapters())

    def _chapters(self) -> list[Any]:
        """Return the chapters, as far as it is known by now where the inputs begin and how long they are."""
        entries = [*chapters(self._inputs, self._sources, self.plan.streams[0].speed, self._spans.begun, self._spans.lengths)]
        if self.plan.muxer in _GAPLESS_CHAPTERS and entries and entries[0]["start"] > 0:
            # Their first chapter begins with the file, whatever it says.
            entries.insert(0, {**entries[0], "start": 0, "end": entries[0]["start"], "metadata": {"title": ""}})
        return [{**chapter, "id": number + 1} for number, chapter in enumerate(entries)]

    def _attach(self, sources: Sequence[InputContainer]) -> None:
        """Add the attached files. The muxer insists on a name and a type."""
        for number, plan in enumerate(self.plan.attachments):
            attached: Any = sources[plan.input].streams[plan.stream]
            name, media_type = attached.name or f"attachment-{number}", attached.mimetype or "application/octet-stream"
            self._container.add_attachment(tags.readable(name), tags.readable(media_type), attached.data)

    def _track(
        self,
        stream: StreamPlan,
        sources: Sequence[InputContainer],
        side_inputs: SideInputs,
        limits: Limits,
        chunk_files: Sequence[ChunkFile],
    ) -> Track:
        keep = self.plan.keep_metadata
        if chunk_files:
            joined = JoinedTrack(stream, self._container, sources, keep, limits, chunk_files)
            self._joined.append(joined)
            return joined
        if stream.type == StreamType.SUBTITLE:
            return SubtitleTrack(stream, self._container, sources, keep, side_inputs.subtitles)
        if stream.type == StreamType.PICTURE:
            return CoverTrack(stream, self._container, sources, keep, side_inputs.covers)
        if stream.encoder == COPY:
            midway = bool(self._inputs[own_parts(stream)[0].input].start_us)
            copied = CopiedStream.add(stream, self._container, sources, keep, midway)
            return CopyTrack(stream, copied) if stream.smart_cut is None else SmartCutTrack(stream, copied)
        if stream.audio:
            return AudioTrack(stream, self._container, sources, keep, limits.max_output_frames)
        kind = CfrVideoTrack if stream.counted else VfrVideoTrack
        overlays = make_overlays(stream, side_inputs.watermarks, limits, self._note)
        return kind(stream, self._container, sources, keep, max_frames=limits.max_output_frames, overlays=overlays)

    def _span_of(self, part: Part) -> Span:
        span, video = super()._span_of(part), part.source.streams.video
        moved_by = span.begin - Fraction(self._inputs[part.number].origin_us, MICROSECONDS)
        if len(self._spans.begun) == 1 and video and video[0].average_rate and moved_by > 0:
            for described in (self._container, *self._container.streams):
                if "timecode" in described.metadata:
                    code = described.metadata["timecode"]
                    described.metadata["timecode"] = timecode.moved(code, video[0].average_rate, moved_by)
        return span

    def _bundles(self) -> Iterator[Sequence[AnyPacket]]:
        if self.fed:
            yield from super()._bundles()
            return
        for number, source in enumerate(self._sources):
            self._span_of(Part(number, source, Fraction(self._inputs[number].origin_us, MICROSECONDS)))
        for packet in in_decode_order(self._joined):
            yield (packet,)

    def produced(self, accountant: Accountant) -> MediaFile:
        """Return the written file, once `join` has returned; `accountant` counted what was read for it."""
        for track in self.tracks:
            track.written.dropped[UNORDERED] = track.unordered
            track.written.letters = track.written.letters or accountant.letters(track.plan)
            track.written.sight = accountant.sight(track.plan) if track.wants_frames else None
        given = tuple(track.given(accountant, self.from_key) for track in self.tracks)
        return MediaFile(self.path, self.plan, tuple(track.written for track in self.tracks), given)

    def _write(self) -> None:
        begun = begun_late(self.plan, self._container, begun_together(self.plan, self._bundles()))
        bundles, mux = LastDecoded(self.plan).all_of(begun), self._container.mux
        late = LateStreams(self.plan, self._container)
        even = EvenAudio(self.plan, self._container, self.tracks, self._note)
        bundles = even.all_of(late.all_of(Reframing(self.plan, list(self._container.streams)).all_of(bundles)))
        reservation = Reservation(self.plan, self.path)
        for packets in reservation.all_of(bundles):
            mux(packets)
            if self._stop.is_set():
                raise Stopped
        if self._unclosable:
            raise InvalidMedia(f"{self.plan.field}: the source's {self.tracks[0].plan.type} stream gave nothing in the span")
        if self.plan.keep_metadata and self.plan.muxer in _CHAPTERS_AT_THE_END:
            self._container.set_chapters(self._chapters())
        self._container.start_encoding()  # or a subtitle file without a cue would not even have a header
        languages = [stream.metadata.get("language", "") for stream in self._container.streams]
        self._container.close()
        reservation.release()  # before anything of it is taken to be final
        if self.plan.muxer == "mov":
            name_languages(self.path, languages)
        if late.begins:
            set_beginnings(self.path, late.begins)
        ends = {number: track.shown_until for number, track in enumerate(self.tracks) if track.shown_until is not None}
        if ends:
            end_tracks(self.path, ends)
        if has_index_first(self.plan):
            index_to_front(self.path, self._advanced)
        join_tail(self.plan, self.path)
        pad_transport_stream(self.plan, self.path)

    def _advanced(self, final: int, whole: int) -> None:
        self._final(self.path, final, whole)
        if self._stop.is_set():
            raise Stopped

    @property
    def _unclosable(self) -> bool:
        """Return whether closing the container would kill the process: libav's DASH muxer divides by the first stream's
        duration.
        """
        dash = self.plan.package is not None and self.plan.package.format is SegmentFormat.DASH
        return dash and not self.tracks[0].written.packets

    def close(self) -> None:
        """End the thread and close the container, whatever happened before."""
        super().close()
        if self._unclosable and self.begun:
            _LEFT_OPEN.append(self._container)
            return
        try:
            self._container.close()
        except (*LIBAV_ERRORS, OSError):
            pass  # a discarded file need not be complete


def chapters(
    inputs: Sequence[InputPlan],
    sources: Sequence[InputContainer],
    speed: Fraction,
    spans: Mapping[int, Span],
    lengths: Mapping[int, Fraction],
) -> Iterator[Any]:
    """Yield the chapters of the concatenated inputs that lie in the spans, moved with them.

    `spans` and `lengths` are those of the inputs, by number, of which they are known; the others are as planned.
    """
    offset = Fraction(0)
    for number, (plan, source) in enumerate(zip(inputs, sources, strict=True)):
        if plan.attached:
            break
        begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        end = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        if number in spans:
            begin, end = spans[number].begin, spans[number].end
        yield from _moved_chapters(source, begin, end, offset, speed)
        length = lengths.get(number, Fraction(plan.duration_us, MICROSECONDS))
        if not length:
            break  # unknown where the next one begins
        offset += length


def _moved_chapters(
    source: InputContainer, span_begin: Fraction, span_end: Fraction | None, offset: Fraction, speed: Fraction
) -> Iterator[Any]:
    for chapter in source.chapters():
        time_base = chapter["time_base"]
        if not time_base:
            continue
        begin = max(chapter["start"] * time_base, span_begin)
        end = chapter["end"] * time_base if span_end is None else min(chapter["end"] * time_base, span_end)
        if begin < end:
            moved = {
                name: round((offset + time - span_begin) / speed / time_base) for name, time in (("start", begin), ("end", end))
            }
            yield {**chapter, **moved, "metadata": tags.bounded(chapter["metadata"])}
