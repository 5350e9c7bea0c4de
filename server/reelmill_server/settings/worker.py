"""Settings of a worker: how much it takes on at once, and from which queues."""

from typing import Annotated, Literal

from pydantic import ByteSize, Field
from pydantic_settings import NoDecode

from reelmill_server.settings.fields import DAY_SECONDS, DISTINCT, Bytes, Count, EncoderFamily, Metavar, Seconds, Separated
from reelmill_server.settings.group import Group, UsedBy
from reelmill_server.settings.machine import memory_for_attempts, usable_cpus, usable_memory

Lane = Literal["fast", EncoderFamily]
Lanes = Annotated[tuple[Lane, ...], NoDecode, Separated(), DISTINCT, Field(min_length=1), Metavar("QUEUE")]


def _most_memory() -> ByteSize:
    return ByteSize(memory_for_attempts(usable_memory()))


class WorkerSettings(Group):
    """How much of the machine a worker uses, and for which tasks."""

    title = "Worker"
    used_by = UsedBy("serve", "worker")

    worker_slots: Count = Field(
        default_factory=usable_cpus,
        ge=0,
        le=1024,
        description="Maximum number of attempts at once, not counting the fast queue; cores and memory limit them further. 0:"
        " `serve` runs no worker. Default: the number of CPU cores.",
    )
    worker_cores: Annotated[float, Metavar("CORES")] = Field(
        default_factory=usable_cpus,
        ge=0.1,
        le=4096,
        description="CPU cores that attempts may use together, by estimate. Default: those of the machine or the container.",
    )
    worker_memory_bytes: Bytes = Field(
        default_factory=_most_memory,
        ge=0,
        le=1024**5,
        description="Memory that attempts may use together, by estimate. 0: no limit. Default: what the machine or the"
        " container has, less a tenth or 384 MiB, whichever is more.",
    )
    lane: Lanes = Field(
        default=("fast", "nvenc", "vaapi", "qsv", "software"),
        description="Queue to take tasks from: fast (new tasks, to probe and plan them, and small ones) or an encoder family,"
        " which is skipped if none of its encoders works on this machine.",
    )
    fast_slots: Count = Field(
        default=3,
        ge=1,
        le=1024,
        description="Maximum number of tasks of the fast queue at once; those of a project have one fewer, so that one is left"
        " for others.",
    )
    fast_core_seconds: Seconds = Field(
        default=10,
        ge=0,
        le=DAY_SECONDS,
        description="A task is small if it is estimated to need no more CPU time than this, or if it encodes nothing.",
    )
    accelerator_wait_seconds: Annotated[Seconds, UsedBy("serve", "api")] = Field(
        default=30,
        ge=1,
        le=DAY_SECONDS,
        description="How long a task waits at most for each encoder family that it prefers before it takes the next one; if it"
        " may use software, no longer than an accelerator saves, by estimate. A task that requires hardware fails if no worker"
        " with any has appeared by then.",
    )
    admission_wait_seconds: Seconds = Field(
        default=60,
        ge=0.1,
        le=DAY_SECONDS,
        description="How long a task waits on a worker for free cores and memory before it is handed to another worker.",
    )
    inspect_slots: Annotated[Count, UsedBy("serve", "api", "worker")] = Field(
        default=4,
        ge=1,
        le=1024,
        description="Maximum number of requests to probe or plan that are served at once; those of a project have one fewer.",
    )
    drain_seconds: Annotated[Seconds, UsedBy("serve", "api", "worker")] = Field(
        default=30, ge=0, le=DAY_SECONDS, description="How long a server that shuts down waits for running attempts and calls."
    )
    previews: Literal["yes", "no"] = Field(
        default="yes",
        description="Whether the console shows small frames of what is being encoded. They pass through the engine and are kept"
        " in the database until the task ends.",
    )
    pod_name: str = Field(
        default="",
        max_length=253,
        description="Name of the Kubernetes pod that the worker is in: its annotation pod-deletion-cost then says how much work"
        " would be lost with it, so that idle pods go first when a pool shrinks. Empty: it is left alone.",
    )
    scratch_bytes: Bytes = Field(
        default=ByteSize(0),
        ge=0,
        le=1024**6,
        description="Maximum disk space that the attempts of a worker use together in its scratch folder, for example 100GiB;"
        " cached source data is dropped first. 0: no limit.",
    )
    source_cache_bytes: Bytes = Field(
        default=ByteSize(1024**3),
        ge=0,
        le=1024**5,
        description="Maximum amount of remote source data that an attempt caches in scratch, so that nothing is read twice.",
    )
