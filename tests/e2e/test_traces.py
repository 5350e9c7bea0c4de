"""One trace from the caller to the child and back, received as a collector would."""

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2, trace_service_pb2_grpc
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.trace import TracerProvider

from tests import servers
from tests.clips import moving_picture

pytestmark = pytest.mark.xdist_group("traces")
QUICK = {"video": "h264", "preset": "ultrafast", "audio": "aac"}


class Collector(trace_service_pb2_grpc.TraceServiceServicer):
    """Receives spans by OTLP."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self._server = grpc.server(ThreadPoolExecutor(2))
        trace_service_pb2_grpc.add_TraceServiceServicer_to_server(self, self._server)  # type: ignore[no-untyped-call]
        self.endpoint = f"http://127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Export(self, request: Any, _: Any) -> Any:
        """Takes some spans."""
        self.spans += [span for one in request.resource_spans for scope in one.scope_spans for span in scope.spans]
        return trace_service_pb2.ExportTraceServiceResponse()

    def stop(self) -> None:
        """Receives no more."""
        self._server.stop(None)

    def of(self, trace: bytes) -> list[Span]:
        """The spans of a trace, once its task's end is recorded."""
        ended = "RunActivity:record_outcome"
        servers.wait_for(lambda: [span for span in self.spans if span.name == ended and span.trace_id == trace], "the end")
        return [span for span in self.spans if span.trace_id == trace]


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """Where the spans go."""
    result = Collector()
    yield result
    result.stop()


@pytest.fixture(scope="module")
def server(collector: Collector, tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.Server]:
    """A service that traces."""
    at_once: Any = {"OTEL_BSP_SCHEDULE_DELAY": "50"}
    with servers.serve(
        tmp_path_factory.mktemp("traces"), "--otel-endpoint", collector.endpoint, environment=at_once
    ) as running:
        yield running


def _paths(spans: list[Span]) -> set[str]:
    """Each span as the names on the way to it, the service's part of the first shortened."""
    by_id = {span.span_id: span for span in spans}

    def path(span: Span) -> str:
        name = span.name.rpartition("/")[2]
        parent = by_id.get(span.parent_span_id)
        return f"{path(parent)} {name}" if parent else name

    return {path(span) for span in spans}


def _submitted(server: servers.Server, **conversion: Any) -> tuple[bytes, bytes]:
    """A task that is submitted inside a span of the caller's, and has succeeded: its trace, and the caller's span."""
    tracer = TracerProvider().get_tracer("test")
    with servers.client(server) as client:
        with tracer.start_as_current_span("caller") as span:
            submitted = client.submit(**conversion)
        client.wait(submitted.task_id, timeout_seconds=60)
    context = span.get_span_context()
    return context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")


@pytest.mark.slow
def test_a_small_task_is_one_trace(server: servers.Server, collector: Collector) -> None:
    """From the caller's span to the stages in the child, each below what caused it, and inside it in time."""
    files = server.log.parents[1] / "files"
    clip = moving_picture(files / "clip.mp4", 1)
    trace, caller = _submitted(server, source=clip, destination=files / "copy.mkv")
    spans = collector.of(trace)
    (call,) = (span for span in spans if span.kind == Span.SPAN_KIND_SERVER and span.name.endswith("/CreateMediaConvertTask"))
    assert call.parent_span_id == caller
    start = "CreateMediaConvertTask StartWorkflow:MediaConvert"
    attempt = f"{start} StartActivity:convert RunActivity:convert"
    expected = {f"{attempt} {name}" for name in ("open", "child", "publish")}
    expected |= {f"{attempt} child {stage}" for stage in ("probe", "plan", "convert", "verify")}
    assert expected <= _paths(spans), _paths(spans)
    named = {span.name: span for span in spans}
    child = named["child"]
    assert named["probe"].end_time_unix_nano <= named["convert"].start_time_unix_nano
    for stage in ("probe", "plan", "convert", "verify"):
        assert child.start_time_unix_nano < named[stage].start_time_unix_nano < named[stage].end_time_unix_nano
        assert named[stage].end_time_unix_nano < child.end_time_unix_nano + 1_000_000


@pytest.mark.slow
def test_units_and_their_join_are_in_the_trace_of_their_task(server: servers.Server, collector: Collector) -> None:
    """Each unit is an activity with a child of its own, and waits to be admitted before it."""
    files = server.log.parents[1] / "files"
    clip = moving_picture(files / "long.mp4", 4)
    trace, _ = _submitted(server, source=clip, destination=files / "cut.mp4", parallelism=2, **QUICK)
    spans = collector.of(trace)
    units = [span for span in spans if span.name == "RunActivity:encode_unit"]
    assert len(units) == 3  # two of pictures, one of sound
    for unit in units:
        below = {span.name for span in spans if span.parent_span_id == unit.span_id}
        assert below == {"admission", "child", "keep"}
    joins = [path for path in _paths(spans) if path.endswith("RunActivity:convert child verify")]
    assert len(joins) == 1


@pytest.mark.slow
def test_a_task_that_waits_for_its_quota_keeps_its_trace(server: servers.Server, collector: Collector) -> None:
    """It is started by the end of another, and is not part of that one's trace."""
    files = server.log.parents[1] / "files"
    clip = moving_picture(files / "turn.mp4", 1)
    tracer = TracerProvider().get_tracer("test")
    traces, tasks = [], []
    with servers.client(server) as client:
        client.projects.create("turns", engine_concurrency=1)
        for number in range(3):
            with tracer.start_as_current_span("caller") as span:
                task = client.submit(source=clip, destination=files / f"turn{number}.mp4", project="turns", **QUICK)
            traces.append(span.get_span_context().trace_id.to_bytes(16, "big"))
            tasks.append(task.task_id)
        for task_id in tasks:
            client.wait(task_id, project="turns", timeout_seconds=60)
    for trace in traces:
        names = [span.name for span in collector.of(trace)]
        assert names.count("StartWorkflow:MediaConvert") == names.count("RunActivity:convert") == 1


def test_without_an_endpoint_nothing_of_it_is_imported() -> None:
    """Neither in a server nor in a client; and what is timed costs nothing."""
    code = (
        "import sys, reelmill_server.app.run, reelmill_server.worker.child.main, reelmill_client\n"
        "from reelmill_server.telemetry import tracing\n"
        "tracing.start('', 'serve')\n"
        "assert not tracing.on() and tracing.current() == ''\n"
        "with tracing.span('x', lane='fast'), tracing.served('m', ()), tracing.resumed('00-1-1-01'): pass\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
