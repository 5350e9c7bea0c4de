"""Search the CRF of streams with a quality target: samples are encoded as the whole will be, and compared."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from functools import partial
from pathlib import Path

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia, UnsupportedFormat
from reelmill_server.media.chunk_file import Summary
from reelmill_server.media.conversion.base import Run
from reelmill_server.media.conversion.chunk_output import ChunkStreamOutput
from reelmill_server.media.conversion.feed import Scope
from reelmill_server.media.input.keyframe_index import keyframe_times
from reelmill_server.media.input.part import Span
from reelmill_server.media.input.source import Location
from reelmill_server.media.output.base import Output
from reelmill_server.media.track.base import StreamStats
from reelmill_server.model.capability import Limits
from reelmill_server.model.plan import InputPlan, Plan, StreamPlan, TargetPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import FALLBACK_RATE, MICROSECONDS
from reelmill_server.plan.chunks import AFTER_KEY_FRAMES, lone_stream
from reelmill_server.plan.crf_search import MOST_TRIES, Choice, CrfSearch
from reelmill_server.plan.quality import searched, unsearched, with_crf
from reelmill_server.plan.samples import Sample, choose_samples

_EVERY = 3  # of a sample's frames one is scored: no period of B-frames is a multiple of it


class QualitySearch:
    """The search for all streams of `plan` that have a quality target."""

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
        self._streams = list(unsearched(plan))
        self._tries, self._share, self._decoded = 0, 0.0, 0
        self._run: Run | None = None

    @property
    def share(self) -> float:
        """Return how much of the search is done, 0 to 1, at most: it may end early."""
        return min((self._tries + self._share) / max(len(self._streams) * MOST_TRIES, 1), 1.0)

    @property
    def moved(self) -> float:
        """Return a number that grows as long as media moves."""
        run = self._run  # another thread encodes, and may end it now
        return float(self._decoded + (run.decoded if run else 0))

    def run(self) -> Plan:
        """Return the plan with a CRF for every stream.

        Raises as `Run.write`, and UnsupportedFormat if the sources do not say how long they are.
        """
        plan = self._plan
        for number, (slot, index, stream) in enumerate(self._streams):
            self._tries = number * MOST_TRIES
            choice = self._choice(plan.targets[slot], stream)
            plan = searched(plan, slot, index, choice)
        return plan

    def _choice(self, target: TargetPlan, stream: StreamPlan) -> Choice:
        assert stream.quality
        samples = choose_samples(self._plan, stream, self._keys(stream))
        if not samples:
            raise UnsupportedFormat(f"{target.field}: the source does not say how long it is: no samples can be spread over it")
        search = CrfSearch(stream.quality, stream.encoder)
        while (crf := search.next_crf()) is not None:
            probe = with_crf(stream, replace(stream.quality, crf=crf, every=_EVERY))
            search.note(crf, self._score(target, probe, samples))
            self._tries, self._share = self._tries + 1, 0.0
        return search.choice()

    def _keys(self, stream: StreamPlan) -> Mapping[int, Sequence[int]]:
        """Return where samples may begin so that little is decoded before them, by input, in microseconds of its span."""
        assert stream.video
        after = round(AFTER_KEY_FRAMES * MICROSECONDS / (stream.video.frame_rate or FALLBACK_RATE))
        found = {}
        for part in stream.parts:
            if part.stream >= 0 and part.input not in found:
                entry = self._plan.inputs[part.input]
                times = keyframe_times(self._locations[entry.source], part.stream, self._limits)
                found[part.input] = [time - entry.origin_us - entry.start_us + after for time in times]
        return found

    def _score(self, target: TargetPlan, stream: StreamPlan, samples: Sequence[Sample]) -> float:
        """Return the score of all samples, each by its number of frames."""
        assert stream.quality
        scores: list[tuple[float, int]] = []
        for number, sample in enumerate(samples):
            written = self._encode(target, stream, sample)
            score = written.scores.get(stream.quality.metric)
            if score is not None:
                scores.append((score, written.packets))
            self._share = (number + 1) / len(samples)
        if not scores:
            raise InvalidMedia(f"{target.field}: no frame of the source could be read for the search of its quality")
        return sum(score * frames for score, frames in scores) / sum(frames for _, frames in scores)

    def _encode(self, target: TargetPlan, stream: StreamPlan, sample: Sample) -> StreamStats:
        """Encode one sample alone; return what was counted of it."""
        part, span = stream.parts[sample.part], sample.span
        entry = replace(self._plan.inputs[part.input], attached=False, align=AlignMode.NONE)
        alone = replace(stream, parts=(replace(part, input=0, line=0),), counted=False)
        lone = lone_stream(target, alone, from_front=not span.begin_us)
        window = Span(
            Fraction(span.begin_us, MICROSECONDS),
            Fraction(span.end_us, MICROSECONDS) if span.end_us else None,
            not span.begin_us,
        )
        plan = Plan((lone,), inputs=(entry,))
        self._run = Run(plan, [self._locations[entry.source]], self._limits, self._stop, _scope(lone, entry, window))
        self._run.write(partial(self._open, plan, window))
        run, self._run = self._run, None
        (output,) = run.outputs
        self._decoded += run.decoded
        (self._directory / "sample").unlink(missing_ok=True)
        return output.tracks[0].written

    def _open(self, plan: Plan, window: Span, sources: Sequence[InputContainer]) -> Iterator[Output]:
        assert self._run
        yield ChunkStreamOutput(
            plan.targets[0],
            plan,
            self._directory / "sample",
            sources=sources,
            watermarks=self._watermarks,
            limits=self._limits,
            stop=self._run.stop,
            window=window,
            summary=Summary(),
            accountant=self._run.accountant,
        )


def _scope(target: TargetPlan, entry: InputPlan, window: Span) -> Scope:
    origin = Fraction(entry.origin_us + entry.start_us, MICROSECONDS)
    end = None if window.end is None else origin + window.end
    lead_in = None if window.from_front else window.begin
    return Scope(target.streams, lead_in, Span(origin + window.begin, end, window.from_front))
