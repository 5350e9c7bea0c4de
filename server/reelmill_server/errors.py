"""Every error that Reelmill reports, in one tree.

ReelmillError
├── of a request:  InvalidArgument, FieldNotSupported, ResourceNotFound, ResourceAlreadyExists, StatusConflict,
│                  LimitExceeded, QuotaExceeded, ServiceUnavailable
├── of media:      InvalidMedia, UnsupportedFormat, ConditionNotMet, MediaLimitExceeded
├── of storage:    AccessDenied, BucketNotFound, StorageUnavailable, SourceChanged, OutputError (and ResourceNotFound)
└── of an attempt: WorkerBusy, EncoderCrashed, EncoderFailed, HardwareUnavailable, OutputInvalid, ChunksDiffer, Stalled,
                   Timeout, Canceled, InternalError

Each class has a `code` (the contract's word, seen in Task.code and ErrorInfo), a gRPC `status` name, and says whether
another attempt may succeed (`retryable`). docs/errors.md lists them all; a test compares the two.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Violation:
    """One thing wrong with a request: the path of the field ("" when no single one is at fault) and what was expected."""

    field: str
    description: str


class ReelmillError(Exception):
    """What went wrong, in one sentence a caller can act on."""

    code = "InternalError"
    status = "INTERNAL"
    retryable = False

    def __init__(self, message: str = "", violations: Sequence[Violation] = ()) -> None:
        self.message = message or "; ".join(
            f"{violation.field}: {violation.description}" if violation.field else violation.description
            for violation in violations
        )
        self.violations = tuple(violations)
        super().__init__(self.message)

    @classmethod
    def reason(cls) -> str:
        """`code` in the form that google.rpc.ErrorInfo.reason takes: UPPER_SNAKE_CASE."""
        return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", cls.code).upper()


class InvalidArgument(ReelmillError):
    """The request breaks the contract; every violation found is listed."""

    code = "InvalidArgument"
    status = "INVALID_ARGUMENT"


class FieldNotSupported(ReelmillError):
    """The request uses a part of the contract that this version does not honour yet."""

    code = "FieldNotSupported"
    status = "UNIMPLEMENTED"


class ResourceNotFound(ReelmillError):
    """A project, a task or a source object does not exist."""

    code = "ResourceNotFound"
    status = "NOT_FOUND"


class ResourceAlreadyExists(ReelmillError):
    """A resource of that name exists."""

    code = "ResourceAlreadyExists"
    status = "ALREADY_EXISTS"


class StatusConflict(ReelmillError):
    """The resource is not in a state that allows this."""

    code = "StatusConflict"
    status = "FAILED_PRECONDITION"


class LimitExceeded(ReelmillError):
    """A quota of the service is used up."""

    code = "LimitExceededError"
    status = "RESOURCE_EXHAUSTED"


class QuotaExceeded(ReelmillError):
    """A project has as many unfinished tasks as it may have; the violation's field names the quota."""

    code = "QuotaExceeded"
    status = "RESOURCE_EXHAUSTED"


class ServiceUnavailable(ReelmillError):
    """A part of the service cannot be reached now."""

    code = "ServiceUnavailable"
    status = "UNAVAILABLE"
    retryable = True


class InvalidMedia(ReelmillError):
    """A source cannot be read or decoded, or has no stream of the kind that is needed."""

    code = "InvalidMedia"
    status = "FAILED_PRECONDITION"


class UnsupportedFormat(ReelmillError):
    """A codec does not fit its container, a source is in a format that is not opened, or the worker lacks an extra."""

    code = "UnsupportedFormat"
    status = "FAILED_PRECONDITION"


class ConditionNotMet(ReelmillError):
    """A `fall` option was triggered."""

    code = "ConditionNotMet"
    status = "FAILED_PRECONDITION"


class MediaLimitExceeded(ReelmillError):
    """A source or an output goes beyond a limit of the worker: pixels, streams, duration, frames, memory."""

    code = "MediaLimitExceeded"
    status = "RESOURCE_EXHAUSTED"


class AccessDenied(ReelmillError):
    """Storage refuses the object or the role, or it lies outside what this server may use."""

    code = "AccessDenied"
    status = "PERMISSION_DENIED"


class BucketNotFound(ResourceNotFound):
    """The bucket of a URI does not exist."""

    code = "BucketNotFound"


class StorageUnavailable(ServiceUnavailable):
    """A storage did not answer as it should, several times in a row."""

    code = "StorageUnavailable"


class SourceChanged(ReelmillError):
    """A source was replaced while it was read."""

    code = "SourceChanged"
    status = "ABORTED"
    retryable = True


class OutputError(ReelmillError):
    """An output could not be written or put in place."""

    code = "OutputError"
    status = "UNAVAILABLE"
    retryable = True


class WorkerBusy(ReelmillError):
    """The worker that took the task has no room for it: the task goes back to its queue, and that counts for nothing."""

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


class HardwareUnavailable(ReelmillError):
    """Hardware was REQUIRED and no hardware encoder of the codec works here."""

    code = "HardwareUnavailable"
    status = "FAILED_PRECONDITION"


class OutputInvalid(ReelmillError):
    """An output was written but, read back, is not what was planned."""

    code = "OutputInvalid"


class ChunksDiffer(ReelmillError):
    """What several workers made of one task does not fit together: it is made again by one."""

    code = "ChunksDiffer"
    retryable = True


class Stalled(ReelmillError):
    """Media time stood still for too long."""

    code = "Stalled"
    retryable = True


class Timeout(ReelmillError):
    """The task took longer than a task may."""

    code = "Timeout"
    status = "DEADLINE_EXCEEDED"


class Canceled(ReelmillError):
    """A caller canceled the task."""

    code = "Canceled"
    status = "CANCELLED"


class InternalError(ReelmillError):
    """A defect of the service itself."""


def all_errors(root: type[ReelmillError] = ReelmillError) -> Iterator[type[ReelmillError]]:
    """Every concrete class of the tree."""
    for child in root.__subclasses__():
        yield child
        yield from all_errors(child)


def from_code(code: str, message: str) -> ReelmillError:
    """The error with this code, as it was before it crossed a process; InternalError for an unknown code."""
    by_code = {child.code: child for child in all_errors()}
    return by_code.get(code, InternalError)(message)
