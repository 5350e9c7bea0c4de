"""Image entries in conversion requests: snapshots, sprite sheets and animations."""

from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from reelmill_server.model.sizes import OptionalLength, ScaleType
from reelmill_server.model.time import Rational


class FrameMode(StrEnum):
    """How frames are selected: at an interval, keyframes, a number evenly spaced, or those that differ from the last one."""

    INTERVAL = "interval"
    KEYFRAME = "keyframe"
    AVERAGE = "average"
    DHASH = "dhash"


@dataclass(frozen=True)
class FramesSpec:
    """Frames to select from the concatenated sources.

    `interval_us` 0: every frame. `number` 0: to the end. `threshold` 0..100 applies to dhash. `skip_blank`: blank frames at the
    beginning are skipped.
    """

    mode: FrameMode = FrameMode.INTERVAL
    start_us: int = 0
    interval_us: int = 0
    number: int = 0
    threshold: int = 0
    skip_blank: bool = False


@dataclass(frozen=True)
class SheetSpec:
    """Layout of sprite sheets: thumbnails per row and column, pixels between and around them; URIs of the WebVTT file and the
    playlist, empty: none."""

    columns: int = 6
    rows: int = 6
    pad: int = 2
    margin: int = 2
    web_vtt_uri: str = ""
    playlist_uri: str = ""


class ImageKind(StrEnum):
    """Kind of an image entry."""

    SNAPSHOT = "snapshot"
    SPRITE = "sprite"
    ANIMATION = "animation"


@dataclass(frozen=True)
class ImageSpec:
    """An image entry of a target, at index `number` of its kind. `format` is its extension.

    `width`/`height`: None or a ratio refers to the source's. `frame_rate` is that of an animation, 0: real-time playback.
    `sheet` is set for sprites.
    """

    kind: ImageKind
    number: int
    uri: str
    format: str
    frames: FramesSpec = FramesSpec()
    width: OptionalLength = None
    height: OptionalLength = None
    scale_type: ScaleType = ScaleType.STRETCH
    frame_rate: Rational = Fraction(0)
    sheet: SheetSpec | None = None

    @property
    def field(self) -> str:
        """Path of the entry within its target."""
        return f"image.{self.kind}s[{self.number}]"
