"""Tokens that say where the next page of a list begins.

A token holds the sort key of the last row given, not a row number, so rows that come or go between two pages are neither
skipped nor repeated. It also holds a digest of the query: with another query it would silently give a wrong page.
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
    """Shorten what makes up a query (JSON values) to 16 characters; the page size is no part of it and may change."""
    return sha256(json.dumps(parts).encode()).hexdigest()[:16]


def encode_token(position: Position, digest: str) -> str:
    """Make the token of the page after `position` of the query with this digest."""
    return base64.urlsafe_b64encode(json.dumps([digest, *position], separators=(",", ":")).encode()).decode().rstrip("=")


def decode_token(token: str, digest: str, kinds: tuple[type[int] | type[str], ...]) -> Position:
    """Read a token made for the query with this digest, whose sort key has these kinds of values.

    InvalidArgument when it is broken or of another query.
    """
    try:
        padded = token + "=" * (-len(token) % 4)
        found, *position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        raise _invalid("is not one of ours: give back the next_token of the page before, unchanged") from None
    if found != digest:
        raise _invalid("belongs to another query: between pages only the page size may change")
    if len(position) != len(kinds) or not all(map(_plausible, position, kinds)):
        raise _invalid("is not one of ours: give back the next_token of the page before, unchanged")
    return tuple(position)


def _plausible(value: Any, kind: type) -> bool:
    """Whether a value of a token, which anyone can make up, is one that the database can be asked about."""
    if type(value) is int:
        return kind is int and abs(value) < 2**63
    return type(value) is str and kind is str and value.isascii() and value.isprintable()


def _invalid(description: str) -> InvalidArgument:
    return InvalidArgument(violations=[Violation("next_token", description)])
