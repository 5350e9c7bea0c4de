"""Settings of encoders."""

from typing import Annotated

from pydantic import Field
from pydantic_settings import NoDecode

from reelmill_server.settings.fields import DAY_SECONDS, DISTINCT, EncoderFamily, Metavar, Pairs, Seconds, Separated
from reelmill_server.settings.group import Group, UsedBy

EncoderOrder = Annotated[tuple[EncoderFamily, ...], NoDecode, Separated(), DISTINCT, Field(min_length=1), Metavar("FAMILY")]
EncoderSessions = Annotated[
    dict[EncoderFamily, Annotated[int, Field(ge=1, le=1024)]], NoDecode, Pairs(), Metavar("FAMILY=COUNT")
]


class EncoderSettings(Group):
    """Which encoders are used, in which order, and how many at once."""

    title = "Encoders"
    used_by = UsedBy("serve", "worker", "plan", "capabilities")

    encoder_order: EncoderOrder = Field(
        default=("nvenc", "vaapi", "qsv", "software"),
        description="Encoder families to use, in order of preference; one that is left out is never used.",
    )
    encoder_cooldown_seconds: Seconds = Field(
        default=300, ge=0, le=DAY_SECONDS, description="How long a hardware encoder that has failed is skipped."
    )
    encoder_sessions: EncoderSessions = Field(
        default_factory=dict,
        description="Maximum number of encodes at once with the encoders of a family, for example nvenc=8; other families"
        " have no limit. Empty: no limits.",
    )
