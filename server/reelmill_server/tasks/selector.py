"""Tag selectors: `key=value[,key=value…]`, where every pair must match."""

import json
from collections.abc import Mapping, Sequence
from hashlib import sha256

from reelmill_server.errors import InvalidArgument, Violation
from reelmill_server.model.task import TagValue, tag_text

MAX_PAIRS = 20


def parse_selector(selector: str) -> tuple[tuple[str, str], ...]:
    """Parse a TagSelector into pairs of key and value, none for an empty one.

    The first `=` of a pair ends its key; a value may be empty and may contain `=`, but no comma. Raises InvalidArgument for a
    pair without `=` or key, a key with surrounding spaces, a repeated key, and more than 20 pairs.
    """
    pairs: dict[str, str] = {}
    for part in selector.split(",") if selector else ():
        key, equals, value = part.partition("=")
        if not equals or not key or key != key.strip():
            raise _invalid(f"expected key=value[,key=value…] without spaces around keys, not {part!r}")
        if key in pairs:
            raise _invalid(f"the key {key!r} is repeated")
        pairs[key] = value
    if len(pairs) > MAX_PAIRS:
        raise _invalid(f"expected at most {MAX_PAIRS} pairs, not {len(pairs)}")
    return tuple(pairs.items())


def matches(tags: Mapping[str, TagValue], pairs: Sequence[tuple[str, str]]) -> bool:
    """Return whether a task's tags match all pairs of a selector."""
    return all(key in tags and tag_text(tags[key]) == value for key, value in pairs)


def tag_digest(key: str, text: str) -> str:
    """Return a digest of a key and its value as text, 32 hexadecimal digits, for an index."""
    return sha256(json.dumps([key, text]).encode()).hexdigest()[:32]


def _invalid(description: str) -> InvalidArgument:
    return InvalidArgument(violations=[Violation("tag_selector", description)])
