"""Settings of notifications."""

import base64
import binascii
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from reelmill_server.settings.fields import (
    AddressOrEmpty,
    Endpoint,
    EndpointOrEmpty,
    Hosts,
    Hours,
    Metavar,
    Name,
    Seconds,
    Secret,
)
from reelmill_server.settings.group import Group, UsedBy, both_names, checked_by, environment_name


def _webhook_keys(secrets: SecretStr) -> Mapping[str, Sequence[bytes]]:
    """Return the keys by name; ValueError, which names no secret, for what has not the form of one."""
    keys: defaultdict[str, list[bytes]] = defaultdict(list)
    for part in filter(None, secrets.get_secret_value().split(",")):
        name, _, secret = part.strip().partition("=")
        try:
            key = base64.b64decode(secret.removeprefix("whsec_"), validate=True)
        except binascii.Error:
            key = b""
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name) or not secret.startswith("whsec_") or not 24 <= len(key) <= 64:
            raise ValueError("expected name=whsec_… with 24 to 64 bytes in base64, several separated by ','")
        keys[name].append(key)
    return keys


def _checked_webhook_secrets(value: SecretStr) -> SecretStr:
    _webhook_keys(value)
    return value


class NotifySettings(Group):
    """Which channels of notifications are open, and how they are reached."""

    title = "Notifications"
    used_by = UsedBy("serve", "api")

    notify_timeout_seconds: Seconds = Field(
        default=10, ge=0.1, le=40, description="Longest time that one delivery of a notification may take."
    )
    notify_retry_hours: Hours = Field(
        default=24, ge=0.001, le=168, description="How long the delivery of a notification is retried."
    )
    notify_region: Name = Field(
        default="local", max_length=64, description="Region in the subject of notifications. Empty: left out there."
    )
    notify_account: Annotated[str, Metavar("ACCOUNT")] = Field(
        default="0", max_length=64, description="Account in the subject of notifications. Empty: left out there."
    )
    webhook_secrets: Annotated[Secret, AfterValidator(_checked_webhook_secrets)] = Field(
        default=SecretStr(""),
        description="Secrets that sign webhooks, for example default=whsec_…, separated by ','. A name given twice signs with"
        " both of its secrets. Empty: webhooks are off.",
    )
    webhook_host: Hosts = Field(
        default=(),
        description="Host that webhooks may call; *.example.com matches all hosts below it. Empty: any host.",
    )
    webhook_allow_http: bool = Field(default=False, description="Allow webhooks without TLS, to http:// URLs.")
    webhook_allow_private: bool = Field(default=False, description="Allow webhooks to private addresses and to this machine.")
    mns_endpoint: EndpointOrEmpty = Field(
        default="", description="MNS endpoint, for example https://ACCOUNT.mns.REGION.aliyuncs.com. Empty: MNS is off."
    )
    mns_access_key_id: Annotated[str, Metavar("ID")] = Field(
        default="", description="ID of the access key for MNS. Empty: none."
    )
    mns_access_key_secret: Secret = Field(default=SecretStr(""), description="Secret of the access key for MNS. Empty: none.")
    rocketmq_endpoint: AddressOrEmpty = Field(
        default="", description="RocketMQ 5 proxy; requires the extra `rocketmq`. Empty: RocketMQ is off."
    )
    rocketmq_tls: bool = Field(default=False, description="Connect to RocketMQ over TLS.")
    rocketmq_access_key: Annotated[str, Metavar("KEY")] = Field(default="", description="Access key for RocketMQ. Empty: none.")
    rocketmq_secret_key: Secret = Field(default=SecretStr(""), description="Secret key for RocketMQ. Empty: none.")
    pubsub_project: Annotated[str, Metavar("PROJECT")] = Field(
        default="",
        pattern=r"^[a-z0-9:.-]*$",
        description="Google Cloud project whose Pub/Sub topics requests may name. Empty: Pub/Sub is off.",
    )
    pubsub_endpoint: Endpoint = Field(
        default="https://pubsub.googleapis.com",
        description="Pub/Sub endpoint; one with http:// is taken for an emulator and gets no access token.",
    )

    @checked_by(used_by)
    def _check_mns(self) -> None:
        if self.mns_endpoint and not (self.mns_access_key_id and self.mns_access_key_secret.get_secret_value()):
            needed = f"{both_names('mns_access_key_id')} and {environment_name('mns_access_key_secret')}"
            raise ValueError(f"{both_names('mns_endpoint')}: requires {needed}")

    def webhook_keys(self) -> Mapping[str, Sequence[bytes]]:
        """Return the keys that sign webhooks, by name; a name may have several, which all sign."""
        return _webhook_keys(self.webhook_secrets)
