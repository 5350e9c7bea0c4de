"""Subtitle tracks: lines are kept or converted, cut to the span, and moved with it.

A line that begins before the span and reaches into it is kept, shortened. Text is written with times in whole milliseconds.
"""

import re
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition
from av.subtitles.subtitle import SubtitleSet

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.source import open_source
from reelmill_server.media.subtitle_files import open_subtitles
from reelmill_server.media.tracks import Span, Written, describe
from reelmill_server.media.types import AnyPacket
from reelmill_server.model.capability import Limits
from reelmill_server.model.media_info import rational
from reelmill_server.model.plan import COPY, InputPlan, PartPlan, StreamPlan

_MICROSECONDS = 1_000_000
_MILLISECOND = Fraction(1, 1000)
_PICTURES_TICK = Fraction(1, 90_000)  # of DVD, Blu-ray and MPEG-TS
_TEXT = frozenset({"subrip", "ass", "webvtt", "mov_text", "text"})
_ONE_AT_A_TIME = frozenset({"mov_text"})  # its lines are samples that follow each other
_EMPTY_BYTES = 2  # of a sample of MP4 that shows nothing: only the length of its text
_READ_ORDER = re.compile(rb"^-?\d+")
_TEXT_FIELD = 8  # of an ASS event, as libav passes it
_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\nScaledBorderAndShadow: yes\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, "
    b"Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


@dataclass(frozen=True)
class Line:
    """What is shown from `start` to `end` (seconds; None: until the next): a packet of a part, or an event of ASS in bytes."""

    start: Fraction
    end: Fraction | None
    content: Any
    part: int = 0


class SubtitleInputs:
    """What subtitle tracks read beside the packets of their source: subtitle files, and lines begun before the span."""

    def __init__(
        self, inputs: Sequence[InputPlan], sources: Sequence[str], files: Sequence[Sequence[str]], limits: Limits
    ) -> None:
        """`sources` and `files` are local paths, by the number of the source in the request."""
        self._inputs, self._sources, self._files, self._limits = inputs, sources, files, limits
        self._begun: dict[int, dict[int, list[Line]]] = {}
        self._lock = threading.Lock()

    def origin(self, number: int) -> Fraction:
        """The timestamp, in seconds, at which the source of an input begins."""
        return Fraction(self._inputs[number].origin_us, _MICROSECONDS)

    def begin(self, number: int) -> Fraction | None:
        """The time from which an input's lines come with its packets; None: from its first."""
        plan = self._inputs[number]
        return Fraction(plan.origin_us + plan.start_us, _MICROSECONDS) if plan.start_us else None

    def end(self, number: int, span: Span) -> Fraction | None:
        """Where an input ends as far as is known: nothing of a subtitle file is shown after it."""
        plan = self._inputs[number]
        promised = Fraction(plan.origin_us + plan.start_us + plan.duration_us, _MICROSECONDS) if plan.duration_us else None
        return min((end for end in (span.end, promised) if end is not None), default=None)

    def open_file(self, part: PartPlan) -> Any:
        """The subtitle file of a part, opened."""
        assert part.file is not None
        path = self._files[self._inputs[part.input].source][part.file.number]
        return open_subtitles(path, part.file.charset, self._limits)

    def begun_before(self, number: int, stream: int) -> list[Line]:
        """The lines of an input's stream that begin before what was asked for. The whole way there is read, once."""
        begin = self.begin(number)
        if begin is None:
            return []
        with self._lock:
            if number not in self._begun:
                with open_source(self._sources[self._inputs[number].source], self._limits) as container:
                    self._begun[number] = _lines_before(container, begin)
            return self._begun[number].get(stream, [])


def _lines_before(container: InputContainer, begin: Fraction) -> dict[int, list[Line]]:
    subtitles = [stream for stream in container.streams.subtitles if stream.codec_context]
    # Beside the subtitles, that they may be rare is no reason to read to the end.
    guide = [stream for stream in container.streams if stream.type in ("video", "audio") and stream.codec_context][:1]
    found: dict[int, list[Line]] = {stream.index: [] for stream in subtitles}
    wanted = {stream.index for stream in subtitles}
    try:
        for packet in container.demux([*subtitles, *guide]) if subtitles else ():
            line = _line(packet)
            if line is None:
                continue
            if packet.stream_index in wanted and line.start < begin:
                found[packet.stream_index].append(line)
            elif packet.stream_index not in wanted and packet.dts is not None and packet.dts * packet.time_base > begin + 1:
                break
    except av.error.FFmpegError:
        pass  # the conversion itself meets the same place, and judges
    return {stream: _with_ends(lines) for stream, lines in found.items()}


def _line(packet: AnyPacket) -> Line | None:
    """The line that a packet holds; None for one that says only that a line, or the stream, is over."""
    pts = packet.pts if packet.pts is not None else packet.dts
    if pts is None or not packet.time_base or not packet.size:
        return None
    start = pts * packet.time_base
    return Line(start, start + packet.duration * packet.time_base if packet.duration else None, packet)


def _with_ends(lines: Sequence[Line]) -> list[Line]:
    """The lines in order, with the ends that only the next line tells."""
    ordered = sorted(lines, key=lambda line: line.start)
    ended: list[Line] = []
    after: Fraction | None = None
    for number in range(len(ordered) - 1, -1, -1):
        line = ordered[number]
        if number + 1 < len(ordered) and ordered[number + 1].start > line.start:
            after = ordered[number + 1].start
        ended.append(line if line.end is not None else replace(line, end=after))
    return ended[::-1]


class SubtitleTrack:
    """Keeps or converts the lines of a subtitle stream, and those of subtitle files.

    `lines` were to be converted; `broken` of them could not be read, and were left out.
    """

    wants_frames = False

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        source: InputContainer,
        span: Span,
        keep_metadata: bool,
        inputs: SubtitleInputs,
    ) -> None:
        """Opens the decoders and the encoder; raises InvalidMedia for a file that cannot be read."""
        self.plan, self.written = plan, Written()
        self.frames = self.unordered = 0
        self.lines = self.broken = 0
        self._inputs, self._speed = inputs, rational(plan.speed) or Fraction(1)
        self._tick = _MILLISECOND if plan.codec in _TEXT else _PICTURES_TICK
        self._decoders: dict[int, Any] = {}
        self._waiting: deque[Line] = deque()
        self._last_start = Fraction(0)
        self._read_order = 0
        self._joined = _OneAtATime() if plan.codec in _ONE_AT_A_TIME and plan.encoder != COPY else None
        self._files: dict[int, list[Line]] = {}
        self._stream: Any = None
        header = b""
        for number, part in enumerate(plan.parts):
            if part.file is None:
                header = header or self._prepare(number, source.streams[part.streams[0]], output, keep_metadata)
            else:
                with inputs.open_file(part) as container:
                    origin = container.streams[part.streams[0]]
                    header = header or self._prepare(number, origin, output, keep_metadata)
                    self._files[number] = _with_ends([line for line in map(_line, container.demux(origin)) if line])
        if plan.encoder != COPY and self._stream is not None:
            self._stream.codec_context.subtitle_header = header or _HEADER
        self.done = all(part.file is not None for part in plan.parts)
        self.begin(0, span, Fraction(0))

    def _prepare(self, number: int, origin: Any, output: OutputContainer, keep_metadata: bool) -> bytes:
        """Adds the stream, like its first part, and opens the part's decoder; gives the ASS header that it works with."""
        part, copied = self.plan.parts[number], self.plan.encoder == COPY
        if self._stream is None:
            self._stream = (
                output.add_stream_from_template(origin, opaque=True) if copied else output.add_stream(self.plan.encoder)
            )
            if not copied:
                self._stream.time_base = self._stream.codec_context.time_base = self._tick
            if part.file is None:
                describe(self._stream, origin, keep_metadata)
            else:
                self._stream.disposition = Disposition(0)
                if part.file.language:
                    self._stream.metadata["language"] = part.file.language
        if copied:
            return b""
        # One of its own: outputs run on threads of their own.
        decoder: Any = av.CodecContext.create(origin.codec_context.codec.name, "r")
        if origin.codec_context.extradata:
            decoder.extradata = origin.codec_context.extradata
        decoder.open(strict=False)
        self._decoders[number] = decoder
        return bytes(decoder.subtitle_header or b"")

    def begin(self, number: int, span: Span, offset: Fraction) -> None:
        """A part begins, whose `span` of its source lies at `offset` seconds in the output, before speed is applied."""
        self._part, self._span, self._offset = number, span, offset
        part = self.plan.parts[number]
        if part.file is None:
            self._from = self._inputs.begin(part.input)
            lines = self._inputs.begun_before(part.input, part.streams[0])
        else:
            self._from = None
            self._span = replace(span, end=self._inputs.end(part.input, span))
            moved = self._inputs.origin(part.input) + Fraction(part.file.offset_us, _MICROSECONDS)
            lines = [
                replace(line, start=line.start + moved, end=None if line.end is None else line.end + moved)
                for line in self._files.pop(number)
            ]
        placed = (self._placed(line) for line in lines)
        self._waiting.extend(line for line in placed if line is not None)

    def _placed(self, line: Line) -> Line | None:
        """The line on the output's clock, cut to the span; None when it lies outside."""
        span = self._span
        if span.after(line.start) or (line.end is not None and line.end <= span.begin):
            return None
        end = line.end if span.end is None or line.end is None else min(line.end, span.end)
        start = (max(line.start, span.begin) - span.begin + self._offset) / self._speed
        end = None if end is None else (end - span.begin + self._offset) / self._speed
        return replace(line, start=start, end=end, part=self._part)

    def feed(self, item: AnyPacket) -> Iterator[AnyPacket]:
        """Gives what is to be written once a packet of the source's own stream has come."""
        line = _line(item)
        if line is None or (self._from is not None and line.start < self._from):
            return
        if self._span.after(line.start):
            self.done = True
            return
        placed = self._placed(line)
        if placed is not None:
            self._waiting.append(placed)
            yield from self._release(None)

    def advance(self, position: Fraction) -> Iterator[AnyPacket]:
        """Gives the lines of subtitle files up to where the output is, so that they lie beside what they belong to."""
        yield from self._release(position)

    def end(self, length: Fraction) -> Iterator[AnyPacket]:
        """The part was `length` seconds long, before speed is applied: what a subtitle file says later is dropped."""
        limit = (self._offset + length) / self._speed
        self._waiting = deque(
            replace(line, end=None if line.end is None else min(line.end, limit))
            for line in self._waiting
            if line.start < limit
        )
        yield from self._release(None)

    def finish(self) -> Iterator[AnyPacket]:
        """Gives what was held back."""
        yield from self._release(None)
        if self._joined is not None:
            yield from self._encoded(self._joined.flush())

    def _release(self, until: Fraction | None) -> Iterator[AnyPacket]:
        while self._waiting and (until is None or self._waiting[0].start <= until):
            line = self._waiting.popleft()
            if self.plan.encoder == COPY:
                yield from self._kept(line)
            elif self._joined is None:
                yield from self._encoded(self._events(line))
            else:
                for event in self._events(line):
                    yield from self._encoded(self._joined.push(event))

    def _kept(self, line: Line) -> Iterator[AnyPacket]:
        packet = line.content
        if self.plan.codec == "mov_text" and packet.size <= _EMPTY_BYTES:
            return  # writing makes its own
        yield self._timed(packet, line)

    def _events(self, line: Line) -> Iterator[Line]:
        """The events of ASS that a packet holds."""
        self.lines += 1
        try:
            shown = self._decoders[line.part].decode2(line.content)
        except av.error.FFmpegError:
            self.broken += 1
            return
        for event in shown or ():
            content = getattr(event, "ass", b"")
            if content:
                yield replace(line, content=bytes(content))

    def _encoded(self, events: Iterator[Line]) -> Iterator[AnyPacket]:
        for event in events:
            # Numbered anew: writers of ASS sort by it, and a cut or a second source would leave gaps or begin again.
            content = _READ_ORDER.sub(str(self._read_order).encode(), event.content, count=1)
            self._read_order += 1
            try:
                packet = self._stream.codec_context.encode_subtitle(SubtitleSet.create(content, 0, _milliseconds(event), 0))
            except av.error.FFmpegError as error:
                raise InvalidMedia(f"a subtitle at {float(event.start):.3f} s cannot be written: {error}") from error
            if packet.size:
                yield self._timed(packet, event)

    def _timed(self, packet: AnyPacket, line: Line) -> AnyPacket:
        # Files must not go back in time, and lines of text may.
        start = self._last_start = max(line.start, self._last_start)
        packet.stream, packet.time_base = self._stream, self._tick
        packet.pts = packet.dts = round(start / self._tick)
        packet.duration = max(1, round(line.end / self._tick) - packet.pts) if line.end is not None else 0
        self.written.count(packet)
        return packet


def _milliseconds(line: Line) -> int:
    return max(1, round((line.end - line.start) * 1000)) if line.end is not None else 0


class _OneAtATime:
    """Makes lines that overlap follow each other: while two are shown, one event shows both."""

    def __init__(self) -> None:
        self._shown: list[Line] = []
        self._at = Fraction(0)

    def push(self, line: Line) -> Iterator[Line]:
        """Gives what is complete once `line` begins."""
        yield from self._until(line.start)
        self._shown.append(line)

    def flush(self) -> Iterator[Line]:
        """Gives the rest."""
        yield from self._until(None)

    def _until(self, time: Fraction | None) -> Iterator[Line]:
        while self._shown and (time is None or self._at < time):
            ends = [line.end for line in self._shown if line.end is not None]
            stops = [*ends, *(() if time is None else (time,))]
            stop = min(stops) if stops else None
            first = self._shown[0]
            texts = [line.content.split(b",", _TEXT_FIELD)[-1] for line in self._shown[1:]]
            yield Line(self._at, stop, rb"\N".join([first.content, *texts]))
            if stop is None:
                self._shown.clear()
                return
            self._at = stop
            self._shown = [line for line in self._shown if line.end is None or line.end > stop]
        self._at = self._at if time is None else max(self._at, time)
