"""Compare the streams of a file that was read back with what was planned and what was written."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition, Stream

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.libav.codec_names import canonical_name
from reelmill_server.media.result.reading import StreamReading
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.plan import StreamPlan, StreamType, TargetPlan

# MP4 and MPEG-TS have one codec for all layers of MPEG audio, and libav one decoder.
_ALIASES = {"mp2": "mp3"}
# Names of the packets of a kind, where each one written must be read back.
_COUNTED = {"video": "pictures", "data": "packets of data", "picture": "cover pictures"}
# By text codec: ASS counts in hundredths of a second.
_LINE_ROUNDING = {name: Fraction(2, 1000) for name in ("subrip", "webvtt", "mov_text", "text")} | {"ass": Fraction(1, 50)}
# Some muxers count in milliseconds (Matroska, FLV): times read back may be off by one.
_ROUNDING = Fraction(2, 1000)
# Where an Ogg file has several streams of Vorbis, libav takes the first block, a short one, to be as long as the next.
_MISREAD = {"vorbis": Fraction(1, 20)}
_UNLISTED_FORMATS = ("flv",)  # whose streams libav numbers as their first packets come: one of each kind


def planned_streams(container: InputContainer, plan: TargetPlan) -> list[Stream]:
    """Return the streams that were planned, in the plan's order, without the data streams that muxers add behind them for
    chapters and time codes.

    Raises OutputInvalid if the number of attached files is not the planned one.
    """
    if len(container.streams.attachments) != len(plan.attachments):
        count = len(container.streams.attachments)
        raise OutputInvalid(f"{plan.field}: has {count} attached files, not {len(plan.attachments)}")
    planned = sum(stream.type == StreamType.DATA for stream in plan.streams)
    data_indexes = {stream.index for stream in container.streams.data[:planned]}
    rest = [stream for stream in container.streams if stream.type != "attachment"]
    media = [stream for stream in rest if stream.type != "data" or stream.index in data_indexes]
    if container.format.name in _UNLISTED_FORMATS:
        order: list[str] = [stream.type for stream in plan.streams]
        media.sort(key=lambda stream: order.index(stream.type) if stream.type in order else len(order))
    return media


def _kind(stream: Any) -> str:
    """Return the kind of a stream as plans call it."""
    picture = stream.type == "video" and int(stream.disposition) & int(Disposition.attached_pic)
    return "picture" if picture else str(stream.type)


def compare(
    media: Sequence[Any], plan: TargetPlan, written: Sequence[StreamStats], readings: Sequence[StreamReading], where: str
) -> None:
    """Compare kinds, codecs, counts, lengths and sizes. Raises OutputInvalid."""
    kinds = [_kind(stream) for stream in media]
    if kinds != [stream.type for stream in plan.streams]:
        raise OutputInvalid(f"{where}: has the streams {kinds}, planned were {[stream.type for stream in plan.streams]}")
    for stream, planned, went_in, came_out in zip(media, plan.streams, written, readings, strict=True):
        name = canonical_name(stream.codec_context) if stream.codec_context else stream.name
        if _ALIASES.get(name, name) != _ALIASES.get(planned.codec, planned.codec):
            raise OutputInvalid(f"{where}: the {planned.type} is {name}, planned was {planned.codec}")
        _compare_counts(planned, went_in, came_out, where)
        if planned.video and (stream.codec_context.width, stream.codec_context.height) != (
            planned.video.width,
            planned.video.height,
        ):
            size = f"{stream.codec_context.width}x{stream.codec_context.height}"
            raise OutputInvalid(f"{where}: the video is {size}, planned was {planned.video.width}x{planned.video.height}")


def _compare_counts(planned: StreamPlan, went_in: StreamStats, came_out: StreamReading, where: str) -> None:
    if planned.type in _COUNTED and came_out.packets != went_in.packets:
        raise OutputInvalid(f"{where}: {went_in.packets} {_COUNTED[planned.type]} went in, {came_out.packets} came out")
    if planned.type == StreamType.PICTURE:
        size = sum(packet.size for packet in came_out.head)
        if size != went_in.size_bytes:
            raise OutputInvalid(f"{where}: a cover picture of {went_in.size_bytes} bytes went in, {size} came out")
        return
    if planned.type == StreamType.SUBTITLE:
        _compare_lines(planned, went_in, came_out, where)
        return
    fed, read = went_in.extent, came_out.extent
    if read.first is None or fed.first is None:
        return
    # Lengths, not positions: muxers may move a file whose first timestamp is below 0. The start of the last frame is
    # compared, since not every container keeps its duration. PCM is cut anew into frames of another length.
    last = read.last_start if came_out.hidden is None else max(read.last_start, came_out.hidden)
    expected, length = fed.last_start - fed.first, last - read.first
    frame = max(read.last - read.last_start, fed.last - fed.last_start, Fraction(1, 1000))
    if abs(length - expected) > frame + _ROUNDING + _MISREAD.get(planned.codec, 0):
        raise OutputInvalid(f"{where}: {float(expected):.3f} s of {planned.type} went in, {float(length):.3f} s came out")


def _compare_lines(planned: StreamPlan, went_in: StreamStats, came_out: StreamReading, where: str) -> None:
    """Compare how many cues there are, and where the first and the last begin; bitmaps may come in pieces joined anew."""
    if planned.codec not in _LINE_ROUNDING:
        return
    if came_out.packets != went_in.packets:
        raise OutputInvalid(f"{where}: {went_in.packets} subtitle cues went in, {came_out.packets} came out")
    fed, read = went_in.extent, came_out.extent
    off = abs((fed.last_start - (fed.first or 0)) - (read.last_start - (read.first or 0)))
    if off > _LINE_ROUNDING[planned.codec]:
        raise OutputInvalid(f"{where}: the last subtitle cue is off by {float(off):.3f} s")
