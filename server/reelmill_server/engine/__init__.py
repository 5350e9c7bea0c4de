"""The durable engine, Temporal: workflows, activities, the client, the pollers, the embedded server."""

CONTROL_QUEUE = "reelmill-control"
"""Workflow tasks and control activities; served by api replicas, which reach the task records."""

ENCODE_QUEUE = "reelmill-encode"
"""Attempts; served by workers."""

INSPECT_QUEUE = "reelmill-inspect"
"""Short looks at media; served by workers, in slots of their own, so that no encode is in their way."""

NOTIFY_QUEUE = "reelmill-notify"
"""Deliveries of notifications; served by api replicas, in slots of their own, so that slow endpoints are in nobody's way."""
