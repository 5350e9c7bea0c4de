"""The sources of a task as a plan sees them: which are concatenated, which run in parallel, and the range of each."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from reelmill_server.model.media_info import AudioStreamInfo, MediaInfo, StreamInfo, SubtitleStreamInfo, VideoStreamInfo
from reelmill_server.model.plan import CodecChange, InputPlan
from reelmill_server.model.request import AlignMode, ConvertRequest, SourceSpec
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import Clock
from reelmill_server.plan.context import PlanFacts


@dataclass(frozen=True)
class Input:
    """One source; `number` is its index in the plan's inputs, `source_number` in the request's sources."""

    number: int
    source_number: int
    source: SourceSpec
    info: MediaInfo
    clock: Clock

    @property
    def video(self) -> tuple[VideoStreamInfo, ...]:
        """The video streams that outputs may use."""
        return () if self.source.disable_video else self.info.pictures

    @property
    def audio(self) -> tuple[AudioStreamInfo, ...]:
        """The audio streams that outputs may use."""
        return () if self.source.disable_audio else self.info.audio

    @property
    def subtitles(self) -> tuple[SubtitleStreamInfo, ...]:
        """The subtitle streams that outputs may use."""
        return self.info.subtitles

    @property
    def aligned(self) -> bool:
        """Whether its streams are padded or repeated to the duration of the other inputs."""
        return self.source.attached and self.source.align_mode is not AlignMode.NONE

    def plan(self) -> InputPlan:
        """Return the range to read."""
        return InputPlan(
            source=self.source_number,
            start_us=self.clock.start_us,
            end_us=self.clock.end_us,
            origin_us=self.clock.origin_us,
            duration_us=self.clock.duration_us,
            attached=self.source.attached,
            align=self.source.align_mode,
            still=self.held,
            changes=tuple(
                CodecChange(stream.index, stream.becomes, *stream.becomes_between)
                for stream in (*self.info.video, *self.info.audio)
                if stream.becomes
            ),
        )

    @property
    def held(self) -> bool:
        """Whether it is a still image that is shown for some time."""
        return self.info.still and self.clock.end_us > 0


@dataclass(frozen=True)
class Inputs:
    """All sources of a task: `main` are concatenated, `attached` run in parallel; `primary` is the source of default
    parameters.
    """

    main: tuple[Input, ...]
    attached: tuple[Input, ...]
    primary: Input

    @classmethod
    def of(cls, request: ConvertRequest, facts: PlanFacts) -> "Inputs":
        """Return the inputs of `request`. Raises InvalidArgument if a range begins after the end of its source."""
        ordered = sorted(range(len(request.sources)), key=lambda number: request.sources[number].attached)
        inputs = [
            Input(
                number,
                source_number,
                request.sources[source_number],
                facts.infos[source_number],
                Clock.of(request.sources[source_number], facts.infos[source_number], f"sources[{source_number}]"),
            )
            for number, source_number in enumerate(ordered)
        ]
        inputs = [_held(item, inputs) for item in inputs]
        main = tuple(item for item in inputs if not item.source.attached)
        attached = tuple(item for item in inputs if item.source.attached)
        return cls(main, attached, next(item for item in main if item.source_number == request.alignment_index))

    @property
    def several(self) -> bool:
        """Whether several sources are concatenated."""
        return len(self.main) > 1

    @property
    def duration_us(self) -> int:
        """The total duration of the concatenated sources in microseconds, 0 if one of them does not say."""
        lengths = [item.clock.duration_us for item in self.main]
        return sum(lengths) if all(lengths) else 0

    @property
    def source_bytes(self) -> float:
        """Return the bytes of the concatenated inputs: of each file, the share of its span by time."""
        return sum(_span_bytes(item) for item in self.main)

    def plans(self) -> tuple[InputPlan, ...]:
        """Return the range to read of each input."""
        return tuple(item.plan() for item in (*self.main, *self.attached))


def _span_bytes(item: Input) -> float:
    whole, span = item.info.duration_seconds * MICROSECONDS, item.plan().duration_us
    return item.info.size_bytes * (min(span / whole, 1.0) if whole > 0 and span > 0 else 1.0)


def _held(item: Input, inputs: Sequence[Input]) -> Input:
    """Return `item`; a still image that is to be shown for no certain time lasts as long as what runs beside it."""
    if not item.info.still or item.clock.end_us:
        return item
    others = [other for other in inputs if other.source.attached is not item.source.attached and not other.info.still]
    mains = [other for other in inputs if not other.source.attached]
    if not item.source.attached:
        length_us = max((_lasting_us(other) for other in others), default=0) if len(mains) == 1 else 0
    else:
        length_us = sum(map(_lasting_us, others)) if all(map(_lasting_us, others)) and len(others) == len(mains) else 0
    return replace(item, clock=item.clock.held(length_us)) if length_us else item


def _lasting_us(item: Input) -> int:
    """Return how long an input lasts, microseconds, if only by estimate; 0: unknown."""
    clock = item.clock
    end_us = round(item.info.duration_seconds * MICROSECONDS)
    return clock.duration_us or max(0, (min(end_us, clock.end_us) if clock.end_us else end_us) - clock.start_us)


_ALL_ABOVE = 100  # the contract's convention for all streams of a kind


def selected(available: int, numbers: Sequence[int], default: Sequence[int]) -> list[int]:
    """Return the numbers of the streams of a kind to use, ascending.

    Those in `numbers` that exist, all of `available` if one of them is above 100, `default` if none is asked for.
    """
    if any(number > _ALL_ABOVE for number in numbers):
        return list(range(available))
    return sorted({number for number in numbers or default if 0 <= number < available})


def stream_at(streams: Sequence[StreamInfo], number: int) -> StreamInfo | None:
    """Return stream `number` of a kind, None if there are fewer."""
    return streams[number] if number < len(streams) else None
