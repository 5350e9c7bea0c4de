"""Handling of every call: its id, log line and metrics, and the conversion of errors to gRPC statuses."""

from __future__ import annotations  # grpc's classes are generic in its stubs only

import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import Any, NoReturn

import grpc
import structlog
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2, status_pb2

from reelmill_server.api import audit
from reelmill_server.api.caller import peer, set_peer
from reelmill_server.api.gate import Gate
from reelmill_server.errors import (
    InternalError,
    InvalidArgument,
    QuotaExceeded,
    ReelmillError,
    StorageUnavailable,
    Throttled,
    Violation,
)
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.telemetry import tracing
from reelmill_server.telemetry.metrics import Metrics

ERROR_DOMAIN = "reelmill"
_STATUS_DETAILS = "grpc-status-details-bin"
_RETRY_SECONDS = 1
_QUOTA_RETRY_SECONDS = 10  # tasks take longer to end than a service to restart
_MESSAGE_CHARACTERS = 300
_VIOLATION_CHARACTERS = 200
_DETAILS_BYTES = 3500
# The server has called the storage several times: gRPC's own retries would add up to the deadline, and hide what is wrong.
_NOT_AGAIN = ("grpc-retry-pushback-ms", "-1")
# A key that is revoked, or a token that expires, ends a stream when it would next say something after this time.
_CHECK_AGAIN_SECONDS = 60.0
_QUIET = ("/grpc.health.", "/grpc.reflection.")
_log = structlog.get_logger(__name__)
_request_id: ContextVar[str] = ContextVar("request_id", default="")


def request_id() -> str:
    """Return the id of the current call: an upper-case UUID."""
    return _request_id.get()


def status_of(error: ReelmillError, call_id: str) -> status_pb2.Status:
    """Return the google.rpc.Status of an error.

    It holds ErrorInfo, BadRequest or QuotaFailure if there are violations, and RetryInfo if a retry may help. It travels in the
    call's trailers, which gRPC limits to 8 KiB by default: texts are truncated, and the last violation counts those left out.
    """
    code = grpc.StatusCode[error.status]
    status = status_pb2.Status(code=code.value[0], message=_truncate(error.message, _MESSAGE_CHARACTERS))
    info = error_details_pb2.ErrorInfo(
        reason=type(error).reason(), domain=ERROR_DOMAIN, metadata={"code": error.code, "request_id": call_id}
    )
    _add_detail(status, info)
    if isinstance(error, QuotaExceeded):
        failure = error_details_pb2.QuotaFailure()
        for violation in error.violations:
            failure.violations.add(subject=violation.field, description=violation.description)
        _add_detail(status, failure)
    elif error.violations:
        _add_detail(status, _bad_request(error.violations))
    seconds = _retry_seconds(error)
    if seconds:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMicroseconds(round(seconds * MICROSECONDS))
        _add_detail(status, retry)
    return status


def _retry_seconds(error: ReelmillError) -> float:
    """Return after how long another call may succeed; 0: there is nothing to wait for."""
    if isinstance(error, Throttled):
        return error.retry_seconds
    if isinstance(error, QuotaExceeded):
        return _QUOTA_RETRY_SECONDS
    return _RETRY_SECONDS if error.status == "UNAVAILABLE" else 0


def _add_detail(status: status_pb2.Status, detail: Message) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _bad_request(violations: Sequence[Violation]) -> error_details_pb2.BadRequest:
    """Return as many violations as fit; the last one says how many were left out."""
    request = error_details_pb2.BadRequest()
    for number, violation in enumerate(violations):
        request.field_violations.add(
            field=_truncate(violation.field, _VIOLATION_CHARACTERS),
            description=_truncate(violation.description, _VIOLATION_CHARACTERS),
        )
        if request.ByteSize() > _DETAILS_BYTES:
            del request.field_violations[-1]
            request.field_violations.add(field="", description=f"and {len(violations) - number} more")
            break
    return request


def _truncate(text: str, characters: int) -> str:
    """Cut a text in its middle: it may begin with a long URI, and end with what is wrong with it."""
    if len(text) <= characters:
        return text
    end = characters // 2
    return f"{text[: characters - 1 - end]}…{text[-end:]}"


async def _abort(context: grpc.aio.ServicerContext[Any, Any], error: ReelmillError, call_id: str) -> None:
    status = status_of(error, call_id)
    # The message is percent-encoded in transit: a character may take nine bytes.
    message = _truncate(error.message, _MESSAGE_CHARACTERS)
    trailers: tuple[tuple[str, str | bytes], ...] = ((_STATUS_DETAILS, status.SerializeToString()),)
    if isinstance(error, StorageUnavailable):
        trailers += (_NOT_AGAIN,)
    await context.abort(grpc.StatusCode[error.status], message, trailing_metadata=trailers)


def _reader(parse: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Return a parser that gives an error for a malformed request: gRPC would call it a defect of the server (INTERNAL)."""
    if parse is None:
        return None

    def read(data: bytes) -> Any:
        try:
            return parse(data)
        except DecodeError:
            return InvalidArgument("the request is not a protobuf message of the call's type")

    return read


def _writer(serialize: Callable[[Any], bytes] | None) -> Callable[[Any], bytes] | None:
    """Return a serializer of responses that leaves those alone that are serialized already, for many streams."""
    if serialize is None:
        return None
    return lambda message: message if isinstance(message, bytes) else serialize(message)


async def _refuse(problem: ReelmillError) -> NoReturn:
    raise problem


def _is_problem(message: Any) -> bool:
    """Return whether a request could not be read, and is why."""
    return isinstance(message, ReelmillError)


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Interceptor of all calls except health checks and reflection."""

    def __init__(self, metrics: Metrics, gate: Gate | None = None) -> None:
        """Count calls in `metrics`; `gate` lets callers in, by default all of them."""
        self._metrics, self._gate = metrics, gate or Gate()

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Return the handler of one call, wrapped."""
        handler = await continuation(handler_call_details)
        method = handler_call_details.method
        return handler if handler is None or method.startswith(_QUIET) else self.wrap(method, handler)

    def wrap(self, method: str, handler: Any) -> Any:
        """Return the handler of the calls of one method, wrapped. A request that cannot be read is given to it as the error."""
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                self._stream(method, handler.unary_stream),
                _reader(handler.request_deserializer),
                _writer(handler.response_serializer),
            )
        return grpc.unary_unary_rpc_method_handler(
            self._unary(method, handler.unary_unary), _reader(handler.request_deserializer), handler.response_serializer
        )

    def _unary(self, method: str, handler: Any) -> Any:
        async def call(message: Any, context: Any) -> Any:
            with tracing.served(method, context.invocation_metadata()):
                return await respond(message, context)

        async def respond(message: Any, context: Any) -> Any:
            async with _CallScope(self._metrics, method, message, context) as call_scope:
                await call_scope.run(self._gate.admit(method, call_scope.request, context))
                response = await call_scope.run(_refuse(message) if _is_problem(message) else handler(message, context))
                call_scope.succeeded(response)
                return response

        return call

    def _stream(self, method: str, handler: Any) -> Any:
        async def call(message: Any, context: Any) -> AsyncIterator[Any]:
            async with _CallScope(self._metrics, method, message, context) as call_scope:
                await call_scope.run(self._gate.admit(method, call_scope.request, context))
                if _is_problem(message):
                    await call_scope.run(_refuse(message))
                responses, checked_at = handler(message, context), time.monotonic()
                try:
                    while True:
                        try:
                            response = await call_scope.run(anext(responses))
                        except StopAsyncIteration:
                            call_scope.succeeded()
                            return
                        if time.monotonic() - checked_at >= _CHECK_AGAIN_SECONDS:
                            await call_scope.run(self._gate.check_again(method, message, context))
                            checked_at = time.monotonic()
                        yield response
                finally:
                    await responses.aclose()

        return call


class _CallScope:
    """Scope of one call: binds its id to the log; counts it, and writes it to the audit log, when it ends."""

    def __init__(self, metrics: Metrics, method: str, request: Any, context: Any) -> None:
        self._metrics, self._path, self._context = metrics, method, context
        self.request = None if _is_problem(request) else request
        set_peer(context.peer())  # now: once a call has ended, gRPC 1.85 reads memory that it has freed
        self._response: Any = None
        self._audited = False
        self._method = method.rpartition("/")[2]
        self._id = str(uuid.uuid4()).upper()
        self._code = "CANCELLED"  # unless it comes to another end: a caller may leave at any moment
        self._start = time.monotonic()

    async def __aenter__(self) -> _CallScope:
        _request_id.set(self._id)
        structlog.contextvars.bind_contextvars(request_id=self._id, method=self._method)
        return self

    async def run(self, work: Awaitable[Any]) -> Any:
        """Await `work`; an error that it raises aborts the call with the matching status."""
        try:
            return await work
        except ReelmillError as error:
            await self._fail(error)
        except StopAsyncIteration:
            raise
        except Exception as error:
            _log.exception("call failed")
            await self._fail(InternalError(f"internal error: {type(error).__name__}"))

    def succeeded(self, response: Any = None) -> None:
        """Count the call as answered in full."""
        self._code, self._response = "OK", response

    async def _fail(self, error: ReelmillError) -> None:
        self._code = error.status
        log = _log.error if error.status == "INTERNAL" else _log.info
        log("call refused", code=error.code, reason=error.message)
        self._audit()
        await _abort(self._context, error, self._id)

    def _audit(self) -> None:
        """Write the call to the audit log, before its caller knows how it ended."""
        if not self._audited:
            self._audited = True
            audit.write(self._path, self.request, self._response, self._code, peer())

    async def __aexit__(self, *_: object) -> None:
        self._audit()
        self._metrics.rpc_total.labels(self._method, self._code).inc()
        self._metrics.rpc_seconds.labels(self._method).observe(time.monotonic() - self._start)
