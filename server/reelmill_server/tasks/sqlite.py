"""Connections to SQLite that hand a statement and its rows to their thread and back in one step.

A connection of aiosqlite does so for each of cursor, statement, rows and end of the cursor, of BEGIN, too: eight times in a
transaction that reads one row. That took more of the event loop's time than all else in a small task.
"""

import sqlite3
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import aiosqlite

_Done = tuple[sqlite3.Cursor | None, Sequence[Any]]


class Connection(aiosqlite.Connection):
    """A connection whose cursors take all rows of a statement at once. BEGIN runs together with the statement that follows."""

    def __init__(self, database: str, **options: Any) -> None:
        """Connect to a file with the options of `sqlite3.connect`."""
        super().__init__(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
        self._thread.daemon = True
        self._begin = ""
        self._only_reads = False

    def cursor(self) -> "Cursor":  # type: ignore[override]
        """Return a cursor."""
        return Cursor(self)

    async def run(self, method: str, *arguments: Any) -> _Done:
        """Run a method of the driver's cursor; return the cursor and its rows, of BEGIN none."""
        if method == "execute" and arguments[0].startswith("BEGIN"):
            self._begin, self._only_reads = arguments[0], arguments[0] == "BEGIN"
            return None, ()
        begin, self._begin = self._begin, ""
        execute = cast(Any, self._execute)
        return cast(_Done, await execute(self._run, begin, method, arguments))

    def _run(self, begin: str, method: str, arguments: Any) -> _Done:
        cursor = self._conn.cursor()
        if begin:
            cursor.execute(begin)
        getattr(cursor, method)(*arguments)
        return cursor, cursor.fetchall() if cursor.description else ()

    async def commit(self) -> None:
        """Commit; what has only begun needs it not."""
        await self._end(super().commit)

    async def rollback(self) -> None:
        """Roll back; what has only begun needs it not, and nobody waits for the end of what only read."""
        if self._only_reads and not self._begin:
            self._tx.put_nowait((None, self._conn.rollback))
        else:
            await self._end(super().rollback)

    async def _end(self, end: Any) -> None:
        if self._begin:
            self._begin = ""
        else:
            await end()


class Cursor:
    """A cursor of the driver and all of its rows; it needs no end."""

    arraysize = 1

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self._rows: Sequence[Any] = ()

    async def __aenter__(self) -> "Cursor":
        return self

    async def execute(self, operation: str, parameters: Any = ()) -> None:
        """Run a statement."""
        self._cursor, self._rows = await self._connection.run("execute", operation, parameters)

    async def executemany(self, operation: str, parameters: Any) -> None:
        """Run a statement for each of several parameters."""
        self._cursor, self._rows = await self._connection.run("executemany", operation, parameters)

    async def fetchall(self) -> Sequence[Any]:
        """Return all rows."""
        return self._rows

    async def close(self) -> None:
        """Do nothing: all rows were taken."""

    @property
    def description(self) -> Any:
        """Return the columns as DB-API describes them, or None after a statement that returns no rows."""
        return self._cursor.description if self._cursor else None

    @property
    def rowcount(self) -> int:
        """Return the number of rows that were changed, -1 if unknown."""
        return self._cursor.rowcount if self._cursor else -1

    @property
    def lastrowid(self) -> int | None:
        """Return the number of the row that was inserted last."""
        return self._cursor.lastrowid if self._cursor else None
