"""Planned overlays: positions, times and files, in pixels of the output."""

from dataclasses import dataclass
from typing import Literal

from reelmill_server.model.overlay_request import Corner, DesensitizationSpec, TextSpec


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of the output, `x` and `y` from its top left corner; it may extend beyond the frame."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class DelogoPlan:
    """Fills a rectangle from its surroundings, from `begin_us` of the output to before `end_us` (0: to the end)."""

    box: Box
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["delogo"] = "delogo"


@dataclass(frozen=True)
class BlurPlan:
    """Detects faces and license plates and blurs them."""

    spec: DesensitizationSpec
    kind: Literal["blur"] = "blur"


@dataclass(frozen=True)
class TextPlan:
    """Draws a text `dx`, `dy` pixels inward from a `corner`; its size is known when it is drawn. Times as in DelogoPlan."""

    text: TextSpec
    corner: Corner
    dx: int
    dy: int
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["text"] = "text"


@dataclass(frozen=True)
class PicturePlan:
    """Draws the image or video of stream `stream` in the file at `uri` into a rectangle, after `filters` have made it upright
    and RGBA. `decoder`: libav's name of it, empty: the default. Times as in DelogoPlan."""

    uri: str
    stream: int
    box: Box
    filters: tuple[str, ...] = ()
    decoder: str = ""
    begin_us: int = 0
    end_us: int = 0
    kind: Literal["picture"] = "picture"


OverlayPlan = DelogoPlan | BlurPlan | TextPlan | PicturePlan
"""Changes to the frames of an output that have its size and timestamps."""
