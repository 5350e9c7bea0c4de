"""Access keys: pairs of an id and a secret, with which the vendor's SDKs sign their requests."""

import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from hmac import compare_digest

from reelmill_server.api.signature import Signed, as_bytes
from reelmill_server.errors import NotAuthenticated, Throttled
from reelmill_server.model.access import Grant, Principal
from reelmill_server.settings.callers import AccessKey

_WINDOW = timedelta(minutes=15)
_MOST_NONCES = 500_000
_NOBODY = AccessKey("", "a secret that nobody has", "")


class AccessKeys:
    """The keys of the settings, and the nonces of what they signed lately: each counts once, on this replica."""

    def __init__(self, keys: Mapping[str, AccessKey], clock: Callable[[], float] = time.time) -> None:
        self._keys, self._clock = keys, clock
        self._seen: set[bytes] = set()
        self._until: deque[tuple[float, bytes]] = deque()

    def principal(self, signed: Signed, granted: Mapping[str, tuple[Grant, ...]]) -> Principal:
        """Return whose signature it is, with what `granted` has for access-key:ID.

        Raises NotAuthenticated, and Throttled if more was signed lately than can be remembered.
        """
        key = self._keys.get(signed.key_id, _NOBODY)
        matches = signed.matches(key.secret) and compare_digest(as_bytes(signed.token), key.token.encode())
        if not matches or key is _NOBODY:
            raise NotAuthenticated("the signature is not that of an access key of this server")
        now = datetime.fromtimestamp(self._clock(), UTC)
        if abs(now - signed.time) > _WINDOW:
            raise NotAuthenticated(f"the request was signed at another time than {now:%Y-%m-%dT%H:%M:%SZ}: set the clock")
        self._remember(signed)
        name = f"access-key:{key.key_id}"
        return Principal(name, granted.get(name, ()))

    def _remember(self, signed: Signed) -> None:
        now = self._clock()
        while self._until and self._until[0][0] < now:
            self._seen.discard(self._until.popleft()[1])
        mark = blake2b(as_bytes(f"{signed.key_id}\n{signed.nonce}"), digest_size=16).digest()
        if mark in self._seen:
            raise NotAuthenticated("a request with this nonce was made already")
        if len(self._seen) >= _MOST_NONCES:
            raise Throttled("too many signed requests", retry_seconds=60)
        # In the order of arrival, so that one look at the oldest is enough: no request counts longer than this.
        self._until.append((now + 2 * _WINDOW.total_seconds(), mark))
        self._seen.add(mark)
