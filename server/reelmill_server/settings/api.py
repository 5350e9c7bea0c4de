"""Settings of the gRPC server."""

from typing import Self

from pydantic import Field, model_validator

from reelmill_server.settings.fields import Address, Count, OptionalPemFile
from reelmill_server.settings.group import Group, UsedBy, both_names


class ApiSettings(Group):
    """Settings of the gRPC server: its address and its TLS."""

    title = "API"
    used_by = UsedBy("serve", "api")

    listen: Address = Field(default="127.0.0.1:50051", description="Address to serve gRPC on; port 0 picks a free one.")
    max_connections: Count = Field(
        default=10_000,
        ge=1,
        le=1_000_000,
        description="Maximum number of connections to the gRPC server at once; half of the open files that the process may have"
        " if that is less. Others are closed at once.",
    )
    tls_certificate: OptionalPemFile = Field(
        default=None, description="PEM file with the certificate chain of the gRPC server. Empty: no TLS."
    )
    tls_key: OptionalPemFile = Field(
        default=None, description="PEM file with the private key of that certificate. Empty: no TLS."
    )

    tls_client_ca: OptionalPemFile = Field(
        default=None,
        description="PEM file with the CA of client certificates: each client then has to show one (mTLS). Empty: none is asked"
        " for.",
    )

    @model_validator(mode="after")
    def _check_tls(self) -> Self:
        self.require_together("tls_certificate", "tls_key")
        if self.tls_client_ca and not self.tls_certificate:
            raise ValueError(f"{both_names('tls_client_ca')}: requires {both_names('tls_certificate')}")
        return self
