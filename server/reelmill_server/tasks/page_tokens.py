"""Page tokens, which say where the next page of a list begins.

A token holds the sort key of the last row instead of a row number, so rows inserted or deleted between two pages cause no
gaps or duplicates. It also holds a digest of the query: with another query it would silently return a wrong page.
"""

import base64
import binascii
import json
from hashlib import sha256
from typing import Any

from reelmill_server.errors import InvalidArgument, Violation

Position = tuple[int | str, ...]
"""The sort key of a row: microseconds, ids, names."""


def query_digest(*parts: Any) -> str:
    """Return a 16-character digest of the parts of a query (JSON values), without the page size, which may change."""
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


def encode_token(position: Position, digest: str) -> str:
    """Return the token of the page after `position`, for the query with this digest."""
    return base64.urlsafe_b64encode(json.dumps([digest, *position], separators=(",", ":")).encode()).decode().rstrip("=")


def decode_token(token: str, digest: str, kinds: tuple[type[int] | type[str], ...]) -> Position:
    """Return the position in a token of the query with this digest, whose sort key has values of these types.

    Raises InvalidArgument if the token is malformed or of another query.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        token_digest, *position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _invalid("is invalid: pass the next_token of the previous page unchanged") from None
    if token_digest != digest:
        raise _invalid("belongs to another query: only the page size may change between pages")
    if len(position) != len(kinds) or not all(map(_plausible, position, kinds)):
        raise _invalid("is invalid: pass the next_token of the previous page unchanged")
    return tuple(position)


def _plausible(value: Any, kind: type) -> bool:
    """Return whether a token's value, which anyone can forge, is safe to use in a query."""
    if type(value) is int:
        return kind is int and abs(value) < 2**63
    return type(value) is str and kind is str and value.isascii() and value.isprintable()


def _invalid(description: str) -> InvalidArgument:
    return InvalidArgument(violations=[Violation("next_token", description)])
