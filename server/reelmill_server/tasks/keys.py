"""API keys: made, listed, revoked, and recognized by their digest. The key itself is shown once and not stored."""

import hmac
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import RowMapping, delete, func, insert, select

from reelmill_server.errors import LimitExceeded, ResourceNotFound
from reelmill_server.tasks.database import Database, Lock
from reelmill_server.tasks.page_tokens import decode_token, encode_token, query_digest
from reelmill_server.tasks.rows import from_microseconds, to_microseconds
from reelmill_server.tasks.tables import NOT_ENDED, api_keys

PREFIX = "rmk_"
_ID_BYTES, _SECRET_BYTES = 8, 32
_MOST_KEYS = 10_000


@dataclass(frozen=True)
class Key:
    """An API key without its secret. Times are UTC; `expire_time` None: never. `grants` are texts of model.access."""

    key_id: str
    name: str
    grants: tuple[str, ...]
    created_by: str
    create_time: datetime
    expire_time: datetime | None = None


def _utc_now() -> datetime:
    return datetime.now(UTC)


class KeyStore:
    """API keys in a database. A key is `rmk_<id>_<secret>`: 256 random bits, so that a plain digest of them tells nobody."""

    def __init__(self, database: Database, clock: Callable[[], datetime] = _utc_now) -> None:
        self._database, self._clock = database, clock

    async def create(
        self, name: str, grants: Sequence[str], created_by: str, expire_time: datetime | None = None
    ) -> tuple[Key, str]:
        """Make a key and return it with its text, which cannot be had again. Raises LimitExceeded if there are too many."""
        key_id, secret = secrets.token_hex(_ID_BYTES), secrets.token_urlsafe(_SECRET_BYTES)
        key = Key(key_id, name, tuple(grants), created_by, self._clock(), expire_time)
        row = {
            "key_id": key_id,
            "name": name,
            "secret_digest": _digest(secret),
            "grants": json.dumps(key.grants),
            "created_by": created_by,
            "create_time": to_microseconds(key.create_time),
            "expire_time": NOT_ENDED if expire_time is None else to_microseconds(expire_time),
        }
        async with self._database.write(Lock.CREATE_KEY) as connection:
            count = (await connection.execute(select(func.count()).select_from(api_keys))).scalar_one()
            if count >= _MOST_KEYS:
                raise LimitExceeded(f"There are {_MOST_KEYS} API keys: revoke those that are not needed.")
            await connection.execute(insert(api_keys).values(row))
        return key, f"{PREFIX}{key_id}_{secret}"

    async def list(self, limit: int = 100, next_token: str = "") -> tuple[Sequence[Key], str]:
        """Return a page of the keys by id, and the token of the next one. Raises InvalidArgument for a malformed token."""
        digest = query_digest("keys")
        query = select(api_keys).order_by(api_keys.c.key_id).limit(limit + 1)
        if next_token:
            query = query.where(api_keys.c.key_id > decode_token(next_token, digest, (str,))[0])
        async with self._database.read() as connection:
            rows = (await connection.execute(query)).mappings().all()
        keys = [_key(row) for row in rows[:limit]]
        return keys, encode_token((keys[-1].key_id,), digest) if len(rows) > limit else ""

    async def revoke(self, key_id: str) -> None:
        """Delete a key: calls that begin later are refused. Raises ResourceNotFound."""
        async with self._database.write() as connection:
            if not (await connection.execute(delete(api_keys).where(api_keys.c.key_id == key_id))).rowcount:
                raise ResourceNotFound(f"The specified resource key/{key_id} is not found.")

    async def recognize(self, text: str) -> Key | None:
        """Return the key that a text is, or None if there is no such key, or it has expired."""
        key_id, _, secret = text.removeprefix(PREFIX).partition("_")
        if not text.startswith(PREFIX) or not (key_id.isascii() and key_id.isalnum()):
            return None
        async with self._database.read() as connection:
            query = select(api_keys).where(api_keys.c.key_id == key_id)
            row = (await connection.execute(query)).mappings().one_or_none()
        # An unknown id takes as long as a wrong secret.
        expected = row["secret_digest"] if row else _digest("")
        matches = hmac.compare_digest(expected, _digest(secret))
        if row is None or not matches or row["expire_time"] <= to_microseconds(self._clock()):
            return None
        return _key(row)


def _digest(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()


def _key(row: RowMapping) -> Key:
    expires = row["expire_time"]
    return Key(
        key_id=row["key_id"],
        name=row["name"],
        grants=tuple(json.loads(row["grants"])),
        created_by=row["created_by"],
        create_time=from_microseconds(row["create_time"]),
        expire_time=None if expires == NOT_ENDED else from_microseconds(expires),
    )
