"""Traces for an OpenTelemetry collector: where a task spends its time. If off, OpenTelemetry is not imported."""

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from reelmill_server.errors import InvalidArgument
from reelmill_server.extras import install_command
from reelmill_server.settings.group import both_names

_SERVICE = "reelmill"
_STANDARD_ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")


class _State:
    """Tracing objects of this process; None: off."""

    provider: Any = None
    tracer: Any = None


_state = _State()


def start(endpoint: str, role: str) -> None:
    """Export spans to the collector at `endpoint`, or at that of the standard OTEL_ variables; do nothing without either.

    Raises InvalidArgument if OpenTelemetry is not installed.
    """
    if not endpoint and not any(os.environ.get(name) for name in _STANDARD_ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        setting = both_names("otel_endpoint") if endpoint else _STANDARD_ENDPOINTS[-1]
        raise InvalidArgument(f"{setting} needs OpenTelemetry: {install_command('tracing')} ({error})") from error
    use(BatchSpanProcessor(OTLPSpanExporter(endpoint or None)), role)


def use(processor: Any, role: str) -> None:
    """Pass spans to a processor of OpenTelemetry's SDK. `OTEL_SERVICE_NAME` overrides the name of the service."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    name = {} if os.environ.get("OTEL_SERVICE_NAME") else {"service.name": _SERVICE}
    _state.provider = TracerProvider(resource=Resource.create({**name, "reelmill.role": role}))
    _state.provider.add_span_processor(processor)
    _state.tracer = _state.provider.get_tracer(_SERVICE)


def stop() -> None:
    """Export the remaining spans and turn tracing off."""
    if _state.provider is not None:
        _state.provider.shutdown()
    _state.provider = _state.tracer = None


def on() -> bool:
    """Return whether tracing is on."""
    return _state.tracer is not None


def tracer() -> Any:
    """Return the tracer, for libraries that create their own spans, or None if tracing is off."""
    return _state.tracer


def span(name: str, **attributes: str) -> AbstractContextManager[Any]:
    """Return a span around a block, a child of the current span."""
    return _state.tracer.start_as_current_span(name, attributes=_prefixed(attributes)) if _state.tracer else nullcontext()


def served(method: str, metadata: Iterable[tuple[str, str | bytes]]) -> AbstractContextManager[Any]:
    """Return a span around the handling of a call; it belongs to the caller's trace if `metadata` names one."""
    if not _state.tracer:
        return nullcontext()
    from opentelemetry.trace import SpanKind

    headers = {key: value for key, value in metadata if isinstance(value, str)}
    return _state.tracer.start_as_current_span(  # type: ignore[no-any-return]
        method.lstrip("/"), context=_context(headers), kind=SpanKind.SERVER, attributes={"rpc.system": "grpc"}
    )


@contextmanager
def resumed(traceparent: str) -> Iterator[None]:
    """Attach a block to a trace that began elsewhere, whose `current` was `traceparent`."""
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
    """Return the current trace and span as W3C traceparent, or "" if there is none."""
    if not _state.tracer:
        return ""
    headers: dict[str, str] = {}
    _propagator().inject(headers)
    return headers.get("traceparent", "")


def ids() -> dict[str, str]:
    """Return the ids of the current trace and span in hexadecimal, as traces show them; nothing if there is none."""
    _, trace_id, span_id, *_ = (*current().split("-"), "", "")
    return {"trace_id": trace_id, "span_id": span_id} if span_id else {}


def past(name: str, begin_us: int, end_us: int) -> None:
    """Record a past span below the current one, between two times in microseconds since the epoch."""
    if _state.tracer:
        _state.tracer.start_span(name, start_time=begin_us * 1000).end(end_us * 1000)


def _prefixed(attributes: dict[str, str]) -> dict[str, str]:
    return {f"reelmill.{name}": value for name, value in attributes.items()}


def _propagator() -> Any:
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    return TraceContextTextMapPropagator()


def _context(headers: dict[str, str]) -> Any:
    """Return the context that these headers name, without anything of the current one."""
    from opentelemetry.context import Context

    return _propagator().extract(headers, context=Context())
