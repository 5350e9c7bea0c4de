"""Connections to SQLite: how often their thread is asked, and what happens to what has only begun."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.sqlite import Connection


@pytest.fixture
async def database(tmp_path: Path) -> AsyncIterator[Database]:
    """With a table of numbers."""
    opened = Database(f"sqlite+aiosqlite:///{tmp_path / 'numbers.db'}")
    async with opened.write() as connection:
        await connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
    yield opened
    await opened.close()


async def test_a_transaction_that_reads_waits_for_its_rows_only(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not for a cursor, for BEGIN, for each of their ends, nor for its own, after which the connection is as before."""
    asked: list[Any] = []
    execute = Connection._execute

    async def counted(self: Connection, function: Any, *arguments: Any, **named: Any) -> Any:
        asked.append(function)
        return await execute(self, function, *arguments, **named)

    monkeypatch.setattr(Connection, "_execute", counted)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT count(*) FROM numbers"))).scalar_one() == 0
    assert len(asked) == 1
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (1)"))


async def test_what_was_not_committed_is_not_there(database: Database) -> None:
    """Neither after an error, nor of a transaction that did nothing; what was inserted and changed is counted."""
    async with database.write():
        pass
    with pytest.raises(ValueError, match="on the way"):
        async with database.write() as connection:
            await connection.execute(text("INSERT INTO numbers VALUES (1)"))
            raise ValueError("on the way")
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (:number)"), [{"number": 2}, {"number": 3}])
        changed = await connection.execute(text("UPDATE numbers SET number = number + 1 WHERE number > 2"))
        returned = await connection.execute(text("INSERT INTO numbers VALUES (9) RETURNING number"))
        assert (changed.rowcount, returned.scalar_one()) == (1, 9)
    async with database.read() as connection:
        assert (await connection.execute(text("SELECT number FROM numbers"))).scalars().all() == [2, 4, 9]


async def test_a_writer_that_waits_in_vain_is_told(database: Database, tmp_path: Path) -> None:
    """Its transaction begins with its first statement, and what fails there is the database's fault, not the caller's."""
    other = Database(f"sqlite+aiosqlite:///{tmp_path / 'numbers.db'}")
    async with other.write() as holding:
        await holding.execute(text("INSERT INTO numbers VALUES (1)"))
        with pytest.raises(ServiceUnavailable):
            async with database.write() as connection:
                driver: Any = (await connection.get_raw_connection()).driver_connection
                await driver._execute(driver._conn.execute, "PRAGMA busy_timeout=10")
                await connection.execute(text("INSERT INTO numbers VALUES (2)"))
    await other.close()
    async with database.write() as connection:
        await connection.execute(text("INSERT INTO numbers VALUES (2)"))
