"""Connect to the engine."""

from collections.abc import Sequence

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, Interceptor
from temporalio.service import RPCError, RPCStatusCode, TLSConfig
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from reelmill_server.engine.payloads import DATA_CONVERTER
from reelmill_server.errors import ServiceUnavailable
from reelmill_server.telemetry import tracing

_CONNECT_PAUSE_SECONDS = 0.5


async def connect(
    address: str, namespace: str, api_key: str = "", tls: TLSConfig | None = None, wait_seconds: float = 0.0
) -> Client:
    """Return a client of the engine at `address`, over TLS if `tls` is given.

    Raises ServiceUnavailable when it cannot be reached, or lacks the namespace, for `wait_seconds`.
    """
    retrying = AsyncRetrying(
        stop=stop_after_delay(wait_seconds),
        wait=wait_fixed(_CONNECT_PAUSE_SECONDS),
        retry=retry_if_exception_type(ServiceUnavailable),
        reraise=True,
    )
    return await retrying(_connect_once, address, namespace, api_key, tls)


async def _connect_once(address: str, namespace: str, api_key: str, tls: TLSConfig | None) -> Client:
    try:
        client = await Client.connect(
            address,
            namespace=namespace,
            data_converter=DATA_CONVERTER,
            api_key=api_key or None,
            tls=tls or False,
            interceptors=_interceptors(),
        )
    except RuntimeError as error:
        raise ServiceUnavailable(f"the engine at {address} cannot be reached: {error}") from error
    if await _has_namespace(client):
        return client
    raise ServiceUnavailable(
        f"the engine at {address} has no namespace {namespace}: make it, "
        f"for example with `temporal operator namespace create --namespace {namespace} --retention 168h`"
    )


def _interceptors() -> Sequence[Interceptor]:
    """Return the interceptors that trace workflows and activities, none while tracing is off."""
    if not tracing.on():
        return ()
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return (TracingInterceptor(tracing.tracer()),)


async def _has_namespace(client: Client) -> bool:
    """Return whether the engine knows the client's namespace; assume so when it does not answer."""
    try:
        await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    except RPCError as error:
        return error.status is not RPCStatusCode.NOT_FOUND
    return True
