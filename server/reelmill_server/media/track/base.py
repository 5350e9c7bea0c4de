"""Tracks: what one output does with one of its streams.

A track is given the parts of its stream one after the other, each in the order of its source. Times are exact: timestamps
are compared and moved as rational numbers, in seconds from the source's own zero.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from av.container import InputContainer
from av.stream import Disposition

from reelmill_server.errors import InvalidMedia
from reelmill_server.media.input.account import UNTIMED, Accountant
from reelmill_server.media.input.bundle import Run
from reelmill_server.media.input.decoding import BROKEN_SHARE
from reelmill_server.media.input.letters import Letters
from reelmill_server.media.input.part import Part, Span, own_parts
from reelmill_server.media.input.sights import Sight
from reelmill_server.media.input.tally import StreamTotals
from reelmill_server.media.libav.frame_sample import FrameSample
from reelmill_server.media.libav.likeness import GivenFrames
from reelmill_server.media.libav.timestamps import Extent
from reelmill_server.media.libav.types import AnyPacket
from reelmill_server.model import tags
from reelmill_server.model.loudness import LoudnessResult
from reelmill_server.model.plan import COPY, ImagePlan, StreamPlan, TargetPlan
from reelmill_server.model.quality import Metric

_DROPPED_METADATA = frozenset("encoder duration major_brand minor_version compatible_brands language role".split())
_STEREO = "stereo_mode"
_STATISTICS = frozenset("bps number_of_frames number_of_bytes".split())  # of mkvmerge, with `_STATISTICS_TAGS` and others


@dataclass
class StreamStats:
    """Statistics of one written stream: packets, bytes, extent in time, and the mean scores of its quality that were
    measured.

    `taken`: how many frames of the source went into the filters; `held`: how many from before the span are shown in it;
    `captioned`: how many have closed captions, of which `captions_lost` pairs of bytes found no place, and `caption_data`: how
    many have those or fillers in their place (0 of joined chunks);
    `encoded`: how many packets of a copy were encoded, in place of as many of the source at the edges of a cut.
    `ahead`: how many packets from after the span are in it, as others refer to them; `dropped`: how many frames or packets were
    left out on purpose, by reason. Of video at a constant rate: how many frames
    were `skipped` and `repeated` for it, and how many are `black`. Of encoded audio: `samples` of it, of which `silent` ones
    fill gaps, and samples that were `cut` off, by reason; its `loudness` if it was measured, and the `decoded_peak`, dBTP of
    what its packets decode to, if that was. Of what an accelerator encoded:
    samples of the frames that it was `given`. `sight`: how its source looks or sounds where the span begins.
    `letters`: those of the subtitles that went in.
    `silence`: seconds of it that a container needs before and behind copied audio. `in_gap`: no packet of it lies in the span.
    """

    packets: int = 0
    size_bytes: int = 0
    extent: Extent = field(default_factory=Extent)
    scores: dict[Metric, float] = field(default_factory=dict)
    taken: int = 0
    held: int = 0
    captioned: int = 0
    caption_data: int = 0
    captions_lost: int = 0
    ahead: int = 0
    encoded: int = 0
    samples: int = 0
    silent: int = 0
    skipped: int = 0
    repeated: int = 0
    black: int = 0
    loudness: LoudnessResult | None = None
    decoded_peak: float | None = None
    given: GivenFrames | None = None
    sight: Sight | None = None
    letters: Letters | None = None
    silence: tuple[Fraction, Fraction] = (Fraction(0), Fraction(0))
    in_gap: bool = False
    cut: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)

    def count(self, packet: AnyPacket, base: Any = None) -> None:
        """Count a packet that is about to be written; `base` is its time base, where that is known already."""
        self.packets += 1
        self.size_bytes += packet.size
        pts = packet.pts
        if pts is not None and (base is not None or (base := packet.time_base)):
            self.extent.add(pts, packet.duration or 0, base)

    def count_all(self, packets: Sequence[AnyPacket], base: Any) -> None:
        """Count packets that have times and durations, in ticks of `base`."""
        shown: list[Any] = [packet.pts for packet in packets]
        self.add_all(sum([packet.size for packet in packets]), shown, [packet.duration or 0 for packet in packets], base)

    def add_all(self, size_bytes: int, begins: Sequence[int], durations: Sequence[int], base: Any) -> None:
        """Count packets by their columns, in ticks of `base`."""
        self.packets += len(begins)
        self.size_bytes += size_bytes
        self.extent.add_all(begins, durations, base)


class Track:
    """Make one stream of an output from the parts of its sources.

    An output calls `begin` for each part, then `feed` for its frames or packets (as `wants_frames` says) with `reach` in
    between, and `end`; after the last part, `finish`. What these yield are the packets to write. By default nothing is made: a
    track overrides what concerns it.

    `frames` counts what was to be written, `unordered` what of it was left out as its time is not after the one before.
    """

    wants_frames = False
    follows_position = False
    """Whether the track makes packets as the output grows: `advance` is called with how far it reaches."""
    sample: FrameSample | None = None
    """Gives frames as they are encoded; None: the track encodes none."""
    items = "frames"
    """Name of what is counted, in warnings."""

    shown_until: Fraction | None = None
    """Where the output ends, seconds, although frames that are shown later are in it, and its container can say so."""

    def __init__(self, plan: StreamPlan) -> None:
        self.plan, self.written = plan, StreamStats()
        self.frames = self.unordered = 0
        self._clock, self._span = Clock(plan), Span(Fraction(0), None)

    def begin(self, part: Part, span: Span) -> None:
        """Begin a part where the one before it ended; all calls until its end speak of it."""
        self._span = span

    def feed(self, part: Part, stream: int, item: Any) -> Iterator[AnyPacket]:
        """Take a frame or a packet of source stream `stream`."""
        return iter(())

    def feed_all(self, part: Part, run: Run) -> Sequence[Sequence[AnyPacket]]:
        """Take a run of packets, and return what is to be written once each has come."""
        return [list(self.feed(part, run.index, item)) for item in run.packets]

    def shorten(self, part: Part, span: Span) -> None:
        """Let the part that has begun end earlier, with `span`."""
        self._span = span

    def reach(self, part: Part, seconds: Fraction) -> Iterator[AnyPacket]:
        """Fill up what is generated rather than read: the part lasts at least `seconds`.

        For a padded part this is called only after all of it was read.
        """
        return iter(())

    def advance(self, position: Fraction) -> Iterator[AnyPacket]:
        """Release what belongs beside the other streams, which reach `position`, seconds of the output."""
        return iter(())

    def end(self, part: Part, length: Fraction, last: bool) -> Iterator[AnyPacket]:
        """End the part after `length` seconds; `last`: nothing follows it."""
        return iter(())

    def finish(self) -> Iterator[AnyPacket]:
        """Release what was held back."""
        return iter(())

    def given(self, accountant: Accountant, from_key: bool) -> StreamTotals | None:
        """Return what reading gave for the track, as `accountant` has counted it; None: unknown. `from_key` as there."""
        return accountant.given(self.plan, self.wants_frames, from_key)

    def warnings(self, target: TargetPlan | ImagePlan) -> Iterator[str]:
        """Yield what the user of `target` should know, once all is written. Raises InvalidMedia when too much was left out."""
        if self.unordered:
            yield left_out(self.unordered, self.frames, f"{self.items} of the source go back in time")
        if untimed := self.written.dropped[UNTIMED]:
            yield left_out(untimed, untimed + self.frames, f"{self.items} of the source have no time")


def left_out(count: int, total: int, what: str) -> str:
    """Word a warning that `count` of `total` items, `what`, were left out. Raises InvalidMedia when they are too many."""
    text = f"{count} of {total} {what}"
    if count > total * BROKEN_SHARE:
        raise InvalidMedia(text)
    return f"{text}: left out"


class Clock:
    """Position of a track on the output's clock: parts follow each other, and `speed` divides all times."""

    def __init__(self, plan: StreamPlan) -> None:
        self.speed = plan.speed
        self.offset = Fraction(0)

    def at(self, seconds: Fraction) -> Fraction:
        """Return the output's time of `seconds` into the part."""
        return (self.offset + seconds) / self.speed

    def advance(self, length: Fraction) -> None:
        """End the part after `length` seconds."""
        self.offset += length


def nearest(value: Fraction) -> int:
    """Round to the nearest integer, halves always up, so that equal distances stay equal."""
    return int((value + Fraction(1, 2)) // 1)


def copy_metadata(source: Mapping[str, str]) -> dict[str, str]:
    """Return titles and the like, without what describes the old file itself, and without what is too long."""
    kept = tags.bounded(source)
    return {key: value for key, value in (*tags.translated(kept).items(), *kept.items()) if not _describes_file(key)}


def _describes_file(key: str) -> bool:
    name = key.lower().partition("-")[0]
    return name in _DROPPED_METADATA or name in _STATISTICS or name.startswith("_statistics")


def template_of(plan: StreamPlan, sources: Sequence[InputContainer]) -> Any:
    """Return the stream that lends the output stream its description: that of the first part that is read.

    `sources` follow the plan's inputs.
    """
    part = own_parts(plan)[0]
    return sources[part.input].streams[part.stream]


def describe(stream: Any, plan: StreamPlan, sources: Sequence[InputContainer], keep_metadata: bool) -> None:
    """Carry over a stream's description: language and disposition always, the rest if `keep_metadata`."""
    source = template_of(plan, sources)
    if keep_metadata:
        kept = copy_metadata(source.metadata)
        if plan.encoder != COPY:
            kept.pop(_STEREO, None)  # Matroska's muxer takes it for a fact, and halves the width that is displayed
        stream.metadata.update(kept)
    language = tags.language(source.metadata)
    if language and language != "und":
        stream.metadata["language"] = language
    stream.disposition = Disposition(int(source.disposition) & ~int(Disposition.attached_pic))
