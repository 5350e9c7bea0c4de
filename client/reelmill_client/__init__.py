"""Client of Reelmill, a media conversion service over gRPC.

    from reelmill_client import Client

    with Client("127.0.0.1:50051") as client:
        task_id = client.submit(source="in.mov", destination="out.mp4", video="h264", crf=23, audio="aac").task_id
        for task in client.watch(task_id):
            print(task.progress, "%")
        for artifact in client.get(task_id).artifacts:
            print(artifact.uri)

`AsyncClient` has the same methods for asyncio. Tasks, plans and media infos are the messages of `reelmill.v1`. Every error is
a `ReelmillError`; the tree is in `reelmill_client.errors`. The same package brings the command line client, `reelmill`.
"""

from reelmill_client.aio import AsyncClient
from reelmill_client.channel import ConnectionOptions
from reelmill_client.client import Client
from reelmill_client.conversion import Conversion
from reelmill_client.errors import (
    AlreadyExists,
    DeadlineExceeded,
    FailedPrecondition,
    FieldNotSupported,
    InvalidArgument,
    NotFound,
    PermissionDenied,
    ReelmillError,
    ResourceExhausted,
    ServerError,
    TaskCanceled,
    TaskEnded,
    TaskFailed,
    Unauthenticated,
    Unavailable,
    Violation,
)
from reelmill_client.requests import ProjectSettings, TaskFilter

__all__ = [
    "AlreadyExists",
    "AsyncClient",
    "Client",
    "ConnectionOptions",
    "Conversion",
    "DeadlineExceeded",
    "FailedPrecondition",
    "FieldNotSupported",
    "InvalidArgument",
    "NotFound",
    "PermissionDenied",
    "ProjectSettings",
    "ReelmillError",
    "ResourceExhausted",
    "ServerError",
    "TaskCanceled",
    "TaskEnded",
    "TaskFailed",
    "TaskFilter",
    "Unauthenticated",
    "Unavailable",
    "Violation",
]
