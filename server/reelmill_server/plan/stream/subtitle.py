"""Plan subtitles: copied, converted, left out, or written to separate files.

The subtitle streams of a source are its own, in order, followed by those of its subtitle files. Streams of concatenated
sources are continued number by number.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.model.media_info import MediaInfo, StreamInfo, SubtitleStreamInfo, TextInfo
from reelmill_server.model.package_plan import RenditionPlan
from reelmill_server.model.plan import COPY, InputPlan, PartPlan, StreamPlan, StreamType, SubtitleFilePlan, TargetPlan
from reelmill_server.model.request import ConvertRequest, SourceSpec, TargetSpec
from reelmill_server.plan.codec.containers import CONTAINERS, Container
from reelmill_server.plan.context import PlanFacts

ALL_STREAMS_ABOVE = 100
"""A member of a list of streams above this means all of them (the contract's convention)."""

TEXT_CODECS = frozenset({"subrip", "ass", "webvtt", "mov_text", "text"})
"""Codecs (libav's names) that are read as text; all others contain bitmaps or cannot be read."""

TEXT_ENCODERS: Mapping[str, str] = {"subrip": "srt", "ass": "ass", "webvtt": "webvtt", "mov_text": "mov_text"}
"""libav's encoders of text subtitles, by codec."""

CONTAINER_TEXT: Mapping[str, str] = {"mp4": "mov_text", "mov": "mov_text", "mkv": "subrip", "webm": "webvtt"}
"""Codecs that text is converted to for containers that lack its own; containers not listed cannot contain text."""

EXTRACTS: Mapping[str, tuple[str, str]] = {"ass": ("ass", "ass"), "srt": ("srt", "subrip"), "vtt": ("webvtt", "webvtt")}
"""libav's muxer and codec for each format of extracted files."""

_KNOWN_EXTENSION = re.compile(r"\.(ass|ssa|srt|vtt|webvtt|m3u8)$", re.IGNORECASE)
# Bitmap codecs whose streams can be concatenated, as each packet is self-contained; others depend on a header.
_SELF_CONTAINED = frozenset({"hdmv_pgs_subtitle", "dvb_subtitle"})


@dataclass(frozen=True)
class SubtitleInput:
    """The subtitle streams of an input, and the part that reads each."""

    streams: tuple[tuple[SubtitleStreamInfo, PartPlan], ...]

    @classmethod
    def of(cls, number: int, source_number: int, source: SourceSpec, facts: PlanFacts) -> "SubtitleInput":
        """Return the subtitle streams of a source that is input `number` of the plan."""
        info: MediaInfo = facts.infos[source_number]
        offered = [(stream, PartPlan(stream.index, input=number)) for stream in info.subtitles]
        files = facts.subtitle_infos[source_number] if source.subtitles else ()
        for place, (spec, file) in enumerate(zip(source.subtitles, files, strict=True)):
            plan = SubtitleFilePlan(place, spec.offset_us, spec.language, file.text.charset)
            offered += [(stream, PartPlan(stream.index, input=number, file=plan)) for stream in file.subtitles]
        return cls(tuple(offered))


def plan_subtitles(
    target: TargetSpec, container: Container, inputs: Sequence[SubtitleInput], warnings: list[str]
) -> tuple[StreamPlan, ...]:
    """Return the subtitle streams of the target's media file.

    Raises UnsupportedFormat for one that the container cannot contain if the request names subtitles; otherwise it is left
    out with a warning.
    """
    if target.subtitle == "none":
        return ()
    field = f"{target.field}.subtitle"
    named = target.subtitle == "all" and target.extract is None
    if container.audio_only and not named:
        return ()
    planned = []
    for number in _selected(target, inputs):
        try:
            planned.append(_stream(number, target, container, inputs, field))
        except UnsupportedFormat as error:
            if named:
                raise
            warnings.append(f"{error.message}: left out")
    return tuple(planned)


def plan_extracts(
    target: TargetSpec, inputs: Sequence[SubtitleInput], warnings: list[str]
) -> tuple[tuple[int, StreamPlan], ...]:
    """Return the streams for separate files, with their numbers among the source's subtitles.

    Raises UnsupportedFormat for a stream that is not text, InvalidMedia if there is none to extract. A group leaves out
    streams that are not text, with a warning, unless the request names their number or nothing would remain.
    """
    if target.extract is None:
        return ()
    field = f"{target.field}.subtitle.extract_subtitle"
    muxer, codec = EXTRACTS[target.extract.format]
    numbers = _selected(target, inputs)
    if not numbers:
        raise InvalidMedia(f"{field}: the source has no such subtitle stream")
    planned: list[tuple[int, StreamPlan]] = []
    for number in numbers:
        streams = _parts(number, inputs)
        if not all(_is_text(stream) for stream, _ in streams):
            form = target.extract.format
            problem = f"{field}: subtitle stream {number} is {_codecs(streams)}, which holds no text to write as {form}"
            if target.group < 0 or number in target.subtitle_streams or (number == numbers[-1] and not planned):
                raise UnsupportedFormat(f"{problem}: name other streams")
            warnings.append(f"{problem}: left out")
            continue
        planned.append((number, _text(streams, codec, f"a {muxer} file", target, keeps=(codec,))))
    return tuple(planned)


def doubts(
    request: ConvertRequest, facts: PlanFacts, inputs: Sequence[InputPlan], targets: Sequence[TargetPlan]
) -> Iterator[str]:
    """Yield warnings of subtitle files that `targets` use: charsets that were guessed, and broken characters."""
    subtitles = [stream for target in targets for stream in target.streams if stream.type is StreamType.SUBTITLE]
    parts = [part for stream in subtitles for part in stream.parts]
    # A source may be a subtitle file itself.
    for source, number in sorted({(inputs[part.input].source, part.file.number if part.file else -1) for part in parts}):
        if number < 0:
            yield from _text_doubts(facts.infos[source].text, f"sources[{source}]", "")
            continue
        spec = request.sources[source].subtitles[number]
        text = facts.subtitle_infos[source][number].text
        yield from _text_doubts(text, f"sources[{source}].subtitles[{number}]", "" if spec.language else ", or set language")


def _text_doubts(text: TextInfo, field: str, hint: str) -> Iterator[str]:
    if text.guessed:
        doubt = f"the text is not UTF-8 and was read as {text.charset}, which is a guess"
        yield f"{field}: {doubt}: if its letters are wrong, store it as UTF-8{hint}"
    if text.broken:
        many = f"{text.broken} character{'s are' if text.broken > 1 else ' is'}"
        yield f"{field}: {many} broken in {text.charset}: replaced by U+FFFD"
    if text.styled:
        yield f"{field}: styles and regions of WebVTT: left out"
    if text.unread:
        yield f"{field}: {text.unread} subtitle{'s are' if text.unread > 1 else ' is'} not as the format has them: left out"


def extract_prefix(uri: str) -> str:
    """Return the beginning of the URIs of extracted files: `uri`, already expanded, without a subtitle extension."""
    return _KNOWN_EXTENSION.sub("", uri)


def extract_target(target: TargetSpec, uri: str, stream: StreamPlan, duration_us: int) -> TargetPlan:
    """Return the plan of an extracted stream's file."""
    extract = target.extract
    assert extract is not None
    muxer, _ = EXTRACTS[extract.format]
    return TargetPlan(
        target.index,
        uri,
        extract.format,
        muxer,
        duration_us,
        (stream,),
        keep_metadata=not target.strip_metadata,
        field=target.field,
    )


def renditions(target: TargetSpec, inputs: Sequence[SubtitleInput], numbers: Sequence[int]) -> tuple[RenditionPlan, ...]:
    """Return how a master playlist lists the streams `numbers`, in one group.

    Names are unique, at most one is the default, and of those with equal language and kind only the first is selected
    automatically (RFC 8216, 4.3.4.1.1).
    """
    streams = [_parts(number, inputs)[0] for number in numbers]
    default = next((place for place, (stream, _) in enumerate(streams) if stream.default), None)
    by_place: dict[int, RenditionPlan] = {}
    for place in sorted(range(len(streams)), key=lambda place: place != default):
        stream, part = streams[place]
        language = part.file.language if part.file else stream.language
        language = "" if language == "und" else language
        title = "" if target.strip_metadata else stream.metadata.get("title", "")
        name = title or language or str(numbers[place])
        while any(other.name == name for other in by_place.values()):
            name = f"{name} ({numbers[place]})"
        alike = any((other.language, other.forced) == (language, stream.forced) for other in by_place.values())
        by_place[place] = RenditionPlan(name, language, place == default, not alike, stream.forced)
    return tuple(by_place[place] for place in range(len(streams)))


def _selected(target: TargetSpec, inputs: Sequence[SubtitleInput]) -> list[int]:
    """Return the numbers of the selected streams, ascending."""
    count = max((len(offer.streams) for offer in inputs), default=0)
    numbers = target.subtitle_streams
    if target.subtitle == "first":
        return list(range(min(count, 1)))
    if not numbers or any(number > ALL_STREAMS_ABOVE for number in numbers):
        return list(range(count))
    return [number for number in range(count) if number in numbers]


def _parts(number: int, inputs: Sequence[SubtitleInput]) -> list[tuple[SubtitleStreamInfo, PartPlan]]:
    return [offer.streams[number] for offer in inputs if number < len(offer.streams)]


def _is_text(stream: StreamInfo) -> bool:
    return stream.codec in TEXT_CODECS and stream.decodable


def _codecs(streams: Sequence[tuple[StreamInfo, PartPlan]]) -> str:
    return ", then ".join(dict.fromkeys(stream.codec or "in a codec that is not known here" for stream, _ in streams))


def _stream(number: int, target: TargetSpec, container: Container, inputs: Sequence[SubtitleInput], field: str) -> StreamPlan:
    streams = _parts(number, inputs)
    if all(_is_text(stream) for stream, _ in streams) and container.name in CONTAINER_TEXT:
        codec = CONTAINER_TEXT[container.name]
        keeps = [word for word in TEXT_CODECS if container.holds("subtitle", word)]
        return _text(streams, codec, container.name, target, keeps)
    codecs = {stream.codec for stream, _ in streams}
    (codec, *other_codecs) = codecs
    if not codec or not container.holds("subtitle", codec):
        where = [name for name, candidate in CONTAINERS.items() if candidate.holds("subtitle", codec) or _takes(name, codec)]
        would = f" ({', '.join(where)} would)" if where else ""
        raise UnsupportedFormat(f"{field}: {container.name} does not hold {_codecs(streams)}{would}")
    if other_codecs or (len(streams) > 1 and codec not in _SELF_CONTAINED):
        raise UnsupportedFormat(f"{field}: subtitles in {_codecs(streams)} cannot follow each other in one stream")
    return StreamPlan(
        StreamType.SUBTITLE, tuple(part for _, part in streams), codec, COPY, "stream copy", slack_us=0, speed=target.speed
    )


def _takes(container: str, codec: str) -> bool:
    return codec in TEXT_CODECS and container in CONTAINER_TEXT


def _text(
    streams: Sequence[tuple[StreamInfo, PartPlan]], codec: str, what: str, target: TargetSpec, keeps: Sequence[str]
) -> StreamPlan:
    """Return a text stream: copied if it is a single stream in a codec of `keeps`, else converted to `codec`, which `what`
    contains.
    """
    parts = tuple(part for _, part in streams)
    present = [stream.codec for stream, _ in streams]
    if len(streams) == 1 and present[0] in keeps:
        return StreamPlan(StreamType.SUBTITLE, parts, present[0], COPY, "stream copy", speed=target.speed)
    aim = present[0] if len(set(present)) == 1 and present[0] in keeps else codec
    reason = f"made from {_codecs(streams)}: {what} takes {aim}"
    return StreamPlan(StreamType.SUBTITLE, parts, aim, TEXT_ENCODERS[aim], reason, speed=target.speed)
