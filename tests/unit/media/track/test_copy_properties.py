"""Random packets through a copy, cut and joined, against a slow and obvious reference: where each is shown in its source."""

import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.timestamps import Extent, ShownExtent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.track.copied_stream import CopiedStream
from reelmill_server.media.track.copy import CopyTrack
from reelmill_server.model.plan import COPY, PartPlan, StreamPlan, StreamType

BASES = (Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800), Fraction(1, 48_000))


@dataclass(frozen=True)
class Frame:
    """What is copied in one packet: its number in decoding order, its times in ticks, and when the next one is shown."""

    number: int
    pts: int | None
    dts: int | None
    end: int

    @property
    def shown(self) -> int:
        """When it is shown: a packet without that time is shown when it is decoded."""
        time = self.pts if self.pts is not None else self.dts
        assert time is not None
        return time


@dataclass(frozen=True)
class Recording:
    """A stream in decoding order, its ticks, and the span that is taken of it, seconds; `length`: of what is taken."""

    frames: tuple[Frame, ...]
    base: Fraction
    begin: Fraction
    end: Fraction | None
    length: Fraction


def decoding_order(count: int, between: int) -> list[int]:
    """Which frame is decoded when: `between` of them after the one that is shown behind them."""
    order = [0]
    for group in range(1, count, between + 1):
        last = min(group + between, count - 1)
        order += [last, *range(group, last)]
    return order


@st.composite
def films(draw: st.DrawFn) -> Recording:
    """Video with a variable rate, gaps, B-frames and an end anywhere; without B-frames a time may be missing."""
    base = draw(st.sampled_from(BASES))
    steps = draw(st.lists(st.integers(5, 3000), min_size=2, max_size=24))  # ms: pauses are among them
    origin = draw(st.integers(-5000, 5_000_000))
    times = [origin]
    for step in steps:
        times.append(times[-1] + max(round(Fraction(step, 1000) / base), 1))
    shown, end = times[:-1], times[-1]
    between = draw(st.integers(0, 3))
    order = decoding_order(len(shown), between)
    # The first times lie so far before the first frame that none is decoded after it is shown.
    delay = max(place - number for place, number in enumerate(order))
    step = min(later - sooner for sooner, later in pairwise(times))
    decoded = [shown[0] - step * (delay - place) for place in range(delay)] + shown
    missing = draw(st.lists(st.sampled_from(["", "", "", "pts", "dts"]), min_size=len(order), max_size=len(order)))
    frames = []
    for place, number in enumerate(order):
        pts: int | None = shown[number]
        dts: int | None = decoded[place]
        if between == 0 and missing[place] == "pts":
            pts = None
        elif between == 0 and missing[place] == "dts":
            dts = None
        frames.append(Frame(place, pts, dts, times[number + 1]))
    begin = shown[0] * base
    cut = draw(st.none() | st.integers(1, 4000))
    stop = None if cut is None else begin + Fraction(cut, 1000)
    total = end * base if stop is None else min(stop, end * base)
    return Recording(tuple(frames), base, begin, stop, total - begin)


@st.composite
def tones(draw: st.DrawFn) -> Recording:
    """Audio: packets of one length, shorter than a tick or longer, with gaps; begun anywhere, cut anywhere."""
    base = draw(st.sampled_from(BASES))
    length = draw(st.sampled_from([Fraction(1, 1200), Fraction(40, 48_000), Fraction(1024, 48_000), Fraction(1152, 44_100)]))
    begin, frames, time = draw(st.integers(0, 90_000)) * base, [], Fraction(0)
    for number in range(draw(st.integers(3, 40))):
        tick = round((begin + time) / base)
        kind = draw(st.sampled_from(["", "", "", "", "gap", "pts", "dts"]))
        end = round((begin + time + length) / base)
        frames.append(Frame(number, None if kind == "pts" else tick, None if kind == "dts" else tick, end))
        time += length + (Fraction(draw(st.integers(1, 900)), 1000) if kind == "gap" else 0)
    late = draw(st.sampled_from([Fraction(0), Fraction(1, 7)]))
    cut = draw(st.none() | st.integers(200, 3000))
    stop = None if cut is None else begin + late + Fraction(cut, 1000)
    ends = [frames[-1].end * base] + ([] if stop is None else [stop])
    return Recording(tuple(frames), base, begin + late, stop, max(min(ends) - begin - late, Fraction(0)))


def copied(
    kind: StreamType, recordings: Sequence[Recording], container: str = "matroska", together: int = 0
) -> list[AnyPacket]:
    """What a copy of the recordings, one behind the other, writes; each packet has its recording and number as its bytes.

    `together`: so many packets are given at once; 0: one by one.
    """
    described = av.open(io.BytesIO(), "w", format="nut")
    stream: Any = described.add_stream("pcm_s16le", rate=48_000) if kind == StreamType.AUDIO else described.add_stream("mpeg4")
    if kind == StreamType.VIDEO:
        stream.width = stream.height = 16
        stream.pix_fmt = "yuv420p"
    stream.time_base = recordings[0].base
    plan = StreamPlan(kind, tuple(PartPlan(0, input=n) for n in range(len(recordings))), "x", COPY, "")
    output = av.open(io.BytesIO(), "w", format=container)
    sources: Any = [described] * len(recordings)
    track = CopyTrack(plan, CopiedStream.add(plan, output, sources, False))
    written: list[AnyPacket] = []
    for number, recording in enumerate(recordings):
        extent = ShownExtent() if kind == StreamType.VIDEO else Extent()
        part = Part(number, described, recording.begin, extents={0: extent})  # type: ignore[arg-type]
        track.begin(
            part, Span(recording.begin, recording.end, from_front=recording.begin == recording.frames[0].shown * recording.base)
        )
        packets = []
        for frame in recording.frames:
            packet = AnyPacket(bytes([number, frame.number]))
            packet.pts, packet.dts, packet.time_base = frame.pts, frame.dts, recording.base
            packet.duration = frame.end - frame.shown
            extent.add(frame.shown, packet.duration, recording.base)
            packets.append(packet)
        for place in range(0, len(packets), together or 1):
            run = packets[place : place + (together or 1)]
            if not part.wanted(track, 0):
                break
            result = track.feed_all(part, Run.of(0, recording.base, run)) if together else [track.feed(part, 0, run[0])]
            written += [packet for packets in result for packet in packets]
        written += track.end(part, recording.length, number == len(recordings) - 1)
    written += track.finish()
    return written


def placed(recordings: Sequence[Recording]) -> list[Fraction]:
    """Where each recording begins in the output."""
    return [sum((recording.length for recording in recordings[:number]), Fraction(0)) for number in range(len(recordings))]


@pytest.mark.slow
@settings(max_examples=120)
@given(st.lists(films(), min_size=1, max_size=3), st.sampled_from(["matroska", "mp4"]))
def test_frames_are_copied_once_in_order_and_in_time(recordings: list[Recording], container: str) -> None:
    """What the span shows is there, in decoding order, to half a tick; at seams to half a tick for each."""
    written = copied(StreamType.VIDEO, recordings, container)
    results = [tuple(bytes(packet)) for packet in written]
    base = written[0].time_base if written else None
    expected = []
    for number, recording in enumerate(recordings):
        stop = None if recording.end is None else recording.end
        inside = [f for f in recording.frames if stop is None or f.shown * recording.base < stop]
        # What is decoded before a frame of the span belongs to it, even if it is shown after its end.
        last = max((f.number for f in inside), default=-1)
        expected += [(number, f.number) for f in recording.frames if f.number <= last]
    assert results == expected
    decoded = [packet.dts for packet in written if packet.dts is not None]
    assert all(sooner < later for sooner, later in pairwise(decoded))
    assert all(packet.dts is None or packet.dts <= packet.pts for packet in written)  # type: ignore[operator]
    begins = placed(recordings)
    for packet, (number, place) in zip(written, results, strict=True):
        recording = recordings[number]
        assert base is not None and packet.pts is not None
        right = begins[number] + recording.frames[place].shown * recording.base - recording.begin
        slack, off = Fraction(base) * (Fraction(1, 2) + number), packet.pts * base - right
        if recording.end is not None and recording.frames[place].shown * recording.base >= recording.end:
            # What lies behind a pause that begins before the end is brought near to it.
            assert begins[number] + recording.end - recording.begin - slack <= packet.pts * base and off <= slack
        else:
            assert abs(off) <= slack


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.tuples(st.just(StreamType.VIDEO), st.lists(films(), min_size=1, max_size=3))
    | st.tuples(st.just(StreamType.AUDIO), st.lists(tones(), min_size=1, max_size=3)),
    st.sampled_from(["matroska", "mp4"]),
    st.integers(1, 9),
)
def test_runs_are_copied_as_their_packets_are(read: tuple[StreamType, list[Recording]], container: str, together: int) -> None:
    """The same packets with the same times, whether they come one by one or together."""
    one_by_one, at_once = (
        [(bytes(packet), packet.pts, packet.dts, packet.duration, packet.time_base) for packet in result]
        for result in (copied(*read, container), copied(*read, container, together))
    )
    assert at_once == one_by_one


# The span ends within the tick in which a frame begins.
_JUST_BEGUN = Recording(
    (Frame(0, 0, 0, 2214), Frame(1, 2214, 2214, 2278)),
    Fraction(1, 12800),
    Fraction(0),
    Fraction(173, 1000),
    Fraction(173, 1000),
)


@settings(max_examples=60)
@example(_JUST_BEGUN)
@given(films())
def test_the_frame_shown_last_ends_with_the_span_or_the_stream(recording: Recording) -> None:
    """Whichever frame is decoded last, and no frame lasts beyond it."""
    written = copied(StreamType.VIDEO, [recording])
    inside = [f for f in recording.frames if recording.end is None or f.shown * recording.base < recording.end]
    if len(inside) != len(written):
        return  # frames from after the span are in it, as others refer to them
    last = max(written, key=lambda packet: packet.pts or 0)
    end = ((last.pts or 0) + (last.duration or 0)) * Fraction(last.time_base or 1)
    tick = Fraction(last.time_base or 1)
    assert abs(end - max(recording.length, (last.pts or 0) * tick + tick)) <= tick
    assert max(((packet.pts or 0) + (packet.duration or 0)) * tick for packet in written) <= end + tick


@pytest.mark.slow
@settings(max_examples=120)
@given(tones())
def test_audio_is_copied_once_in_order_and_in_time(recording: Recording) -> None:
    """Packets that begin in the span, of those of equal times all; if there are none, the last one before it."""
    written = copied(StreamType.AUDIO, [recording])
    front = recording.begin == recording.frames[0].shown * recording.base
    inside = [
        frame
        for frame in recording.frames
        if (front or frame.shown * recording.base >= recording.begin)
        and (recording.end is None or frame.shown * recording.base < recording.end)
    ]
    if not inside and (recording.end is None or recording.begin < recording.end):
        first_tick = -(-recording.begin // recording.base)
        before = [frame for frame in recording.frames if frame.shown * recording.base < recording.begin]
        inside = [replace(frame, pts=first_tick) for frame in before[-1:]]
    assert [bytes(packet)[1] for packet in written] == [frame.number for frame in inside]
    for packet, frame in zip(written, inside, strict=True):
        assert packet.pts is not None and packet.time_base
        right = frame.shown * recording.base - recording.begin
        assert abs(packet.pts * packet.time_base - right) <= Fraction(packet.time_base) / 2
    decoded = [packet.dts for packet in written if packet.dts is not None]
    assert decoded == sorted(decoded)


@pytest.mark.slow
@settings(max_examples=60)
@given(st.lists(tones(), min_size=2, max_size=3))
def test_joined_audio_stays_in_its_parts(recordings: list[Recording]) -> None:
    """A packet more than half of which lies in its part is there once; none lies more than half a packet outside."""
    written = copied(StreamType.AUDIO, recordings)
    begins = placed(recordings)
    results = [tuple(bytes(packet)) for packet in written]
    assert results == sorted(set(results))
    for number, recording in enumerate(recordings):
        last = number == len(recordings) - 1
        for frame in recording.frames:
            base = recording.base
            middle = Fraction(frame.shown + frame.end, 2) * base
            begin = frame.shown * base
            inside = (
                recording.begin < middle - base
                and begin >= recording.begin
                and middle + base < recording.begin + recording.length
            )
            outside = begin >= recording.begin + recording.length + base and not last
            assert not (inside and (number, frame.number) not in results)
            assert not (outside and (number, frame.number) in results)
    for packet, (number, place) in zip(written, results, strict=True):
        recording = recordings[number]
        right = begins[number] + max(recording.frames[place].shown * recording.base - recording.begin, Fraction(0))
        tick = max(Fraction(packet.time_base or 1), recording.base)
        assert abs((packet.pts or 0) * Fraction(packet.time_base or 1) - right) <= tick * (1 + number)
