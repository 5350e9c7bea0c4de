"""JWTs of an OpenID Connect issuer: signature, issuer, audience and times are checked, with keys that the issuer rotates."""

import asyncio
import json
import time
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

import jwt
import structlog

from reelmill_server.errors import NotAuthenticated, ServiceUnavailable
from reelmill_server.model.access import Grant, Principal, parse_grant
from reelmill_server.settings.callers import CallerSettings

_FETCH_SECONDS = 5.0
_MOST_BYTES = 256 * 1024
_FRESH_SECONDS = 300.0
# An unknown key id has the keys read again, but not more often: anyone can send one.
_PAUSE_SECONDS = 10.0
_LEEWAY_SECONDS = 30
_CONFIGURATION = "/.well-known/openid-configuration"
_MOST_SUBJECT = 256
_log = structlog.get_logger(__name__)
Fetch = Callable[[str], Mapping[str, Any]]


def fetch(url: str) -> Mapping[str, Any]:
    """Return the JSON object at a URL. Raises OSError or ValueError."""
    with urllib.request.urlopen(url, timeout=_FETCH_SECONDS) as response:
        body = response.read(_MOST_BYTES + 1)
    if len(body) > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES} bytes")
    document = json.loads(body)
    if not isinstance(document, dict):
        raise ValueError("expected a JSON object")
    return document


class KeyRing:
    """The issuer's public keys by id. They are read again when they are old, and for an unknown id; while the issuer does not
    answer, those known count."""

    def __init__(self, issuer: str, url: str, fetch: Fetch = fetch, clock: Callable[[], float] = time.monotonic) -> None:
        """Read the keys at `url`; empty: where the issuer's configuration says."""
        self._issuer, self._url, self._fetch, self._clock = issuer, url, fetch, clock
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._asked_at, self._read_at = -_PAUSE_SECONDS, float("-inf")
        self._reading = asyncio.Lock()

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """Return the key with this id, or the only one for an empty id. Raises ServiceUnavailable if no keys are known."""
        if self._clock() - self._read_at > _FRESH_SECONDS or self._known(key_id) is None:
            await self._refresh()
        if not self._keys:
            raise ServiceUnavailable("the keys of the issuer of JWTs cannot be read")
        return self._known(key_id)

    def _known(self, key_id: str) -> jwt.PyJWK | None:
        if not key_id and len(self._keys) == 1:
            return next(iter(self._keys.values()))
        return self._keys.get(key_id)

    async def _refresh(self) -> None:
        async with self._reading:
            if self._clock() - self._asked_at < _PAUSE_SECONDS:
                return
            self._asked_at = self._clock()
            try:
                self._keys = await asyncio.to_thread(self._read)
                self._read_at = self._clock()
            except Exception as error:
                _log.warning("the keys of the issuer of JWTs cannot be read", reason=f"{type(error).__name__}: {error}")

    def _read(self) -> Mapping[str, jwt.PyJWK]:
        url = self._url
        if not url:
            configuration = self._fetch(self._issuer.rstrip("/") + _CONFIGURATION)
            url = str(configuration["jwks_uri"])
            if configuration["issuer"] != self._issuer or not url.startswith(("https://", self._issuer.rstrip("/") + "/")):
                raise ValueError("the configuration is that of another issuer")
        keys: dict[str, jwt.PyJWK] = {}
        for item in self._fetch(url)["keys"]:
            try:
                key = jwt.PyJWK.from_dict(item)
            except jwt.PyJWTError:  # of a kind that we do not know
                continue
            if key.public_key_use in (None, "sig"):
                keys[key.key_id or ""] = key
        return keys


class TokenVerifier:
    """Checks JWTs by the settings."""

    def __init__(self, settings: CallerSettings, ring: KeyRing | None = None) -> None:
        self._settings = settings
        self._ring = ring or KeyRing(settings.jwt_issuer, settings.jwt_jwks_url)

    async def principal(self, token: str, granted: Mapping[str, tuple[Grant, ...]]) -> Principal:
        """Return whose token it is, with what `granted` has for jwt:SUBJECT and, if the settings name a claim, the token says.

        Raises NotAuthenticated, and ServiceUnavailable if the issuer's keys cannot be read.
        """
        algorithms = list(self._settings.jwt_algorithm)
        try:
            header = jwt.get_unverified_header(token)
            if header.get("alg") not in algorithms:
                raise NotAuthenticated("the token is signed with an algorithm that is not accepted")
            key = await self._ring.find(str(header.get("kid", "")))
            if key is None:
                raise NotAuthenticated("the token is signed with a key that its issuer does not have")
            claims = jwt.decode(
                token,
                key.key,
                algorithms=algorithms,
                issuer=self._settings.jwt_issuer,
                audience=self._settings.jwt_audience,
                leeway=_LEEWAY_SECONDS,
                options={"require": ["exp", "iss", "aud", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise NotAuthenticated("the token has expired") from None
        except (jwt.PyJWTError, ValueError, TypeError, RecursionError):  # its texts may repeat the token
            raise NotAuthenticated("the token is not valid") from None
        subject = str(claims["sub"])[:_MOST_SUBJECT]
        return Principal(f"jwt:{subject}", granted.get(f"jwt:{subject}", ()) + self._of_claim(claims))

    def _of_claim(self, claims: Mapping[str, Any]) -> tuple[Grant, ...]:
        name = self._settings.jwt_grants_claim
        texts = claims.get(name, ()) if name else ()
        texts = texts.split() if isinstance(texts, str) else texts
        try:
            return tuple(parse_grant(str(text)) for text in texts)
        except (ValueError, TypeError):
            raise NotAuthenticated(f"the claim {name} of the token is not a list of grants") from None
