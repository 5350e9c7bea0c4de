"""Subtitle cues, and where they come from besides the packets of a source."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import av
from av.container import InputContainer

from reelmill_server.media.input.letters import Letters
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import MOST_TEXT_BYTES, Location, open_bytes, open_source
from reelmill_server.media.input.subtitle_file import open_subtitles
from reelmill_server.media.input.timeline import continuous
from reelmill_server.media.libav.errors import check_memory
from reelmill_server.media.libav.packets import twin
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.ass_text import TEXT_FIELD
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, PartPlan
from reelmill_server.model.time import MICROSECONDS


@dataclass(frozen=True)
class Cue:
    """Content shown from `start` to `end` (seconds; None: until the next cue): a packet of a part, or an ASS event in bytes.

    `settings` are those of the WebVTT cue that an event becomes.
    """

    start: Fraction
    end: Fraction | None
    content: Any
    part: int = 0
    settings: bytes = b""


class SubtitleInputs:
    """Read what subtitle tracks need besides the packets of their source: subtitle files, and cues begun before the span."""

    def __init__(
        self, inputs: Sequence[InputPlan], sources: Sequence[Location], files: Sequence[Sequence[Location]], limits: Limits
    ) -> None:
        """`sources` and `files` are locations, by the number of the source in the request."""
        self._inputs, self._sources, self._files, self._limits = inputs, sources, files, limits
        self._begun: dict[int, dict[int, list[Cue]]] = {}
        self._lock = threading.Lock()

    def origin(self, number: int) -> Fraction:
        """Return the timestamp, in seconds, at which the source of an input begins."""
        return Fraction(self._inputs[number].origin_us, MICROSECONDS)

    def begin(self, number: int) -> Fraction | None:
        """Return the time from which an input's cues come with its packets; None: from the first one."""
        plan = self._inputs[number]
        return Fraction(plan.origin_us + plan.start_us, MICROSECONDS) if plan.start_us else None

    def end(self, number: int, span: Span) -> Fraction | None:
        """Return where an input ends as far as is known: no cue of a subtitle file is shown after it."""
        plan = self._inputs[number]
        promised = Fraction(plan.origin_us + plan.start_us + plan.duration_us, MICROSECONDS) if plan.duration_us else None
        return min((end for end in (span.end, promised) if end is not None), default=None)

    def open_file(self, part: PartPlan) -> Any:
        """Open the subtitle file of a part."""
        assert part.file is not None
        place = self._files[self._inputs[part.input].source][part.file.number]
        return open_subtitles(place, part.file.charset, self._limits)

    def letters(self, part: PartPlan) -> Letters | None:
        """Return the letters in the subtitle file of a part; None: it is no text."""
        assert part.file is not None
        if not part.file.charset:
            return None
        letters = Letters()
        with open_bytes(self._files[self._inputs[part.input].source][part.file.number]) as file:
            text = file.read(MOST_TEXT_BYTES)
        if text.isascii() or b"\0" in text:  # it may be in HZ, ISO 2022 or UTF-16, whose bytes UTF-8 has, too
            text = text.decode(part.file.charset, "replace").encode()
        letters.add(text)
        return letters

    def begun_before(self, number: int, stream: int) -> list[Cue]:
        """Return the cues of a stream that begin before the span, in packets of the caller's own.

        Everything up to there is read once, whatever the number of tracks that ask; each on a thread of its own.
        """
        begin = self.begin(number)
        if begin is None:
            return []
        with self._lock:
            if number not in self._begun:
                with open_source(self._sources[self._inputs[number].source], self._limits) as container:
                    self._begun[number] = _cues_before(container, begin)
            return [replace(cue, content=twin(cue.content)) for cue in self._begun[number].get(stream, [])]


def _cues_before(container: InputContainer, begin: Fraction) -> dict[int, list[Cue]]:
    subtitles = [stream for stream in container.streams.subtitles if stream.codec_context]
    # Stop with the other streams: subtitles may be rare, and looking for the next one would read to the end.
    guide = [stream for stream in container.streams if stream.type in ("video", "audio") and stream.codec_context][:1]
    cues_of: dict[int, list[Cue]] = {stream.index: [] for stream in subtitles}
    wanted = {stream.index for stream in subtitles}
    try:
        for packet in continuous(container, [*subtitles, *guide]) if subtitles else ():
            cue = cue_of(packet)
            if cue is None:
                continue
            if packet.stream_index in wanted and cue.start < begin:
                cues_of[packet.stream_index].append(cue)
            elif packet.stream_index not in wanted and packet.dts is not None and packet.dts * packet.time_base > begin + 1:
                break
    except av.error.FFmpegError as error:
        check_memory(error)  # otherwise the conversion meets the same packets, and judges them
    return {stream: with_end_times(cues) for stream, cues in cues_of.items()}


def cue_of(packet: AnyPacket) -> Cue | None:
    """Return the cue that a packet holds; None for one that only says that a cue, or the stream, is over."""
    pts = packet.pts if packet.pts is not None else packet.dts
    if pts is None or not packet.time_base or not packet.size:
        return None
    start = pts * packet.time_base
    return Cue(start, start + packet.duration * packet.time_base if packet.duration else None, packet)


def with_end_times(cues: Sequence[Cue]) -> list[Cue]:
    """Return the cues in order, with the end times that only the next cue tells."""
    ordered = sorted(cues, key=lambda cue: cue.start)
    ended: list[Cue] = []
    after: Fraction | None = None
    for number in range(len(ordered) - 1, -1, -1):
        cue = ordered[number]
        if number + 1 < len(ordered) and ordered[number + 1].start > cue.start:
            after = ordered[number + 1].start
        ended.append(cue if cue.end is not None else replace(cue, end=after))
    return ended[::-1]


class OverlapMerger:
    """Turn overlapping cues into consecutive ones: while two are shown, one event shows both."""

    def __init__(self) -> None:
        self._shown: list[Cue] = []
        self._at = Fraction(0)

    def push(self, cue: Cue) -> Iterator[Cue]:
        """Yield what is complete once `cue` begins."""
        yield from self._until(cue.start)
        self._shown.append(cue)

    def flush(self) -> Iterator[Cue]:
        """Yield the rest."""
        yield from self._until(None)

    def _until(self, time: Fraction | None) -> Iterator[Cue]:
        while self._shown and (time is None or self._at < time):
            ends = [cue.end for cue in self._shown if cue.end is not None]
            stops = [*ends, *(() if time is None else (time,))]
            stop = min(stops) if stops else None
            first = self._shown[0]
            texts = [cue.content.split(b",", TEXT_FIELD)[-1] for cue in self._shown[1:]]
            yield Cue(self._at, stop, rb"\N".join([first.content, *texts]))
            if stop is None:
                self._shown.clear()
                return
            self._at = stop
            self._shown = [cue for cue in self._shown if cue.end is None or cue.end > stop]
        self._at = self._at if time is None else max(self._at, time)
