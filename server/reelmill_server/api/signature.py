"""Signatures of requests in the vendor's wire protocol: ACS3-HMAC-SHA256, and HMAC-SHA1 of older SDKs."""

import base64
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from urllib.parse import quote

ACS3 = "ACS3-HMAC-SHA256"
_CREDENTIAL = re.compile(rf"{ACS3}\s+Credential=([^,\s]+),\s*SignedHeaders=([^,\s]+),\s*Signature=([0-9a-fA-F]{{64}})")
_NEEDED = ("host", "x-acs-action", "x-acs-content-sha256", "x-acs-date", "x-acs-signature-nonce")
_TIME = "%Y-%m-%dT%H:%M:%SZ"
_MOST_NONCE = 128


class NotSigned(ValueError):
    """A signature cannot be checked; the text says what it lacks."""


@dataclass(frozen=True)
class Signed:
    """Signature of a request: the key's id, the time, a nonce, and the security token of a temporary key.

    `signature` is what the request has; `expected` makes what it should be from a secret.
    """

    key_id: str
    time: datetime
    nonce: str
    token: str
    signature: bytes
    expected: Callable[[str], bytes]

    def matches(self, secret: str) -> bool:
        """Return whether it was made with this secret, in the same time for each."""
        return hmac.compare_digest(self.signature, self.expected(secret))


def acs3(method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, Sequence[str]], body: bytes) -> Signed:
    """Read the signature in the header `authorization`; names of headers are in lower case. Raises NotSigned."""
    match = _CREDENTIAL.fullmatch(_header(headers, "authorization").strip())
    if match is None:
        raise NotSigned(f"expected `authorization: {ACS3} Credential=…,SignedHeaders=…,Signature=…`")
    key_id, names, signature = match.groups()
    signed = names.lower().split(";")
    lacking = [name for name in _NEEDED if name not in signed]
    if lacking:
        raise NotSigned(f"the signature does not cover {', '.join(lacking)}")
    digest = sha256(body).hexdigest()
    if not hmac.compare_digest(digest.encode(), as_bytes(_header(headers, "x-acs-content-sha256").lower())):
        raise NotSigned("x-acs-content-sha256 is not that of the body")
    # Names are signed as they are, in the order of their pairs: with a `&`, or twice, the same text may have another meaning.
    if len({name for name, _ in query}) != len(query) or any(encoded(name) != name for name, _ in query):
        raise NotSigned("a parameter is given twice, or its name has other characters than letters, digits and -_.~")
    canonical_query = "&".join(f"{name}={encoded(value)}" if value else f"{name}=" for name, value in sorted(query))
    canonical_headers = "".join(f"{name}:{_header(headers, name).strip()}\n" for name in sorted(signed))
    canonical = f"{method}\n{path}\n{canonical_query}\n{canonical_headers}\n{names}\n{digest}"
    text = f"{ACS3}\n{sha256(as_bytes(canonical)).hexdigest()}"
    return Signed(
        key_id,
        _time(_header(headers, "x-acs-date")),
        _nonce(_header(headers, "x-acs-signature-nonce")),
        _header(headers, "x-acs-security-token"),
        signature.lower().encode(),
        lambda secret: hmac.new(secret.encode(), text.encode(), "sha256").hexdigest().encode(),
    )


def hmac_sha1(method: str, parameters: Sequence[tuple[str, str]]) -> Signed:
    """Read the signature among the parameters of the query and of the form. Raises NotSigned."""
    given = dict(parameters)
    if len(given) != len(parameters):
        raise NotSigned("a parameter is given twice")
    if not given.get("Action"):
        raise NotSigned("the signature does not cover Action")
    if given.get("SignatureMethod") != "HMAC-SHA1" or given.get("SignatureVersion", "1.0") != "1.0":
        raise NotSigned("expected SignatureMethod HMAC-SHA1, version 1.0")
    pairs = sorted((encoded(name), encoded(value)) for name, value in parameters if name != "Signature")
    query = "&".join(f"{name}={value}" for name, value in pairs)
    text = f"{method}&%2F&{encoded(query)}"
    return Signed(
        given.get("AccessKeyId", ""),
        _time(given.get("Timestamp", "")),
        _nonce(given.get("SignatureNonce", "")),
        given.get("SecurityToken", ""),
        as_bytes(given.get("Signature", "")),
        lambda secret: base64.b64encode(hmac.digest(f"{secret}&".encode(), text.encode(), "sha1")),
    )


def encoded(text: str) -> str:
    """Return a text as it is signed: percent-encoded but for letters, digits and -_.~"""
    return quote(text, safe="-_.~", errors="surrogateescape")


def as_bytes(text: str) -> bytes:
    """Return a text of a request as it was sent: it may be no UTF-8."""
    return text.encode("utf-8", "surrogateescape")


def _header(headers: Mapping[str, Sequence[str]], name: str) -> str:
    values = headers.get(name, ("",))
    if len(values) != 1:
        raise NotSigned(f"{name} is given twice")
    return values[0]


def _time(text: str) -> datetime:
    try:
        return datetime.strptime(text, _TIME).replace(tzinfo=UTC)
    except ValueError:
        raise NotSigned("expected a time such as 2026-01-31T12:00:00Z") from None


def _nonce(text: str) -> str:
    if not 0 < len(text) <= _MOST_NONCE:
        raise NotSigned(f"expected a nonce of 1 to {_MOST_NONCE} characters")
    return text
