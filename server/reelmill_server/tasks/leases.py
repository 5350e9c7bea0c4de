"""Work that one replica does for all: it holds a lease in the database, and another takes that over when it is gone."""

import math
import time
from contextlib import suppress

from sqlalchemy import ColumnElement, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.model.time import MICROSECONDS
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.tables import leases

HOUSEKEEPING = "housekeeping"
"""The lease of what is done for all replicas: progress, admission, reconciling."""

_SECONDS = 10.0
RENEW_SECONDS = 3.0
"""Seconds between renewals of a lease: several of them fit into it."""


class Lease:
    """The lease of one kind of work, as one replica sees it.

    Who holds it may do the work as long as `held` says so. It is judged by the clock of the database, and by each replica's own
    clock only as far as seconds since its last renewal go. What must not be done by two at once writes with `advance`, which
    refuses a former holder.
    """

    def __init__(self, database: Database, holder: str, *, alone: bool = False, name: str = HOUSEKEEPING) -> None:
        """`holder` names this replica; `alone`: there is no other, so that a lease left by a killed one is no obstacle."""
        self._database, self._holder, self._alone, self._name = database, holder, alone, name
        self._until = 0.0

    @property
    def alone(self) -> bool:
        """Whether there is no other replica."""
        return self._alone

    @property
    def held(self) -> bool:
        """Whether this replica holds the lease now."""
        return time.monotonic() < self._until

    async def renew(self) -> None:
        """Take the lease if it is free, or keep it; who is alone keeps it anyway. Raises ServiceUnavailable."""
        begin = time.monotonic()
        if self._alone and self.held:
            return
        async with self._database.write() as connection:
            now = await self._now(connection)
            # Nobody may have it for longer: what says so is of a clock that has been set back since, or of another machine.
            later = now + int(_SECONDS * MICROSECONDS)
            expired = or_(leases.c.expire_time < now, leases.c.expire_time > later)
            free: ColumnElement[bool] = or_(leases.c.holder == self._holder, expired)
            statement = update(leases).where(leases.c.name == self._name)
            statement = statement if self._alone else statement.where(free)
            is_ours = (await connection.execute(statement.values(holder=self._holder, expire_time=later))).rowcount == 1
        self._until = math.inf if is_ours and self._alone else begin + _SECONDS if is_ours else 0.0

    async def release(self) -> None:
        """Let another replica take the lease at once."""
        self._until = 0.0
        with suppress(ServiceUnavailable):
            async with self._database.write() as connection:
                await connection.execute(update(leases).where(self._is_own).values(expire_time=0))

    async def advance(self, connection: AsyncConnection) -> int:
        """Return the next round of the lease, whose row stays locked until the transaction ends; 0 if another holds it.

        Whoever sees a round sees all that was written in it and before.
        """
        counted = update(leases).where(self._is_own).values(round=leases.c.round + 1).returning(leases.c.round)
        return (await connection.execute(counted)).scalar_one_or_none() or 0

    @property
    def _is_own(self) -> ColumnElement[bool]:
        return (leases.c.name == self._name) & (leases.c.holder == self._holder)

    async def _now(self, connection: AsyncConnection) -> int:
        """Return the time in microseconds: of the database's machine, as those of replicas may differ."""
        if self._database.is_sqlite:
            return time.time_ns() // 1000
        seconds = select(text("CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"))
        return int((await connection.execute(seconds)).scalar_one())
