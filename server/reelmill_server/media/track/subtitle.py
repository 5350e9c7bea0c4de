"""Copy or convert subtitles: cues are cut to the span and moved with it.

A cue that begins before the span and reaches into it is kept, shortened. Text is written with times in whole milliseconds.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.decoding import BROKEN_SHARE
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.input.subtitle_file import STYLES
from reelmill_server.media.libav.codec_names import canonical_name, codec_name
from reelmill_server.media.libav.errors import check_memory
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.ass_text import (
    STYLE_FIELD,
    TEXT_FIELD,
    Styles,
    literal,
    loses_looks,
    placed,
    readable,
    without_fonts,
)
from reelmill_server.media.track.base import Track, describe, left_out
from reelmill_server.media.track.cue_encoder import CueEncoder
from reelmill_server.media.track.subtitle_cues import Cue, OverlapMerger, SubtitleInputs, cue_of, with_end_times
from reelmill_server.media.track.webvtt_settings import settings_of
from reelmill_server.model.plan import COPY, ImagePlan, PartPlan, StreamPlan, TargetPlan
from reelmill_server.model.time import MICROSECONDS

_MILLISECOND = Fraction(1, 1000)
_HUNDREDTH = 10  # ticks: what files of ASS count; FFmpeg 9 leaves out cues that are shown for none
_BITMAP_TICK = Fraction(1, 90_000)  # of DVD, Blu-ray and MPEG-TS
_TEXT = frozenset({"subrip", "ass", "webvtt", "mov_text", "text"})
_UTF8 = frozenset({"subrip", "ass", "webvtt", "text"})  # codecs whose packets are text and nothing else
_BRACED = ("ass", "ssa")  # whose braces hold no text
_PLAIN_STYLE = b"Default"
_ONE_AT_A_TIME = frozenset({"mov_text"})  # its cues are samples, which cannot overlap
_EMPTY_BYTES = 2  # an empty mov_text sample: only the length of its text
_HEADER = (
    b"[Script Info]\r\nScriptType: v4.00+\r\nPlayResX: 384\r\nPlayResY: 288\r\nScaledBorderAndShadow: yes\r\n\r\n"
    b"[V4+ Styles]\r\nFormat: Name, Fontname, Fontsize, PrimaryColour, SecondaryColour, OutlineColour, BackColour, Bold, "
    b"Italic, Underline, StrikeOut, ScaleX, ScaleY, Spacing, Angle, BorderStyle, Outline, Shadow, Alignment, MarginL, MarginR, "
    b"MarginV, Encoding\r\nStyle: Default,Arial,16,&Hffffff,&Hffffff,&H0,&H0,0,0,0,0,100,100,0,0,1,1,0,2,10,10,10,1\r\n\r\n"
    b"[Events]\r\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\r\n"
)


class SubtitleTrack(Track):
    """Copy or convert the cues of a subtitle stream and of subtitle files.

    `cues` were to be converted; `broken` of them could not be read, and were left out; `mended` had bytes that are no text;
    `drawn` were drawings, and were left out; `plainer` lost looks that the output has no word for. `late` begin after the end
    of their source, where there is nothing to show them on.
    """

    follows_position = True

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        inputs: SubtitleInputs,
    ) -> None:
        """Open the decoders and the encoder. Raises InvalidMedia for a file that cannot be read."""
        super().__init__(plan)
        self.cues = self.broken = self.mended = self.drawn = self.plainer = self.late = 0
        self._inputs = inputs
        self._numbers = {part.input: number for number, part in enumerate(plan.parts)}
        self._tick = _MILLISECOND if plan.codec in _TEXT else _BITMAP_TICK
        self._least = _HUNDREDTH if output.format.name == "ass" else 1
        self._decoders: dict[int, Any] = {}
        self._codecs: dict[int, str] = {}
        self._styles: dict[int, Styles] = {}
        self._header_lost = False
        self._asked = self._span
        self._waiting: deque[Cue] = deque()
        self._part = 0
        self._from: Fraction | None = None
        self._last_start = Fraction(0)
        self._joined = OverlapMerger() if plan.codec in _ONE_AT_A_TIME and plan.encoder != COPY else None
        self._files: dict[int, list[Cue]] = {}
        self._stream: Any = None
        self._encoder: CueEncoder | None = None
        headers: list[bytes] = []
        for number, part in enumerate(plan.parts):
            if part.file is None:
                headers.append(self._prepare(number, sources[part.input].streams[part.stream], output))
            else:
                self.written.letters = inputs.letters(part) if len(plan.parts) == 1 else None
                with inputs.open_file(part) as container:
                    origin = container.streams[part.stream]
                    headers.append(self._prepare(number, origin, output))
                    self._files[number] = with_end_times([cue for cue in map(cue_of, container.demux(origin)) if cue])
        if plan.encoder != COPY and self._stream is not None:
            header = next(filter(None, headers), _HEADER)
            self._stream.codec_context.subtitle_header = without_fonts(header) if plan.codec == "subrip" else header
            self._encoder = CueEncoder(self._stream.codec_context, plan.codec)
        if plan.parts[0].file is None:
            describe(self._stream, plan, sources, keep_metadata)

    def _prepare(self, number: int, origin: Any, output: OutputContainer) -> bytes:
        """Add the output stream, modeled on its first part, and open the part's decoder; return the ASS header it works
        with.
        """
        part, copied = self.plan.parts[number], self.plan.encoder == COPY
        if self._stream is None:
            self._stream = (
                output.add_stream_from_template(origin, opaque=True) if copied else output.add_stream(self.plan.encoder)
            )
            if not copied:
                self._stream.time_base = self._stream.codec_context.time_base = self._tick
            if part.file is not None:
                self._stream.disposition = Disposition(0)
                if part.file.language:
                    self._stream.metadata["language"] = part.file.language
        codec = self._codecs[number] = canonical_name(origin.codec_context)
        # Where the header of WebVTT has somewhere to go, it is copied.
        kept_header = copied and output.format.name != "webvtt"
        self._header_lost = self._header_lost or (codec == "webvtt" and _has_styles(origin.codec_context) and not kept_header)
        if copied:
            return b""
        # A decoder per track: outputs run on threads of their own.
        decoder: Any = av.CodecContext.create(codec_name(origin.codec_context), "r")
        if origin.codec_context.extradata:
            decoder.extradata = origin.codec_context.extradata
        decoder.open(strict=False)
        self._decoders[number] = decoder
        header = bytes(decoder.subtitle_header or b"")
        self._styles[number] = Styles.of(header)
        return header

    def begin(self, part: Part, span: Span) -> None:
        number = self._numbers[part.number]
        self._part, self._span, self._asked = number, span, span
        self._take(self.plan.parts[number], number, span)

    def _take(self, part: PartPlan, number: int, span: Span) -> None:
        """Queue what is known of a part before its packets come."""
        if part.file is None:
            self._from = self._inputs.begin(part.input)
            cues = self._inputs.begun_before(part.input, part.stream)
        else:
            self._from = None
            self._span = replace(span, end=self._inputs.end(part.input, span))
            moved = self._inputs.origin(part.input) + Fraction(part.file.offset_us, MICROSECONDS)
            cues = [
                replace(cue, start=cue.start + moved, end=None if cue.end is None else cue.end + moved)
                for cue in self._files.pop(number)
            ]
        placed = (self._on_output_clock(cue) for cue in cues)
        self._waiting.extend(cue for cue in placed if cue is not None)

    def _on_output_clock(self, cue: Cue) -> Cue | None:
        """Return the cue on the output's clock, cut to the span; None when it lies outside."""
        span = self._span
        self.late += span.after(cue.start) and not self._asked.after(cue.start)
        if span.after(cue.start) or (cue.end is not None and cue.end <= span.begin):
            return None
        end = cue.end if span.end is None or cue.end is None else min(cue.end, span.end)
        start = self._clock.at(max(cue.start, span.begin) - span.begin)
        end = None if end is None else self._clock.at(end - span.begin)
        return replace(cue, start=start, end=end, part=self._part)

    def feed(self, part: Part, stream: int, item: AnyPacket) -> Iterator[AnyPacket]:
        cue = cue_of(item)
        if cue is None or (self._from is not None and cue.start < self._from):
            return
        if self._span.after(cue.start):
            part.close(self, stream)
            return
        placed = self._on_output_clock(cue)
        if placed is not None:
            self._waiting.append(placed)
            yield from self._release(None)

    def advance(self, position: Fraction) -> Iterator[AnyPacket]:
        yield from self._release(position)

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        limit = self._clock.at(length)
        self.late += sum(cue.start >= limit for cue in self._waiting)
        self._clock.advance(length)
        self._waiting = deque(
            replace(cue, end=None if cue.end is None else min(cue.end, limit)) for cue in self._waiting if cue.start < limit
        )
        yield from self._release(None)

    def finish(self) -> Iterator[AnyPacket]:
        yield from self._release(None)
        if self._joined is not None:
            yield from self._encoded(self._joined.flush())

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        if self.broken:
            yield f"{target.field}: {left_out(self.broken, self.cues, 'subtitles are not text in UTF-8')}"
        if self.mended > self.cues * BROKEN_SHARE:
            raise InvalidMedia(f"{self.mended} of {self.cues} subtitles are not text in UTF-8")
        if self.mended:
            yield f"{target.field}: {self.mended} of {self.cues} subtitles have bytes that are not UTF-8: replaced by U+FFFD"
        if self.drawn:
            yield f"{target.field}: {self.drawn} subtitles have drawings, which {self.plan.codec} cannot hold: left out"
        if self.plainer:
            what = f"{self.plainer} of {self.cues} subtitles have fonts, colors, effects or places"
            yield f"{target.field}: {what} that {self.plan.codec} cannot hold: only their text is kept"
        if self.late:
            yield f"{target.field}: {self.late} subtitles begin after the end of the source: left out"
        if self._header_lost:
            yield f"{target.field}: styles and regions of WebVTT: left out"

    def _release(self, until: Fraction | None) -> Iterator[AnyPacket]:
        while self._waiting and (until is None or self._waiting[0].start <= until):
            cue = self._waiting.popleft()
            if self.plan.encoder == COPY:
                yield from self._kept(cue)
            elif self._joined is None:
                yield from self._encoded(self._events(cue))
            else:
                for event in self._events(cue):
                    yield from self._encoded(self._joined.push(event))

    def _kept(self, cue: Cue) -> Iterator[AnyPacket]:
        packet = cue.content
        if self.plan.codec == "mov_text" and packet.size <= _EMPTY_BYTES:
            return  # the muxer writes empty samples by itself
        yield self._timed(packet, cue)

    def _events(self, cue: Cue) -> Iterator[Cue]:
        """Yield the ASS events that a packet holds."""
        if self._codecs[cue.part] == "mov_text" and cue.content.size <= _EMPTY_BYTES:
            return  # a pause between cues
        self.cues += 1
        try:
            shown = self._decoded(cue)
        except av.error.FFmpegError as error:
            check_memory(error)
            self.broken += 1
            return
        settings = settings_of(cue.content)
        lost = self._codecs[cue.part] == "webvtt" and loses_looks(bytes(cue.content), settings)
        for event in shown or ():
            content = bytes(getattr(event, "ass", b""))
            if content:
                yield from self._shown(replace(cue, content=content), settings, lost)

    def _decoded(self, cue: Cue) -> Any:
        packet = cue.content
        if self._codecs[cue.part] in _UTF8:
            data = bytes(packet)
            text = data.decode("utf-8", "replace").encode()
            if text != data:
                self.mended += 1
                packet = AnyPacket(text)
                packet.pts, packet.duration, packet.time_base = cue.content.pts, cue.content.duration, cue.content.time_base
        return self._decoders[cue.part].decode2(packet)

    def _shown(self, event: Cue, settings: bytes, lost: bool) -> Iterator[Cue]:
        """Yield an event as the output can show it; nothing for one that is not text.

        `settings` are those of its WebVTT cue; `lost`: the cue had more than the event.
        """
        codec, source = self.plan.codec, self._codecs[event.part]
        if source not in _BRACED:
            event = replace(event, content=literal(event.content))
        if codec != "webvtt" and settings:
            event = replace(event, content=placed(event.content, settings))
        if codec == "ass":
            self.plainer += lost
            yield event
            return
        *fields, text = event.content.split(b",", TEXT_FIELD)
        plain = readable(text)
        self.drawn += plain.drawings
        if plain.empty:
            return
        at = settings or self._styles[event.part].settings(event.content)
        styled = source == "ass" and fields[STYLE_FIELD] != _PLAIN_STYLE
        self.plainer += lost or plain.plainer or styled or (codec == "mov_text" and bool(at))
        yield replace(event, content=b",".join([*fields, plain.text]), settings=at if codec == "webvtt" else b"")

    def _encoded(self, events: Iterator[Cue]) -> Iterator[AnyPacket]:
        assert self._encoder
        for event in events:
            packet = self._encoder.encode(event)
            if packet.size:
                yield self._timed(packet, event)

    def _timed(self, packet: AnyPacket, cue: Cue) -> AnyPacket:
        # Timestamps of a file must not decrease; those of a text file's cues may.
        start = self._last_start = max(cue.start, self._last_start)
        packet.stream, packet.time_base = self._stream, self._tick
        packet.pts = packet.dts = round(start / self._tick)
        shown = round(cue.end / self._tick) - packet.pts if cue.end is not None else 0
        packet.duration = max(self._least, shown) if cue.end is not None or self._least > 1 else 0
        self.written.count(packet)
        return packet


def _has_styles(context: Any) -> bool:
    return bool(STYLES.search(bytes(context.extradata or b"")))
