"""Collect the parts of a command while it is put together."""

from collections.abc import Sequence
from fractions import Fraction

from reelmill_server.model.media_info import MediaInfo
from reelmill_server.model.plan import PartPlan, Plan
from reelmill_server.model.request import ConvertRequest
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.plan.ffmpeg.filters import Chain, Graph
from reelmill_server.plan.ffmpeg.inputs import InputList
from reelmill_server.plan.ffmpeg.lengths import Lengths
from reelmill_server.plan.ffmpeg.names import Names
from reelmill_server.plan.ffmpeg.notes import Notes

_CONCAT = {"video": "concat=n={}", "audio": "concat=n={}:v=0:a=1"}
_NOTHING = {"video": "null", "audio": "anull"}


class Draft:
    """A command in the making: inputs, the graph of filters, and notes."""

    def __init__(self, request: ConvertRequest, plan: Plan, infos: Sequence[MediaInfo]) -> None:
        """`infos` are of the sources of the request, in their order; empty: not known."""
        self.plan, self.notes, self.graph = plan, Notes(), Graph()
        self.names = Names(self.notes)
        self.inputs = InputList(request, plan, infos, self.names)
        self.lengths = Lengths(plan, infos)

    def unknown_length(self, item: int) -> None:
        """Note that the length of a part is not known."""
        source = self.plan.inputs[item].source
        self.notes.add(f"sources[{source}] does not say how long it is: its part ends with its own last frame")

    def generated(self, part: PartPlan, filters: tuple[str, ...], cut: str) -> Chain:
        """Return the chain that generates black or silence, as long as `cut` says; empty: not known."""
        if not cut:
            self.unknown_length(part.input)
            seconds = Fraction(self.plan.inputs[part.input].duration_us, MICROSECONDS) or Fraction(1)
            cut = f"trim=duration={float(seconds):g}"
        return Chain((), (*filters, cut))

    def concatenated(self, chains: Sequence[Chain], kind: str) -> Chain:
        """Return the chain that concatenates `chains`; `kind` is video or audio."""
        if len(chains) == 1:
            return chains[0]
        pads = tuple(self.graph.close(chain, _NOTHING[kind]) for chain in chains)
        return Chain(pads, (_CONCAT[kind].format(len(chains)),))

    def table(self, text: str) -> str:
        """Return a filter of the plan, its color table named as a file."""
        before, mark, rest = text.partition("lut3d=file=")
        if before or not mark:
            return text
        name, _, options = rest.partition(":")
        self.notes.add(
            f"{name}.cube is the table that maps HDR to BT.709: python -c "
            f"'from reelmill_server.media.libav.tone_mapping import cube; print(cube(\"{name}\"))' > {name}.cube"
        )
        return f"{mark}{name}.cube:{options}"
