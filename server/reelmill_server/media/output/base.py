"""Base of all outputs: the tracks, and the thread that filters, encodes and writes them."""

import threading
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import chain, repeat
from typing import Any

import av
from av import Packet

from reelmill_server.errors import ReelmillError, UnsupportedFormat
from reelmill_server.media.input.audio_blocks import AudioBlock
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.part import TOLERANCE, Part, Span
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.libav.errors import meaning_of_writing
from reelmill_server.media.libav.log import error_text
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.media.output.in_order import InOrder, Packets
from reelmill_server.media.output.input_spans import InputSpans, planned_span
from reelmill_server.media.output.queue import WORKING_BYTES, EventQueue, OwnEvents
from reelmill_server.media.track.base import StreamStats, Track
from reelmill_server.model.plan import ImagePlan, Plan, StreamType, TargetPlan
from reelmill_server.model.time import MICROSECONDS

_SAMPLE_BYTES = 4
_LARGE_BYTES = 16 << 10  # of a packet


class Stopped(Exception):
    """Raised when the attempt was asked to stop."""


class StopSignal:
    """Tell the threads of one conversion to end: the attempt was asked to stop, or the conversion has failed.

    A failed conversion leaves the attempt itself free to try another one.
    """

    def __init__(self, attempt: threading.Event) -> None:
        self._attempt, self._failed = attempt, threading.Event()

    def set(self) -> None:
        """End this conversion, but not the attempt."""
        self._failed.set()

    def is_set(self) -> bool:
        """Return whether to end."""
        return self._failed.is_set() or self._attempt.is_set()


@dataclass(frozen=True)
class MediaFile:
    """A written media file: its path, its plan, and statistics of each stream in the plan's order.

    `given`: what reading gave for each stream; None: nothing, or it is not known.
    """

    path: str
    plan: TargetPlan
    written: tuple[StreamStats, ...]
    given: tuple[StreamTotals | None, ...] = ()


# A step of the writing thread: gives the packets that become ready, all at once, one by one, or later.
_Event = Callable[[], Packets]


class Output(ABC):
    """Write one entry of a plan on a thread of its own. All methods but `_work` and what it calls belong to the reading thread.

    `fed`: it takes frames and packets from the shared reading; otherwise it reads the sources by itself. `shares_audio`: its
    audio may be encoded on another thread, with that of others. `begun`: something may have been written.
    """

    fed = True
    shares_audio = False
    tracks: tuple[Track, ...] = ()

    def __init__(self, plan: TargetPlan | ImagePlan, task: Plan, path: str, stop: StopSignal) -> None:
        """`plan` is one entry of the whole plan `task`; `path` is where the result is written."""
        self.plan, self.path = plan, path
        self.error: BaseException | None = None
        self.notes: list[str] = []
        self._inputs, self._stop = task.inputs, stop
        # The files of one target begin together; images begin where they were requested.
        self._files = [file for file in task.targets if file.index == plan.index] if isinstance(plan, TargetPlan) else []
        self._spans = InputSpans(task.inputs)
        self._open_parts: dict[int, Part] = {}
        self._followers: Sequence[Track] = ()
        self._reaching = True
        self.begun = False
        self._order = InOrder()
        self._events: EventQueue[_Event] = EventQueue[_Event](self.check, list)
        self._thread = threading.Thread(target=self._work, name=f"target-{plan.index}", daemon=True)

    @property
    def position(self) -> Fraction:
        """Return how far the output reaches, seconds."""
        return max((track.written.extent.last for track in self.tracks), default=Fraction(0))

    @property
    def frames(self) -> int:
        """Return how many video frames were written."""
        return max((track.written.packets for track in self.tracks if track.plan.type == StreamType.VIDEO), default=0)

    @property
    def from_key(self) -> bool:
        """Whether the output begins at the keyframe before the span, as copied video must."""
        return any(stream.begins_at_key for file in self._files for stream in file.streams)

    def _note(self, text: str) -> None:
        self.notes.append(f"{self.plan.field}: {text}")

    def start(self) -> None:
        """Start the writing thread."""
        self._prepare()
        self._thread.start()

    def write_alone(self, steps: Iterator[None]) -> None:
        """Write everything on this thread, which reads, too: each of `steps` gives something. Raises what a step does.

        What writing fails with is told by `join`.
        """
        self._events = events = OwnEvents[_Event](self.check, steps)
        self._prepare()
        self._work()
        if events.failure is not None:
            raise events.failure

    def _prepare(self) -> None:
        self.begun = True
        self._followers = [track for track in self.tracks if track.follows_position]
        self._reaching = any(type(track).reach is not Track.reach for track in self.tracks)

    def begin(self, part: Part) -> None:
        """Begin an input. Like the methods below, this waits while the queue is full, and raises what the writing thread failed
        with, or Stopped.
        """
        self._events.give(partial(self._begin, part))

    def give(self, part: Part, track: Track, stream: int, item: Any) -> None:
        """Hand a frame or a packet to a track."""
        # There may be many, and there is seldom anybody who follows.
        feed = partial(self._feed, part, track) if self._followers else partial(track.feed, part)
        event = partial(feed, stream, item)
        if isinstance(item, Packet):
            self._events.give(event, item.size)
        elif isinstance(item, AudioBlock):
            frame = item.frame
            self._events.give(event, max(frame.samples * frame.layout.nb_channels * _SAMPLE_BYTES, WORKING_BYTES))
        else:
            self._events.give(event)

    def give_all(self, part: Part, order: Sequence[int], runs: Sequence[tuple[Track, Run]]) -> None:
        """Hand runs of packets to tracks; `order`: the source stream of each packet, as they were read."""
        size, count = sum(run.size_bytes for _, run in runs), len(order)
        # Both threads may work on large ones at once.
        self._events.give(partial(self._feed_all, part, order, runs), size, count if size < count * _LARGE_BYTES else 1)

    def reach(self, part: Part, seconds: Fraction) -> None:
        """Tell that the part lasts at least `seconds`."""
        for track in self._tracks_of(part) if self._reaching else ():
            self._events.give(partial(track.reach, part, seconds))

    def end(self, part: Part, end: Fraction | None, last: bool) -> None:
        """End a part at `end`, in the source's seconds; None: where the concatenated inputs end."""
        self._events.give(partial(self._end, part, end, last))

    def finish(self) -> None:
        """Tell that nothing more comes."""
        self._events.finish()

    def settle(self) -> None:
        """Wait until everything given so far is processed, so that parts know which tracks want no more of them."""
        self._events.give(self._settle)
        self._events.settle()

    def _settle(self) -> list[AnyPacket]:
        self._order.settle()
        return []

    def join(self) -> None:
        """Wait until everything is written. Raises what writing failed with, or Stopped."""
        if self._thread.ident is not None:
            self._thread.join()
        self.check()

    def check(self) -> None:
        """Raise what the writing thread failed with, or Stopped."""
        if isinstance(self.error, av.error.FFmpegError):
            raise self._failure(self.error) from self.error
        if self.error is not None:
            raise self.error
        if self._stop.is_set():
            raise Stopped

    def _work(self) -> None:
        """Run the writing thread."""
        try:
            self._write()
        except BaseException as error:
            self.error = error  # what it means is asked later: now there may be no memory to find out

    @abstractmethod
    def _write(self) -> None:
        """Write everything."""

    def _failure(self, error: Exception) -> ReelmillError:
        """Classify a failure of libav: a lack of memory or disk, which may pass, or the fault of what is written."""
        form = self.plan.container if isinstance(self.plan, TargetPlan) else self.plan.format
        where = f"{self.plan.field}: {form}"
        return meaning_of_writing(error, where, UnsupportedFormat(f"{where} does not take this media: {error_text(error)}"))

    def _packets(self) -> Iterator[AnyPacket]:
        """Yield the packets to write."""
        return chain.from_iterable(self._bundles())

    def _bundles(self) -> Iterator[Sequence[AnyPacket]]:
        """Yield the packets to write, those together that became ready together."""
        for event in self._events:
            yield from self._order.add(event())
        yield from self._order.rest()
        for track in self.tracks:
            for packet in track.finish():
                yield (packet,)

    def _tracks_of(self, part: Part) -> list[Track]:
        return [track for track in self.tracks if any(planned.input == part.number for planned in track.plan.parts)]

    def _begin(self, part: Part) -> Iterator[AnyPacket]:
        self._open_parts[part.number] = part
        span = self._span_of(part)
        for track in self._tracks_of(part):
            track.begin(part, span)
        return iter(())

    def _feed(self, part: Part, track: Track, stream: int, item: Any) -> Iterator[AnyPacket]:
        yield from track.feed(part, stream, item)
        for follower in self._followers:
            yield from follower.advance(self.position)

    def _feed_all(self, part: Part, order: Sequence[int], runs: Sequence[tuple[Track, Run]]) -> list[AnyPacket]:
        if self._followers:
            return self._feed_in_turn(part, order, runs)
        by_stream = defaultdict(list)
        for track, run in runs:
            by_stream[run.index].append(track.feed_all(part, run))
        nothing = repeat(())
        packets = {index: _together(by_stream[index]) if index in by_stream else nothing for index in {*order}}
        return [packet for index in order for packet in next(packets[index])]

    def _feed_in_turn(self, part: Part, order: Sequence[int], runs: Sequence[tuple[Track, Run]]) -> list[AnyPacket]:
        """Feed packet by packet, as others follow."""
        waiting = [(track, run.index, iter(run.packets)) for track, run in runs]
        ready: list[AnyPacket] = []
        for index in order:
            for track, stream, packets in waiting:
                if stream == index:
                    ready += self._feed(part, track, stream, next(packets))
        return ready

    def _end(self, part: Part, end: Fraction | None, last: bool) -> Iterator[AnyPacket]:
        length = self._spans.end(part.number, end)
        for track in self._tracks_of(part):
            yield from track.end(part, length, last)
        if last and not self._inputs[part.number].attached:
            self._spans.end_main()
            self._shorten_aligned()

    def _shorten_aligned(self) -> None:
        """End the aligned inputs where the concatenated ones have ended."""
        for number, part in self._open_parts.items():
            if self._spans.is_aligned(number):
                span = self._spans.limited(number, self._spans.begun[number])
                for track in self._tracks_of(part):
                    track.shorten(part, span)

    def _span_of(self, part: Part) -> Span:
        plan = self._inputs[part.number]
        span = self._spans.begin(part.number, planned_span(self._files, plan, part.key))
        begins = span.begin - Fraction(plan.origin_us, MICROSECONDS)
        early = Fraction(plan.start_us, MICROSECONDS) - begins
        if early > TOLERANCE:
            self._note(f"begins at {float(begins):.3f} s of the source, {float(early):.3f} s before the requested start")
        return span

    def close(self) -> None:
        """End the thread, whatever happened before."""
        if self._thread.is_alive():
            self._thread.join()


def _together(batches: Sequence[Sequence[Sequence[AnyPacket]]]) -> Iterator[Iterable[AnyPacket]]:
    """Return what each packet of a stream gives to all tracks that take it."""
    return iter(batches[0]) if len(batches) == 1 else (chain.from_iterable(each) for each in zip(*batches, strict=True))
