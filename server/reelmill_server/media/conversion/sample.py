"""Encode samples of a source as the whole will be, to measure what comes of it."""

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import av
from av.container import InputContainer
from av.format import ContainerFormat

from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.chunk_output import played
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.libav.comparison import References
from reelmill_server.media.libav.errors import LIBAV_ERRORS
from reelmill_server.media.output.base import Output, Stopped, StopSignal
from reelmill_server.media.overlay.pipeline import make_overlays
from reelmill_server.media.track.base import StreamStats
from reelmill_server.media.track.vfr_video import VfrVideoTrack
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.sample import Sample
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.chunks import lone_stream
from reelmill_server.plan.quality import after_keys
from reelmill_server.plan.samples import choose_samples, choose_scouts

ResultT = TypeVar("ResultT")
_GLOBAL_HEADER = 0x40  # AVFMT_GLOBALHEADER


class SampleEncoder:
    """Encode samples of the sources of `plan`. Their packets are counted and compared, and not kept."""

    def __init__(
        self,
        plan: Plan,
        locations: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        watermark_locations: Mapping[str, Location] | None = None,
    ) -> None:
        """Take locations as Conversion does; what samples need on disk is in `directory`."""
        self._plan, self._locations, self._directory = plan, locations, directory
        self._limits, self._stop, self._watermarks = limits, stop, watermark_locations or {}
        self._decoded = 0
        self._run: Run | None = None

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves."""
        run = self._run  # another thread encodes, and may end it now
        return float(self._decoded + (run.decoded if run else 0))

    def choose(self, stream: StreamPlan) -> tuple[Sample, ...]:
        """Return the samples of `stream`; none if its sources do not say how long they are."""
        return choose_samples(self._plan, stream, self._keys(stream))

    def scouts(self, stream: StreamPlan) -> tuple[Sample, ...]:
        """Return the scouts of `stream`, which is short; else none."""
        return choose_scouts(self._plan, stream, self._keys(stream))

    def _keys(self, stream: StreamPlan) -> Mapping[int, Sequence[int]]:
        """Return where samples may begin so that little is decoded before them, by input, in microseconds of its span."""
        keys = {}
        for part in stream.parts:
            if part.stream >= 0 and part.input not in keys:
                entry = self._plan.inputs[part.input]
                times = keyframe_times(self._locations[entry.source], part.stream, self._limits)
                keys[part.input] = after_keys(entry, stream, times)
        return keys

    def encode(
        self, target: TargetPlan, sizes: Sequence[Sequence[StreamPlan]], sample: Sample
    ) -> tuple[tuple[StreamStats, ...], ...]:
        """Encode one sample as each stream of `sizes`, all of which read the same part; return what was counted of each.

        It is decoded once, and filtered once for all streams of one size, which differ in nothing but their encoder's options.
        Of several sizes, all are compared with the frames of the first one.
        """
        part, span = sizes[0][0].parts[sample.part], sample.span
        entry = replace(self._plan.inputs[part.input], attached=False, align=AlignMode.NONE)
        lone = replace(lone_stream(target, sizes[0][0]), streams=tuple(_alone(target, streams[0], sample) for streams in sizes))
        variants = [[_alone(target, stream, sample) for stream in streams[1:]] for streams in sizes]
        window = Span(
            Fraction(span.begin_us, MICROSECONDS),
            Fraction(span.end_us, MICROSECONDS) if span.end_us else None,
            not span.begin_us,
        )
        plan = Plan((lone,), inputs=(entry,))
        self._run = Run(plan, [self._locations[entry.source]], self._limits, self._stop, _scope(lone, entry, window))
        self._run.write(partial(self._open, plan, window, variants))
        run, self._run = self._run, None
        (output,) = run.outputs
        self._decoded += run.decoded
        assert isinstance(output, _SampleOutput)
        return tuple((track.written, *track.variants) for track in output.encoded)

    def _open(
        self, plan: Plan, window: Span, variants: Sequence[Sequence[StreamPlan]], sources: Sequence[InputContainer]
    ) -> Iterator[Output]:
        assert self._run
        path = self._directory / "sample"
        yield _SampleOutput(
            plan, path, sources, self._watermarks, variants, limits=self._limits, stop=self._run.stop, window=window
        )


class SampleSearch(ABC, Generic[ResultT]):
    """A search for settings of `plan` by what they make of samples of its sources."""

    def __init__(
        self,
        plan: Plan,
        locations: Sequence[Location],
        directory: Path,
        *,
        limits: Limits,
        stop: threading.Event,
        watermark_locations: Mapping[str, Location] | None = None,
    ) -> None:
        """Take what `SampleEncoder` takes."""
        self._plan = plan
        self._encoder = SampleEncoder(
            plan, locations, directory, limits=limits, stop=stop, watermark_locations=watermark_locations
        )

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves."""
        return self._encoder.moved

    @property
    @abstractmethod
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, at most: it may end early."""

    @abstractmethod
    def run(self) -> ResultT:
        """Search. Raises as `Run.write`."""


class _SampleOutput(Output):
    """Encode the streams of the only target of a plan into nothing."""

    plan: TargetPlan

    def __init__(
        self,
        task: Plan,
        path: Path,
        sources: Sequence[InputContainer],
        watermarks: Mapping[str, Location],
        variants: Sequence[Sequence[StreamPlan]],
        *,
        limits: Limits,
        stop: StopSignal,
        window: Span,
    ) -> None:
        (plan,) = task.targets
        super().__init__(plan, task, str(path), stop)
        # Encoders open as for the container that will hold their packets in the end.
        global_header = bool(ContainerFormat(plan.muxer, "w").flags & _GLOBAL_HEADER)
        self._container = av.open(str(path), "w", format="nut")
        try:
            self.encoded = [
                VfrVideoTrack(
                    stream,
                    self._container,
                    sources,
                    keep_metadata=False,
                    max_frames=limits.max_output_frames,
                    overlays=make_overlays(stream, watermarks, limits, self._note),
                    window=played(window, stream),
                    global_header=global_header,
                    variants=ways,
                )
                for stream, ways in zip(plan.streams, variants, strict=True)
            ]
        except (*LIBAV_ERRORS, OSError) as error:
            raise self._failure(error) from error
        first, *others = self.encoded
        if others:
            references = References(sum(1 + len(track.variants) for track in others))
            for track in self.encoded:
                track.judge_by(references, lends=track is first)
        self.tracks = tuple(self.encoded)

    def _write(self) -> None:
        for _ in self._packets():
            if self._stop.is_set():
                raise Stopped

    def close(self) -> None:
        """End the thread, whatever happened before."""
        super().close()
        try:
            self._container.close()
        except (*LIBAV_ERRORS, OSError):
            pass
        Path(self.path).unlink(missing_ok=True)


def _alone(target: TargetPlan, stream: StreamPlan, sample: Sample) -> StreamPlan:
    """Return a stream that reads nothing but the part of `sample`."""
    alone = replace(stream, parts=(replace(stream.parts[sample.part], input=0, line=0),), counted=False)
    return lone_stream(target, alone, from_front=not sample.span.begin_us).streams[0]


def _scope(target: TargetPlan, entry: InputPlan, window: Span) -> Scope:
    origin = Fraction(entry.origin_us + entry.start_us, MICROSECONDS)
    end = None if window.end is None else origin + window.end
    lead_in = None if window.from_front else window.begin
    return Scope(target.streams, lead_in, Span(origin + window.begin, end, window.from_front), hurried=True)
