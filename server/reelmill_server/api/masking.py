"""Mask a record for callers other than the one who made it: no passwords, queries or webhooks of its URIs."""

import json
import re
from typing import Any

from reelmill.v1 import task_pb2
from reelmill_server.telemetry.logging import MASK, redact_text

_QUERY = re.compile(r"(://(?:[^\s\"'?#:]|:(?!//))*\?)[^\s\"'#]*")  # of the last `://` before it: each is looked at once
_WEBHOOK = ("Notification", "Webhook", "URL")


def masked(text: str) -> str:
    """Return a text whose URLs show neither users and passwords nor queries."""
    return _QUERY.sub(rf"\1{MASK}", redact_text(text))


def masked_uri(uri: str) -> str:
    """Return a URI without its query, user and password, whatever characters it has: in a text, a quote would end it."""
    head, question, _ = uri.partition("?")
    return redact_text(f"{head}{question}{MASK if question else ''}") if "://" in head else masked(uri)


def masked_url(url: str) -> str:
    """Return the host of a URL: the path of a webhook is often its secret. What is no URL stays."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    return f"{scheme}://{rest.split('/', 1)[0].rpartition('@')[2].partition('?')[0]}/{MASK}"


def holds_secrets(request_json: str) -> bool:
    """Return whether a recorded request has something that others are not shown."""
    return MASK in _masked_request(request_json)


def mask_task(task: task_pb2.Task) -> None:
    """Mask the URIs of a task, its messages and its request."""
    task.message = masked(task.message)
    for attempt in task.failed_attempts:
        attempt.message = masked(attempt.message)
    for artifact in task.artifacts:
        artifact.uri = masked_uri(artifact.uri)
    task.warnings[:] = [masked(warning) for warning in task.warnings]
    if task.task_request_definition:
        task.task_request_definition = _masked_request(task.task_request_definition)


def _masked_request(text: str) -> str:
    request = json.loads(text)
    *parents, name = _WEBHOOK
    holder: Any = request
    for parent in parents:
        holder = holder.get(parent) or {}
    if name in holder:
        holder[name] = masked_url(holder[name])
    return json.dumps(_masked_values(request), ensure_ascii=False)


def _masked_values(value: Any) -> Any:
    """Return a value of JSON with its texts masked."""
    if isinstance(value, str):
        return masked_uri(value)
    if isinstance(value, list):
        return [_masked_values(item) for item in value]
    return {name: _masked_values(item) for name, item in value.items()} if isinstance(value, dict) else value
