"""Settings of the servers of the API: gRPC and HTTP."""

from typing import Annotated, Literal

from pydantic import Field, SecretStr
from pydantic_settings import NoDecode

from reelmill_server.settings.fields import (
    Address,
    AddressOrEmpty,
    Count,
    Hosts,
    Metavar,
    Networks,
    OptionalPemFile,
    Origin,
    Secret,
    Separated,
)
from reelmill_server.settings.group import Group, UsedBy, both_names, checked_by


class ApiSettings(Group):
    """Settings of the gRPC server and of the HTTP front: their addresses and their TLS."""

    title = "API"
    used_by = UsedBy("serve", "api")

    listen: Address = Field(default="127.0.0.1:50051", description="Address to serve gRPC on; port 0 picks a free one.")
    http_api: AddressOrEmpty = Field(
        default="127.0.0.1:8080",
        description="Address to serve the same RPCs on by HTTP: Connect, gRPC-Web, JSON, the vendor's wire protocol; port 0"
        " picks a free one. Empty: off.",
    )
    http_api_host: Hosts = Field(
        default=(),
        description="Names by which HTTP clients may call this server besides those of loopback. Empty: no others on loopback,"
        " any elsewhere.",
    )
    http_api_origin: Annotated[tuple[Origin, ...], NoDecode, Separated(), Metavar("ORIGIN")] = Field(
        default=(),
        description="Origins of web pages that may call by HTTP (CORS), for example https://app.example.com; * is any. Empty:"
        " only pages of the server itself.",
    )
    http_api_proxy: Networks = Field(
        default=(),
        description="Network, such as 10.0.0.0/8, of proxies that pass on HTTP requests: their X-Forwarded-Proto, -Host and"
        " -For count. Name no network from which others reach this server. Empty: nobody's count.",
    )
    console: Literal["auto", "yes", "no"] = Field(
        default="auto",
        description="Whether the HTTP front shows the console, pages for people, at its root. auto: where the role is serve.",
    )
    console_secret: Secret = Field(
        default=SecretStr(""),
        description="Secret that signs the console's links to media; the same on all replicas, so that they take each other's."
        " Empty: each replica has a key of its own, which its data folder keeps.",
    )
    max_connections: Count = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Maximum number of connections to the gRPC server at once, and to the HTTP front; half and a quarter of the"
        " open files that the process may have if that is less. Others are closed at once.",
    )
    tls_certificate: OptionalPemFile = Field(
        default=None, description="PEM file with the certificate chain of both servers. Empty: no TLS."
    )
    tls_key: OptionalPemFile = Field(
        default=None, description="PEM file with the private key of that certificate. Empty: no TLS."
    )

    tls_client_ca: OptionalPemFile = Field(
        default=None,
        description="PEM file with the CA of client certificates: each client then has to show one (mTLS). Empty: none is asked"
        " for.",
    )

    @checked_by(used_by)
    def _check_tls(self) -> None:
        self.require_together("tls_certificate", "tls_key")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError(f"{both_names('tls_client_ca')}: requires {both_names('tls_certificate')}")
