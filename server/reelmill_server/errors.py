"""Every error that Reelmill reports, as one tree.

ReelmillError
├── of a caller:   NotAuthenticated, Forbidden, Throttled
├── of a request:  InvalidArgument, FieldNotSupported, ResourceNotFound, ResourceAlreadyExists, StatusConflict,
│                  LimitExceeded, QuotaExceeded, ServiceUnavailable
├── of media:      InvalidMedia, UnsupportedFormat, ConditionNotMet, MediaLimitExceeded
├── of storage:    AccessDenied, BucketNotFound, StorageUnavailable, SourceChanged, OutputError (and ResourceNotFound)
└── of an attempt: WorkerBusy, EncoderCrashed, EncoderFailed, DriverFailed, HardwareUnavailable, OutOfMemory, OutputInvalid,
                   ChunksDiffer, Stalled, Timeout, Canceled, InternalError

Each class has a `code` (the contract's name, seen in Task.code and ErrorInfo), a gRPC `status` name, and whether another
attempt may succeed (`retryable`). docs/errors.md lists them all; a test compares the two.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One fault of a request: the path of the field ("" if no single field is at fault) and what was expected."""

    field: str
    description: str


_MOST_VIOLATIONS = 100  # in a message, which is logged


class ReelmillError(Exception):
    """Base of all errors; the message is one sentence that a caller can act on."""

    code = "InternalError"
    status = "INTERNAL"
    retryable = False

    def __init__(self, message: str = "", violations: Sequence[Violation] = ()) -> None:
        self.message = message or "; ".join(
            f"{violation.field}: {violation.description}" if violation.field else violation.description
            for violation in violations[:_MOST_VIOLATIONS]
        )
        if not message and len(violations) > _MOST_VIOLATIONS:
            self.message += f"; and {len(violations) - _MOST_VIOLATIONS} more"
        self.violations = tuple(violations)
        super().__init__(self.message)

    @classmethod
    def reason(cls) -> str:
        """Return `code` in UPPER_SNAKE_CASE, as google.rpc.ErrorInfo.reason requires."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.code).upper()


class NotAuthenticated(ReelmillError):
    """The call has no credentials, or they are not valid."""

    code = "NotAuthenticated"
    status = "UNAUTHENTICATED"


class Forbidden(ReelmillError):
    """The caller may see the project, but not do this there, or not with these URIs."""

    code = "Forbidden"
    status = "PERMISSION_DENIED"


class Throttled(ReelmillError):
    """The caller makes more calls than it may."""

    code = "Throttling"
    status = "RESOURCE_EXHAUSTED"

    def __init__(self, message: str = "", violations: Sequence[Violation] = (), retry_seconds: float = 1.0) -> None:
        super().__init__(message, violations)
        self.retry_seconds = retry_seconds


class InvalidArgument(ReelmillError):
    """The request is invalid; `violations` lists every fault."""

    code = "InvalidArgument"
    status = "INVALID_ARGUMENT"


class FieldNotSupported(ReelmillError):
    """The request uses a part of the contract that this version does not support yet."""

    code = "FieldNotSupported"
    status = "UNIMPLEMENTED"


class ResourceNotFound(ReelmillError):
    """A project, task or source object does not exist."""

    code = "ResourceNotFound"
    status = "NOT_FOUND"


class ResourceAlreadyExists(ReelmillError):
    """A resource with that name already exists."""

    code = "ResourceAlreadyExists"
    status = "ALREADY_EXISTS"


class StatusConflict(ReelmillError):
    """The state of the resource does not allow this."""

    code = "StatusConflict"
    status = "FAILED_PRECONDITION"


class LimitExceeded(ReelmillError):
    """A quota of the service is used up."""

    code = "LimitExceededError"
    status = "RESOURCE_EXHAUSTED"


class QuotaExceeded(ReelmillError):
    """A project has as many unfinished tasks as its quota allows; the violation's field names the quota."""

    code = "QuotaExceeded"
    status = "RESOURCE_EXHAUSTED"


class ServiceUnavailable(ReelmillError):
    """A part of the service is temporarily unavailable."""

    code = "ServiceUnavailable"
    status = "UNAVAILABLE"
    retryable = True


class InvalidMedia(ReelmillError):
    """A source cannot be read or decoded, or lacks a stream of the required type."""

    code = "InvalidMedia"
    status = "FAILED_PRECONDITION"


class UnsupportedFormat(ReelmillError):
    """A codec does not fit its container, a source's format is not supported, or the worker lacks an optional dependency."""

    code = "UnsupportedFormat"
    status = "FAILED_PRECONDITION"


class ConditionNotMet(ReelmillError):
    """A value of the source is lower than requested, and its option is FALL."""

    code = "ConditionNotMet"
    status = "FAILED_PRECONDITION"


class MediaLimitExceeded(ReelmillError):
    """A source or output exceeds a limit of the worker: pixels, streams, duration, frames, what a look may cost."""

    code = "MediaLimitExceeded"
    status = "RESOURCE_EXHAUSTED"


class AccessDenied(ReelmillError):
    """Storage refuses the object or the role, or the object lies outside what this server may access."""

    code = "AccessDenied"
    status = "PERMISSION_DENIED"


class BucketNotFound(ResourceNotFound):
    """The bucket of a URI does not exist."""

    code = "BucketNotFound"


class StorageUnavailable(ServiceUnavailable):
    """A storage repeatedly failed to respond correctly, or gives a source too slowly."""

    code = "StorageUnavailable"


class SourceChanged(ReelmillError):
    """A source was replaced while being read."""

    code = "SourceChanged"
    status = "ABORTED"
    retryable = True


class OutputError(ReelmillError):
    """An output could not be written or published."""

    code = "OutputError"
    status = "UNAVAILABLE"
    retryable = True


class WorkerBusy(ReelmillError):
    """The worker that took the task lacks capacity for it: the task returns to its queue, and the attempt does not count."""

    code = "WorkerBusy"
    status = "UNAVAILABLE"
    retryable = True


class EncoderCrashed(ReelmillError):
    """The child process of an attempt died."""

    code = "EncoderCrashed"
    retryable = True


class EncoderFailed(ReelmillError):
    """An encoder refused to open or failed while encoding."""

    code = "EncoderFailed"


class DriverFailed(ReelmillError):
    """The driver of an accelerator crashed or hung; the next attempt goes without the encoder, if hardware is not REQUIRED."""

    code = "DriverFailed"
    retryable = True

    def __init__(self, message: str = "", violations: Sequence[Violation] = (), encoders: Sequence[str] = ()) -> None:
        """`encoders`: those that ran."""
        super().__init__(message, violations)
        self.encoders = tuple(encoders)


class HardwareUnavailable(ReelmillError):
    """Hardware encoding is REQUIRED, and no hardware encoder of the codec works on this worker."""

    code = "HardwareUnavailable"
    status = "FAILED_PRECONDITION"


class OutOfMemory(ReelmillError):
    """The attempt takes more memory than it may, or than the worker has; tried once more, with a raised estimate."""

    code = "OutOfMemory"
    status = "RESOURCE_EXHAUSTED"
    retryable = True

    def __init__(self, message: str = "", violations: Sequence[Violation] = (), peak_bytes: int = 0) -> None:
        """`peak_bytes`: the most memory that the attempt was seen to hold; 0: unknown."""
        super().__init__(message, violations)
        self.peak_bytes = peak_bytes


class OutputInvalid(ReelmillError):
    """An output, read back, differs from its plan."""

    code = "OutputInvalid"


class ChunksDiffer(ReelmillError):
    """The chunks that several workers encoded do not fit together; one worker encodes the task again."""

    code = "ChunksDiffer"
    retryable = True


class Stalled(ReelmillError):
    """No media was written for too long."""

    code = "Stalled"
    retryable = True


class Timeout(ReelmillError):
    """The task, or the look at its sources, exceeded its time limit."""

    code = "Timeout"
    status = "DEADLINE_EXCEEDED"


class Canceled(ReelmillError):
    """A caller canceled the task."""

    code = "Canceled"
    status = "CANCELLED"


class InternalError(ReelmillError):
    """A defect of the service."""


class TaskOver(InternalError):
    """The task of an attempt was canceled, or has failed: nothing of it may be published, and nobody reads this."""


def all_errors(root: type[ReelmillError] = ReelmillError) -> Iterator[type[ReelmillError]]:
    """Yield every class of the tree below `root`."""
    for child in root.__subclasses__():
        yield child
        yield from all_errors(child)


def from_code(code: str, message: str) -> ReelmillError:
    """Return the error with this code, to restore one sent by another process; InternalError for an unknown code."""
    by_code: dict[str, type[ReelmillError]] = {}
    for child in all_errors():
        # The first one: what is derived from it may have the same code, and want more arguments.
        by_code.setdefault(child.code, child)
    return by_code.get(code, InternalError)(message)
