"""Random frames through tracks that encode, cut and joined, against a slow and obvious reference: what is on screen, what is
heard.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import av
import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from hypothesis import example, given, settings
from hypothesis import strategies as st

from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.part import Part, Span
from reelmill_server.media.libav.timestamps import ShownExtent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.overlay.pipeline import Overlays
from reelmill_server.media.track.audio_inputs import ExactAudioInput
from reelmill_server.media.track.base import nearest
from reelmill_server.media.track.cfr_video import CfrVideoTrack
from reelmill_server.media.track.vfr_video import VfrVideoTrack
from reelmill_server.model.plan import AudioOutput, PartPlan, StreamPlan, StreamType, VideoOutput

BASES = (Fraction(1, 1000), Fraction(1, 90_000), Fraction(1, 12_800))
OUTPUT_BASE, SAMPLE_RATE = Fraction(1, 90_000), 48_000
SEEN = Fraction(1, 10)  # a frame on screen before the span is held if the next one comes so late, or none does


@dataclass(frozen=True)
class Film:
    """When each frame is shown, in ticks of `base`, and where the last one ends; the span that is taken, seconds."""

    times: tuple[int, ...]
    over: int
    base: Fraction
    begin: Fraction
    end: Fraction | None

    @property
    def length(self) -> Fraction:
        """How long what is taken lasts."""
        ends = [self.over * self.base] + ([] if self.end is None else [self.end])
        return min(ends) - self.begin

    @property
    def shown(self) -> list[tuple[Fraction, int]]:
        """When each frame appears that is to be seen, seconds of the span, and its number."""
        frames = [(time * self.base - self.begin, number) for number, time in enumerate(self.times)]
        inside = [(time, number) for time, number in frames if time >= 0 and (self.end is None or time < self.length)]
        before = [number for time, number in frames if time < 0]
        first = inside[0][0] if inside else self.length
        return ([(Fraction(0), before[-1])] if before and (first >= SEEN or not inside) else []) + inside


@st.composite
def films(draw: st.DrawFn) -> Film:
    """Variable rates with pauses, cut anywhere."""
    base = draw(st.sampled_from(BASES))
    times = [draw(st.integers(0, 1_000_000))]
    for step in draw(st.lists(st.integers(10, 700), min_size=2, max_size=20)):
        times.append(times[-1] + max(round(Fraction(step, 1000) / base), 1))
    begin, over = times[0] * base, times[-1] * base
    late = draw(st.sampled_from([Fraction(0), Fraction(0), Fraction(draw(st.integers(1, 900)), 1000)]))
    begin = begin + late if begin + late < over - Fraction(1, 100) else begin
    cut = draw(st.none() | st.integers(10, 3000))
    return Film(tuple(times[:-1]), times[-1], base, begin, None if cut is None else begin + Fraction(cut, 1000))


def encoded(kind: type[CfrVideoTrack] | type[VfrVideoTrack], films_: Sequence[Film], rate: Fraction) -> list[AnyPacket]:
    """What a track writes of films, one behind the other: raw frames, each with its film and number as its first bytes."""
    described = av.open(io.BytesIO(), "w", format="nut")
    sources = []
    for film in films_:
        stream: Any = described.add_stream("rawvideo", rate=25)
        stream.width = stream.height = 16
        stream.pix_fmt, stream.time_base = "gray", film.base
        sources.append(stream)
    parts = tuple(PartPlan(number, input=number) for number in range(len(films_)))
    base = 1 / rate if kind is CfrVideoTrack else OUTPUT_BASE
    video = VideoOutput(16, 16, "gray", base, rate)
    plan = StreamPlan(StreamType.VIDEO, parts, "rawvideo", "rawvideo", "", video=video, counted=kind is CfrVideoTrack)
    output = av.open(io.BytesIO(), "w", format="nut")
    containers: Any = [described] * len(films_)
    track = kind(plan, output, containers, False, max_frames=100_000, overlays=Overlays())
    written: list[AnyPacket] = []
    for number, film in enumerate(films_):
        extent = ShownExtent()
        part = Part(number, described, film.begin, extents={number: extent})  # type: ignore[arg-type]
        track.begin(part, Span(film.begin, film.end, from_front=film.begin == film.times[0] * film.base))
        for shown, (time, later) in enumerate(pairwise((*film.times, film.over))):
            extent.add(time, later - time, film.base)
            if part.wanted(track, number):
                written += track.feed(part, number, picture(number, shown, time, film.base))
        written += track.end(part, film.length, number == len(films_) - 1)
    return [*written, *track.finish()]


def picture(film: int, number: int, time: int, base: Fraction) -> VideoFrame:
    """A frame that says which it is."""
    array = np.zeros((16, 16), np.uint8)
    array[0, 0], array[0, 1] = film, number
    frame = VideoFrame.from_ndarray(array, "gray")
    frame.pts, frame.time_base, frame.duration = time, base, 1
    return frame


@settings(max_examples=80)
@given(films())
def test_each_frame_is_encoded_once_at_its_time(film: Film) -> None:
    """To half a tick; the one on screen where the span begins is held, the last one lasts until it ends."""
    written = encoded(VfrVideoTrack, [film], Fraction(25))
    assert [bytes(packet)[1] for packet in written] == [number for _, number in film.shown]
    # The span begins with the nearest tick of the source, and the frame that is held with the next one.
    tick = film.base + OUTPUT_BASE
    for packet, (time, _) in zip(written, film.shown, strict=True):
        assert packet.pts is not None and packet.time_base
        assert abs(packet.pts * Fraction(packet.time_base) - time) <= (tick / 2 if time else tick)
    for packet, later in pairwise(written):
        assert packet.pts is not None and later.pts == packet.pts + (packet.duration or 0)
    if written:
        end = ((written[-1].pts or 0) + (written[-1].duration or 0)) * OUTPUT_BASE
        assert abs(end - film.length) <= tick


@pytest.mark.slow
@settings(max_examples=60)
@given(
    st.lists(films(), min_size=1, max_size=3),
    st.sampled_from([Fraction(25), Fraction(30_000, 1001), Fraction(10), Fraction(60)]),
)
@example([Film((0, 21, 31), 41, Fraction(1, 1000), Fraction(1, 1000), None)], Fraction(25))
def test_joined_films_show_at_each_moment_what_their_sources_do(made: list[Film], rate: Fraction) -> None:
    """A frame at a time of the grid is the last one that began before half a step later; as many as fit, or a single one."""
    written = encoded(CfrVideoTrack, made, rate)
    assert [packet.pts for packet in written] == [*range(len(written))]
    results = [tuple(bytes(packet)[:2]) for packet in written]
    begin = Fraction(0)
    for number, film in enumerate(made):
        first, over = nearest(begin * rate), nearest((begin + film.length) * rate)
        shown = [(begin + time, frame) for time, frame in film.shown]
        for place in range(first, min(over, len(results))):
            film_number, frame = results[place]
            assert film_number == number
            # Where a source's ticks fall halfway between two frames, either is right.
            doubt = 2 * film.base
            began = [entry for time, entry in shown if nearest((time - doubt) * rate) <= place]
            later = [entry for time, entry in shown if nearest((time + doubt) * rate) <= place]
            # A part that begins late shows its first frame from the start.
            first_frame = shown[0][1] if shown else 0
            assert frame in range(later[-1] if later else first_frame, (began[-1] if began else first_frame) + 1)
        begin += film.length
    assert len(written) == nearest(begin * rate) or (len(written) == 1 and begin * rate < Fraction(1, 2))


@st.composite
def recordings(draw: st.DrawFn) -> tuple[list[tuple[int, int]], int]:
    """Spans of sound, in samples: one behind the other, or with a gap or an overlap that is heard; and a length."""
    spans, time = [], 0
    for _ in range(draw(st.integers(1, 12))):
        samples = draw(st.sampled_from([960, 1024, 1152, 4096]))
        time += draw(st.sampled_from([0, 0, 0, 2400, 9600, -480 * 5]))
        time = max(time, 0)
        spans.append((time, samples))
        time += samples
    longest = max(begin + samples for begin, samples in spans)
    return spans, longest + draw(st.sampled_from([0, 480, -480, 48_000]))


def heard(parts: Sequence[tuple[list[tuple[int, int]], int]]) -> np.ndarray[Any, Any]:
    """What joined audio gives."""
    plan = StreamPlan(
        StreamType.AUDIO,
        tuple(PartPlan(0, input=number) for number in range(len(parts))),
        "pcm_s16le",
        "pcm_s16le",
        "",
        audio=AudioOutput(SAMPLE_RATE, "mono", "s16"),
        counted=True,
    )
    line = ExactAudioInput(plan, plan.parts)
    given_frames: list[AudioFrame] = []
    for number, (spans, length) in enumerate(parts):
        part: Any = Part(number, None, Fraction(0))  # type: ignore[arg-type]
        line.begin(part, Span(Fraction(0), None, from_front=True))
        for loud, (begin, samples) in enumerate(spans, 1):
            frame = AudioFrame.from_ndarray(np.full((1, samples), 100 * loud, np.int16), "s16", "mono")
            frame.pts, frame.sample_rate, frame.time_base = begin, SAMPLE_RATE, Fraction(1, SAMPLE_RATE)
            given_frames += line.feed(part, AudioBlock(frame))
        given_frames += line.end(part, Fraction(length, SAMPLE_RATE))
    position = 0
    for frame in given_frames:
        assert frame.pts == position
        position += frame.samples
    waves = [frame.to_ndarray()[0] for frame in given_frames]
    return np.concatenate(waves) if waves else np.zeros(0, np.int16)


@settings(max_examples=80)
@given(st.lists(recordings(), min_size=1, max_size=3))
def test_joined_audio_has_each_sample_at_its_place(parts: list[tuple[list[tuple[int, int]], int]]) -> None:
    """Gaps are silent, what lies over earlier audio is left out, and each part has exactly its length."""
    expected = []
    for spans, length in parts:
        wave, reached = np.zeros(max(length, 0), np.int16), 0
        for loud, (begin, samples) in enumerate(spans, 1):
            wave[max(begin, reached) : begin + samples] = 100 * loud
            reached = max(reached, begin + samples)
        expected.append(wave)
    right, result = np.concatenate(expected), heard(parts)
    assert len(result) == len(right)
    # The resampler fades nothing, but may place an edge a sample beside.
    edges = sum(len(spans) for spans, _ in parts)
    assert int(np.count_nonzero(result != right)) <= 4 * edges
