"""What a worker can do, as plain data."""

from dataclasses import dataclass

SOFTWARE = "software"
PRIVACY = "privacy"
"""The capability to find faces and licence plates."""


@dataclass(frozen=True)
class Capability:
    """One encoder, decoder or detector.

    `device` is its family or `software`; `reason` says why it is not available; `tried_us` is when it was last tried,
    microseconds since the epoch. `pixel_formats` are those of the contract that this build of it takes; empty: not known.
    """

    name: str
    codec: str
    device: str
    available: bool
    reason: str = ""
    tried_us: int = 0
    pixel_formats: tuple[str, ...] = ()


@dataclass(frozen=True)
class Limits:
    """What bounds one attempt: pixels per frame, streams per file, seconds, frames per output, pictures or sheets per entry
    of a target, bytes of address space."""

    max_pixels: int = 8192 * 8192
    max_streams: int = 100
    max_duration_seconds: float = 86400.0
    max_output_frames: int = 10_000_000
    max_pictures: int = 2000
    max_memory_bytes: int = 8 << 30


@dataclass(frozen=True)
class Report:
    """What a worker says of itself."""

    worker: str
    encoders: tuple[Capability, ...]
    decoders: tuple[Capability, ...]
    limits: Limits
    versions: dict[str, str]
    detectors: tuple[Capability, ...] = ()
