"""The durable engine, Temporal: workflows, activities, the client, the pollers, the embedded server."""

from reelmill_server import __version__

BUILD_ID = f"reelmill-server {__version__}"
"""Build ID of a worker. Without one, Temporal's SDK would load and hash the code of all modules when a server starts."""

CONTROL_QUEUE = "reelmill-control"
"""Workflow tasks and control activities; served by api replicas, which reach the task records."""

FAST_QUEUE = "reelmill-fast"
"""First looks at tasks, and all of what is small; served by workers, in slots of their own."""

INSPECT_QUEUE = "reelmill-inspect"
"""Short looks at media; served by workers, in slots of their own, so that no encode is in their way."""

NOTIFY_QUEUE = "reelmill-notify"
"""Deliveries of notifications; served by api replicas, in slots of their own, so that slow endpoints are in nobody's way."""


def encode_queue(family: str) -> str:
    """Return the queue of attempts that need encoders of this family, or `software`; workers on which it works poll it."""
    return f"reelmill-encode-{family}"


def presence_queue(family: str) -> str:
    """Return the queue whose pollers are counted; it holds no tasks.

    A worker polls it as long as the family works there: a busy worker does not poll the queue of its attempts.
    """
    return f"reelmill-present-{family}"


def worker_queue(name: str) -> str:
    """Return the queue that only the worker of this name polls."""
    return f"reelmill-worker-{name}"
