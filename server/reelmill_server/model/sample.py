"""Samples on which the CRF for a quality is searched, and what comes of them: plain data that crosses the engine."""

from dataclasses import dataclass

from reelmill_server.model.units import VideoUnit


@dataclass(frozen=True)
class Sample:
    """A span of one part of a stream: the number of the part, and the span of its input as a chunk of it.

    `scout`: it only tells at which settings the others, which contain it, are worth trying.
    """

    part: int
    span: VideoUnit
    scout: bool = False


@dataclass(frozen=True)
class StreamSearch:
    """The search for the CRF of stream `stream` of the plan's target `slot`, both indexes, on `samples`, the one to begin with
    first.
    """

    slot: int
    stream: int
    samples: tuple[Sample, ...]


@dataclass(frozen=True)
class Trial:
    """A sample to be encoded at each of `crfs`: the number of the search among those of the task, and of the sample in it."""

    search: int
    sample: int
    crfs: tuple[float, ...]


@dataclass(frozen=True)
class SampleScores:
    """Scores that a trial gave: how many frames the sample has, and the score at each of its CRFs, in their order; of a sample
    without frames, none.
    """

    trial: Trial
    frames: int
    scores: tuple[float, ...] = ()
