"""What surrounds every call, against a real server: how calls are counted."""

from __future__ import annotations  # grpc's classes are generic in its stubs only

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2

from reelmill_server.api.interceptor import CallInterceptor, _CallScope, status_of
from reelmill_server.errors import InvalidArgument, ResourceNotFound, ServiceUnavailable, StorageUnavailable, Violation
from reelmill_server.telemetry.metrics import Metrics


class Service:
    """A service whose answers are bytes, as many as the request says before it fails, ends or waits for ever."""

    calls = 0

    async def watch(self, request: bytes, _: Any) -> AsyncIterator[bytes]:
        """Stream answers."""
        yield b"first"
        if request == b"fail":
            raise ResourceNotFound("gone")
        if request == b"wait":
            await asyncio.Event().wait()

    async def get(self, request: bytes, _: Any) -> bytes:
        """Answer once."""
        if request == b"fail":
            raise ResourceNotFound("gone")
        if request in (b"down", b"busy"):
            Service.calls += 1
            raise StorageUnavailable("down") if request == b"down" else ServiceUnavailable("busy")
        if request == b"wait":
            await asyncio.Event().wait()
        return b"first"


def _parse(data: bytes) -> bytes:
    if data == b"malformed":
        raise DecodeError
    return data


@asynccontextmanager
async def serving(metrics: Metrics, *options: tuple[str, Any]) -> AsyncIterator[grpc.aio.Channel]:
    """Serve it, and connect to it."""
    service, server = Service(), grpc.aio.server(interceptors=(CallInterceptor(metrics),))
    handlers = {
        "Watch": grpc.unary_stream_rpc_method_handler(service.watch, _parse),
        "Get": grpc.unary_unary_rpc_method_handler(service.get, _parse),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Service", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        yield channel
    await server.stop(None)


async def watch(channel: grpc.aio.Channel, request: bytes) -> None:
    """Read a stream; one that would wait is left after its first answer."""
    async for _ in (call := channel.unary_stream("/test.Service/Watch")(request)):
        if request == b"wait":
            call.cancel()


async def get(channel: grpc.aio.Channel, request: bytes) -> None:
    """Make a call with one answer; one that would wait has a deadline."""
    await channel.unary_unary("/test.Service/Get")(request, timeout=0.3 if request == b"wait" else None)


@pytest.mark.parametrize(
    ("make", "method", "request_bytes", "code"),
    [
        (watch, "Watch", b"end", "OK"),
        (watch, "Watch", b"fail", "NOT_FOUND"),
        (watch, "Watch", b"wait", "CANCELLED"),
        (get, "Get", b"end", "OK"),
        (get, "Get", b"fail", "NOT_FOUND"),
        (watch, "Watch", b"malformed", "INVALID_ARGUMENT"),
        (get, "Get", b"malformed", "INVALID_ARGUMENT"),
        (get, "Get", b"wait", "CANCELLED"),
    ],
)
async def test_a_call_counts_by_its_end(
    make: Callable[[grpc.aio.Channel, bytes], Any], method: str, request_bytes: bytes, code: str
) -> None:
    """A caller that leaves a stream has canceled it, whatever it was told before."""
    metrics = Metrics()
    async with serving(metrics) as channel:
        try:
            await make(channel, request_bytes)
        except grpc.aio.AioRpcError as error:
            assert error.code().name == code or (code, error.code().name) == ("CANCELLED", "DEADLINE_EXCEEDED")
        except asyncio.CancelledError:
            assert code == "CANCELLED"
        async with asyncio.timeout(20):
            while not (counted := _counted(metrics)):
                await asyncio.sleep(0.01)
    assert counted == {(method, code): 1.0}


def _counted(metrics: Metrics) -> dict[tuple[str, str], float]:
    samples = [sample for family in metrics.rpc_total.collect() for sample in family.samples]
    return {
        (sample.labels["method"], sample.labels["code"]): sample.value for sample in samples if sample.name.endswith("_total")
    }


@pytest.mark.parametrize(("request_bytes", "calls"), [(b"down", 1), (b"busy", 3)])
async def test_calls_are_not_repeated_while_a_storage_is_down(request_bytes: bytes, calls: int) -> None:
    """The server has called it several times; gRPC's retries would only hide what is wrong behind the call's deadline."""
    policy = {"maxAttempts": 3, "initialBackoff": "0.01s", "maxBackoff": "0.01s", "backoffMultiplier": 1}
    names = [{"service": "test.Service"}]
    config = json.dumps({"methodConfig": [{"name": names, "retryPolicy": {**policy, "retryableStatusCodes": ["UNAVAILABLE"]}}]})
    async with serving(Metrics(), ("grpc.service_config", config)) as channel:
        before = Service.calls
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await get(channel, request_bytes)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.UNAVAILABLE, request_bytes.decode())
        assert Service.calls - before == calls


class _Call:
    """A call whose context must not be used any more once it has ended."""

    ended = False

    def peer(self) -> str:
        """Where it comes from."""
        assert not self.ended
        return "ipv4:10.0.0.1:80"


async def test_nothing_is_asked_about_a_call_that_has_ended() -> None:
    """gRPC would read memory that it has freed: the server died of a caller that left in time."""
    call = _Call()
    async with _CallScope(Metrics(), "/reelmill.v1.MediaConvertService/CancelTask", None, call):
        call.ended = True


def test_what_is_wrong_with_a_long_uri_is_told() -> None:
    """It stands behind the URI: cutting off the end left nothing of it."""
    description = f"file:///{'x' * 300} has a name of more than 255 bytes"
    status = status_of(InvalidArgument(violations=[Violation("targets[0].uri", description)]), "call")
    request = error_details_pb2.BadRequest()
    assert status.details[1].Unpack(request)
    for text in (status.message, request.field_violations[0].description):
        assert text.endswith(" has a name of more than 255 bytes") and "file:///xx" in text
