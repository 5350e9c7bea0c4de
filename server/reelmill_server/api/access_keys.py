"""Access keys: pairs of an id and a secret, with which the vendor's SDKs sign their requests."""

import time
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from hmac import compare_digest

from reelmill_server.api.signature import Signed, as_bytes
from reelmill_server.errors import NotAuthenticated, Throttled
from reelmill_server.model.access import Grant, Principal
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.settings.callers import AccessKey

_WINDOW = timedelta(minutes=15)
_MOST_NONCES = 500_000
_REPLAYED = "a request with this nonce was made already"
_NOBODY = AccessKey("", "a secret that nobody has", "")
UseNonce = Callable[[str, int], Awaitable[bool]]


class AccessKeys:
    """The keys of the settings, and the nonces of what they signed lately: each counts once."""

    def __init__(self, keys: Mapping[str, AccessKey], use: UseNonce, clock: Callable[[], float] = time.time) -> None:
        """`use` returns whether a nonce, given as 32 characters, is new on all replicas; it is forgotten after the microseconds
        since 1970 that are given with it.
        """
        self._keys, self._use, self._clock = keys, use, clock
        self._seen: set[bytes] = set()
        self._until: deque[tuple[float, bytes]] = deque()

    async def principal(self, signed: Signed, granted: Mapping[str, tuple[Grant, ...]]) -> Principal:
        """Return whose signature it is, with what `granted` has for access-key:ID.

        Raises NotAuthenticated, Throttled if more was signed lately than can be remembered, and ServiceUnavailable when other
        replicas cannot be asked.
        """
        key = self._keys.get(signed.key_id, _NOBODY)
        matches = signed.matches(key.secret) and compare_digest(as_bytes(signed.token), key.token.encode())
        if not matches or key is _NOBODY:
            raise NotAuthenticated("the signature is not that of an access key of this server")
        now = datetime.fromtimestamp(self._clock(), UTC)
        if abs(now - signed.time) > _WINDOW:
            raise NotAuthenticated(f"the request was signed at another time than {now:%Y-%m-%dT%H:%M:%SZ}: set the clock")
        await self._remember(signed)
        name = f"access-key:{key.key_id}"
        return Principal(name, granted.get(name, ()))

    async def _remember(self, signed: Signed) -> None:
        now, forgotten = self._clock(), self._clock() + 2 * _WINDOW.total_seconds()
        while self._until and self._until[0][0] < now:
            self._seen.discard(self._until.popleft()[1])
        mark = blake2b(as_bytes(f"{signed.key_id}\n{signed.nonce}"), digest_size=16).digest()
        if mark in self._seen:  # what this replica knows costs nobody a transaction
            raise NotAuthenticated(_REPLAYED)
        if len(self._seen) >= _MOST_NONCES:
            raise Throttled("too many signed requests", retry_seconds=60)
        # In the order of arrival, so that one look at the oldest is enough: no request counts longer than this.
        self._until.append((forgotten, mark))
        self._seen.add(mark)
        if not await self._use(mark.hex(), round(forgotten * MICROSECONDS)):
            raise NotAuthenticated(_REPLAYED)
