"""Webhooks: CloudEvents 1.0 over HTTPS, signed as https://www.standardwebhooks.com says."""

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
        schemes = ("https", "http") if allow_http else ("https",)
        self._rules = UrlRules(hosts or ("*",), schemes, allow_private)
        self._refusals = {
            Refusal.MALFORMED: f"must be an absolute {' or '.join(schemes)} URL, other characters percent-encoded",
            Refusal.CREDENTIALS: "must have neither user nor fragment",
            Refusal.HOST: "is not at a host that this server may call",
            Refusal.PRIVATE: "is not at a public address",
        }

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
        if not url.isascii() or not url.isprintable():
            return self._refusals[Refusal.MALFORMED]
        if "#" in url:
            return self._refusals[Refusal.CREDENTIALS]
        refusal = self._rules.refusal(url)
        return "" if refusal is None else self._refusals[refusal]
