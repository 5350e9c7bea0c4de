"""Encoded streams that units have made: their packets are checked and take the place of an encoder's."""

import heapq
import io
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import Any

from av.container import InputContainer, OutputContainer

from reelmill_server.errors import ChunksDiffer, MediaLimitExceeded
from reelmill_server.media.chunk_file import ChunkFile, Summary
from reelmill_server.media.input.decoding import Decoding
from reelmill_server.media.input.part import Part
from reelmill_server.media.input.source import Location, open_stream
from reelmill_server.media.libav.encoder import describe_video, open_encoder
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.base import Track, describe
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import Plan, StreamPlan
from reelmill_server.model.units import Split, VideoUnit, WholeUnit
from reelmill_server.plan.chunks import encoded_sound, encoded_video, shared_images

IMAGES = -1
"""In place of a stream's number: the file holds pictures."""


@dataclass(frozen=True)
class JoinedChunks:
    """What units have made of a plan that was cut as `split` says: `files` by position of the target (or of the entry of
    pictures) and of the stream in it (-1: pictures), in the order of the units."""

    split: Split
    files: Mapping[tuple[int, int], Sequence[Location]] = field(default_factory=dict)

    def packs(self, slot: int, stream: int, whole: bool) -> list[ChunkFile]:
        """The files for one stream, or for one entry of pictures; `whole`: one unit makes all of it.

        Raises ChunksDiffer when one is missing, there twice, or not of this plan.
        """
        kind = WholeUnit if whole else VideoUnit
        wanted = [unit.number for unit in self.split.units if isinstance(unit, kind)]
        packs = [ChunkFile(place) for place in self.files.get((slot, stream), ())]
        found = [pack.summary.unit for pack in packs]
        if found != wanted:
            raise ChunksDiffer(f"output {slot}, stream {stream}: there are files of the units {found}, wanted are {wanted}")
        for said in (pack.summary for pack in packs):
            if (said.digest, said.slot, said.stream) != (self.split.digest, slot, stream):
                raise ChunksDiffer(f"output {slot}, stream {stream}: a file of unit {said.unit} belongs to something else")
        return packs

    def all_packs(self, plan: Plan) -> dict[tuple[int, int], list[ChunkFile]]:
        """Return all files, by position of the target (or of the entry of pictures) in `plan` and of the stream in it. Raises
        as `packs`."""
        units = {False: encoded_video(plan), True: encoded_sound(plan)}
        packs = {(slot, stream): self.packs(slot, stream, whole) for whole in units for slot, stream, _ in units[whole]}
        images = [(slot, whole) for whole in units for slot in shared_images(plan, whole)]
        return packs | {(slot, IMAGES): self.packs(slot, IMAGES, whole) for slot, whole in images}


def decoding_of(streams: Iterable[Sequence[ChunkFile]]) -> Decoding:
    """Return how decoding went in all units together, by the files for each of `streams`."""
    decoding = Decoding()
    for packs in streams:
        added = Decoding()
        for pack in packs:
            added.add(pack.summary.decoding)
        decoding.merge(added.streams)
    return decoding


class JoinedTrack(Track):
    """A stream whose packets come from the files of units. Those of the source's stream, which it is given, only tell how far
    the others are."""

    def __init__(
        self,
        plan: StreamPlan,
        output: OutputContainer,
        sources: Sequence[InputContainer],
        keep_metadata: bool,
        limits: Limits,
        packs: Sequence[ChunkFile],
    ) -> None:
        """Raises ChunksDiffer when the files do not follow each other."""
        super().__init__(plan)
        self.frames = sum(pack.summary.frames for pack in packs)
        self.unordered = sum(pack.summary.unordered for pack in packs)
        if self.frames > limits.max_output_frames:
            raise MediaLimitExceeded(f"the output has more than {limits.max_output_frames} frames")
        self.stream: Any = _video_stream(plan, output, packs, limits) if plan.video else open_encoder(plan, output)
        describe(self.stream, plan, sources, keep_metadata)
        if plan.video:
            _check_seams([pack.summary for pack in packs if pack.summary.count])
        self.written.vmaf = _mean_vmaf([pack.summary for pack in packs])
        self._packets = _all_packets(packs, bool(plan.video))
        self._next: AnyPacket | None = None

    def feed(self, part: Part, stream: int, item: AnyPacket) -> Iterator[AnyPacket]:
        """Gives what is decoded before the source's packet would be."""
        stamp = item.dts if item.dts is not None else item.pts
        if stamp is None or not item.time_base:
            return
        time = stamp * item.time_base
        yield from self.before(self._clock.at(time - self._span.begin))
        if self._span.after(time):
            part.close(self, stream)

    def before(self, time: Fraction | None) -> Iterator[AnyPacket]:
        """Gives the packets that are decoded before `time`, seconds of the output; None: all that are left."""
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


def in_turn(tracks: Sequence[JoinedTrack]) -> Iterator[AnyPacket]:
    """The packets of several tracks in the order in which they are decoded."""
    return heapq.merge(*(track.before(None) for track in tracks), key=_decoded)


def _decoded(packet: AnyPacket) -> Fraction:
    stamp: Any = packet.dts if packet.dts is not None else packet.pts
    return Fraction(stamp * packet.time_base)


def _video_stream(plan: StreamPlan, output: OutputContainer, packs: Sequence[ChunkFile], limits: Limits) -> Any:
    """A stream like the one that the encoder would have had: it may not run on this machine."""
    first = packs[0].summary
    for said in (pack.summary for pack in packs[1:]):
        for name, told in _TOLD.items():
            if said.count and told(plan, said) != told(plan, first):
                raise ChunksDiffer(f"the {name} of unit {said.unit} differ from those of unit {first.unit}")
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


def _settings(plan: StreamPlan, said: Summary) -> list[bytes]:
    """What decoders must know. HEVC's notes say, too, how many threads the encoder had, which means nothing to them."""
    extradata = bytes.fromhex(said.extradata)
    if plan.codec != "hevc":
        return [extradata]
    return [unit for unit in _START_CODE.split(extradata) if unit and unit[0] >> 1 & 0x3F not in _HEVC_NOTES]


_TOLD: Mapping[str, Callable[[StreamPlan, Summary], object]] = {
    "decoder settings": _settings,
    "ticks": lambda _, said: said.time_base,
    "shapes of the source's pictures": lambda _, said: said.shape,
}
_START_CODE = re.compile(rb"\x00*\x00\x00\x01")
_HEVC_NOTES = (39, 40)  # SEI (ITU-T H.265, table 7-1)


def _check_seams(said: Sequence[Summary]) -> None:
    """Raises ChunksDiffer when a picture is missing or shown twice: each is shown until the next one, whichever file that is
    in."""
    for one, other in pairwise(said):
        if other.first != one.end:
            seam = f"unit {one.unit} ends at {one.end}, but unit {other.unit} begins at {other.first}"
            raise ChunksDiffer(f"{seam}, in ticks of {one.time_base} s")


def _mean_vmaf(said: Sequence[Summary]) -> float | None:
    measured = [(one.vmaf, one.count) for one in said if one.vmaf is not None]
    total = sum(count for _, count in measured)
    return round(sum(vmaf * count for vmaf, count in measured) / total, 3) if total else None


def _all_packets(packs: Sequence[ChunkFile], video: bool) -> Iterator[AnyPacket]:
    dates = _Dates()
    for pack in packs:
        seen = Summary()
        for packet in pack.packets():
            seen.add(packet)
            if video:
                dates.give(packet)
            yield packet
        said = pack.summary
        if _extent(seen) != _extent(said):
            raise ChunksDiffer(f"the file of unit {said.unit} has {seen.count} packets, {said.count} were written")
        if video and seen.count and seen.shown != (seen.end or 0) - (seen.first or 0):
            raise ChunksDiffer(f"the pictures of unit {said.unit} do not follow each other")


def _extent(said: Summary) -> tuple[int | None, ...]:
    return said.count, said.size_bytes, said.first, said.end, said.shown


class _Dates:
    """When packets are decoded. Each encoder begins anew and puts what it needs to sort pictures before the first one; behind
    each other only the first of all may do so. From then on a picture is decoded when the one so many before it is shown, as
    encoders count themselves."""

    def __init__(self) -> None:
        self._first: int | None = None
        self._sorting = True  # as long as packets are decoded before the first picture is shown
        self._waiting: list[int] = []
        self._last: int | None = None

    def give(self, packet: AnyPacket) -> None:
        """Dates a packet. Raises ChunksDiffer when it would be shown before it is decoded."""
        assert packet.pts is not None
        self._first = packet.pts if self._first is None else self._first
        heapq.heappush(self._waiting, packet.pts)
        self._sorting = self._sorting and packet.dts is not None and packet.dts < self._first
        if not self._sorting:
            packet.dts = heapq.heappop(self._waiting)
        if packet.dts is None or packet.dts > packet.pts or (self._last is not None and packet.dts <= self._last):
            raise ChunksDiffer(f"a picture shown at {packet.pts} would be decoded at {packet.dts}, after {self._last}")
        self._last = packet.dts
