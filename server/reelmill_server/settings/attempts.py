"""Settings of attempts: what bounds one, and when another one follows."""

from typing import Annotated

from pydantic import ByteSize, Field

from reelmill_server.model.capability import SandboxMode
from reelmill_server.settings.fields import DAY_SECONDS, Bytes, Count, Seconds
from reelmill_server.settings.group import Group, UsedBy
from reelmill_server.settings.machine import memory_for_attempts, usable_memory

_LEAST_CHILD_BYTES, _MOST_CHILD_BYTES = 256 << 20, 8 << 30


def _child_memory() -> ByteSize:
    most = memory_for_attempts(usable_memory())
    return ByteSize(min(max(most, _LEAST_CHILD_BYTES), _MOST_CHILD_BYTES))


class AttemptSettings(Group):
    """How long an attempt at a task may take, how much memory, and how often it is repeated."""

    title = "Attempts"
    used_by = UsedBy("serve", "api", "worker")

    task_timeout_seconds: Seconds = Field(
        default=6 * 3600, ge=1, le=30 * DAY_SECONDS, description="Longest time that one attempt may take."
    )
    max_attempts: Count = Field(
        default=3, ge=1, le=100, description="Maximum number of attempts at a task that fails with temporary errors."
    )
    retry_keep_seconds: Annotated[Seconds, UsedBy("serve", "api")] = Field(
        default=900,
        ge=0,
        le=DAY_SECONDS,
        description="How long the encoded chunks of a task that failed or was canceled are kept, so that a retry need not"
        " encode them again. 0: not at all.",
    )
    heartbeat_timeout_seconds: Seconds = Field(
        default=15,
        ge=2,
        le=600,
        description="How long a worker may be silent before another one takes over its attempt. A longer time survives longer"
        " outages of the engine, a shorter one takes over sooner.",
    )
    look_seconds: Annotated[Seconds, UsedBy("serve", "worker")] = Field(
        default=600,
        ge=1,
        le=DAY_SECONDS,
        description="How long opening the sources of an attempt may take, and how long probing them and planning.",
    )
    look_memory_bytes: Annotated[Bytes, UsedBy("serve", "worker")] = Field(
        default=ByteSize(1 << 30),
        ge=1 << 27,
        le=1024**5,
        description="How much memory probing the sources of an attempt, and planning, may use. A worker holds as much of its"
        " memory for each.",
    )
    look_core_seconds: Annotated[Seconds, UsedBy("serve", "worker")] = Field(
        default=20,
        ge=1,
        le=DAY_SECONDS,
        description="How much CPU time that may use, besides a second for each 50 MiB of sources.",
    )
    stall_seconds: Annotated[Seconds, UsedBy("serve", "worker")] = Field(
        default=120, ge=1, le=DAY_SECONDS, description="How long an attempt may make no progress before it is ended."
    )
    sandbox: Annotated[SandboxMode, UsedBy("serve", "worker", "plan", "capabilities")] = Field(
        default="prefer",
        description="How the child processes that open media are confined: `require` (by Landlock and seccomp, or the worker"
        " does not start), `prefer` (as far as the kernel can), `off`.",
    )
    child_memory_bytes: Annotated[Bytes, UsedBy("serve", "api", "worker", "plan", "capabilities")] = Field(
        default_factory=_child_memory,
        ge=_LEAST_CHILD_BYTES,
        le=1024**5,
        description="Most memory that one attempt may hold, for example 8GiB. Default: what attempts may use together by"
        " default, 8 GiB at most.",
    )
