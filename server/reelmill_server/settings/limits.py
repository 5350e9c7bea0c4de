"""Settings of the limits on media."""

from typing import Annotated

from pydantic import ByteSize, Field, StringConstraints
from pydantic_settings import NoDecode

from reelmill_server.settings.fields import DAY_SECONDS, Bytes, Count, Metavar, Seconds, Separated
from reelmill_server.settings.group import Group, UsedBy

_Decoder = Annotated[str, StringConstraints(pattern=r"^[\w.*-]+$")]
Decoders = Annotated[tuple[_Decoder, ...], NoDecode, Separated(), Metavar("DECODER")]


class LimitSettings(Group):
    """The largest sources and outputs."""

    title = "Limits on media"
    used_by = UsedBy("serve", "api", "worker", "plan")

    max_pixels: Count = Field(
        default=8192 * 8192,
        ge=1,
        le=2**31 - 1,
        description="Maximum number of pixels of a frame or an image, decoded or encoded; protects against decompression"
        " bombs.",
    )
    max_streams: Count = Field(default=100, ge=1, le=10_000, description="Maximum number of streams of a source.")
    max_duration_seconds: Seconds = Field(
        default=DAY_SECONDS, ge=1, le=365 * DAY_SECONDS, description="Longest source, by the duration that it states."
    )
    max_output_frames: Count = Field(
        default=60 * DAY_SECONDS,
        ge=1,
        le=10**12,
        description="Maximum number of frames that one target may produce; the default is a day at 60 frames per second.",
    )
    max_pictures: Count = Field(
        default=2000,
        ge=1,
        le=20_000,
        description="Maximum number of images, or sheets of images, that one entry of a target may produce.",
    )
    decoder: Decoders = Field(
        default=(),
        description="Decoder, by libav's name, that sources may use besides the usual ones (docs/media.md); * matches any"
        " characters. Empty: none.",
    )
    max_source_bytes: Bytes = Field(
        default=ByteSize(0), ge=0, le=1024**6, description="Largest source, for example 100GiB. 0: no limit."
    )
