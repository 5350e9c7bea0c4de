"""The client's connection: TLS, retries, keepalive, message size."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

import grpc
import grpc.aio

from reelmill_client.methods import RETRIED

DEFAULT_TARGET = "127.0.0.1:50051"
DEFAULT_PROJECT = "default"
DEFAULT_TIMEOUT_SECONDS = 30.0

# A server with gRPC's defaults closes connections that ping more often than every 5 minutes.
DEFAULT_KEEPALIVE_SECONDS = 320.0
DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024

# gRPC waits up to two minutes by default: too long to notice that a server is back.
_FIRST_RECONNECT_MS = 200
_LONGEST_RECONNECT_MS = 10_000

_RETRY_POLICY = {
    "maxAttempts": 4,
    "initialBackoff": "0.2s",
    "maxBackoff": "2s",
    "backoffMultiplier": 2,
    # A gRPC server shutting down cancels calls accepted but not begun. A caller's own cancellation is never retried.
    "retryableStatusCodes": ["UNAVAILABLE", "CANCELLED"],
}


class ConnectionOptions(TypedDict, total=False):
    """Connection keywords of both clients.

    The connection is plaintext unless `tls` is true or one of `root_certificates`, `certificate` and `key` (PEM bytes: what the
    server's certificate is checked with, the client's own, and its private key) and `credentials` is given. `token`, an API key
    or a JWT, says who calls; without TLS others on the network can read it. `metadata` is sent with every call.
    `timeout_seconds` limits each call that is not a stream (default 30, None: no limit).
    `keepalive_seconds` is the time between pings while a call is open (default 320; most servers refuse less than 300).
    `max_message_bytes` limits messages in both directions (default 64 MiB).
    """

    tls: bool
    root_certificates: bytes | None
    certificate: bytes | None
    key: bytes | None
    token: str
    credentials: grpc.ChannelCredentials | None
    metadata: Sequence[tuple[str, str | bytes]]
    timeout_seconds: float | None
    keepalive_seconds: float
    max_message_bytes: int


@dataclass(frozen=True, kw_only=True)
class Connection:
    """A server's address (`host:port` or any gRPC name) and the settings of ConnectionOptions."""

    target: str = DEFAULT_TARGET
    tls: bool = False
    root_certificates: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    token: str = field(default="", repr=False)
    credentials: grpc.ChannelCredentials | None = None
    metadata: Sequence[tuple[str, str | bytes]] = ()
    timeout_seconds: float | None = DEFAULT_TIMEOUT_SECONDS
    keepalive_seconds: float = DEFAULT_KEEPALIVE_SECONDS
    max_message_bytes: int = DEFAULT_MAX_MESSAGE_BYTES

    def open(self) -> grpc.Channel:
        """Open a channel for any thread; it connects at the first call."""
        credentials = self.channel_credentials()
        if credentials is None:
            return grpc.insecure_channel(self.target, options=self.options())
        return grpc.secure_channel(self.target, credentials, options=self.options())

    def open_async(self) -> grpc.aio.Channel:
        """Open a channel for the running event loop; it connects at the first call."""
        credentials = self.channel_credentials()
        if credentials is None:
            return grpc.aio.insecure_channel(self.target, options=self.options())
        return grpc.aio.secure_channel(self.target, credentials, options=self.options())

    def channel_credentials(self) -> grpc.ChannelCredentials | None:
        """Return the credentials to use, or None for plaintext."""
        if self.credentials is not None:
            return self.credentials
        if self.tls or self.root_certificates is not None or self.certificate is not None:
            return grpc.ssl_channel_credentials(self.root_certificates, self.key, self.certificate)
        return None

    def call_metadata(self) -> tuple[tuple[str, str | bytes], ...]:
        """Return what is sent with every call: the metadata, and who calls."""
        return (*self.metadata, *((("authorization", f"Bearer {self.token}"),) if self.token else ()))

    def options(self) -> list[tuple[str, str | int]]:
        """Return the gRPC channel arguments."""
        return [
            ("grpc.primary_user_agent", "reelmill-client"),
            ("grpc.service_config", service_config()),
            ("grpc.initial_reconnect_backoff_ms", _FIRST_RECONNECT_MS),
            ("grpc.max_reconnect_backoff_ms", _LONGEST_RECONNECT_MS),
            ("grpc.keepalive_time_ms", int(self.keepalive_seconds * 1000)),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", self.max_message_bytes),
        ]


def service_config() -> str:
    """Return the gRPC service config: round robin over all addresses of a name, retries for idempotent calls."""
    names = [{"service": method.service, "method": method.name} for method in RETRIED]
    methods = [{"name": names, "retryPolicy": _RETRY_POLICY}]
    return json.dumps({"loadBalancingConfig": [{"round_robin": {}}], "methodConfig": methods})


def traced(metadata: tuple[tuple[str, str | bytes], ...]) -> tuple[tuple[str, str | bytes], ...]:
    """Return call metadata with the caller's OpenTelemetry trace, if there is one."""
    if "opentelemetry.trace" not in sys.modules:  # then nobody traces
        return metadata
    from opentelemetry import propagate

    headers: dict[str, str] = {}
    propagate.inject(headers)
    return (*metadata, *headers.items())
