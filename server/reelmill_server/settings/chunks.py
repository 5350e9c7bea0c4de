"""Settings of long encodes, which several workers share in chunks."""

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from reelmill_server.settings.fields import DAY_SECONDS, Metavar, Seconds
from reelmill_server.settings.group import Group, UsedBy


def _checked_scratch_uri(value: str) -> str:
    if value and not re.fullmatch(r"(file:///|(s3|gs|oss)://[^/?#]+)[^?#]*", value):
        raise ValueError("expected file:///folder, or s3://, gs:// or oss:// with a bucket and perhaps a prefix")
    return value.rstrip("/")


ScratchUri = Annotated[str, AfterValidator(_checked_scratch_uri), Metavar("URI")]


class ChunkSettings(Group):
    """When an encode is cut into chunks, and where these are kept until they are joined."""

    title = "Long encodes"
    used_by = UsedBy("serve", "worker")

    scratch_uri: Annotated[ScratchUri, UsedBy("serve", "api", "worker")] = Field(
        default="",
        description="Where workers exchange the chunks of a long encode: file://…, s3://…, gs://… or oss://…, which all of"
        " them can access with their own credentials. Empty: a long encode stays on one worker; a `serve` with its"
        " own engine uses its data folder.",
    )
    chunk_seconds: Seconds = Field(
        default=60, ge=1, le=DAY_SECONDS, description="Target length of a chunk, in seconds of the source."
    )
    chunk_core_seconds: Seconds = Field(
        default=120,
        ge=0,
        le=30 * DAY_SECONDS,
        description="An encode that is estimated to need less CPU time than this is not cut unless the request's Parallelism"
        " asks for it.",
    )
