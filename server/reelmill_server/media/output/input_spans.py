"""Where the inputs of an output lie, and how long they turn out to be."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

from reelmill_server.media.input.part import Span
from reelmill_server.model.plan import InputPlan, TargetPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS

_NOTHING = Fraction(0)


class InputSpans:
    """The spans of the inputs that have begun, and the lengths of the concatenated ones that have ended; by their numbers.

    Aligned inputs end where the concatenated ones do.
    """

    def __init__(self, inputs: Sequence[InputPlan]) -> None:
        self._inputs = inputs
        self.begun: dict[int, Span] = {}
        self.lengths: dict[int, Fraction] = {}
        self._main_length = _NOTHING
        self._limit: Fraction | None = None  # length of the concatenated inputs, once they have ended
        self._attached_lengths: defaultdict[int, Fraction] = defaultdict(Fraction)

    def begin(self, number: int, span: Span) -> Span:
        """Note the span of an input that begins, and return as much of it as is wanted."""
        self.begun[number] = span = self.limited(number, span)
        return span

    def end(self, number: int, end: Fraction | None) -> Fraction:
        """Note the end of an input, in the source's seconds, and return its length; None: where the concatenated inputs end."""
        if end is None:
            return max(_NOTHING, self._main_length - self._attached_lengths[number])
        length = max(_NOTHING, end - self.begun[number].begin)
        if self._inputs[number].attached:
            if self._limit is not None and self.is_aligned(number):
                length = min(length, max(_NOTHING, self._limit - self._attached_lengths[number]))
            self._attached_lengths[number] += length
        else:
            self._main_length += length
            self.lengths[number] = length
        return length

    def end_main(self) -> None:
        """Note that the concatenated inputs have ended."""
        self._limit = self._main_length

    def is_aligned(self, number: int) -> bool:
        """Return whether an input is as long as the concatenated ones."""
        return self._inputs[number].align is not AlignMode.NONE

    def limited(self, number: int, span: Span) -> Span:
        """Return the span of an input up to where the concatenated inputs have ended, if it is aligned and they have."""
        if self._limit is None or not self.is_aligned(number):
            return span
        end = span.begin + max(_NOTHING, self._limit - self._attached_lengths[number])
        return replace(span, end=end if span.end is None else min(span.end, end))


def planned_span(files: Sequence[TargetPlan], plan: InputPlan, key: Fraction) -> Span:
    """Return the span of an input that the files of one target take.

    Copied video can only begin at a keyframe; everything beside it then begins there, too.
    """
    at_key = any(stream.begins_at_key for file in files for stream in file.streams)
    begin = Fraction(plan.origin_us + plan.start_us, MICROSECONDS)
    end = Fraction(plan.origin_us + plan.end_us, MICROSECONDS) if plan.end_us else None
    return Span(min(key, begin) if at_key and plan.start_us else begin, end, from_front=not plan.start_us)
