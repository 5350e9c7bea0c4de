"""Plan what is kept besides video, audio and subtitles: data streams and cover art from the primary source, attached files."""

from collections.abc import Iterator, Sequence

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.media_info import DataStreamInfo
from reelmill_server.model.plan import COPY, AttachmentPlan, PartPlan, StreamPlan, StreamType
from reelmill_server.model.request import TargetSpec
from reelmill_server.plan.codec.containers import Container, fitting
from reelmill_server.plan.inputs import Inputs
from reelmill_server.plan.stream.target_context import TargetContext

_ALL = -1  # the contract's convention for all streams of these kinds


def data_streams(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the data streams of the output. Those that MP4 cannot contain are left out with a warning."""
    primary = context.inputs.primary
    # Empty parts shift the data by the duration of the inputs before.
    before = tuple(PartPlan(-1, input=item.number) for item in context.inputs.main if item.number < primary.number)
    for number in _selected(len(primary.info.data), context.target.data_streams):
        stream = primary.info.data[number]
        if stream.fits_mp4:
            parts = (*before, PartPlan(stream.index, input=primary.number))
            yield StreamPlan(StreamType.DATA, parts, stream.codec, COPY, "stream copy", speed=context.target.speed)
        elif not _kept_as_tag(context, stream):
            context.warn(f".data: data stream {number} ({stream.codec or 'codec not known'}) cannot be copied: left out")


def _kept_as_tag(context: TargetContext, stream: DataStreamInfo) -> bool:
    """Return whether a timecode survives as a tag of the video, from which the muxer makes a track."""
    filmed = bool(context.inputs.primary.video) and context.target.video is not None
    return "timecode" in stream.metadata and filmed and not context.target.strip_metadata


def cover_pictures(context: TargetContext) -> Iterator[StreamPlan]:
    """Yield the cover art of the output. Raises UnsupportedFormat if the container cannot contain one of them."""
    primary, container = context.inputs.primary, context.container
    for number in _selected(len(primary.info.covers), context.target.picture_streams):
        stream = primary.info.covers[number]
        if not container.holds("picture", stream.codec):
            where = ", ".join(fitting("picture", stream.codec)) or "no container here"
            codec = stream.codec or "in a codec that is not known here"
            raise UnsupportedFormat(
                f"{context.target.field}.attached_picture: cover picture {number} is {codec}, "
                f"which {container.name} does not hold ({where} would)"
            )
        yield StreamPlan(StreamType.PICTURE, (PartPlan(stream.index, input=primary.number),), stream.codec, COPY, "stream copy")


def attached_files(inputs: Inputs, container: Container, streams: Sequence[StreamPlan]) -> Iterator[AttachmentPlan]:
    """Yield the attached files of all concatenated inputs, equal ones once; fonts only where one of `streams` is subtitles."""
    titled = any(stream.type == StreamType.SUBTITLE for stream in streams)
    seen: set[tuple[str, int]] = set()
    for item in inputs.main if container.attachments else ():
        for attached in item.info.attachments:
            if (titled or not attached.is_font) and (attached.name, attached.size_bytes) not in seen:
                seen.add((attached.name, attached.size_bytes))
                yield AttachmentPlan(item.number, attached.index)


def lost_fonts(target: TargetSpec, inputs: Inputs) -> Iterator[str]:
    """Yield a warning if subtitles are extracted with the names of fonts, but without the fonts."""
    fonts = sum(attached.is_font for item in inputs.main for attached in item.info.attachments)
    if target.extract is not None and target.extract.format == "ass" and fonts:
        yield (
            f"{target.field}.subtitle.extract_subtitle: the fonts attached to the source ({fonts}) are not written beside the "
            "ass files: where they are not installed, players show others"
        )


def _selected(available: int, numbers: Sequence[int]) -> list[int]:
    return [number for number in range(available) if number in numbers or _ALL in numbers]
