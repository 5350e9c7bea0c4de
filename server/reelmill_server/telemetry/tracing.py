"""Traces: where the time of a task goes, for an OpenTelemetry collector. Off, nothing of OpenTelemetry is imported."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from reelmill_server.errors import InvalidArgument

_SERVICE = "reelmill"
_STANDARD_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class _State:
    """What this process traces with; None: it does not."""

    provider: Any = None
    tracer: Any = None


_state = _State()


def start(endpoint: str, role: str) -> None:
    """Sends spans of this process to the collector at `endpoint`, or where the standard OTEL_ variables say; nothing when
    neither names one. Raises InvalidArgument when OpenTelemetry is not installed."""
    if not endpoint and not any(os.environ.get(name) for name in _STANDARD_ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise InvalidArgument(f"otel_endpoint: needs the extra `tracing`: pip install 'reelmill[tracing]' ({error})") from error
    use(BatchSpanProcessor(OTLPSpanExporter(endpoint or None)), role)


def use(processor: Any, role: str) -> None:
    """Hands spans of this process to a processor of OpenTelemetry's SDK. `OTEL_SERVICE_NAME` gives the service another name."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": _SERVICE}
    _state.provider = TracerProvider(resource=Resource.create({**name, "reelmill.role": role}))
    _state.provider.add_span_processor(processor)
    _state.tracer = _state.provider.get_tracer(_SERVICE)


def stop() -> None:
    """Sends what was not sent yet, and ends."""
    if _state.provider is not None:
        _state.provider.shutdown()
    _state.provider = _state.tracer = None


def on() -> bool:
    """Whether there are traces."""
    return _state.tracer is not None


def tracer() -> Any:
    """What makes spans, for libraries that make their own; None: off."""
    return _state.tracer


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """A span of what is done in the block, below the one that is current."""
    return _state.tracer.start_as_current_span(name, attributes=_named(attributes)) if _state.tracer else nullcontext()


def served(method: str, metadata: Iterable[tuple[str, str | bytes]]) -> AbstractContextManager[Any]:
    """A span of a call that is served in the block; it belongs to the caller's trace when `metadata` names one."""
    if not _state.tracer:
        return nullcontext()
    from opentelemetry.trace import SpanKind

    headers = {key: value for key, value in metadata if isinstance(value, str)}
    return _state.tracer.start_as_current_span(  # type: ignore[no-any-return]
        method.lstrip("/"), context=_context(headers), kind=SpanKind.SERVER, attributes={"rpc.system": "grpc"}
    )


@contextmanager
def resumed(traceparent: str) -> Iterator[None]:
    """What is done in the block belongs to a trace that began elsewhere: what `current` gave there."""
    if not _state.tracer or not traceparent:
        yield
        return
    from opentelemetry import context

    token = context.attach(_context({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def current() -> str:
    """The trace and the span that are current, as W3C's traceparent; empty: none."""
    if not _state.tracer:
        return ""
    headers: dict[str, str] = {}
    _propagator().inject(headers)
    return headers.get("traceparent", "")


def past(name: str, begin_us: int, end_us: int) -> None:
    """A span of what was done elsewhere, between two times in microseconds since the epoch, below the current one."""
    if _state.tracer:
        _state.tracer.start_span(name, start_time=begin_us * 1000).end(end_us * 1000)


def _named(attributes: dict[str, str]) -> dict[str, str]:
    return {f"reelmill.{name}": value for name, value in attributes.items()}


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _context(headers: dict[str, str]) -> Any:
    """The context that these headers name, and nothing of what is current."""
    from opentelemetry.context import Context

    return _propagator().extract(headers, context=Context())
