"""Every error that the client raises, in one tree.

ReelmillError
├── InvalidArgument     the request breaks the contract; `violations` lists every field
├── FieldNotSupported   the request uses a part of the contract that this server does not honour yet
├── NotFound            a project, a task or a source does not exist
├── AlreadyExists       a resource of that name exists
├── FailedPrecondition  the resource is not in a state that allows this, or the media does not
├── ResourceExhausted   a quota or a limit is used up
├── PermissionDenied    the caller, or the service, may not do this
├── Unauthenticated     the caller did not say who it is
├── Unavailable         the server cannot be reached, or a part of it is down
├── DeadlineExceeded    no answer came in time
├── ServerError         a defect of the server
└── TaskEnded           the call went well, the task did not
    ├── TaskFailed
    └── TaskCanceled
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, TASK_STATUS_SUCCEEDED, Task


@dataclass(frozen=True)
class Violation:
    """One thing wrong with a request: the path of the field ("" when no single one is at fault) and what was expected."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class ReelmillError(Exception):
    """What went wrong, in one sentence.

    `code` is the service's word (`InvalidArgument`, `ResourceNotFound`…; "" when the error did not come from the service),
    `status` the gRPC status name, `request_id` what to quote to whoever runs the server ("" when not known), `violations` the
    fields at fault.
    """

    status = "UNKNOWN"

    def __init__(
        self,
        message: str = "",
        *,
        code: str = "",
        status: str = "",
        request_id: str = "",
        violations: Iterable[Violation] = (),
    ) -> None:
        self.violations = tuple(violations)
        self.message = message or "; ".join(map(str, self.violations))
        self.code = code
        self.status = status or type(self).status
        self.request_id = request_id
        super().__init__(self.message)


class InvalidArgument(ReelmillError):
    """The request breaks the contract; every violation found is listed."""

    status = "INVALID_ARGUMENT"


class FieldNotSupported(ReelmillError):
    """The request uses a part of the contract that this server does not honour yet."""

    status = "UNIMPLEMENTED"


class NotFound(ReelmillError):
    """A project, a task or a source does not exist."""

    status = "NOT_FOUND"


class AlreadyExists(ReelmillError):
    """A resource of that name exists."""

    status = "ALREADY_EXISTS"


class FailedPrecondition(ReelmillError):
    """The resource is not in a state that allows this, or the media does not."""

    status = "FAILED_PRECONDITION"


class ResourceExhausted(ReelmillError):
    """A quota or a limit is used up."""

    status = "RESOURCE_EXHAUSTED"


class PermissionDenied(ReelmillError):
    """The caller, or the service on its behalf, may not do this."""

    status = "PERMISSION_DENIED"


class Unauthenticated(ReelmillError):
    """The caller did not say who it is, or was not believed."""

    status = "UNAUTHENTICATED"


class Unavailable(ReelmillError):
    """The server cannot be reached, or a part of it is down; trying again later may help."""

    status = "UNAVAILABLE"


class DeadlineExceeded(ReelmillError):
    """No answer came in time; what was asked for may have happened nevertheless."""

    status = "DEADLINE_EXCEEDED"


class ServerError(ReelmillError):
    """A defect of the server."""

    status = "INTERNAL"


class TaskEnded(ReelmillError):
    """A task ended, but not well; `task` is its final state."""

    def __init__(self, task: Task, message: str) -> None:
        self.task = task
        super().__init__(message, code=task.code)


class TaskFailed(TaskEnded):
    """A task failed; nothing was published."""

    status = "FAILED_PRECONDITION"


class TaskCanceled(TaskEnded):
    """A task was canceled; nothing was published."""

    status = "CANCELLED"


_OF_THE_SERVICE: tuple[type[ReelmillError], ...] = (
    InvalidArgument,
    FieldNotSupported,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    ResourceExhausted,
    PermissionDenied,
    Unauthenticated,
    Unavailable,
    DeadlineExceeded,
    ServerError,
)
_BY_STATUS = {kind.status: kind for kind in _OF_THE_SERVICE} | {"OUT_OF_RANGE": InvalidArgument, "DATA_LOSS": ServerError}


def from_rpc_error(error: grpc.RpcError) -> ReelmillError:
    """The typed error for what a call raised, with what google.rpc.ErrorInfo and BadRequest say."""
    call = cast(grpc.Call, error)
    status = call.code().name
    details = _details(call)
    infos = [detail for detail in details if isinstance(detail, error_details_pb2.ErrorInfo)]
    metadata = infos[0].metadata if infos else {}
    reason = infos[0].reason if infos else ""
    code = metadata.get("code") or reason
    known = status != FieldNotSupported.status or code  # without a code, no such method: a server that is not ours, or older
    return (_BY_STATUS.get(status, ReelmillError) if known else ReelmillError)(
        call.details() or status,
        code=code,
        status=status,
        request_id=metadata.get("request_id", ""),
        violations=_violations(details),
    )


def raise_unless_succeeded(task: Task) -> None:
    """Raises TaskFailed or TaskCanceled for a final task that did not succeed."""
    if task.status == TASK_STATUS_SUCCEEDED:
        return
    if task.status == TASK_STATUS_CANCELED:
        raise TaskCanceled(task, f"task {task.task_id} was canceled")
    raise TaskFailed(task, f"task {task.task_id} failed: {task.code}: {task.message}")


def _details(call: grpc.Call) -> Sequence[Message]:
    """The google.rpc details of a failed call that we know; none when the status did not come from the service."""
    try:
        status = rpc_status.from_call(call)
    except (ValueError, DecodeError):  # the details contradict the status, or are not readable
        return []
    found: list[Message] = []
    for packed in status.details if status is not None else ():
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
            detail = kind()
            if packed.Unpack(detail):
                found.append(detail)
    return found


def _violations(details: Sequence[Message]) -> list[Violation]:
    requests = [detail for detail in details if isinstance(detail, error_details_pb2.BadRequest)]
    return [Violation(found.field, found.description) for request in requests for found in request.field_violations]
