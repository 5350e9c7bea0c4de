"""Logs, metrics, and the HTTP pages."""

import asyncio
import io
import json
import logging
import os
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
import structlog
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from reelmill_server.api.masking import masked, masked_uri
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.http import Check, TelemetryServer
from reelmill_server.telemetry.log_writer import LogWriter
from reelmill_server.telemetry.logging import configure_logging, redact, redact_text, task_context
from reelmill_server.telemetry.metrics import Metrics


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    """Put back what configure_logging changes for the whole process."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    root.handlers = []  # else the handlers of pytest would be closed
    yield
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


@pytest.fixture
def stream() -> io.StringIO:
    """Where the log goes."""
    return io.StringIO()


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    """What was logged, as JSON."""
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_structlog_and_stdlib_logs_look_alike(stream: io.StringIO) -> None:
    """One JSON object a line, with time, level, logger and what was given."""
    configure_logging("json", "info", stream)
    structlog.get_logger("ours").info("task finished", seconds=1.5)
    logging.getLogger("theirs").warning("disk %s is full", "sda", extra={"percent": 99})
    ours, theirs = lines(stream)
    assert ours == {"event": "task finished", "seconds": 1.5, "level": "info", "logger": "ours", "timestamp": ours["timestamp"]}
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["percent"], theirs["level"], theirs["logger"]) == (
        "disk sda is full",
        99,
        "warning",
        "theirs",
    )


def test_console_is_readable_and_level_filters(stream: io.StringIO) -> None:
    """No JSON, no colours off a terminal; what is below the level is not written; a second call replaces the first."""
    configure_logging("json", "debug", stream)
    configure_logging("console", "warning", stream)
    structlog.get_logger().info("quiet")
    logging.getLogger("theirs").info("quiet")
    structlog.get_logger().error("loud", size_bytes=7)
    assert "quiet" not in stream.getvalue() and "\033" not in stream.getvalue()
    assert stream.getvalue().count("loud") == 1 and "size_bytes=7" in stream.getvalue()


def test_auto_is_json_off_a_terminal(stream: io.StringIO) -> None:
    """A file or a pipe gets JSON."""
    configure_logging("auto", "info", stream)
    structlog.get_logger().info("x")
    assert lines(stream)[0]["event"] == "x"


async def test_task_context_marks_every_line_inside(stream: io.StringIO) -> None:
    """Also those of the standard library and of awaited code; not those of other tasks or afterwards."""
    configure_logging("json", "info", stream)

    async def work(task_id: str) -> None:
        with task_context(task_id, attempt=2):
            await asyncio.sleep(0)
            logging.getLogger("theirs").info(task_id)

    await asyncio.gather(work("a"), work("b"))
    structlog.get_logger().info("after")
    *inside, after = lines(stream)
    assert all((line["task_id"], line["attempt"]) == (line["event"], 2) for line in inside) and len(inside) == 2
    assert "task_id" not in after


def test_secrets_are_masked_whoever_logs_them(stream: io.StringIO) -> None:
    """By key at any depth, in URLs, in messages of the standard library, and in tracebacks."""
    configure_logging("json", "info", stream)
    url = "postgresql://user:hunter2@host/name"
    structlog.get_logger().info("connect", url=url, db_password="hunter2", nested=[{"apiKey": "hunter2", "keep": 1}])
    logging.getLogger("theirs").info("GET https://h/o?X-Amz-Signature=hunter2&part=1 for %s", url)
    try:
        raise ValueError(url)
    except ValueError:
        structlog.get_logger().exception("failed")
        logging.getLogger("theirs").exception("failed")
    assert "hunter2" not in stream.getvalue()
    first = lines(stream)[0]
    assert first["nested"] == [{"apiKey": "***", "keep": 1}]
    assert first["url"] == "postgresql://***@host/name"
    assert "ValueError: postgresql://***@host/name" in lines(stream)[2]["exception"]


@pytest.mark.parametrize(
    "key",
    [
        "password",
        "DB_PASSWORD",
        "clientSecret",
        "token",
        "session_token",
        "X-Api-Key",
        "apikey",
        "Authorization",
        "credential_config",
        "access_key_id",
        "accessKeyId",
        "private_key",
        "Cookie",
        "signature",
    ],
)
def test_keys_that_name_secrets(key: str) -> None:
    """Whatever their spelling."""
    assert redact(None, "", {key: ["x"]}) == {key: "***"}


@pytest.mark.parametrize("key", ["token_count", "key", "task_id", "encoder", "tokenizer", "request_key", "keyframe"])
def test_keys_that_do_not(key: str) -> None:
    """Words that only look alike."""
    assert redact(None, "", {key: "x"}) == {key: "x"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("s3://key:p@ss@bucket/o", "s3://***@bucket/o"),
        ("https://host/a@b.mp4", "https://host/a@b.mp4"),
        ("mail me@example.org at https://host", "mail me@example.org at https://host"),
        ("?Expires=9&OSSAccessKeyId=x&Signature=y%3D", "?Expires=9&OSSAccessKeyId=***&Signature=***"),
        ("https://h/b?sv=1&sig=abc#t", "https://h/b?sv=1&sig=***#t"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ("{'authorization': 'Basic abc='}", "{'authorization': '***'}"),
    ],
)
def test_redact_text(text: str, expected: str) -> None:
    """The secret goes, the rest stays."""
    assert redact_text(text) == expected


@pytest.mark.parametrize("text", ["?", "?a", "&sig", "://", "://?", "://a:b@", "http://a:b@c?", "?token=", "authorization "])
def test_long_texts_are_masked_soon(text: str) -> None:
    """As long as a request may be: each time that a task is shown to others, and in the loop that serves all callers."""
    long = text * ((256 << 10) // len(text))
    assert len(redact_text(long)) and len(masked(long)) and len(masked_uri(long))


def test_odd_values_can_be_logged(stream: io.StringIO) -> None:
    """Bytes, errors, sets and values that contain themselves do not break a log call."""
    configure_logging("json", "info", stream)
    loop: dict[str, Any] = {}
    loop["loop"] = loop
    structlog.get_logger().info("odd", raw=b"x", error=ValueError("no"), some={1}, loop=loop)
    assert lines(stream)[0]["error"] == "no"


def test_metrics_are_isolated_and_named_once() -> None:
    """Two sets of metrics share nothing; the names are those that dashboards use."""
    one, two = Metrics(), Metrics()
    one.task_total.labels("Failed", "Timeout").inc()
    one.encoder_fallback_total.labels("h264_nvenc", "libx264", "HardwareUnavailable").inc()
    one.tasks.labels("Running").set(3)
    one.stage_seconds.labels("convert").observe(7)
    text = one.render().decode()
    for line in (
        'reelmill_task_total{code="Timeout",status="Failed"} 1.0',
        'reelmill_encoder_fallback_total{from="h264_nvenc",reason="HardwareUnavailable",to="libx264"} 1.0',
        'reelmill_tasks{status="Running"} 3.0',
        'reelmill_stage_seconds_bucket{le="15.0",stage="convert"} 1.0',
        "reelmill_attempts_running 0.0",
        "reelmill_watchers 0.0",
        "reelmill_engine_restart_total 0.0",
    ):
        assert line in text.splitlines()
    assert "Timeout" not in two.render().decode()


def test_only_so_many_projects_are_named() -> None:
    """Those with most unfinished tasks; the others are one, and who is no longer among them is gone."""
    metrics = Metrics()
    metrics.show_projects({"a": (1, 0), "b": (2, 5), "c": (3, 0), "d": (0, 1)}, limit=2)
    shown = [line for line in metrics.render().decode().splitlines() if line.startswith("reelmill_project_tasks{")]
    assert sorted(shown) == [
        'reelmill_project_tasks{project="(others)",state="Admitted"} 1.0',
        'reelmill_project_tasks{project="(others)",state="Waiting"} 1.0',
        'reelmill_project_tasks{project="b",state="Admitted"} 2.0',
        'reelmill_project_tasks{project="b",state="Waiting"} 5.0',
        'reelmill_project_tasks{project="c",state="Admitted"} 3.0',
        'reelmill_project_tasks{project="c",state="Waiting"} 0.0',
    ]
    metrics.show_projects({"a": (1, 0)}, limit=2)
    assert 'project="b"' not in metrics.render().decode()


class Part:
    """A part of a server whose readiness a test sets."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.seconds = 0.0

    async def check(self) -> None:
        """Raise what was set, after the time that was set."""
        await asyncio.sleep(self.seconds)
        if self.error:
            raise self.error


@pytest.fixture
async def part() -> Part:
    """A part that is ready."""
    return Part()


@pytest.fixture
async def base(part: Part) -> AsyncIterator[str]:
    """The URL of a running server with two checks."""

    async def fine() -> None: ...

    checks: dict[str, Check] = {"database": part.check, "engine": fine}
    server = TelemetryServer(Metrics(), checks, check_seconds=0.1)
    port = await server.start("127.0.0.1:0")
    yield f"http://127.0.0.1:{port}"
    await server.stop()
    await server.stop()


async def fetch(url: str) -> tuple[int, str, str]:
    """Status, content type and text of a page."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, response.headers["Content-Type"], await response.text()


async def test_metrics_page_is_prometheus_text(base: str) -> None:
    """With the content type that Prometheus expects."""
    status, kind, text = await fetch(base + "/metrics")
    assert status == 200 and kind.startswith("text/plain; version=")
    assert "# TYPE reelmill_rpc_seconds histogram" in text


async def test_ready_only_while_every_check_passes(base: str, part: Part) -> None:
    """503 names what fails and why, without secrets, also when a check hangs; healthz stays 200."""
    assert (await fetch(base + "/readyz"))[0] == 200
    for error, seconds, reason in (
        (RuntimeError("no route to postgres://u:hunter2@h/x"), 0.0, "no route to postgres://***@h/x"),
        (RuntimeError(), 0.0, "RuntimeError"),
        (None, 5.0, "no response within 0.1 s"),
    ):
        part.error, part.seconds = error, seconds
        status, kind, text = await fetch(base + "/readyz")
        assert (status, json.loads(text)) == (503, {"ready": False, "failing": {"database": reason}})
        assert kind.startswith("application/json")
        assert (await fetch(base + "/healthz"))[0] == 200
    part.error, part.seconds = None, 0.0
    assert json.loads((await fetch(base + "/readyz"))[2]) == {"ready": True, "failing": {}}


async def test_a_taken_port_is_an_error(base: str) -> None:
    """OSError, and the server can be stopped nevertheless."""
    server = TelemetryServer(Metrics(), {})
    with pytest.raises(OSError, match="address"):
        await server.start(base.removeprefix("http://"))
    await server.stop()


async def test_connections_that_do_nothing_make_room(base: str) -> None:
    """The oldest go, and whoever asks is answered."""
    host, _, port = base.removeprefix("http://").partition(":")
    idle = [await asyncio.open_connection(host, int(port)) for _ in range(150)]
    assert (await fetch(base + "/healthz"))[0] == 200
    async with asyncio.timeout(20):
        assert await idle[0][0].read() == b""
    for _, writer in idle:
        writer.close()


async def test_what_a_process_needs_is_a_metric(part: Part) -> None:
    """Without anybody asking /readyz: 1 while its check passes, 0 while it does not."""
    metrics = Metrics()
    server = TelemetryServer(metrics, {"database": part.check})
    for error, value in ((None, 1), (ConnectionError("away"), 0), (None, 1)):
        part.error = error
        await server.show_ready()
        assert metrics.registry.get_sample_value("reelmill_ready", {"check": "database"}) == value


def test_a_log_that_nobody_reads_stops_nothing() -> None:
    """Of a pipe that is full: lines wait, then they are dropped and counted; what waited is written when it is read again."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as reader, os.fdopen(writing, "w") as stream:
        writer = LogWriter(stream, waiting_lines=10)
        dropped: list[None] = []
        writer.on_drop(lambda: dropped.append(None))
        for number in range(1000):
            writer.handle(logging.LogRecord("x", logging.INFO, "", 0, f"{number} " + "x" * 1000, (), None))
        assert 800 < len(dropped) < 1000
        written = 1000 - len(dropped)
        numbers = [int(reader.readline().split()[0]) for _ in range(written)]
        assert numbers == sorted(set(numbers))
        writer.flush()


def test_lines_name_the_trace(stream: io.StringIO) -> None:
    """Inside a span, by the ids with which the trace's store knows it; none elsewhere."""
    configure_logging("json", "info", stream)
    tracing.use(SimpleSpanProcessor(InMemorySpanExporter()), "api")
    try:
        with tracing.span("call"):
            structlog.get_logger().info("inside")
            expected = tracing.current().split("-")[1:3]
    finally:
        tracing.stop()
    structlog.get_logger().info("outside")
    inside, outside = lines(stream)
    assert [inside["trace_id"], inside["span_id"]] == expected
    assert "trace_id" not in outside
