"""Read the inputs of a plan: the concatenated ones, and those attached beside them."""

from collections.abc import Sequence
from fractions import Fraction

from av.container import InputContainer

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.part import own_parts
from reelmill_server.media.input.reader import Reader
from reelmill_server.media.input.restarts import begins_again
from reelmill_server.media.input.seek import rewind
from reelmill_server.model.plan import InputPlan, StreamPlan
from reelmill_server.model.request import AlignMode
from reelmill_server.model.time import MICROSECONDS


class ConcatReader:
    """Read inputs one after the other; `loops`: again and again. `lead_in` as for Reader."""

    def __init__(
        self,
        numbers: Sequence[int],
        inputs: Sequence[InputPlan],
        sources: Sequence[InputContainer],
        streams: Sequence[StreamPlan],
        lead_in: Fraction | None = None,
    ) -> None:
        self.plan = inputs[numbers[0]]
        self.loops, self.aligned = self.plan.align is AlignMode.LOOP, self.plan.align is not AlignMode.NONE
        self._inputs, self._sources, self._streams, self._lead_in = inputs, sources, streams, lead_in
        self._todo = list(numbers)
        self._numbers = numbers
        self._before = Fraction(0)
        self.reader: Reader | None = None
        self.exhausted = False

    @property
    def position(self) -> Fraction:
        """Return how many seconds were read, from the beginning of the first input."""
        return self._before + (self.reader.position if self.reader else 0)

    @property
    def last(self) -> bool:
        """Return whether no input follows the current one."""
        return not self._todo

    def expected(self) -> Fraction:
        """Return how long all inputs together will be, seconds, as far as is known so far; 0: unknown."""
        reader = self.reader
        parts = [reader.expected()] if reader else []
        for number in list(self._todo):
            claimed = Fraction(self._inputs[number].duration_us, MICROSECONDS)
            # Without a claimed duration, assume the byte rate of the current input.
            parts.append(claimed or (reader.pace * max(self._sources[number].size, 0) if reader else Fraction(0)))
        return self._before + sum(parts) if all(parts) else Fraction(0)

    def next(self) -> Reader | None:
        """Begin the next input; None when there is none."""
        if self.reader is not None:
            self._before += self.reader.length()
        if self.loops and not self._todo and self.reader is not None:
            if not self.reader.position:
                raise InvalidMedia(f"sources[{self.plan.source}]: gave nothing that could be repeated")
            self._todo = list(self._numbers)
            source = self._sources[self._numbers[0]]
            if source.format.name == "ogg" and begins_again(source):  # libav finds its streams only once
                raise InvalidMedia(f"sources[{self.plan.source}]: Ogg in which streams follow each other cannot be repeated")
            rewind(source)
        if not self._todo:
            self.reader, self.exhausted = None, True
            return None
        number = self._todo.pop(0)
        used = frozenset(part.stream for stream in self._streams for part in own_parts(stream) if part.input == number)
        self.reader = Reader(number, self._inputs[number], self._sources[number], used, self._lead_in)
        self.reader.part.alone = len(self._numbers) == 1 and not self.aligned
        return self.reader


def concat_readers(
    inputs: Sequence[InputPlan],
    sources: Sequence[InputContainer],
    streams: Sequence[StreamPlan],
    lead_in: Fraction | None = None,
) -> tuple[ConcatReader, list[ConcatReader]]:
    """Return the reader of the concatenated inputs, and one for each attached input that one of `streams` uses."""
    main = [number for number, plan in enumerate(inputs) if not plan.attached]
    used = {part.input for stream in streams for part in stream.parts}
    attached = [number for number, plan in enumerate(inputs) if plan.attached and number in used]
    return ConcatReader(main, inputs, sources, streams, lead_in), [
        ConcatReader([number], inputs, sources, streams) for number in attached
    ]
