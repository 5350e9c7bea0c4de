"""Capabilities and limits of a worker."""

from dataclasses import dataclass
from typing import Literal

SOFTWARE = "software"
PRIVACY = "privacy"
"""The capability to detect faces and license plates."""


@dataclass(frozen=True)
class Feature:
    """What an accelerator was asked for beside plain video: a pixel format of the contract, `bf` (B-frames), `refs` (a choice
    of references), `lossless`, or a size in pixels; `reason`: why it does not have it, in its driver's words; empty: it does.
    """

    name: str
    reason: str = ""

    @property
    def available(self) -> bool:
        """Whether it has it."""
        return not self.reason


@dataclass(frozen=True)
class Capability:
    """One encoder, decoder, detector or filter; the `codec` of a filter is what it produces or measures.

    `device` is a hardware family or `software`; `reason` says why it is not available; `tried_us` is the time of its last trial
    in microseconds since the epoch. `pixel_formats` are those of the contract that this build, and the device, support; empty:
    unknown. `lacks`: libav's options that a card of this generation does not have: B-frames (`bf`), a choice of references
    (`refs`). `card`: what encodes, as its driver calls it, and `features`: what it was asked for; empty for software.
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

    def lack_of(self, feature: str) -> str:
        """Return why it has no such feature, in its driver's words; empty: it has, or was not asked."""
        return next((known.reason for known in self.features if known.name == feature), "")


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
