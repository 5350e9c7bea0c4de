"""Write each stream of a media file as options of ffmpeg: its source, filters and codec."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from reelmill_server.model.media_info import StreamInfo
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan, StreamType, TargetPlan
from reelmill_server.model.request import SegmentFormat
from reelmill_server.plan.ffmpeg.audio import audio_chain
from reelmill_server.plan.ffmpeg.draft import Draft
from reelmill_server.plan.ffmpeg.filters import Chain, decimal, described, seconds
from reelmill_server.plan.ffmpeg.inputs import read_unasked
from reelmill_server.plan.ffmpeg.video import video_chain
from reelmill_server.plan.stream.subtitle import TEXT_ENCODERS

_LETTERS = {"video": "v", "picture": "v", "audio": "a", "subtitle": "s", "data": "d"}
_KINDS = {"v": "video", "a": "audio"}


def stream_groups(draft: Draft, target: TargetPlan) -> Iterator[tuple[str, ...]]:
    """Yield the options of each stream of a file, in order; a stream that ffmpeg cannot make is left out with a note."""
    early = begins_early(draft, target)
    if early:
        draft.notes.add(f"{target.field}: audio next to copied video begins up to 0.1 s before the video's key frame")
    if any(stream.copies_video for stream in target.streams) and any(plan.end_us for plan in draft.plan.inputs):
        draft.notes.add(f"{target.field}: frames after the end of the cut, to which frames before it refer, are shown")
    if any(stream.smart_cut for stream in target.streams):
        draft.notes.add(f"{target.field}: ffmpeg cuts copied video at keyframes; the service encodes the frames at the edges")
    sources = {
        number: _source(draft, target, stream)
        for number, stream in enumerate(target.streams)
        if stream.encoder == COPY or stream.type == StreamType.SUBTITLE
    }
    written = [number for number in range(len(target.streams)) if sources.get(number, "") is not None]
    streams = [target.streams[number] for number in written]
    for number, stream, specifier in zip(written, streams, _specifiers(streams), strict=True):
        if source := sources.get(number):
            yield _kept(draft, target, stream, specifier, source)
        else:
            yield _encoded(draft, target, stream, specifier, early)
    for attached in target.attachments:
        yield ("-map", draft.inputs.pad(PartPlan(attached.stream, input=attached.input)), "-c:t", "copy")


def _specifiers(streams: Sequence[StreamPlan]) -> list[str]:
    """Return the stream specifier of each stream: `:v` where there is one of its kind, else `:v:0` and so on."""
    totals, numbers = Counter(_LETTERS[stream.type] for stream in streams), Counter[str]()
    specifiers = []
    for stream in streams:
        letter = _LETTERS[stream.type]
        specifiers.append(f":{letter}:{numbers[letter]}" if totals[letter] > 1 else f":{letter}")
        numbers[letter] += 1
    return specifiers


def begins_early(draft: Draft, target: TargetPlan) -> bool:
    """Return whether the file begins before the requested start, at the key frame of copied video."""
    copies = any(stream.copies_video for stream in target.streams)
    return copies and any(plan.start_us for plan in draft.plan.inputs)


def _encoded(draft: Draft, target: TargetPlan, stream: StreamPlan, specifier: str, early: bool) -> tuple[str, ...]:
    chain = video_chain(draft, stream) if stream.video else audio_chain(draft, stream, early)
    return (
        *mapped(draft, chain, specifier),
        *(f"-c{specifier}", stream.encoder),
        *options(stream.options, specifier),
        *((f"-tag{specifier}", stream.codec_tag) if stream.codec_tag else ()),
        *_timing(stream, specifier),
        *(_description(draft, target, stream, specifier) if not _simple(chain) else ()),
    )


def mapped(draft: Draft, chain: Chain, specifier: str) -> tuple[str, ...]:
    """Return the options that map the output of `chain`: a stream with its own filters, or an output of the graph."""
    if _simple(chain):
        (pad,) = chain.pads
        filters = (f"-filter{specifier}", described(chain.filters)) if chain.filters else ()
        return ("-map", pad, *filters)
    kind = _KINDS[specifier[1]]
    return ("-map", f"[{draft.graph.close(chain, 'null' if kind == 'video' else 'anull')}]")


def _simple(chain: Chain) -> bool:
    """Return whether a chain reads one stream of an input and needs no graph."""
    return len(chain.pads) == 1 and ":" in chain.pads[0]


def options(values: Mapping[str, str], specifier: str) -> Iterator[str]:
    """Yield options of an encoder, or, without a specifier, of a muxer."""
    for name, value in values.items():
        yield from (f"-{name}{specifier}", value)


def _timing(stream: StreamPlan, specifier: str) -> Iterator[str]:
    """Yield the options of timestamps: as filters set them, in the plan's time base, with key frames on segment boundaries."""
    if stream.video:
        yield from (f"-fps_mode{specifier}", "vfr", f"-enc_time_base{specifier}", str(stream.video.time_base))
    if stream.segment_us:
        yield from (f"-force_key_frames{specifier}", f"expr:gte(t,n_forced*{seconds(stream.segment_us)})")


def _kept(draft: Draft, target: TargetPlan, stream: StreamPlan, specifier: str, source: str) -> tuple[str, ...]:
    """Return the options of a stream copy or of a subtitle stream."""
    file = stream.parts[0].file
    # Decoding brings text to UTF-8; a copy would keep its charset.
    recoded = stream.encoder == COPY and file is not None and not read_unasked(file.charset)
    return (
        *("-map", source, f"-c{specifier}", TEXT_ENCODERS[stream.codec] if recoded else stream.encoder),
        *((f"-tag{specifier}", stream.codec_tag) if stream.codec_tag else ()),
        *_reframing(target, stream, specifier),
        *(("-disposition" + specifier, "attached_pic") if stream.type == StreamType.PICTURE else ()),
        *_file_description(stream, specifier),
        *(_description(draft, target, stream, specifier) if not target.keep_metadata else ()),
    )


def _source(draft: Draft, target: TargetPlan, stream: StreamPlan) -> str | None:
    """Return where a stream comes from, as -map takes it; None if ffmpeg cannot read it so."""
    read = [part for part in stream.parts if part.stream >= 0]
    first = read[0]
    scaled = ("-itsscale", decimal(1 / stream.speed)) if stream.speed != 1 else ()
    if stream.type == StreamType.PICTURE:
        return _cover(draft, target, first)
    if scaled and stream.type == StreamType.SUBTITLE:
        draft.notes.add(f"{target.field}: subtitle cues start at the new speed but keep their duration")
    if len(read) == 1:
        return _single(draft, stream, first, scaled)
    items = [part.input for part in read]
    if any(part.file for part in read) or len({part.stream for part in read}) > 1 or not draft.inputs.joinable(items):
        draft.notes.add(f"{target.field}: {stream.type} of several sources that ffmpeg cannot join is left out")
        return None
    draft.notes.add(
        f"{target.field}: where sources are joined without encoding, ffmpeg keeps the audio encoder's padding of each: "
        "times may be off by some hundredths of a second"
    )
    return f"{draft.inputs.joined(items, *scaled)}:{first.stream}"


def _cover(draft: Draft, target: TargetPlan, part: PartPlan) -> str | None:
    if target.muxer == "matroska":
        draft.notes.add(f"{target.field}: cover art is left out: ffmpeg writes it into Matroska as video")
        return None
    return draft.inputs.pad(part, whole=True)


def _single(draft: Draft, stream: StreamPlan, part: PartPlan, read: tuple[str, ...]) -> str | None:
    if part.file is not None:
        return f"{draft.inputs.subtitles(part, *read)}:{part.stream}"
    before = draft.lengths.before(part.input) if len(stream.parts) > 1 else None
    moved = ("-itsoffset", decimal(before)) if before else ()
    return draft.inputs.pad(part, *moved, *read)


def _reframing(target: TargetPlan, stream: StreamPlan, specifier: str) -> tuple[str, ...]:
    """Return the bitstream filter of AAC in fragmented MP4, which ffmpeg adds by itself for every muxer but that of HLS."""
    hls = target.package is not None and target.package.format is SegmentFormat.HLS and target.container == "mp4"
    return (f"-bsf{specifier}", "aac_adtstoasc") if hls and stream.codec == "aac" else ()


def _file_description(stream: StreamPlan, specifier: str) -> Iterator[str]:
    """Yield the language of a subtitle file, as the request gives it."""
    file = stream.parts[0].file
    if file is not None:
        yield from ("-disposition" + specifier, "0")
        if file.language:
            yield from _tag(specifier, "language", file.language)


def _description(draft: Draft, target: TargetPlan, stream: StreamPlan, specifier: str) -> Iterator[str]:
    """Yield language and title of a stream where ffmpeg does not carry them over by itself; the language always stays."""
    source: StreamInfo | None = next(filter(None, map(draft.inputs.stream, stream.parts)), None)
    if source is None:
        return
    if source.language and source.language != "und":
        yield from _tag(specifier, "language", source.language)
    if target.keep_metadata and "title" in source.metadata:
        yield from _tag(specifier, "title", source.metadata["title"])


def _tag(specifier: str, key: str, value: str) -> Iterator[str]:
    yield from (f"-metadata:s{specifier}", f"{key}={value}")
