"""Channel of webhooks: CloudEvents 1.0 over HTTPS, signed according to https://www.standardwebhooks.com."""

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator, Mapping, Sequence

from reelmill_server.errors import Violation
from reelmill_server.model.notification import Failure, Recipient
from reelmill_server.net_guard import Refusal, UrlRules
from reelmill_server.notify.base import DeliveryFailed
from reelmill_server.notify.message import Message
from reelmill_server.notify.outbound import Outbound

_CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"


def signature(secrets: Sequence[bytes], message_id: str, timestamp: int, body: bytes) -> str:
    """Return the webhook-signature header: one signature per secret, so that receivers can rotate secrets at their own pace."""
    signed = f"{message_id}.{timestamp}.".encode() + body
    digests = (hmac.new(secret, signed, hashlib.sha256).digest() for secret in secrets)
    return " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)


class WebhookSender:
    """Sender to URLs that callers name. `hosts` are the allowed ones (`*.example.com`: all subdomains); empty: any."""

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
        schemes = ("https", "http") if allow_http else ("https",)
        self._rules = UrlRules(hosts or ("*",), schemes, allow_private)
        self._refusals = {
            Refusal.MALFORMED: f"must be an absolute {' or '.join(schemes)} URL with other characters percent-encoded",
            Refusal.CREDENTIALS: "must not contain a user or a fragment",
            Refusal.HOST: "must be on a host that this server may call",
            Refusal.PRIVATE: "must be at a public address",
        }

    def problems(self, recipient: Recipient) -> Iterator[Violation]:
        if recipient.qualifier not in self._secrets:
            yield Violation("secret_name", f"this server has no webhook secret named {recipient.qualifier!r}")
        url_problem = self._url_problem(recipient.destination)
        if url_problem:
            yield Violation("url", url_problem)

    async def send(self, recipient: Recipient, message: Message) -> None:
        # The settings may have changed since the request was accepted.
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
        await self._outbound.close()

    def _url_problem(self, url: str) -> str:
        """Return what is wrong with a URL, or ""."""
        if not url.isascii() or not url.isprintable():
            return self._refusals[Refusal.MALFORMED]
        if "#" in url:
            return self._refusals[Refusal.CREDENTIALS]
        refusal = self._rules.refusal(url)
        return "" if refusal is None else self._refusals[refusal]
