"""Context of the streams of a target, and the rules that hold for every kind of stream."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from reelmill_server.model.media_info import StreamInfo
from reelmill_server.model.plan import StreamPlan
from reelmill_server.model.request import TargetSpec
from reelmill_server.plan.codec.containers import Container
from reelmill_server.plan.context import PlanFacts
from reelmill_server.plan.inputs import Input, Inputs

COPY_TAGS = {(muxer, "hevc"): "hvc1" for muxer in ("mp4", "mov")}
"""Codec tags that players expect where libav would write another: Apple's refuse `hev1`."""
FIRST = (0,)
"""The streams of a kind that are taken where none are asked for, by their numbers."""


@dataclass(frozen=True)
class TargetContext:
    """A target being planned and all that its streams depend on; `warnings` collects messages for the user."""

    target: TargetSpec
    inputs: Inputs
    container: Container
    facts: PlanFacts
    warnings: list[str]

    def warn(self, text: str) -> None:
        """Add a warning about the target."""
        self.warnings.append(f"{self.target.field}{text}")

    def warn_of_edits(self, kind: str, members: Iterable[tuple[Input, StreamInfo | None]]) -> None:
        """Add warnings about edit lists of the streams of a kind that are not followed."""
        for item, stream in members:
            if stream and stream.unfollowed:
                what = f"the edit list of the {kind} of sources[{item.source_number}] {stream.unfollowed}"
                self.warn(f".{kind}: {what}, which is not followed: its frames are shown or heard at other times")

    def speed(self, kind: str) -> Fraction:
        """Return the playback speed of a kind of stream (`video`, `audio`)."""
        own = self.target.video.speed if kind == "video" and self.target.video else Fraction(1)
        return own if self.target.speed == 1 else self.target.speed


def reference_input(inputs: Inputs, streams: Callable[[Input], Sequence[StreamInfo]]) -> Input | None:
    """Return the input with the defaults of a kind of stream: the primary one, or the first that has such streams."""
    return next((item for item in (inputs.primary, *inputs.main) if streams(item)), None)


def with_tag(context: TargetContext, stream: StreamPlan) -> StreamPlan:
    """Return `stream` with the codec tag that players expect."""
    return replace(stream, codec_tag=COPY_TAGS.get((context.container.muxer, stream.codec), ""))
