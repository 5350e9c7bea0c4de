"""The audit log: one line for each call that changes something, whether it succeeded or not."""

from typing import Any

import structlog
from google.protobuf.message import Message

from reelmill_server.api.caller import caller
from reelmill_server.api.permissions import RULES, action_of

_MOST_CHARACTERS = 128  # names of requests that were refused may be longer
_SUBJECTS = ("task_id", "notification_id", "key_id")
_log = structlog.get_logger("reelmill.audit")


def write(method: str, request: Message | None, response: Message | None, outcome: str, peer: str) -> None:
    """Log who did what to which project, task, notification or key, and how it ended: no contents of requests."""
    rule = RULES.get(method)
    if rule is None or not rule.changes:
        return
    project = rule.project(request) if request is not None and rule.project is not None else ""
    subject = {name: value[:_MOST_CHARACTERS] for name in _SUBJECTS if (value := _value(name, request, response))}
    _log.info(
        "audit",
        principal=caller().name,
        action=f"imm:{action_of(method)}",
        project=project[:_MOST_CHARACTERS],
        outcome=outcome,
        peer=peer,
        **subject,
    )


def _value(name: str, request: Any, response: Any) -> str:
    """Return a field of the response, or that of the request."""
    for message in (response, getattr(response, "key", None), request):
        value = getattr(message, name, "") if message is not None else ""
        if value:
            return str(value)
    return ""
