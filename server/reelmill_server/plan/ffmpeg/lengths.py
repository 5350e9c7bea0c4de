"""Count the frames and samples of each part of a stream: consecutive parts share one clock."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from reelmill_server.model.media_info import MediaInfo, StreamInfo
from reelmill_server.model.plan import PartPlan, Plan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.clock import OVERRUN


@dataclass(frozen=True)
class Count:
    """How many frames or samples a part has of its `own`, and in the `whole` once it is aligned."""

    own: int
    whole: int


class Lengths:
    """The lengths of a plan's inputs, as far as `infos` (in the order of the request's sources) tell them."""

    def __init__(self, plan: Plan, infos: Sequence[MediaInfo]) -> None:
        self._plan, self._infos = plan, infos
        self._used = {(part.input, part.stream) for stream in _streams(plan) for part in stream.parts if part.file is None}

    def counts(self, stream: StreamPlan, parts: Sequence[PartPlan], rate: Fraction) -> tuple[Count | None, ...]:
        """Return the count of each of `parts`, which follow each other, at `rate` a second; None: not known."""
        offset: Fraction | None = Fraction(0)
        counts: list[Count | None] = []
        for part in parts:
            own, plan = self.seconds(part.input), self._plan.inputs[part.input]
            whole = self._main() if plan.attached and plan.align is not AlignMode.NONE else own
            if offset is None or own is None or whole is None:
                counts.append(None)
                offset = None
                continue
            per_second = rate / stream.speed
            begin = _nearest(offset * per_second)
            ends = (_nearest((offset + length) * per_second) for length in (min(own, whole), whole))
            counts.append(Count(*(end - begin for end in ends)))
            offset += own
        return tuple(counts)

    def before(self, item: int) -> Fraction | None:
        """Return the total length of the inputs before `item`, seconds; None: not known."""
        lengths = [self.seconds(other) for other in range(item)]
        return sum((length for length in lengths if length), Fraction(0)) if all(lengths) else None

    def _main(self) -> Fraction | None:
        return self.before(sum(not plan.attached for plan in self._plan.inputs))

    def seconds(self, item: int) -> Fraction | None:
        """Return the length of an input's span, seconds; None: not known.

        It ends with its video, unless its audio goes on for long.
        """
        plan = self._plan.inputs[item]
        begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
        stop = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
        end = self._end(item)
        if end is None and plan.duration_us:
            end = begin + Fraction(plan.duration_us, MICROSECONDS)
        if end is None:
            return None
        return max(Fraction(0), (end if stop is None else min(end, stop)) - begin)

    def _end(self, item: int) -> Fraction | None:
        """Return where an input ends by the durations of its streams, seconds of the source; None: not known."""
        if not self._infos:
            return None
        info = self._infos[self._plan.inputs[item].source]
        ends = [self._latest(item, streams) for streams in (info.pictures, info.audio)]
        known = [end for end in ends if end is not None]
        if not known or not all(known):
            return None
        video, audio = ends
        if video is not None and (audio is None or audio - video <= OVERRUN):
            return video
        return max(known)

    def _latest(self, item: int, streams: Sequence[StreamInfo]) -> Fraction | None:
        """Return where the last of the used `streams` ends; None: none is used, 0: not known."""
        used = [stream for stream in streams if (item, stream.index) in self._used]
        if not used:
            return None
        if not all(stream.duration_seconds for stream in used):
            return Fraction(0)
        return max(_exact(stream.start_seconds) + _exact(stream.duration_seconds) for stream in used)


def _streams(plan: Plan) -> Iterator[StreamPlan]:
    for target in plan.targets:
        yield from target.streams
    for image in plan.images:
        yield image.stream


def _exact(value: float | None) -> Fraction:
    return Fraction(value or 0.0).limit_denominator(MICROSECONDS)


def _nearest(value: Fraction) -> int:
    """Round halves up, as the encoder's clock does."""
    return int((value + Fraction(1, 2)) // 1)
