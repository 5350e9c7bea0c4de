"""Nonces of signed requests: each counts once, on whichever replica it comes first, also after a restart."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, select
from sqlalchemy.dialects import postgresql, sqlite

from reelmill_server.tasks.database import Database
from reelmill_server.tasks.tables import used_nonces

_BATCH = 500


@dataclass(frozen=True, slots=True)
class _Use:
    digest: str
    expire_us: int
    new: "asyncio.Future[bool]"


class NonceStore:
    """Used nonces in the database. Those that come together are written in one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[_Use] = []
        self._writing: asyncio.Task[None] | None = None

    async def use(self, digest: str, expire_us: int) -> bool:
        """Return whether a nonce was not used before, which it is from now on, until `expire_us` (microseconds since 1970).

        `digest` stands for it, 32 characters. Raises ServiceUnavailable.
        """
        use = _Use(digest, expire_us, asyncio.get_running_loop().create_future())
        self._waiting.append(use)
        if self._writing is None:
            self._writing = asyncio.create_task(self._write_waiting())
        return await use.new

    async def forget_expired(self, now_us: int) -> None:
        """Delete the nonces that have expired. Raises ServiceUnavailable."""
        expired = used_nonces.c.expire_time < now_us
        async with self._database.read() as connection:
            row = (await connection.execute(select(used_nonces.c.digest).where(expired).limit(1))).first()
        if row:
            async with self._database.write() as connection:
                await connection.execute(delete(used_nonces).where(expired))

    async def _write_waiting(self) -> None:
        try:
            while self._waiting:
                uses, self._waiting = self._waiting[:_BATCH], self._waiting[_BATCH:]
                try:
                    new = await self._insert(uses)
                except Exception as error:  # whatever it is, those who wait must hear of it
                    for use in uses:
                        if not use.new.done():
                            use.new.set_exception(error)
                    continue
                for use in uses:
                    if not use.new.done():
                        use.new.set_result(use.digest in new)
                    new.discard(use.digest)  # of two with the same nonce, the first has it
        finally:
            self._writing = None

    async def _insert(self, uses: Sequence[_Use]) -> set[str]:
        """Write nonces; return those that are new."""
        dialect = sqlite if self._database.is_sqlite else postgresql
        rows = {use.digest: use.expire_us for use in uses}
        values = [{"digest": digest, "expire_time": rows[digest]} for digest in sorted(rows)]
        insert = dialect.insert(used_nonces).values(values).on_conflict_do_nothing().returning(used_nonces.c.digest)
        async with self._database.write() as connection:
            return set((await connection.execute(insert)).scalars())
