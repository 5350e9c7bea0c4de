"""Webhooks: CloudEvents 1.0 over HTTPS, signed as https://www.standardwebhooks.com says."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import urlsplit

from reelmill_server.errors import Violation
from reelmill_server.model.addresses import is_literal, is_public
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Message
from reelmill_server.notify.outbound import Outbound

_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def signature(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """The header webhook-signature: one signature for each secret, so that receivers can change theirs in their own time."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


class WebhookSender:
    """Posts to URLs that callers name. `hosts` are those allowed (`*.example.com`: all below); empty: any."""

    def __init__(
        self,
        outbound: Outbound,
        secrets: Mapping[str, Sequence[bytes]],
        *,
        hosts: Sequence[str] = (),
        allow_http: bool = False,
        allow_private: bool = False,
    ) -> None:
        self._outbound, self._secrets = outbound, secrets
        self._hosts = tuple(host.lower() for host in hosts)
        self._allow_http, self._allow_private = allow_http, allow_private

    def problems(self, recipient: Recipient) -> Iterator[Violation]:
        """As `Sender.problems`."""
        if recipient.qualifier not in self._secrets:
            yield Violation("secret_name", f"this server has no webhook secret named {recipient.qualifier!r}")
        wrong = self._url_problem(recipient.destination)
        if wrong:
            yield Violation("url", wrong)

    async def send(self, recipient: Recipient, message: Message) -> None:
        """As `Sender.send`. The settings may have changed since the request: all is checked again."""
        for problem in self.problems(recipient):
            raise DeliveryFailed(Failure(f"{problem.field}: {problem.description}", retryable=False))
        body = message.cloud_event().encode()
        timestamp = int(time.time())
        headers = {
            "Content-Type": _CONTENT_TYPE,
            "webhook-id": message.message_id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(self._secrets[recipient.qualifier], message.message_id, timestamp, body),
        }
        await self._outbound.post(recipient.destination, body, headers)

    async def close(self) -> None:
        """As `Sender.close`."""
        await self._outbound.close()

    def _url_problem(self, url: str) -> str:
        """What is wrong with a URL; "" for nothing."""
        schemes = ("https", "http") if self._allow_http else ("https",)
        try:
            parts = urlsplit(url)
            host, _ = parts.hostname or "", parts.port
        except ValueError as error:
            return f"is not a URL: {error}"
        if parts.scheme not in schemes or not host or not url.isascii() or not url.isprintable() or " " in url:
            return f"must be an absolute {' or '.join(schemes)} URL, other characters percent-encoded"
        if parts.username is not None or parts.password is not None or parts.fragment:
            return "must have neither user nor fragment"
        if self._hosts and not any(_matches(host, allowed) for allowed in self._hosts):
            return f"the host {host} is not one that this server may call"
        return "" if self._allow_private else _private_problem(host)


def _matches(host: str, allowed: str) -> bool:
    return host.endswith(allowed[1:]) if allowed.startswith("*.") else host == allowed


def _private_problem(host: str) -> str:
    """What is wrong with a host that is certainly private; a name is looked up when it is called."""
    private = not is_public(host) if is_literal(host) else host == "localhost" or host.endswith(".localhost")
    return f"{host} is not a public address" if private else ""
