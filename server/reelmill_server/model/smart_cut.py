"""Cuts that are exact to the frame while most packets are copied: what is asked for, and what is known of the edges."""

from dataclasses import dataclass
from enum import StrEnum


class SmartCut(StrEnum):
    """Whether copied video is cut at the frame instead of the keyframe; if it cannot be: encode all of it, or fail."""

    NONE = "none"
    PREFERRED = "preferred"
    REQUIRED = "required"


@dataclass(frozen=True)
class CutEdges:
    """Which frames of a cut are copied. Times are those at which frames are shown, microseconds of the source's clock.

    Copied are the frames from `copy_from_us` on (None: from the first) and before `copy_until_us` (None: to the last). The
    `start_frames` before and the `end_frames` after them are encoded; decoding those at the end begins with the keyframe at
    `decode_from_us`. `continues`: the first copied frame is no beginning for decoders, but a recovery point (H.264), into which
    the encoded frames before it must lead; `held`: by how much the numbers of frames before it are less than its own that are
    dropped by number later. `holds`: the first of `start_frames` is shown before the cut, and still when that begins.
    `objection`: why the cut cannot be made so; then nothing else is set.
    """

    copy_from_us: int | None = None
    copy_until_us: int | None = None
    decode_from_us: int | None = None
    start_frames: int = 0
    end_frames: int = 0
    objection: str = ""
    continues: bool = False
    held: tuple[int, ...] = ()
    holds: bool = False

    @property
    def encoded_frames(self) -> int:
        """How many frames are encoded."""
        return self.start_frames + self.end_frames
