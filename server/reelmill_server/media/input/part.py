"""Parts: the span of an input that a target takes, during one reading of it."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from av.container import InputContainer

from reelmill_server.media.input.audio_blocks import AudioBlocks
from reelmill_server.media.input.codec_change import CodecChanges
from reelmill_server.media.input.frame_times import FrameTimes, VideoTimes
from reelmill_server.media.libav.timestamps import Extent, TimeBases
from reelmill_server.model.plan import PartPlan, StreamPlan, StreamType
from reelmill_server.model.time import MICROSECONDS

# A request's seconds are decimal, a source's timestamps are not: a frame this close to an edge counts as on it.
TOLERANCE = Fraction(1, MICROSECONDS)


@dataclass(frozen=True)
class Span:
    """A span of the source, in the source's own seconds; `end` None: until the end.

    `from_front`: it begins with the source. Then nothing lies before it, although audio priming and what an edit list hides
    have timestamps before the source's first.
    """

    begin: Fraction
    end: Fraction | None
    from_front: bool = False

    @property
    def whole(self) -> bool:
        """Whether it is all of the source."""
        return self.from_front and self.end is None

    def before(self, time: Fraction) -> bool:
        """Return whether `time` is before the span."""
        return not self.from_front and time < self.begin - TOLERANCE

    def after(self, time: Fraction) -> bool:
        """Return whether `time` is at or after the span's end."""
        return self.end is not None and time >= self.end - TOLERANCE


@dataclass(eq=False)
class Part:
    """One reading of one input. `key`: the time of the keyframe from which it is read; `padded`: what is missing at its end
    becomes black and silent.

    `extents`: how far each stream was read, by its index; video ends with the frame shown last.
    `untold` holds the streams with packets that do not say how long they last.
    `over` holds the tracks and streams that have all of their span: writing threads add, the reading thread looks. `shown`
    counts the frames of a source without timestamps; `times` and `video_times` complete those of audio and of video frames, by
    stream, and `blocks` join those of audio. `sought`: where the span begins, seconds of the source; None: with it.
    `changes`: of codecs midway; None: there are none. `alone`: nothing is joined to it, so that no stream needs to end with it.
    """

    number: int
    source: InputContainer
    key: Fraction
    padded: bool = False
    shown: int = 0
    extents: Mapping[int, Extent] = field(default_factory=dict)
    untold: set[int] = field(default_factory=set)
    over: set[tuple[int, int]] = field(default_factory=set)
    sought: Fraction | None = None
    times: defaultdict[int, FrameTimes] = field(default_factory=lambda: defaultdict(FrameTimes))
    video_times: dict[int, VideoTimes] = field(default_factory=dict)
    changes: CodecChanges | None = None
    alone: bool = False
    blocks: defaultdict[int, AudioBlocks] = field(default_factory=lambda: defaultdict(AudioBlocks))

    @cached_property
    def bases(self) -> TimeBases:
        """The time bases of the source's packets."""
        return TimeBases(self.source)

    def close(self, track: object, stream: int) -> None:
        """Note that `track` wants no more of `stream`."""
        self.over.add((id(track), stream))

    def reached(self, stream: int) -> Fraction | None:
        """Return where the stream ends as far as it was read, seconds of the source; None: unknown."""
        extent = self.extents.get(stream)
        return None if extent is None or stream in self.untold else extent.end

    def end_of(self, stream: int) -> Fraction:
        """Return where a stream ends of which packets were read, seconds of the source; of audio, without its padding."""
        times = self.times.get(stream)
        return self.extents[stream].last if times is None or times.final is None else times.final

    def wanted(self, track: object, stream: int) -> bool:
        """Return whether `track` still wants `stream`."""
        return (id(track), stream) not in self.over


def own_parts(plan: StreamPlan) -> list[PartPlan]:
    """Return the parts that are read together with the inputs: not generated, not from subtitle files, not cover pictures."""
    return [] if plan.type == StreamType.PICTURE else [part for part in plan.parts if part.stream >= 0 and part.file is None]
