"""Logs: one line of JSON each, or colored text on a terminal, for structlog and the standard library alike.

Secrets are masked in the last step, whoever logged them: see redact.
"""

import logging
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Literal, TextIO

import structlog

from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.log_writer import standard_error

LogFormat = Literal["auto", "json", "console"]

MASK = "***"

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_SECRET_WORDS = frozenset(
    ("password", "passwd", "secret", "secrets", "credential", "credentials", "authorization", "cookie", "signature", "apikey")
)
_SECRET_ENDINGS = (("token",), ("api", "key"), ("access", "key"), ("private", "key"), ("access", "key", "id"))

_URL_USER = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
# A name that is no secret's is passed over at once: its rest would be looked at again from each of its question marks.
_QUERY_SECRET = re.compile(
    r"([?&](?=[^=&\s\"']*(?:signature|token|secret|password|credential|accesskeyid|access_key|api_?key|sig))[^=&\s\"']*=)"
    r"[^&\s\"'#]+|[?&][^=&\s\"']*",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"\b((?:proxy-)?authorization\"?'?\s*[:=]\s*\"?'?)(?:(bearer|basic)\s+)?[^\s,\"']+", re.IGNORECASE)

_MAX_DEPTH = 6
# These log every statement and request, which would drown the server's own debug messages; Temporal's log the shutdown of each
# worker, which would hide the one line that says why the server stops.
_VERBOSE_LOGGERS = ("aiosqlite", "alembic", "google", "urllib3", "asyncio", "botocore", "s3transfer", "temporalio")


def configure_logging(log_format: LogFormat = "auto", log_level: str = "info", stream: TextIO | None = None) -> None:
    """Send logs at `log_level` and above to `stream` (default: standard error); a second call replaces the first.

    `auto` is console on a terminal and json elsewhere. Standard error that nobody reads does not stop the process: a thread
    writes to it. A `stream` is written to at once.
    """
    output = sys.stderr if stream is None else stream
    console = log_format == "console" or (log_format == "auto" and output.isatty())
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        _add_trace,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # loggers are created at import, before this runs
    )
    handler = standard_error() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                redact,
                _renderer(console, output),
            ],
        )
    )
    level = logging.getLevelNamesMapping()[log_level.upper()]
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))


def _renderer(console: bool, output: TextIO) -> structlog.typing.Processor:
    if console:
        return structlog.dev.ConsoleRenderer(colors=output.isatty())
    return structlog.processors.JSONRenderer(sort_keys=False)


def _add_trace(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Add the ids of the current trace and span, if any: a structlog processor."""
    event.update(tracing.ids())
    return event


@contextmanager
def task_context(task_id: str, **values: Any) -> Iterator[None]:
    """Add `task_id` and other values to every line logged inside the block, by all code that it calls or awaits."""
    with structlog.contextvars.bound_contextvars(task_id=task_id, **values):
        yield


def redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Mask secrets in a log event: a structlog processor.

    It masks values whose key names a secret, at any depth, and in any string the user part of URLs, secret parameters of signed
    URLs, and authorization headers.
    """
    for key in event:
        event[key] = MASK if _is_secret(key) else _clean(event[key], _MAX_DEPTH)
    return event


def redact_text(text: str) -> str:
    """Mask the user part of URLs, secret parameters of signed URLs, and authorization headers in a text."""
    text = _URL_USER.sub(f"{MASK}@", text)
    text = _QUERY_SECRET.sub(lambda found: f"{found[1]}{MASK}" if found[1] else found[0], text)
    return _AUTHORIZATION.sub(rf"\1{MASK}", text)


def _is_secret(key: Any) -> bool:
    """Return whether a key names a secret: db_password, X-Api-Key, clientSecret, session_token; but not token_count."""
    words = tuple(word.lower() for word in _WORD.findall(key)) if isinstance(key, str) else ()
    return not _SECRET_WORDS.isdisjoint(words) or any(words[-len(ending) :] == ending for ending in _SECRET_ENDINGS)


def _clean(value: Any, depth: int) -> Any:
    if isinstance(value, str):
        return redact_text(value)
    if value is None or isinstance(value, bool | int | float):
        return value
    if depth == 0:
        return "…"
    if isinstance(value, Mapping):
        return {key: MASK if _is_secret(key) else _clean(item, depth - 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_clean(item, depth - 1) for item in value]
    return redact_text(str(value))
