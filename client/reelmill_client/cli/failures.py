"""Errors at the end of a command: a short sentence, one line for each field at fault, and an exit code."""

import json

from reelmill_client import errors
from reelmill_client.cli.session import Session

EXIT_OK = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_FOUND = 3
EXIT_UNAVAILABLE = 4
EXIT_CANCELED = 5
EXIT_INTERRUPTED = 130

EXIT_CODES_HELP = "\n".join(
    (
        "Exit codes:",
        "0  success;",
        "1  the task failed, or the server refused the request;",
        "2  incorrect usage or an invalid request;",
        "3  not found;",
        "4  the server cannot be reached or did not answer in time;",
        "5  the task was canceled;",
        "130  interrupted; the task keeps running.",
    )
)

_EXIT_CODES: dict[type[errors.ReelmillError], int] = {
    errors.InvalidArgument: EXIT_USAGE,
    errors.FieldNotSupported: EXIT_USAGE,
    errors.NotFound: EXIT_NOT_FOUND,
    errors.Unavailable: EXIT_UNAVAILABLE,
    errors.DeadlineExceeded: EXIT_UNAVAILABLE,
    errors.TaskCanceled: EXIT_CANCELED,
}


def exit_code(error: errors.ReelmillError) -> int:
    return _EXIT_CODES.get(type(error), EXIT_FAILED)


def report(session: Session, error: errors.ReelmillError) -> None:
    """Print an error on standard error: text, or one JSON object with --json."""
    if session.json:
        session.err.print(json.dumps({"Error": _as_json(error)}, ensure_ascii=False), soft_wrap=True)
        return
    session.err.print(f"error: {_sentence(session, error)}", soft_wrap=True)
    for violation in error.violations:
        session.err.print(f"  {violation}", soft_wrap=True)
    if isinstance(error, errors.ServerError) and error.request_id:
        session.err.print(f"  request id: {error.request_id}", soft_wrap=True)


def _cause(message: str) -> str:
    """Return the end of gRPC's account of a connection, which is what the system said: `Connection refused`."""
    return message.rpartition("Failed to connect to remote host: ")[2] or message


def _sentence(session: Session, error: errors.ReelmillError) -> str:
    if error.violations and error.message == "; ".join(map(str, error.violations)):
        return "the request is invalid"
    if isinstance(error, errors.Unavailable) and not error.code:
        return f"cannot reach the server at {session.server}: {_cause(error.message)}; --server names another one"
    if isinstance(error, errors.DeadlineExceeded) and not error.code:
        return f"the server at {session.server} did not answer within {session.timeout_seconds:g} seconds"
    return error.message


def _as_json(error: errors.ReelmillError) -> dict[str, object]:
    return {
        "Code": error.code,
        "Status": error.status,
        "Message": error.message,
        "RequestId": error.request_id,
        "Violations": [{"Field": fault.field, "Description": fault.description} for fault in error.violations],
    }
