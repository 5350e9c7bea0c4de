"""What is kept beside video, audio and subtitles: data streams and cover pictures, both from the primary source."""

from collections.abc import Iterator, Sequence

from reelmill_server.errors import UnsupportedFormat
from reelmill_server.model.media_info import DataStreamInfo
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan, StreamType
from reelmill_server.plan.codec.containers import fitting
from reelmill_server.plan.stream.selection import Job

_ALL = -1  # the contract's word for all streams of these kinds


def data_streams(job: Job) -> Iterator[StreamPlan]:
    """The data streams of the output. Those that MP4 does not take are left out with a warning."""
    primary = job.inputs.primary
    # Made of nothing, the parts before move the data on with everything else.
    before = tuple(PartPlan(-1, input=item.number) for item in job.inputs.main if item.number < primary.number)
    for number in _selected(len(primary.info.data), job.target.data_streams):
        stream = primary.info.data[number]
        if stream.fits_mp4:
            parts = (*before, PartPlan(stream.index, input=primary.number))
            yield StreamPlan(StreamType.DATA, parts, stream.codec, COPY, "stream copy", speed=job.target.speed)
        elif not _kept_as_tag(job, stream):
            job.warn(f".data: data stream {number} ({stream.codec or 'codec not known'}) cannot be copied: left out")


def _kept_as_tag(job: Job, stream: DataStreamInfo) -> bool:
    """Whether a time code comes back by itself: the video has it among its metadata, of which the muxer makes a track."""
    filmed = bool(job.inputs.primary.video) and job.target.video is not None
    return "timecode" in stream.metadata and filmed and not job.target.strip_metadata


def cover_pictures(job: Job) -> Iterator[StreamPlan]:
    """The cover pictures of the output. Raises UnsupportedFormat for one that the container does not hold."""
    primary, container = job.inputs.primary, job.container
    for number in _selected(len(primary.info.covers), job.target.picture_streams):
        stream = primary.info.covers[number]
        if not container.holds("picture", stream.codec):
            where = ", ".join(fitting("picture", stream.codec)) or "no container here"
            codec = stream.codec or "in a codec that is not known here"
            raise UnsupportedFormat(
                f"{job.target.field}.attached_picture: cover picture {number} is {codec}, "
                f"which {container.name} does not hold ({where} would)"
            )
        yield StreamPlan(StreamType.PICTURE, (PartPlan(stream.index, input=primary.number),), stream.codec, COPY, "stream copy")


def _selected(available: int, asked: Sequence[int]) -> list[int]:
    return [number for number in range(available) if number in asked or _ALL in asked]
