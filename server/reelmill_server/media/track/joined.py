"""Streams that chunks have encoded: their packets are checked and concatenated in place of an encoder."""

import heapq
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import reduce
from itertools import pairwise
from typing import Any

from av.container import InputContainer, OutputContainer

from reelmill_server.errors import ChunksDiffer, MediaLimitExceeded
from reelmill_server.media.chunk_file import IMAGES, ChunkFile, Summary
from reelmill_server.media.input.account import Accountant, from_text
from reelmill_server.media.input.decoding import Decoding
from reelmill_server.media.input.part import Part
from reelmill_server.media.input.source import Location, open_stream
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.libav.encoder import describe_video, open_encoder
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track, describe
from reelmill_server.media.track.captions import caption_warnings
from reelmill_server.media.track.loudness_warnings import loudness_warnings
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import ImagePlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.quality import Metric
from reelmill_server.model.units import Split, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import encoded_audio, encoded_video, shared_images


@dataclass(frozen=True)
class JoinedChunks:
    """The files that chunks have encoded of a plan that was cut as `split` says.

    `files` are keyed by position of the target (or of the image entry) and of the stream in it (-1: images), in the order of
    the chunks.
    """

    split: Split
    files: Mapping[tuple[int, int], Sequence[Location]] = field(default_factory=dict)

    def chunk_files_of(self, slot: int, stream: int, whole: bool) -> list[ChunkFile]:
        """Return the files for one stream, or for one image entry; `whole`: a single chunk encodes all of it.

        Raises ChunksDiffer when one is missing, there twice, or not of this plan.
        """
        kind = WholeUnit if whole else VideoUnit
        expected = [unit.number for unit in self.split.units if isinstance(unit, kind)]
        chunk_files = [ChunkFile(location) for location in self.files.get((slot, stream), ())]
        numbers = [chunk_file.summary.unit for chunk_file in chunk_files]
        if numbers != expected:
            raise ChunksDiffer(f"output {slot}, stream {stream}: files of chunks {numbers} instead of {expected}")
        for summary in (chunk_file.summary for chunk_file in chunk_files):
            if (summary.digest, summary.slot, summary.stream) != (self.split.digest, slot, stream):
                raise ChunksDiffer(f"output {slot}, stream {stream}: a file of chunk {summary.unit} belongs to another output")
        return chunk_files

    def all_chunk_files(self, plan: Plan) -> dict[tuple[int, int], list[ChunkFile]]:
        """Return all files, keyed by position of the target (or of the image entry) in `plan` and of the stream in it.

        Raises as `chunk_files_of`.
        """
        units = {False: encoded_video(plan), True: encoded_audio(plan)}
        chunk_files = {
            (slot, stream): self.chunk_files_of(slot, stream, whole) for whole in units for slot, stream, _ in units[whole]
        }
        images = [(slot, whole) for whole in units for slot in shared_images(plan, whole)]
        return chunk_files | {(slot, IMAGES): self.chunk_files_of(slot, IMAGES, whole) for slot, whole in images}


def decoding_of(streams: Iterable[Sequence[ChunkFile]]) -> Decoding:
    """Return how decoding went in all chunks together, by the files of each of `streams`."""
    decoding = Decoding()
    for chunk_files in streams:
        added = Decoding()
        for chunk_file in chunk_files:
            added.add(chunk_file.summary.decoding)
        decoding.merge(added.streams)
    return decoding


class JoinedTrack(Track):
    """Write packets from chunk files. The packets of the source, which it is fed, only tell how far the other streams are."""

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        limits: Limits,
        chunk_files: Sequence[ChunkFile],
    ) -> None:
        """Raises ChunksDiffer when the files do not follow each other."""
        super().__init__(plan)
        self.frames = sum(chunk_file.summary.frames for chunk_file in chunk_files)
        self.unordered = sum(chunk_file.summary.unordered for chunk_file in chunk_files)
        if self.frames > limits.max_output_frames:
            raise MediaLimitExceeded(f"the output has more than {limits.max_output_frames} frames")
        self.stream: Any = _video_stream(plan, output, chunk_files, limits) if plan.video else open_encoder(plan, output)
        describe(self.stream, plan, sources, keep_metadata)
        if plan.video:
            _check_seams([chunk_file.summary for chunk_file in chunk_files if chunk_file.summary.count])
        self._given = [from_text(chunk_file.summary.given) for chunk_file in chunk_files]
        for chunk_file in chunk_files:
            self.written.taken += chunk_file.summary.taken
            self.written.held += chunk_file.summary.held
            self.written.samples += chunk_file.summary.samples
            self.written.silent += chunk_file.summary.silent
            self.written.cut.update(chunk_file.summary.cut)
            self.written.captioned += chunk_file.summary.captioned
            self.written.captions_lost += chunk_file.summary.captions_lost
            self.written.dropped.update(chunk_file.summary.dropped)
        self.written.loudness = chunk_files[0].summary.loudness  # one chunk has all of the audio
        summaries = [chunk_file.summary for chunk_file in chunk_files]
        for metric, scores in (
            (Metric.VMAF, [each.vmaf for each in summaries]),
            (Metric.XPSNR, [each.xpsnr for each in summaries]),
        ):
            mean = _mean_score(scores, [each.count for each in summaries])
            if mean is not None:
                self.written.scores[metric] = mean
        self._packets = _all_packets(chunk_files, bool(plan.video))
        self._next: AnyPacket | None = None

    def feed(self, part: Part, stream: int, item: AnyPacket) -> Iterator[AnyPacket]:
        stamp = item.dts if item.dts is not None else item.pts
        if stamp is None or not item.time_base:
            return
        time = stamp * item.time_base
        yield from self.before(self._clock.at(time - self._span.begin))
        if self._span.after(time):
            part.close(self, stream)

    def before(self, time: Fraction | None) -> Iterator[AnyPacket]:
        """Yield the packets with a decode timestamp before `time`, seconds of the output; None: all that are left."""
        while (packet := self._next or next(self._packets, None)) is not None:
            self._next = packet
            if time is not None and _decoded(packet) >= time:
                return
            self._next = None
            packet.stream = self.stream
            self.written.count(packet)
            yield packet

    def finish(self) -> Iterator[AnyPacket]:
        return self.before(None)

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        yield from super().warnings(target)
        yield from caption_warnings(self.plan, self.written, target.field)
        yield from loudness_warnings(self.plan, self.written, target.field)

    def given(self, accountant: Accountant, from_key: bool) -> StreamTotals | None:
        known = [given for given in self._given if given is not None]
        if not known or len(known) < len(self._given):  # a chunk without frames, or one of an older version
            return None
        return reduce(StreamTotals.also, known)


def in_decode_order(tracks: Sequence[JoinedTrack]) -> Iterator[AnyPacket]:
    """Yield the packets of several tracks in decoding order."""
    return heapq.merge(*(track.before(None) for track in tracks), key=_decoded)


def _decoded(packet: AnyPacket) -> Fraction:
    stamp: Any = packet.dts if packet.dts is not None else packet.pts
    return Fraction(stamp * packet.time_base)


def _video_stream(plan: StreamPlan, output: OutputContainer, chunk_files: Sequence[ChunkFile], limits: Limits) -> Any:
    """Add a stream like the one the encoder would have added; the encoder may not run on this machine."""
    first = chunk_files[0].summary
    for summary in (chunk_file.summary for chunk_file in chunk_files[1:]):
        for name, describe_part in _MUST_MATCH.items():
            if summary.count and describe_part(plan, summary) != describe_part(plan, first):
                raise ChunksDiffer(f"the {name} of chunk {summary.unit} differ from those of chunk {first.unit}")
    assert plan.video
    with open_stream(io.BytesIO(bytes.fromhex(first.head)), limits, ("nut",)) as described:
        stream: Any = output.add_stream_from_template(described.streams.video[0], opaque=True)
    stream.time_base = plan.video.time_base
    describe_video(stream.codec_context, plan.video)
    if plan.codec_tag:
        stream.codec_context.codec_tag = plan.codec_tag
    if first.extradata:
        stream.codec_context.extradata = bytes.fromhex(first.extradata)
    return stream


def _settings(plan: StreamPlan, summary: Summary) -> list[bytes]:
    """Return what decoders must know, without HEVC's SEI: it also says how many threads the encoder had."""
    extradata = bytes.fromhex(summary.extradata)
    if plan.codec != "hevc":
        return [extradata]
    return [unit for unit in _START_CODE.split(extradata) if unit and unit[0] >> 1 & 0x3F not in _HEVC_NOTES]


_MUST_MATCH: Mapping[str, Callable[[StreamPlan, Summary], object]] = {
    "decoder settings": _settings,
    "ticks": lambda _, summary: summary.time_base,
    "shapes of the source's frames": lambda _, summary: summary.shape,
}
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
_HEVC_NOTES = (39, 40)  # SEI (ITU-T H.265, table 7-1)


def _check_seams(summary: Sequence[Summary]) -> None:
    """Raise ChunksDiffer when a frame is missing or shown twice: each frame lasts until the next one, whichever file that is
    in.
    """
    for former, latter in pairwise(summary):
        if latter.first != former.end:
            seam = f"chunk {former.unit} ends at {former.end}, but chunk {latter.unit} begins at {latter.first}"
            raise ChunksDiffer(f"{seam}, in ticks of {former.time_base} s")


def _mean_score(scores: Sequence[float | None], counts: Sequence[int]) -> float | None:
    measured = [(score, count) for score, count in zip(scores, counts, strict=True) if score is not None]
    total = sum(count for _, count in measured)
    return round(sum(score * count for score, count in measured) / total, 3) if total else None


def _all_packets(chunk_files: Sequence[ChunkFile], video: bool) -> Iterator[AnyPacket]:
    timestamps = _DecodeTimestamps()
    for chunk_file in chunk_files:
        counted = Summary()
        for packet in chunk_file.packets():
            counted.add(packet)
            if video:
                timestamps.give(packet)
            yield packet
        summary = chunk_file.summary
        if _extent(counted) != _extent(summary):
            raise ChunksDiffer(f"the file of chunk {summary.unit} has {counted.count} packets, {summary.count} were written")
        if video and counted.count and counted.shown != (counted.end or 0) - (counted.first or 0):
            raise ChunksDiffer(f"the frames of chunk {summary.unit} do not follow each other")


def _extent(summary: Summary) -> tuple[int | None, ...]:
    return summary.count, summary.size_bytes, summary.first, summary.end, summary.shown


class _DecodeTimestamps:
    """Set decode timestamps across chunks.

    Each encoder starts over and puts what it needs to reorder frames before the first one; after concatenation only the
    first chunk may do so. From then on a frame is decoded when the one so many frames before it is shown, as encoders count
    themselves.
    """

    def __init__(self) -> None:
        self._first: int | None = None
        self._sorting = True  # until the first frame is shown: the first chunk's reordering delay
        self._waiting: list[int] = []
        self._last: int | None = None

    def give(self, packet: AnyPacket) -> None:
        """Set the decode timestamp of a packet. Raises ChunksDiffer when it would be shown before it is decoded."""
        assert packet.pts is not None
        self._first = packet.pts if self._first is None else self._first
        heapq.heappush(self._waiting, packet.pts)
        self._sorting = self._sorting and packet.dts is not None and packet.dts < self._first
        if not self._sorting:
            packet.dts = heapq.heappop(self._waiting)
        if packet.dts is None or packet.dts > packet.pts or (self._last is not None and packet.dts <= self._last):
            raise ChunksDiffer(f"a frame shown at {packet.pts} would be decoded at {packet.dts}, after {self._last}")
        self._last = packet.dts
