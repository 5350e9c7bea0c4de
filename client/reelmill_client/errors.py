"""Every error that the client raises, as one tree.

ReelmillError
├── InvalidArgument     the request is invalid; `violations` lists every field at fault
├── FieldNotSupported   the request uses a part of the contract that this server does not support yet
├── NotFound            a project, task or source does not exist
├── AlreadyExists       a resource with that name already exists
├── FailedPrecondition  the state of the resource, or the media, does not allow this
├── ResourceExhausted   a quota or limit is used up
├── PermissionDenied    the caller, or the service, may not do this
├── Unauthenticated     the caller is not authenticated
├── Unavailable         the server, or a part of it, cannot be reached
├── DeadlineExceeded    no response arrived in time
├── ServerError         the server has a defect
└── TaskEnded           the call succeeded, the task did not
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

from reelmill.v1.media_convert_service_pb2 import FieldProblem
from reelmill.v1.task_pb2 import TASK_STATUS_CANCELED, TASK_STATUS_SUCCEEDED, Task


@dataclass(frozen=True)
class Violation:
    """One fault of a request: the path of the field ("" if no single field is at fault) and what was expected."""

    field: str
    description: str

    def __str__(self) -> str:
        return f"{self.field}: {self.description}" if self.field else self.description


class ReelmillError(Exception):
    """Base of all errors of the client; its text is one sentence.

    `code` is the service's error code (`InvalidArgument`, `ResourceNotFound`…; "" if the error did not come from the service),
    `status` the gRPC status name, `request_id` the id to quote to the operator of the server ("" if unknown), `violations` the
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
    """The request is invalid; `violations` lists every field at fault."""

    status = "INVALID_ARGUMENT"


class FieldNotSupported(ReelmillError):
    """The request uses a part of the contract that this server does not support yet."""

    status = "UNIMPLEMENTED"


class NotFound(ReelmillError):
    """A project, task or source does not exist."""

    status = "NOT_FOUND"


class AlreadyExists(ReelmillError):
    """A resource with that name already exists."""

    status = "ALREADY_EXISTS"


class FailedPrecondition(ReelmillError):
    """The state of the resource, or the media, does not allow this."""

    status = "FAILED_PRECONDITION"


class ResourceExhausted(ReelmillError):
    """A quota or limit is used up."""

    status = "RESOURCE_EXHAUSTED"


class PermissionDenied(ReelmillError):
    """The caller, or the service on its behalf, may not do this."""

    status = "PERMISSION_DENIED"


class Unauthenticated(ReelmillError):
    """The caller did not say who it is, or its credentials were refused."""

    status = "UNAUTHENTICATED"


class Unavailable(ReelmillError):
    """The server, or a part of it, cannot be reached; trying again later may help."""

    status = "UNAVAILABLE"


class DeadlineExceeded(ReelmillError):
    """No response arrived in time; the request may have been carried out nevertheless."""

    status = "DEADLINE_EXCEEDED"


class ServerError(ReelmillError):
    """The server has a defect."""

    status = "INTERNAL"


class TaskEnded(ReelmillError):
    """A task ended without success; `task` is its final state."""

    def __init__(self, task: Task, message: str) -> None:
        self.task = task
        super().__init__(message, code=task.code)


class TaskFailed(TaskEnded):
    """A task failed; nothing was published."""

    status = "FAILED_PRECONDITION"


class TaskCanceled(TaskEnded):
    """A task was canceled; nothing was published."""

    status = "CANCELLED"


_SERVICE_ERRORS: tuple[type[ReelmillError], ...] = (
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
_BY_STATUS = {kind.status: kind for kind in _SERVICE_ERRORS} | {
    "OUT_OF_RANGE": InvalidArgument,
    "DATA_LOSS": ServerError,
    "CANCELLED": Unavailable,  # a server that shuts down cancels calls that it has not begun; callers' own raise no RpcError
}


def from_rpc_error(error: grpc.RpcError) -> ReelmillError:
    """Return the typed error for a failed call, with the details of google.rpc.ErrorInfo and BadRequest."""
    call = cast(grpc.Call, error)
    status = call.code().name
    details = _details(call)
    infos = [detail for detail in details if isinstance(detail, error_details_pb2.ErrorInfo)]
    metadata = infos[0].metadata if infos else {}
    reason = infos[0].reason if infos else ""
    code = metadata.get("code") or reason
    # UNIMPLEMENTED without a code means that the method does not exist: an older server, or another service.
    known = status != FieldNotSupported.status or code
    return (_BY_STATUS.get(status, ReelmillError) if known else ReelmillError)(
        call.details() or status,
        code=code,
        status=status,
        request_id=metadata.get("request_id", ""),
        violations=_violations(details),
    )


_BY_CODE: dict[str, type[ReelmillError]] = {
    "FieldNotSupported": FieldNotSupported,
    "ResourceNotFound": NotFound,
    "BucketNotFound": NotFound,
    "AccessDenied": PermissionDenied,
    "InvalidMedia": FailedPrecondition,
    "UnsupportedFormat": FailedPrecondition,
    "ConditionNotMet": FailedPrecondition,
    "HardwareUnavailable": FailedPrecondition,
    "MediaLimitExceeded": ResourceExhausted,
}


def from_problems(problems: Sequence[FieldProblem]) -> ReelmillError:
    """Return the typed error for the problems that a plan lists; the first one says which."""
    code = problems[0].code if problems else ""
    violations = [Violation(problem.field, problem.description) for problem in problems]
    of_fields = violations if any(violation.field for violation in violations) else []
    return _BY_CODE.get(code, InvalidArgument)("; ".join(map(str, violations)), code=code, violations=of_fields)


def raise_unless_succeeded(task: Task) -> None:
    """Raise TaskFailed or TaskCanceled if a final task did not succeed."""
    if task.status == TASK_STATUS_SUCCEEDED:
        return
    if task.status == TASK_STATUS_CANCELED:
        raise TaskCanceled(task, f"task {task.task_id} was canceled")
    raise TaskFailed(task, f"task {task.task_id} failed: {task.code}: {task.message}")


def _details(call: grpc.Call) -> Sequence[Message]:
    """Return the ErrorInfo and BadRequest details of a failed call; none if the status did not come from the service."""
    try:
        status = rpc_status.from_call(call)
    except (ValueError, DecodeError):  # the details contradict the status, or are not readable
        return []
    details: list[Message] = []
    for packed in status.details if status is not None else ():
        for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest):
            detail = kind()
            if packed.Unpack(detail):
                details.append(detail)
    return details


def _violations(details: Sequence[Message]) -> list[Violation]:
    requests = [detail for detail in details if isinstance(detail, error_details_pb2.BadRequest)]
    return [Violation(field.field, field.description) for request in requests for field in request.field_violations]
