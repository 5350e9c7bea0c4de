"""Capabilities and limits of a worker."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SOFTWARE = "software"
PRIVACY = "privacy"
"""The capability to detect faces and license plates."""
_SIZE = re.compile(r"(\d+)x(\d+)")
_USUAL_SIDE = 256  # every accelerator takes it


@dataclass(frozen=True)
class Feature:
    """The answer of an accelerator's driver to whether it has one feature.

    `name`: a value of `PixelFormat`, `bf` (B-frames), `refs` (a choice of reference frames), `lossless`, `bitrate`,
    `max_bitrate` (with a CRF), or a size of frames such as `4096x2160`. `reason`: why it lacks the feature, in the driver's
    words; empty: it has it.
    """

    name: str
    reason: str = ""

    @property
    def available(self) -> bool:
        """Whether the accelerator has the feature."""
        return not self.reason


@dataclass(frozen=True)
class FrameSizes:
    """The least and the largest width and height that an accelerator takes, in pixels; 0: unknown."""

    min_width: int = 0
    min_height: int = 0
    max_width: int = 0
    max_height: int = 0

    def objection_to(self, width: int, height: int) -> str:
        """Return which limit frames of a size are beyond; empty: none that is known."""
        if width < self.min_width or height < self.min_height:
            return f"takes no frames below {self.min_width or 'any'}x{self.min_height or 'any'}"
        if width > (self.max_width or width) or height > (self.max_height or height):
            return f"takes no frames above {self.max_width or 'any'}x{self.max_height or 'any'}"
        return ""


@dataclass(frozen=True)
class Capability:
    """One encoder, decoder, detector or filter; the `codec` of a filter is what it produces or measures.

    `device` is a hardware family or `software`; `reason` says why it is not available; `tried_us` is the time of its last trial
    in microseconds since the epoch. `pixel_formats` are those of the contract that this build, and the device, support; empty:
    unknown. `lacks`: libav's options that a card of this generation does not have: B-frames (`bf`), a choice of references
    (`refs`). `card`: what encodes, as its driver calls it, `features`: what it was asked for, and `sizes`; empty for software.
    `max_b_frames`: in a row; 0: unknown, or none.
    """

    name: str
    codec: str
    device: str
    available: bool
    reason: str = ""
    tried_us: int = 0
    pixel_formats: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    card: str = ""
    features: tuple[Feature, ...] = ()
    sizes: FrameSizes = FrameSizes()
    max_b_frames: int = 0

    def lack_of(self, feature: str) -> str:
        """Return why it has no such feature, in its driver's words; empty: it has, or was not asked."""
        return next((known.reason for known in self.features if known.name == feature), "")

    def objection_to_size(self, width: int, height: int) -> str:
        """Return why it takes no frames of a size; empty: it does, or that is unknown, and it says so when it is opened."""
        return self.sizes.objection_to(width, height) or next(self._refusals(width, height), "")

    def _refusals(self, width: int, height: int) -> Iterator[str]:
        """Yield refusals of sizes that are as extreme, or less: one as small in both directions, or as large."""
        for feature in self.features:
            if not feature.available and (size := _SIZE.fullmatch(feature.name)):
                tried = int(size[1]), int(size[2])
                small, large = max(tried) < _USUAL_SIDE, min(tried) > _USUAL_SIDE
                if (small and width <= tried[0] and height <= tried[1]) or (large and width >= tried[0] and height >= tried[1]):
                    yield f"takes no frames of {width}x{height}: {feature.reason}"


SandboxMode = Literal["require", "prefer", "off"]


@dataclass(frozen=True)
class Sandbox:
    """How children are confined on a machine: as the `mode` says, by `walls` (`landlock`, `seccomp`); `lacks`: what this kernel
    cannot do, in words.
    """

    mode: SandboxMode = "off"
    walls: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """Limits of one attempt: pixels per frame, streams per file, seconds, frames per output, images or sheets per image entry,
    bytes of memory, seconds of CPU time (0: any), bytes of a file (0: those of the disk); how it is confined.
    `max_address_bytes`: of address space, which is reserved at will and rarely all used; 0: any.
    `more_decoders`: patterns of libav's names that are allowed besides the usual ones.
    """

    max_pixels: int = 8192 * 8192
    max_streams: int = 100
    max_duration_seconds: float = 86400.0
    max_output_frames: int = 10_000_000
    max_pictures: int = 2000
    max_memory_bytes: int = 8 << 30
    more_decoders: tuple[str, ...] = ()
    max_cpu_seconds: int = 0
    max_file_bytes: int = 0
    sandbox: SandboxMode = "prefer"
    max_address_bytes: int = 32 << 30


@dataclass(frozen=True)
class Report:
    """Capabilities, limits and versions of a worker."""

    worker: str
    encoders: tuple[Capability, ...]
    decoders: tuple[Capability, ...]
    limits: Limits
    versions: dict[str, str]
    detectors: tuple[Capability, ...] = ()
    filters: tuple[Capability, ...] = ()
    sandbox: Sandbox = Sandbox()
