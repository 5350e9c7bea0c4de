"""Read the streams of an output: count every packet, keep those at the ends and in the middle, and decode these."""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import accumulate
from typing import Any

import av
from av.container import InputContainer
from av.stream import Stream

from reelmill_server.errors import OutputInvalid
from reelmill_server.media.input.bundle import Run, read_bundle
from reelmill_server.media.input.decoders import may_decode, usual_decoders
from reelmill_server.media.input.padding import packet_duration
from reelmill_server.media.input.reader import INDEXED_FORMATS, claimed_ends
from reelmill_server.media.libav.codec_names import check_decoder, codec_name
from reelmill_server.media.libav.errors import LIBAV_ERRORS, check_memory
from reelmill_server.media.libav.likeness import GivenFrames, samples_of
from reelmill_server.media.libav.timestamps import Extent, ShownExtent, TimeBases, exact
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.base import MediaFile
from reelmill_server.media.package.segments import Cuts
from reelmill_server.media.result.readback import out_of_order
from reelmill_server.media.result.witness import Witness
from reelmill_server.model.plan import COPY, StreamPlan, StreamType
from reelmill_server.plan.clock import TELLING_B_FRAMES, UNSURE_FORMATS

_SAMPLE_PACKETS = 50  # of audio, at each end
_GOOD_SHARE = Fraction(1, 3)  # of copied packets: two fields may make one frame, and recordings begin and end anywhere
_RUNS_TO_MOVE = 20
_GROUP_PACKETS = 600  # of the last GOP
# Of the first GOP, and of one in the middle: a GOP of 10 s would cost as much as it does to encode 1 s. An encoder's delay and
# the order of its frames show long before.
_HEAD_PACKETS = 12
# Of each GOP of a copy: its packets are those of the source, so that more of them say nothing new about headers and framing.
_COPY_BYTES, _COPY_PACKETS = 1 << 18, 8
# Frames need not look right to be counted: without their last filter they are decoded a fifth faster.
_QUICKLY = {"skip_loop_filter": "all"}
# With gradual refresh a part that begins at a keyframe may end before all of a frame was refreshed.
_UNRECOVERED = {"flags": "+output_corrupt"}
_MANY_PIXELS = 1 << 26  # 32 frames of 1080p
_MOST_THREADS = 4
_EMPTY_LINE_BYTES = 2  # of an empty mov_text sample


@dataclass
class StreamReading:
    """Counters of one stream of the file read back; times in seconds.

    `middle`: a GOP from packet number `half` on; 0: none is kept. `ordered`: the container keeps the times of frames.
    `end`: from when on its edit list hides frames, ticks; None: it has none. `hidden`: when the last one begins, seconds.
    """

    packets: int = 0
    extent: Extent = field(default_factory=Extent)
    head: list[AnyPacket] = field(default_factory=list)
    tail: deque[AnyPacket] = field(default_factory=lambda: deque(maxlen=_GROUP_PACKETS))
    keys: int = 0
    middle: list[AnyPacket] = field(default_factory=list)
    half: int = 0
    ordered: bool = True
    end: int | None = None
    hidden: Fraction | None = None

    def count(self, packet: AnyPacket, base: Any, video: bool, unordered: bool) -> None:
        """Count a packet of the time base `base`. `unordered`: its container has one timestamp per frame, and libav guesses the
        other.
        """
        self.packets += 1
        ticks = packet.dts if unordered and packet.dts is not None else packet.pts
        if ticks is not None and base and packet.is_discard and self.end is not None and ticks >= self.end:
            self.hidden = max(self.hidden or Fraction(0), ticks * exact(base))
        elif ticks is not None and base:
            self.extent.add(ticks, packet_duration(packet.duration), base)
        if self.half and self.packets >= self.half:
            self._keep_middle(packet)
        if video and packet.is_keyframe:
            self.keys += 1
            before = self.tail[-1] if self.tail and self.tail[-1].is_keyframe else None
            self.tail.clear()
            if before is not None:
                self.tail.append(before)  # two fields, each a keyframe, may make one frame
        if self._begins(video):
            self.head.append(packet)
        self.tail.append(packet)

    def count_all(self, run: Run, video: bool, unordered: bool) -> None:
        """Count the packets of a run."""
        packets = run.packets
        if not packets:
            return
        middle = self.half and self.packets + len(packets) >= self.half
        late = run.timed and self.end is not None and run.span[1] >= self.end
        odd = not run.timed or max(run.durations) != packet_duration(max(run.durations))
        if odd or late or middle or self._begins(video):
            for packet in packets:
                self.count(packet, run.base, video, unordered)
            return
        self.packets += len(packets)
        self.extent.add_all(run.dts if unordered else run.pts, run.durations, run.base)
        keys = [number for number, packet in enumerate(packets) if packet.is_keyframe] if video else []
        self.keys += len(keys)
        if keys:
            before = packets[keys[-1] - 1] if keys[-1] else self.tail[-1]
            self.tail.clear()
            self.tail.extend([before] * before.is_keyframe)
            packets = packets[keys[-1] :]
        self.tail.extend(packets)

    def _begins(self, video: bool) -> bool:
        """Return whether the packets at the front are still to be kept."""
        if not video:
            return len(self.head) < _SAMPLE_PACKETS
        return (self.keys < 2 or len(self.head) < 2) and len(self.head) < _HEAD_PACKETS

    def _keep_middle(self, packet: AnyPacket) -> None:
        if packet.is_keyframe and len(self.middle) > 1:
            self.half = 0
        elif packet.is_keyframe or self.middle:
            self.middle.append(packet)
            self.half = self.half if len(self.middle) < _HEAD_PACKETS else 0


def read_streams(
    container: InputContainer,
    media: Sequence[Stream],
    unordered: bool,
    moved: Callable[[], None],
    cuts: Cuts | None,
    middles: Sequence[int],
) -> list[StreamReading]:
    """Count the packets of `media`, in their order. `unordered`: the container has one timestamp per frame; `moved` is called
    repeatedly; `middles` as from `halves`.
    """
    readings = {stream.index: StreamReading(ordered=not unordered) for stream in media}
    for (index, sight), half in zip(readings.items(), middles, strict=False):
        sight.half = half
        if container.streams[index].type == "video":
            sight.extent = ShownExtent(container.format.name in INDEXED_FORMATS)
    gaps = {stream.index for stream in media if codec_name(stream.codec_context) == "mov_text"}
    videos = {stream.index for stream in media if stream.type == "video"}
    if container.format.name in UNSURE_FORMATS:  # of which libav knows both timestamps of some codecs
        b_frames_known = {stream.index for stream in media if codec_name(stream.codec_context) in TELLING_B_FRAMES}
    else:
        b_frames_known = set()
    ends = {index: end for index, (_, end) in claimed_ends(container).items() if index in videos}
    for index in readings.keys() & ends.keys():
        readings[index].end = ends[index]
    for number, run in enumerate(_runs(container, media)):
        if number % _RUNS_TO_MOVE == 0:
            moved()
        whole_run = _without_gaps(run) if run.index in gaps else run
        video = run.index in videos
        readings[run.index].count_all(whole_run, video, video and unordered and run.index not in b_frames_known)
        if cuts is not None and run.index == cuts.stream:
            for packet in run.packets:
                cuts.see(packet)
    for index in readings.keys() & ends.keys():
        extent = readings[index].extent
        assert isinstance(extent, ShownExtent)
        extent.end_at(ends[index], hides=readings[index].hidden is not None)
    return list(readings.values())


def _without_gaps(run: Run) -> Run:
    return Run.of(run.index, run.base, [packet for packet in run.packets if packet.size > _EMPTY_LINE_BYTES])


def _runs(container: InputContainer, media: Sequence[Stream]) -> Iterator[Run]:
    packets, bases = container.demux(media), TimeBases(container)
    over = False
    while not over:
        bundle = read_bundle(packets, bases)
        if bundle.error is not None:
            raise bundle.error
        yield from bundle.runs
        over = bundle.over


def decode_ends(
    stream: Any,
    planned: StreamPlan,
    sight: StreamReading,
    where: str,
    given: GivenFrames | None = None,
    witness: Witness | None = None,
) -> None:
    """Decode the first and the last packets, where an encoder's mistake or a damaged file shows, and compare the pictures with
    those that were `given`, if anything is known of these; `witness` sees the first ones. Raises OutputInvalid.
    """
    if planned.type not in (StreamType.VIDEO, StreamType.AUDIO) or not sight.packets:
        return
    # A copy may be as imperfect as its source; what was encoded here must be flawless.
    copied = planned.encoder == COPY
    checks = {} if stream.type != "video" else {**_QUICKLY, **(_UNRECOVERED if copied else {"err_detect": "explode"})}
    stream.codec_context.options = {**usual_decoders(), **checks}
    if copied and not may_decode(stream):
        return
    tail = list(sight.tail)
    _set_threads(stream, copied, len(tail))
    if stream.type == "audio":
        tail = tail[-_SAMPLE_PACKETS:]
    overlong = stream.type == "video" and len(tail) == _GROUP_PACKETS and not tail[0].is_keyframe
    again = tail[0] is sight.head[0] and not overlong  # a single GOP
    for group in ([] if again else sight.head, sight.middle, [] if overlong else tail):
        if not group:
            continue
        # A copy that begins with leading or broken frames may still be good as a whole.
        tries = (_first_packets(group), group) if copied else (group,)
        shown: dict[int, bytes] | None = {} if given is not None and not copied else None
        sees = None if group is sight.middle or (group is tail and not again) else witness
        times = next((times for packets in tries if (times := _times(stream, packets, copied, shown, sees)) is not None), None)
        if times is None:
            raise OutputInvalid(f"{where}: the {stream.type} cannot be decoded")
        if given is not None and shown and (wrong := _mistaken(given, shown, group is tail)):
            raise OutputInvalid(f"{where}: the video shows wrong pictures: {wrong}")
        if sees is not None and (wrong := sees.mistake()):
            raise OutputInvalid(f"{where}: the {stream.type} is not that of the source: {wrong}")
        if stream.type == "video" and sight.ordered and out_of_order(times):
            raise OutputInvalid(f"{where}: the frames of the {stream.type} have times in another order than they are shown in")


def _set_threads(stream: Any, copied: bool, frames: int) -> None:
    """Have an encoded video decoded by several threads where `frames` have many pixels: nothing else uses the other cores
    by then. Not of few, for which threads only start, and not those of a copy, of which more may be lost where one is damaged.
    """
    context = stream.codec_context
    if stream.type == "video" and not copied and context.width * context.height * frames > _MANY_PIXELS:
        stream.thread_type, context.thread_count = "AUTO", min(os.cpu_count() or 1, _MOST_THREADS)
    elif (copied or stream.type == "video") and not context.is_open:
        context.thread_count = 1


def _mistaken(given: GivenFrames, shown: dict[int, bytes], last: bool) -> str:
    """Return what is wrong with decoded pictures, by timestamp, of the last group or the first."""
    pictures = [shown[time] for time in sorted(shown)]
    # The first packets may end within reordered frames, so that some in between are missing.
    return given.mistaken_last(pictures) if last else given.mistaken_first(pictures[: max(1, len(pictures) // 2)])


def _first_packets(packets: Sequence[AnyPacket]) -> Sequence[AnyPacket]:
    """Return the first packets: two, or up to `_COPY_PACKETS` that fit into `_COPY_BYTES`."""
    sizes = accumulate(packet.size for packet in packets[:_COPY_PACKETS])
    return packets[: max(2, sum(size <= _COPY_BYTES for size in sizes))]


def _times(
    stream: Any,
    packets: Sequence[AnyPacket],
    copied: bool,
    shown: dict[int, bytes] | None = None,
    witness: Witness | None = None,
) -> list[int] | None:
    """Return the timestamps of the frames that `packets` decode to; None if too few of them can be decoded. `shown` takes
    samples of them, `witness` sees them.
    """
    frames, refused, times = _decoded(stream.codec_context, packets, shown, witness)
    # Leading frames refer to the GOP before.
    begin = packets[0].pts or 0
    video = stream.type == "video"
    pictures = sum((packet.pts or 0) >= begin for packet in packets) if video else len(packets)
    # What the container has decoders skip gives no frames, which is no fault: audio, and frames that an edit list hides.
    accepted = len(packets) - refused
    good = frames + sum(packet.is_discard for packet in packets) if video else accepted
    least = pictures if video else 1
    return None if ((min(good, accepted) < pictures * _GOOD_SHARE) if copied else (refused or frames < least)) else times


def _decoded(
    context: Any, packets: Sequence[AnyPacket], shown: dict[int, bytes] | None = None, witness: Witness | None = None
) -> tuple[int, int, list[int]]:
    """Return how many frames `packets` give, how many packets the decoder refuses, and the timestamps of the frames."""
    frames = refused = 0
    times: list[int] = []
    for packet in (*packets, None):
        try:
            check_decoder(context)
            given = context.decode(packet)
            frames += len(given)
            times += [frame.pts for frame in given if frame.pts is not None]
            if witness is not None:
                for frame in given:
                    witness.see(frame)
            if shown is not None:
                shown.update((frame.pts, samples_of(frame)) for frame in given if frame.pts is not None)
        except av.error.EOFError:
            break
        except LIBAV_ERRORS as error:
            check_memory(error)
            refused += 1
    context.flush_buffers()
    return frames, refused, times


def halves(produced: MediaFile, unordered: bool) -> list[int]:
    """Return at which packet of each stream the sample in the middle begins; 0: none is taken."""
    pairs = zip(produced.plan.streams, produced.written, strict=True)
    return [0 if unordered or not planned.copies_video else written.packets // 2 for planned, written in pairs]
