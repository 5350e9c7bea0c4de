"""HTTP to endpoints that callers name: nothing private is reached, redirects are not followed, answers are not read.

An answer that a caller could see would make this service a window into its network: only the status leaves this module, and
of services that the operator named (`peek`) a little of the answer.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from urllib.parse import urlsplit

import aiohttp

from reelmill_server.model.notification import Failure
from reelmill_server.net_guard import NetGuard, PrivateAddress
from reelmill_server.notify.base import DeliveryFailed

_PEEK_BYTES = 4096
_MOST_PER_HOST = 8  # deliveries at once: a dead host must leave room for the others
_BUSY_SECONDS = 2.0
_LONGEST_PAUSE_SECONDS = 3600.0
_GONE = 410


# The first that fits.
_FAILURES: Mapping[type[BaseException], Failure] = {
    PrivateAddress: Failure("its address is not public", retryable=False),
    aiohttp.InvalidURL: Failure("its URL cannot be called", retryable=False),
    TimeoutError: Failure("did not answer in time"),
    aiohttp.ClientConnectorCertificateError: Failure("TLS failed: its certificate is not trusted"),
    aiohttp.ClientSSLError: Failure("TLS failed"),
    aiohttp.ClientConnectorDNSError: Failure("its name is not found"),
    aiohttp.ClientConnectorError: Failure("does not take connections"),
}


class Outbound:
    """Posts to endpoints. `allow_private` is for endpoints that the operator named, and for tests."""

    def __init__(self, timeout_seconds: float, *, allow_private: bool) -> None:
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._guard = NetGuard(allow_private=allow_private)
        self._session: aiohttp.ClientSession | None = None
        self._in_flight: Counter[str] = Counter()

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], *, peek: bool = False) -> None:
        """Posts once. Raises DeliveryFailed unless the answer is 2xx, with `peek` in the words of its beginning."""
        with self._place(urlsplit(url).netloc):
            try:
                await self._post(url, body, headers, peek)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                raise DeliveryFailed(_failure_of(error)) from None

    async def _post(self, url: str, body: bytes, headers: Mapping[str, str], peek: bool) -> None:
        async with self._open().post(url, data=body, headers=headers, allow_redirects=False) as answer:
            if not 200 <= answer.status < 300:
                text = (await answer.content.read(_PEEK_BYTES)).decode(errors="replace") if peek else ""
                raise DeliveryFailed(_refusal(answer, text))

    @contextmanager
    def _place(self, host: str) -> Iterator[None]:
        """One of the places that a host has; without one the attempt is put off and does not count."""
        if self._in_flight[host] >= _MOST_PER_HOST:
            raise DeliveryFailed(Failure(f"{host} is busy with others", pause_seconds=_BUSY_SECONDS, counts=False))
        self._in_flight[host] += 1
        try:
            yield
        finally:
            self._in_flight[host] -= 1
            if not self._in_flight[host]:
                del self._in_flight[host]

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = self._guard.session(self._timeout)
        return self._session

    async def close(self) -> None:
        """Closes all connections."""
        if self._session is not None:
            await self._session.close()
        await self._guard.close()


def _refusal(answer: aiohttp.ClientResponse, text: str) -> Failure:
    if 300 <= answer.status < 400:
        return Failure(f"answered {answer.status}: redirects are not followed")
    pause = 0.0
    if answer.status in (429, 503) and answer.headers.get("Retry-After", "").isdigit():
        pause = min(float(answer.headers["Retry-After"]), _LONGEST_PAUSE_SECONDS)
    return Failure(f"answered {answer.status}{text and f': {text}'}", retryable=answer.status != _GONE, pause_seconds=pause)


def _failure_of(error: BaseException) -> Failure:
    """Why nothing was answered, in words of our own: those of libraries hold addresses and parts of requests."""
    cause = getattr(error, "os_error", error)
    for kind, failure in _FAILURES.items():
        if isinstance(cause, kind) or isinstance(error, kind):
            return failure
    return Failure(f"broke the connection off ({type(error).__name__})")
