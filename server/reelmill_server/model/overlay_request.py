"""Overlays in conversion requests: watermarks, delogos and blurred objects, with lengths in pixels or as ratios."""

from dataclasses import dataclass
from enum import StrEnum

from reelmill_server.model.sizes import Length, OptionalLength


class Corner(StrEnum):
    """A corner of the frame."""

    TOP_LEFT = "topleft"
    TOP_RIGHT = "topright"
    BOTTOM_RIGHT = "bottomright"
    BOTTOM_LEFT = "bottomleft"


AT_RIGHT = (Corner.TOP_RIGHT, Corner.BOTTOM_RIGHT)
AT_BOTTOM = (Corner.BOTTOM_RIGHT, Corner.BOTTOM_LEFT)


@dataclass(frozen=True)
class PlaceSpec:
    """Position and time of an overlay: `dx`/`dy` inward from a corner, from `start_us` of the output for `duration_us` (0: to
    the end).
    """

    corner: Corner = Corner.TOP_LEFT
    dx: Length = 0
    dy: Length = 0
    start_us: int = 0
    duration_us: int = 0


@dataclass(frozen=True)
class TextSpec:
    """A text to draw: `size` and `border_width` in pixels, colors as `#rrggbb`, `opacity` in (0, 1]."""

    content: str
    font: str = "SourceHanSans-Regular"
    size: int = 16
    color: str = "#000000"
    opacity: float = 1.0
    border_width: int = 0
    border_color: str = "#000000"


@dataclass(frozen=True)
class WatermarkSpec:
    """A text over the video, or the image or video in the file at `uri`; without `width` and `height` in its own size."""

    place: PlaceSpec = PlaceSpec()
    text: TextSpec | None = None
    uri: str = ""
    width: OptionalLength = None
    height: OptionalLength = None


@dataclass(frozen=True)
class DelogoSpec:
    """A rectangle to fill from its surroundings; without `width` or `height` it spans the whole side."""

    place: PlaceSpec = PlaceSpec()
    width: OptionalLength = None
    height: OptionalLength = None


@dataclass(frozen=True)
class DesensitizationRule:
    """How one kind of object is detected and blurred.

    `confidence` in [0, 1]: the lowest confidence of a detection; `min_size`: smallest width and height in pixels; `blur_radius`
    in pixels, None: derived from the size of the object; `scale_ratio`: size of the blurred box relative to the object;
    `transparency` from 0 (full blur) to 1 (none).
    """

    confidence: float = 0.0
    min_size: int = 0
    blur_radius: int | None = None
    scale_ratio: float = 1.0
    transparency: float = 0.0


@dataclass(frozen=True)
class DesensitizationSpec:
    """Kinds of objects to detect and blur; None: not this kind."""

    face: DesensitizationRule | None = None
    license_plate: DesensitizationRule | None = None
