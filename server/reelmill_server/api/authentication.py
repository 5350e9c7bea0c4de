"""Who calls: a bearer token (an administrator's, an API key, a JWT), a signature, or the name in a client certificate."""

import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from reelmill_server.api.access_keys import AccessKeys, UseNonce
from reelmill_server.api.signature import NotSigned
from reelmill_server.api.tokens import TokenVerifier
from reelmill_server.errors import NotAuthenticated
from reelmill_server.model.access import Grant, Principal, parse_grant
from reelmill_server.settings.callers import CallerSettings
from reelmill_server.tasks.keys import PREFIX, Key, KeyStore

_HEADER = "authorization"
_MOST_CHARACTERS = 16 * 1024
_ADMINISTRATOR = Principal("admin-token", (parse_grant("admin@*"),))
_NAMES = ("x509_subject_alternative_name", "x509_common_name")
_REFUSED = "the token is not valid"

Authenticate = Callable[[Any], Awaitable[Principal]]


class Authenticator:
    """The methods that the settings choose. A signature or a token counts before a certificate."""

    def __init__(self, settings: CallerSettings, keys: KeyStore, use_nonce: UseNonce) -> None:
        """`use_nonce` as `AccessKeys` needs it."""
        self._keys = keys if "keys" in settings.authentication else None
        self._tokens = TokenVerifier(settings) if "jwt" in settings.authentication else None
        self._access_keys = (
            AccessKeys(settings.access_key_pairs(), use_nonce) if "access-keys" in settings.authentication else None
        )
        self._certificates = "mtls" in settings.authentication
        self._grants, self._expected = settings.grants(), _expected(settings)
        self._admin_digest = _digest(settings.admin_token.get_secret_value())

    async def authenticate(self, context: Any) -> Principal:
        """Return who makes a call. Raises NotAuthenticated, and ServiceUnavailable when that cannot be found out."""
        signed = getattr(context, "signed", None)  # of the vendor's wire protocol
        if isinstance(signed, NotSigned):
            raise NotAuthenticated(str(signed))
        if signed is not None and self._access_keys is not None:
            return await self._access_keys.principal(signed, self._grants)
        token = _bearer_token(context.invocation_metadata())
        if token:
            return await self._of_token(token)
        if self._certificates and (names := _certificate_names(context.auth_context())):
            return _of_certificate(names, self._grants)
        raise NotAuthenticated(f"authentication is required: {self._expected}")

    async def _of_token(self, token: str) -> Principal:
        if hmac.compare_digest(_digest(token), self._admin_digest):  # never equal without one: a token is not empty
            return _ADMINISTRATOR
        if self._keys is not None and token.startswith(PREFIX):
            key = await self._keys.recognize(token)
            if key is not None:
                return _of_key(key)
        elif self._tokens is not None:
            return await self._tokens.principal(token, self._grants)
        raise NotAuthenticated(_REFUSED)


def _expected(settings: CallerSettings) -> str:
    forms = {
        "keys": "`authorization: Bearer` with an API key",
        "jwt": f"`authorization: Bearer` with a JWT of {settings.jwt_issuer}",
        "mtls": "a client certificate",
        "access-keys": "a signature with an access key, in the vendor's wire protocol",
    }
    return ", or ".join(forms[method] for method in settings.authentication)


def _bearer_token(metadata: Any) -> str:
    values = [value for name, value in metadata or () if name == _HEADER]
    if not values:
        return ""
    scheme, _, token = values[0].partition(" ") if isinstance(values[0], str) else ("", "", "")
    if len(values) > 1 or scheme.lower() != "bearer" or not 0 < len(token.strip()) <= _MOST_CHARACTERS:
        raise NotAuthenticated("expected one `authorization` header, with `Bearer` and a token")
    return token.strip()


def _certificate_names(auth_context: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Return the names in a client certificate: alternative ones first."""
    return [value.decode("utf-8", "replace") for kind in _NAMES for value in auth_context.get(kind, ())]


def _of_certificate(names: Sequence[str], granted: Mapping[str, tuple[Grant, ...]]) -> Principal:
    """Return the principal of the first name that has grants; of the first name if none has."""
    name = next((name for name in names if f"mtls:{name}" in granted), names[0])
    return Principal(f"mtls:{name}", granted.get(f"mtls:{name}", ()))


def _of_key(key: Key) -> Principal:
    return Principal(f"key:{key.name}", tuple(map(parse_grant, key.grants)))


def _digest(text: str) -> bytes:
    return sha256(text.encode("utf-8", "surrogatepass")).digest()
