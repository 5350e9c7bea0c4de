"""Read one input, and follow how far it reaches."""

from collections.abc import Iterator, Sequence
from fractions import Fraction
from operator import add
from typing import Any

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.bundle import Bundle, Run, read_bundle
from reelmill_server.media.input.claimed_end import claimed_end
from reelmill_server.media.input.codec_change import CodecChanges
from reelmill_server.media.input.decoding import StreamDecoding
from reelmill_server.media.input.edited_end import hidden_from, without_hidden_end
from reelmill_server.media.input.holes import Holes
from reelmill_server.media.input.padding import declared_ends, end_run, ends_at_most, without_padding
from reelmill_server.media.input.part import Part
from reelmill_server.media.input.seek import check_near, packets_from
from reelmill_server.media.input.source import average_rate
from reelmill_server.media.input.still import held
from reelmill_server.media.input.video_clock import counts_decoding
from reelmill_server.media.libav.timestamps import Extent, ShownExtent, exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model.plan import InputPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.clock import DECODING_FORMATS, OVERRUN, UNTIMED_FORMATS

# The duration that a container claims for a whole file is no more exact than this.
_CLAIM_SECONDS, _CLAIM_SHARE = Fraction(1), Fraction(2, 100)
_UNREAD_SECONDS = Fraction(1, 10)  # that MP4 says a stream has more than was read of it
# While reading, a claimed duration is not believed when the bytes read so far contradict it by more than this factor.
_DOUBT = 2
_SEAM_SECONDS = Fraction(1, 2)
_LASTING = ("video", "audio")  # a subtitle cue may be shown long after the last frame
_TIMED = (*_LASTING, "subtitle", "data")
_NO_END = (None, 0)
INDEXED_FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2",)
"""Formats whose packets may lie in the file in any order, and last until the next one is decoded."""


def claimed_ends(source: InputContainer) -> dict[int, tuple[int, int]]:
    """Return by the index of a stream the decode timestamp of its last packet and where it claims to end, in ticks."""
    ends = {}
    streams = (*source.streams.video, *source.streams.audio) if source.format.name in INDEXED_FORMATS else ()
    for stream in streams:
        if stream.duration and len(stream.index_entries):
            ends[stream.index] = stream.index_entries[-1].timestamp, claimed_end(stream)
    return ends


class Reader:
    """Read one input once. Outputs know it by `part`; times are the source's own seconds."""

    def __init__(
        self, number: int, plan: InputPlan, source: InputContainer, used: frozenset[int], lead_in: Fraction | None = None
    ) -> None:
        """`used`: the indexes of the streams that are used. `lead_in`: reading begins at the keyframe before this many
        seconds of the span; None: before all of it.
        """
        self.plan = plan
        self._source, self._size = source, source.size
        self._used = used
        self._begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        self._stop = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        self._extents: dict[int, Extent] = {}
        self._counting: dict[int, str] = {}  # kinds of the streams that count for the input's length
        self._indexed = source.format.name in INDEXED_FORMATS
        self._by_decoding = {stream.index for stream in source.streams if counts_decoding(stream)}
        self._claimed_ends = {} if plan.still else claimed_ends(source)
        self._unread = set(self._claimed_ends) & used  # streams whose last packet was not read
        # How far a packet claims to reach, whatever is shown after it; not exact, as its claim is not.
        self._claimed = float(self._begin)
        self.latest = float("-inf")
        """When the last packet begins, about, seconds of the source."""
        self._holes = Holes(source)
        self._bytes = 0
        self._first_position: int | None = None
        self._share = 0.0  # of the source's bytes, from where reading began
        streams = [stream for stream in source.streams if stream.index in used]
        for stream in streams:
            if stream.type == "video" and not stream.codec_context.is_open:  # it is already open when the input loops
                stream.thread_type = "AUTO"  # type: ignore[attr-defined]
        # Read but not decoded: their timestamps tell how far the source reaches, whose length is that of its longest stream.
        others = [stream for stream in source.streams if stream.type in _TIMED and stream.index not in used]
        result = packets_from(source, streams, others, self._begin + (lead_in or 0))
        self._needed = None if source.format.name in DECODING_FORMATS else result.needed
        packets = _timed(result.packets) if source.format.name in UNTIMED_FORMATS else result.packets
        self.seams = result.seams
        """Times of the source at which its own times began again so far, seconds."""
        self._damaged: list[tuple[StreamDecoding, Fraction | None]] = []
        ends = declared_ends(source)
        packets = held(packets, self._stop) if plan.still and self._stop is not None else packets
        self._hiding = hidden_from(source, INDEXED_FORMATS)
        self._unread -= set(self._hiding)
        packets = without_hidden_end(packets, self._hiding) if self._hiding else packets
        self.packets = without_padding(packets, source, ends)
        self._declared, self._bundled = (ends, packets) if ends_at_most(source) else ({}, self.packets)
        sought = self._begin if plan.start_us else None
        self.part = Part(number, source, result.key, plan.align is AlignMode.PAD, sought=sought, extents=self._extents)
        self.part.changes = CodecChanges(plan, source, result.key) if plan.changes else None
        for index, end in ends.items():
            base: Any = source.streams[index].time_base
            self.part.times[index].limit = end * exact(base)

    def is_needless(self, packet: AnyPacket) -> bool:
        """Return whether nothing misses the frame of a packet of video, if no other refers to it: it is shown well before
        where reading was to begin.
        """
        if self._needed is None or packet.pts is None or not packet.time_base:
            return False
        return packet.pts * packet.time_base < self._needed

    def note(self, packet: AnyPacket) -> None:
        """Remember how far the packet reaches."""
        self._holes.note(packet)
        self._note(packet)

    def _note(self, packet: AnyPacket) -> None:
        self._count_bytes(packet, packet.size)
        index, pts = packet.stream_index, packet.pts
        if index in self._hiding and packet.is_discard:
            return
        ticks = packet.dts if pts is None or (index in self._by_decoding and packet.dts is not None) else pts
        base = None if ticks is None else self.part.bases.of(packet, index)
        if ticks is None or base is None:
            return
        extent = self._extents.get(index)
        if extent is None:
            extent = self._begin_extent(index)
        duration = packet.duration
        if not duration and not isinstance(extent, ShownExtent):
            # Not every container has packet durations; without one, assume that of the packet before.
            self.part.untold.add(index)
            duration = extent.since(ticks)
        extent.add(ticks, duration or 0, base)
        numerator, denominator = base.numerator, base.denominator
        claimed = (ticks + (duration or 0)) * numerator / denominator
        if claimed > self._claimed:
            self._claimed = claimed
        last, end = self._claimed_ends.get(index, _NO_END)
        if last is not None and packet.dts == last:
            self._unread.discard(index)
            if isinstance(extent, ShownExtent):
                extent.end_at(end)
        latest = ticks * numerator / denominator
        if self._counting.get(index) in _LASTING:
            check_near(latest)
        if latest > self.latest:
            self.latest = latest

    def bundle(self) -> Bundle:
        """Read the next packets and remember how far they reach."""
        bundle = read_bundle(self._bundled, self.part.bases)
        self._holes.note_all(bundle)
        for run in bundle.runs:
            if run.index in self._declared:
                end_run(run, self._declared[run.index])
            self._note_all(run)
        return bundle

    def _note_all(self, run: Run) -> None:
        last, _ = self._claimed_ends.get(run.index, _NO_END)
        if not run.timed or (last is not None and last in run.dts) or run.index in self._hiding:
            for packet in run.packets:
                self._note(packet)
            return
        self._count_bytes(run.packets[0], 0)
        self._count_bytes(run.packets[-1], run.size_bytes)
        ticks = run.dts if run.index in self._by_decoding else run.pts
        extent = self._extents.get(run.index)
        if extent is None:
            extent = self._begin_extent(run.index)
        extent.add_all(ticks, run.durations, run.base)
        if max(run.durations) * run.base > _CLAIM_SECONDS:
            self._claimed = max(self._claimed, float(max(map(add, ticks, run.durations)) * run.base))
        for extreme in (min(ticks), max(ticks)) if self._counting.get(run.index) in _LASTING else ():
            check_near(extreme * run.base.numerator / run.base.denominator)
        self.latest = max(self.latest, max(ticks) * run.base.numerator / run.base.denominator)

    def _begin_extent(self, index: int) -> Extent:
        kind = self._source.streams[index].type
        extent = self._extents[index] = ShownExtent(self._indexed) if kind == "video" else Extent()
        if index in self._used and kind != "data":  # data packets are rare and may last long
            self._counting[index] = kind
        return extent

    def _ends(self) -> dict[str, Fraction]:
        """Return how far each kind of stream reaches. Another thread may ask while packets are noted."""
        ends: dict[str, Fraction] = {}
        for index, kind in [*self._counting.items()]:
            end = self.part.end_of(index)
            ends[kind] = max(ends.get(kind, end), end)
        return ends

    def _reached(self) -> Fraction:
        return max((extent.last for extent in self._extents.values()), default=Fraction(0))

    def _count_bytes(self, packet: AnyPacket, read: int) -> None:
        """Count bytes that were `read`, the last ones with `packet`."""
        size, position = self._size, packet.pos
        self._bytes += read
        if size <= 0 or not packet.size:
            return
        if self._indexed or position is None or position < 0:
            self._share = self._bytes / size
            return
        if self._first_position is None:
            self._first_position = position
        share = (position + packet.size - self._first_position) / ((size - self._first_position) or 1)
        if share > self._share:
            self._share = share

    def expected(self) -> Fraction:
        """Return how long the span will be, seconds, as far as is known so far; 0: unknown.

        This is what the container claims, unless there is no claim or the bytes read so far contradict it: then the length
        that the whole would have if the rest had as many bytes per second.
        """
        claimed, requested = self.plan.duration_us, max(self.plan.end_us - self.plan.start_us, 0)
        claim, limit = Fraction(claimed, MICROSECONDS), Fraction(requested, MICROSECONDS)
        extrapolated = self.position / Fraction(self._share).limit_denominator(MICROSECONDS) if self._share else Fraction(0)
        if not extrapolated:
            return claim or limit
        shorter, longer = extrapolated * _DOUBT < claim, extrapolated > claim * _DOUBT and not limit
        if claim and not shorter and not longer and (limit or self.position <= claim):
            return claim
        return min(extrapolated, limit) if limit else extrapolated

    @property
    def pace(self) -> Fraction:
        """Return the seconds per byte read so far."""
        return self.position / self._bytes if self._bytes else Fraction(0)

    @property
    def position(self) -> Fraction:
        """Return how many seconds of the span were read."""
        ends = self._ends()
        reached = max((ends[kind] for kind in _LASTING if kind in ends), default=max(ends.values(), default=self._begin))
        return max(Fraction(0), (reached if self._stop is None else min(reached, self._stop)) - self._begin)

    def end(self) -> Fraction:
        """Return where the input ends: with its video, unless its audio goes on for long."""
        ends = self._ends()
        video, audio = ends.get("video"), ends.get("audio")
        # Where only subtitles are taken, the streams beside them say where the input ends.
        end = max((end for end in (video, audio) if end is not None), default=self._reached())
        if video is not None and (audio is None or audio - video <= OVERRUN):
            end = video
        return end if self._stop is None else min(end, self._stop)

    @property
    def over(self) -> bool:
        """Return whether all of the span was read of every kind of stream that is used."""
        ends = self._ends()
        kinds = {self._source.streams[index].type for index in self._used} & {*_LASTING}
        return self._stop is not None and all(kind in ends and ends[kind] >= self._stop for kind in kinds)

    def length(self) -> Fraction:
        """Return the final length of the span, seconds."""
        return max(self.end() - self._begin, Fraction(0))

    def mark_damaged(self, counts: StreamDecoding, packet: AnyPacket) -> None:
        """Remember a packet that the demuxer marked as damaged, to be counted at the end."""
        ticks = packet.pts if packet.pts is not None else packet.dts
        self._damaged.append((counts, None if ticks is None or not packet.time_base else ticks * packet.time_base))

    def count_damaged(self) -> None:
        """Count the damaged packets. At a seam they only miss what never was between its sides."""
        for counts, time in self._damaged:
            counts.damaged += time is None or all(abs(time - seam) > _SEAM_SECONDS for seam in self.seams)
        self._damaged.clear()

    def warnings(self) -> Iterator[str]:
        """Yield what the user should know about the source's times."""
        if self.seams:
            first = float(self.seams[0] - Fraction(self.plan.origin_us, MICROSECONDS))
            count = "" if len(self.seams) == 1 else f" {len(self.seams)} times, first"
            what = f"its timestamps begin again or jump{count} at {first:.3f} s"
            yield f"sources[{self.plan.source}]: {what}: what follows is joined there"
        if self._holes.first is not None:
            at = f"{float(self._holes.first - Fraction(self.plan.origin_us, MICROSECONDS)):.2f} s"
            what = f"is damaged: {self._holes.size} bytes cannot be read as media, from about {at} on"
            if not self._holes.size:
                what = f"has a gap at about {at}"
            yield f"sources[{self.plan.source}] {what}: frames and audio that lay there are missing"

    def check_end(self) -> None:
        """Raise InvalidMedia when the source ended clearly before the end that it claims."""
        claimed = Fraction(self.plan.duration_us, MICROSECONDS)
        # Where a demuxer took distances of decode timestamps for durations, files claim what the frame before a pause does.
        length = max(max(self._reached(), Fraction(self._claimed)) - self._begin, Fraction(0))
        allowed = max(_CLAIM_SECONDS, claimed * _CLAIM_SHARE)
        for index in self._unread & set(self._extents):
            end = self._claimed_ends[index][1] * exact(self._source.streams[index].time_base or 0) - self._begin
            if (reached := max(self._extents[index].last - self._begin, Fraction(0))) + _UNREAD_SECONDS < min(end, claimed):
                claimed, length, allowed = min(end, claimed), reached, _UNREAD_SECONDS
        if claimed and length + allowed < claimed:
            raise InvalidMedia(
                f"the source claims {float(claimed):.3f} s in the span, but only {float(length):.3f} s could be read: "
                "it is truncated or broken"
            )


def _timed(packets: Iterator[Any]) -> Iterator[Any]:
    """Give the packets of an elementary stream decode timestamps, one after the other."""
    ticks = 0
    for packet in packets:
        if packet.size:
            packet.dts = ticks
            ticks += packet.duration or 0
        yield packet


def assign_timestamps(frames: Sequence[Any], stream: Any, shown: int) -> None:
    """Set the timestamps of an elementary stream's frames: `shown` were shown before them, at the stream's frame rate."""
    rate = average_rate(stream) or FALLBACK_RATE
    for number, frame in enumerate(frames, shown):
        frame.time_base = stream.time_base
        frame.pts = round(number / rate / stream.time_base)
