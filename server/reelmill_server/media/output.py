"""One output file: its container, its tracks, and the thread that filters, encodes and writes them."""

import errno
import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.errors import OutputError, ReelmillError, UnsupportedFormat
from reelmill_server.media.subtitle_lines import SubtitleInputs
from reelmill_server.media.subtitles import SubtitleTrack
from reelmill_server.media.tracks import CopyTrack, EncodeTrack, Span, Track, Written, copy_metadata
from reelmill_server.media.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import COPY, InputPlan, StreamPlan, TargetPlan

# Enough to keep the encoder busy while the decoder works on a hard picture, few enough to hold only tens of pictures.
_QUEUE_ITEMS = 24
_POLL_SECONDS = 0.2
_MICROSECONDS = 1_000_000
_DISK_ERRORS = frozenset(
    getattr(errno, name) for name in "ENOSPC EDQUOT EIO EFBIG EROFS EMFILE ENFILE EACCES ENOENT ENOTDIR ENODEV".split()
)


class Stopped(Exception):
    """The attempt was asked to stop."""


class Halt:
    """Says that the threads of one conversion must end: the attempt was asked to stop, or the conversion has failed.

    A failed conversion leaves the attempt itself free to go on with another one.
    """

    def __init__(self, asked: threading.Event) -> None:
        self._asked, self._failed = asked, threading.Event()

    def set(self) -> None:
        """Ends this conversion."""
        self._failed.set()

    def is_set(self) -> bool:
        """Whether to end."""
        return self._failed.is_set() or self._asked.is_set()


@dataclass(frozen=True)
class Produced:
    """One written file: where it lies, its plan, and what went into each stream, in the plan's order."""

    path: str
    plan: TargetPlan
    written: tuple[Written, ...]
    span: Span


class Output:
    """One target while it is made. All methods but `_work` belong to the feeding thread."""

    def __init__(
        self,
        plan: TargetPlan,
        span: Span,
        path: str,
        source: InputContainer,
        subtitles: SubtitleInputs,
        limits: Limits,
        stop: Halt,
    ) -> None:
        """Opens the file and all encoders.

        Raises EncoderDown when an encoder does not open, OutputError when the file cannot be made, UnsupportedFormat when a
        stream cannot.
        """
        self.plan, self.path = plan, path
        self.span = span
        self.error: BaseException | None = None
        self.position = Fraction(0)
        self.frames = 0
        self._stop = stop
        self._queue: queue.Queue[tuple[Track, Any] | None] = queue.Queue(_QUEUE_ITEMS)
        self._thread = threading.Thread(target=self._work, name=f"target-{plan.index}", daemon=True)
        try:
            self._container = av.open(path, "w", format=plan.muxer, options=dict(plan.muxer_options))
            self.tracks: tuple[Track, ...] = tuple(self._track(stream, source, subtitles, limits) for stream in plan.streams)
        except ReelmillError:
            raise
        except (av.error.FFmpegError, ValueError, OSError) as error:
            raise _failure(plan, error) from error
        if plan.keep_metadata:
            self._container.metadata.update(copy_metadata(source.metadata))
            self._container.set_chapters(_chapters(source, self.span))

    def _track(self, stream: StreamPlan, source: InputContainer, subtitles: SubtitleInputs, limits: Limits) -> Track:
        keep = self.plan.keep_metadata
        if stream.type == "subtitle":
            return SubtitleTrack(stream, self._container, source, self.span, keep, subtitles)
        if stream.encoder == COPY:
            return CopyTrack(stream, self._container, source, self.span, keep)
        return EncodeTrack(stream, self._container, source, self.span, keep, limits.max_output_frames)

    def start(self) -> None:
        """Starts the writing thread."""
        self._thread.start()

    def give(self, track: Track, item: Any) -> None:
        """Hands a frame or a packet to a track, waiting while its queue is full.

        Raises what the writing thread failed with, or Stopped.
        """
        self._put((track, item))

    def finish(self) -> None:
        """Says that nothing more comes."""
        self._put(None)

    def join(self) -> Produced:
        """Waits until the file is whole. Raises what the writing thread failed with, or Stopped."""
        self._thread.join()
        self._raise()
        return Produced(self.path, self.plan, tuple(track.written for track in self.tracks), self.span)

    def _raise(self) -> None:
        if self.error is not None:
            raise self.error
        if self._stop.is_set():
            raise Stopped

    def _put(self, entry: tuple[Track, Any] | None) -> None:
        while True:
            self._raise()
            try:
                self._queue.put(entry, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def _work(self) -> None:
        """The writing thread."""
        try:
            for packet in self._packets():
                self._container.mux(packet)
                if self._stop.is_set():
                    raise Stopped
            self._container.start_encoding()  # else a file of subtitles without a line would not even have its header
            self._container.close()
        except MemoryError as error:
            self.error = error
        except av.error.FFmpegError as error:
            self.error = _failure(self.plan, error)
        except BaseException as error:
            self.error = error

    def _packets(self) -> Iterator[AnyPacket]:
        while True:
            entry = self._next()
            if entry is None:
                break
            track, item = entry
            yield from track.feed(item)
            self._note(track)
            for other in self.tracks:
                if isinstance(other, SubtitleTrack):
                    yield from other.advance(self.position)
        length = Fraction(0)
        for track in self.tracks:
            if isinstance(track, SubtitleTrack) and length:
                yield from track.end(length)
            yield from track.finish()
            length = max(length, track.written.last) if track.plan.type != "subtitle" else length
            self._note(track)

    def _next(self) -> tuple[Track, Any] | None:
        while True:
            if self._stop.is_set():
                raise Stopped
            try:
                return self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue

    def _note(self, track: Track) -> None:
        """Moves the position that progress is told from."""
        self.position = max(self.position, track.written.last)
        if track.plan.type == "video":
            self.frames = track.written.packets

    def close(self) -> None:
        """Ends the thread and the container, whatever happened before."""
        if self._thread.is_alive():
            self._thread.join()
        try:
            self._container.close()
        except (av.error.FFmpegError, ValueError, OSError):
            pass  # a file that is thrown away need not be whole


def _failure(plan: TargetPlan, error: Exception) -> ReelmillError:
    """What it means that the file could not be made: the disk's fault, which may pass, or that of what is written."""
    where = f"targets[{plan.index}]: {plan.container}"
    if getattr(error, "errno", None) in _DISK_ERRORS:
        return OutputError(f"{where} cannot be written: {error}")
    return UnsupportedFormat(f"{where} does not take this media: {error}")


def span_of(files: Sequence[TargetPlan], plan: InputPlan, key: Fraction) -> Span:
    """The span that the files of one target take; `key` is the time of the key frame from which the source is read.

    Copied video begins at its key frame, and everything beside it then, too.
    """
    copies_video = any(stream.type == "video" and stream.encoder == COPY for file in files for stream in file.streams)
    begin = Fraction(plan.origin_us + plan.start_us, _MICROSECONDS)
    end = Fraction(plan.origin_us + plan.end_us, _MICROSECONDS) if plan.end_us else None
    return Span(min(key, begin) if copies_video and plan.start_us else begin, end, from_front=not plan.start_us)


def _chapters(source: InputContainer, span: Span) -> list[Any]:
    """The source's chapters that lie in the span, moved with it."""
    kept = []
    for chapter in source.chapters():
        time_base = chapter["time_base"]
        if not time_base:
            continue
        begin = max(chapter["start"] * time_base, span.begin)
        end = chapter["end"] * time_base if span.end is None else min(chapter["end"] * time_base, span.end)
        if begin < end:
            moved = {"start": round((begin - span.begin) / time_base), "end": round((end - span.begin) / time_base)}
            kept.append({**chapter, **moved})
    return kept
