"""Calls of RPCs, with one answer or several, in any of the protocols."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import aclosing, suppress
from typing import Any

import grpc
import structlog
from aiohttp import web
from google.protobuf.message import Message
from google.rpc import status_pb2

from reelmill_server.api.http.context import CallFailed, HttpContext, failed
from reelmill_server.api.http.dialects import Framed, Single, deadline
from reelmill_server.api.http.methods import Method
from reelmill_server.errors import ReelmillError

# A browser shows a stream as open once its headers are there: a stream that has nothing to say sends them after this time.
_OPEN_SECONDS = 1.0
_PING_SECONDS = 15.0
# Of a reader that takes nothing. Meanwhile no state is made for it: when it goes on, it gets the latest.
_STALL_SECONDS = 60.0
_DEFECT = failed(grpc.StatusCode.INTERNAL, "internal error").status
_TOO_LATE = failed(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline of the call has passed").status

_log = structlog.get_logger(__name__)
Read = Callable[[], Awaitable[Message]]


async def _request(read: Read, headers: Mapping[str, str]) -> tuple[Message | ReelmillError, float | None]:
    """Return the request and its deadline; of one that cannot be read, the reason, for when it is known who calls."""
    try:
        return await read(), deadline(headers)
    except ReelmillError as error:
        return error, None


async def call(method: Method, message: Message | ReelmillError, context: HttpContext, seconds: float | None = None) -> Any:
    """Return the response to a call. Raises CallFailed."""
    try:
        async with asyncio.timeout(seconds):
            return await method.handler(message, context)
    except TimeoutError:
        raise CallFailed(_TOO_LATE) from None


async def answer_single(
    request: web.Request, method: Method, dialect: Single, read: Read, context: HttpContext
) -> web.Response:
    """Make a call with one answer, and return the response."""
    try:
        message, seconds = await _request(read, request.headers)
        response = await call(method, message, context, seconds)
        return dialect.answer(dialect.codec.write(method, response))
    except CallFailed as error:
        return dialect.failure(error.status)


async def answer_framed(
    request: web.Request, method: Method, dialect: Framed, read: Read, context: HttpContext
) -> web.StreamResponse:
    """Make a call and send its answers as they come."""
    reply = _Reply(request, dialect)
    status: status_pb2.Status | None = None
    try:
        message, seconds = await _request(read, request.headers)
        if not method.streams:
            await reply.send(dialect.message(dialect.codec.write(method, await call(method, message, context, seconds))))
        else:
            async with asyncio.timeout(seconds), reply.kept_alive(), aclosing(method.handler(message, context)) as states:
                async for state in states:
                    await reply.send(dialect.message(dialect.codec.write(method, state)))
    except CallFailed as error:
        status = error.status
    except TimeoutError:
        status = _TOO_LATE
    except ConnectionError:
        raise
    except Exception:  # the response may have begun
        _log.exception("request failed")
        status = _DEFECT
    return await reply.end(status)


class _Reply:
    """A response that is sent part by part; it is opened by its first part."""

    def __init__(self, request: web.Request, dialect: Framed) -> None:
        self._request, self._dialect = request, dialect
        self._response: web.StreamResponse | None = None
        self._opening = asyncio.Lock()
        self._sent_at = time.monotonic()

    def kept_alive(self) -> "_KeptAlive":
        """Return a block in which a silent stream is opened, and pings if its protocol has them."""
        return _KeptAlive(self._ping)

    async def send(self, data: bytes) -> None:
        """Send a part, and wait until the reader has room for more. Raises ConnectionError if it takes nothing."""
        response = await self._opened()
        self._sent_at = time.monotonic()
        try:
            async with asyncio.timeout(_STALL_SECONDS):
                await response.write(data)
                await self._request.writer.drain()
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError("the reader takes nothing") from None

    async def end(self, status: status_pb2.Status | None) -> web.StreamResponse:
        """Send the end, and return the response."""
        if self._response is None and status is not None:
            early = self._dialect.early(status)
            if early is not None:
                return early
        await self.send(self._dialect.end(status))
        response = await self._opened()
        await response.write_eof()
        return response

    async def _opened(self) -> web.StreamResponse:
        async with self._opening:
            if self._response is None:
                response = web.StreamResponse(headers=self._dialect.headers)
                await response.prepare(self._request)
                self._response = response
            return self._response

    async def _ping(self) -> None:
        if self._response is None:
            await self._opened()
            self._request.writer.send_headers()
        elif self._dialect.ping and time.monotonic() - self._sent_at >= _PING_SECONDS:
            await self.send(self._dialect.ping)


class _KeptAlive:
    """Pings a stream during the block."""

    def __init__(self, ping: Callable[[], Any]) -> None:
        self._ping = ping

    async def __aenter__(self) -> None:
        self._task = asyncio.create_task(self._run())

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        with suppress(asyncio.CancelledError, ConnectionError):
            await self._task

    async def _run(self) -> None:
        await asyncio.sleep(_OPEN_SECONDS)
        while True:
            await self._ping()
            await asyncio.sleep(_PING_SECONDS)
