"""Stand in for gRPC's context in calls that come by HTTP, and say how they fail."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import grpc
from aiohttp import web
from google.rpc import status_pb2

from reelmill_server.api.signature import NotSigned, Signed

_STATUS_DETAILS = "grpc-status-details-bin"


class CallFailed(Exception):
    """A call has failed; `status` holds why, as gRPC's trailers would."""

    def __init__(self, status: status_pb2.Status) -> None:
        super().__init__(status.message)
        self.status = status


def failed(code: grpc.StatusCode, message: str) -> CallFailed:
    """Return a failure without details."""
    return CallFailed(status_pb2.Status(code=code.value[0], message=message))


class HttpContext:
    """The context of one call, as the interceptor and the gate use it."""

    def __init__(self, request: web.Request, signed: Signed | NotSigned | None = None, bearer: str = "") -> None:
        """Take the request of the call and, in the vendor's protocol, its signature or its bearer token."""
        self._request, self.signed, self._bearer = request, signed, bearer

    def invocation_metadata(self) -> list[tuple[str, str]]:
        """Return the headers, with names in lower case."""
        headers = [(name.lower(), value) for name, value in self._request.headers.items()]
        return [*headers, ("authorization", f"Bearer {self._bearer}")] if self._bearer else headers

    def peer(self) -> str:
        """Return where the call comes from, as gRPC writes it; through a proxy that is trusted, without a port."""
        name = self._request.get_extra_info("peername")
        if not isinstance(name, tuple):
            return "unix:"
        host, port = name[:2]
        if self._request.remote not in (None, host):
            host, port = self._request.remote, 0
        return f"ipv6:[{host}]:{port}" if ":" in host else f"ipv4:{host}:{port}"

    def auth_context(self) -> Mapping[str, Sequence[bytes]]:
        """Return the names in the client's certificate, as gRPC calls them."""
        certificate = self._request.get_extra_info("peercert") or {}
        alternatives = [value for kind, value in certificate.get("subjectAltName", ()) if kind in ("DNS", "URI", "IP Address")]
        common = [value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"]
        return {
            "x509_subject_alternative_name": [name.encode() for name in alternatives],
            "x509_common_name": [name.encode() for name in common],
        }

    async def abort(self, code: grpc.StatusCode, details: str = "", trailing_metadata: Any = ()) -> NoReturn:
        """Raise CallFailed."""
        for name, value in trailing_metadata:
            if name == _STATUS_DETAILS:
                raise CallFailed(status_pb2.Status.FromString(value))
        raise failed(code, details)
