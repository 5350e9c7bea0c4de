"""Feed outputs that copy all that they take: packets go from the demuxer to the muxers in bundles."""

from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from reelmill_server.media.conversion.feed import Feed
from reelmill_server.media.input.bundle import Bundle, Run
from reelmill_server.media.input.concat import ConcatReader
from reelmill_server.media.input.part import Part
from reelmill_server.media.input.seek import broken_off
from reelmill_server.media.output.base import Output, Stopped
from reelmill_server.media.track.base import Track
from reelmill_server.model.plan import Plan

_CHANGING_FORMATS = ("ogg",)  # the time base of a stream may change with each of its packets
_PARSED_FORMATS = ("mpegts",)
_LARGE_BITRATES = range(20_000_000, 200_000_001)  # of more, too much would be read ahead


def copies(plan: Plan, outputs: Sequence[Output], sources: Sequence[Any]) -> bool:
    """Return whether `CopyFeed` can feed all outputs: nothing is decoded, and nothing read beside what is concatenated."""
    decoding = any(track.wants_frames for output in outputs if output.fed for track in output.tracks)
    beside = any(entry.attached for entry in plan.inputs)
    return not (decoding or beside or any(source.format.name in _CHANGING_FORMATS for source in sources))


def reads_apart(plan: Plan, sources: Sequence[Any]) -> bool:
    """Return whether a thread of its own should read what is copied to one output.

    Mostly that is too little work to share: what another core writes than has read it is fetched from memory again. But
    large packets of MPEG-TS are put together and parsed, which takes nearly as long as to write them. Not where reading ends
    early: how much more is read, and what is said of it, should not depend on which thread is faster.
    """
    if any(entry.end_us for entry in plan.inputs):
        return False
    return any(source.format.name in _PARSED_FORMATS and (source.bit_rate or 0) in _LARGE_BITRATES for source in sources)


class CopyFeed(Feed):
    """Feed outputs from one reading of a plan's inputs, of which nothing is decoded."""

    def _step(self, inputs: ConcatReader, until: Fraction | None = None) -> None:
        """Read a bundle of packets. At the end of an input the next one begins."""
        reader = inputs.reader or self._begin(inputs)
        if reader is None:
            return
        bundle = reader.bundle()
        if self._stop.is_set():
            raise Stopped
        if bundle.error is not None:
            self.warnings.append(broken_off(bundle.error))
        for packet in [packet for run in bundle.runs for packet in run.packets if packet.is_corrupt]:
            self._mark_damaged(reader, packet)
        self._give_all(reader.part, bundle)
        if bundle.over:
            self._check_end(reader)
        if bundle.over or self._enough(reader):
            self._end(inputs, reader)

    def _give_all(self, part: Part, bundle: Bundle) -> None:
        given: defaultdict[Output, list[tuple[Track, Run]]] = defaultdict(list)
        for run in bundle.runs:
            listening = self._listening.get((part.number, run.index), ())
            active = [entry for entry in listening if part.wanted(entry[1], run.index)]
            if not active:
                continue
            if part.changes is not None:
                for packet in run.packets:
                    part.changes.check(packet)
            self._accountant.run(part, run)
            *others, (last, its_track) = active
            for output, track in others:
                given[output].append((track, run.twin()))
            given[last].append((its_track, run))
        for output, runs in given.items():
            output.give_all(part, bundle.order, runs)
