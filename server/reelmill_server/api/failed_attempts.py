"""How often callers may fail to say who they are: whoever guesses or repeats a wrong credential is told to wait.

A credential that is valid always passes, whoever else shares its address: behind a load balancer that is everybody. What is
refused before anybody looks at it is the same wrong credential from the same address.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Any

from reelmill_server.api.caller import address_of, peer
from reelmill_server.api.rate_limit import RateLimit
from reelmill_server.api.signature import NotSigned
from reelmill_server.errors import NotAuthenticated, Throttled

_CREDENTIAL = (0.2, 10)
"""Failures a second, and at once, of one credential, or access key; addresses may have several callers."""
_ADDRESS = (2.0, 50)
_WRONG = "too many calls without valid credentials"


class FailedAttempts:
    """The failures of this replica, by address and by credential: 10,000 of each at most, the oldest are forgotten."""

    def __init__(self, count: Callable[[str], object] = lambda outcome: None) -> None:
        """Call `count` with each outcome: refused, or throttled."""
        self._count = count
        self._pairs, self._credentials, self._addresses = RateLimit(*_CREDENTIAL), RateLimit(*_CREDENTIAL), RateLimit(*_ADDRESS)

    def check(self, context: Any) -> None:
        """Raise Throttled if a call brings a credential that has failed from its address too often."""
        credential = _credential(context)
        if not credential:
            return  # a client certificate may say who it is
        try:
            self._pairs.check(_pair(credential))
        except Throttled as throttled:
            self._count("throttled")
            raise Throttled(_WRONG, retry_seconds=throttled.retry_seconds) from None

    def failed(self, context: Any, error: NotAuthenticated) -> NotAuthenticated | Throttled:
        """Count a failure, and return the error to answer with: `error`, or that there were too many."""
        credential = _credential(context)
        self._pairs.count(_pair(credential))
        try:
            self._addresses.take(address_of(peer()))
            if credential:
                self._credentials.take(credential)
        except Throttled as throttled:
            self._count("throttled")
            return Throttled(_WRONG, retry_seconds=throttled.retry_seconds)
        self._count("refused")
        return error


def _pair(credential: str) -> str:
    return f"{address_of(peer())} {credential}"


def _credential(context: Any) -> str:
    """Return what stands for the credential of a call: an access key's id, or the digest of what it sends; "" without any."""
    signed = getattr(context, "signed", None)
    if signed is not None and not isinstance(signed, NotSigned):
        return f"access key {signed.key_id[:128]}"
    sent = [str(value) for name, value in context.invocation_metadata() or () if name == "authorization"]
    return sha256("\n".join(sent).encode("utf-8", "surrogatepass")).hexdigest()[:32] if sent else ""
