"""Database connections: one class for SQLite and PostgreSQL, with transactions that behave alike on both."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from enum import IntEnum
from pathlib import Path
from typing import Any

from sqlalchemy import URL, ExceptionContext, event, make_url, text
from sqlalchemy.exc import DBAPIError, IntegrityError, SQLAlchemyError, StatementError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.util import await_only
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from reelmill_server.errors import InternalError, InvalidArgument, ReelmillError, ServiceUnavailable
from reelmill_server.tasks.sqlite import Connection

_BUSY_MILLISECONDS = 10_000
_WAL_RETRY_MILLISECONDS = 20
_CONNECT_SECONDS = 10
_POOL_SECONDS = 10
_POOL_CONNECTIONS = 10
_READ_ONLY = "25006"  # as PostgreSQL numbers its errors
# All transactions are short. One that waited forever, on a connection whose server was killed or for a lock that is never
# released, would block its connection and everyone waiting for it: a replica that silently does nothing.
_TRANSACTION_SECONDS = 30.0


class Lock(IntEnum):
    """Operations that only one transaction may perform at a time, in the whole deployment, as PostgreSQL advisory lock keys."""

    MIGRATE = 7_310_001
    CREATE_PROJECT = 7_310_002
    CREATE_KEY = 7_310_003


class Database:
    """A database. It connects at its first use and must be closed.

    Every error of the driver becomes a ReelmillError: ServiceUnavailable if the database does not respond or gave up on a
    conflict, InternalError otherwise. A violated constraint remains sqlalchemy.exc.IntegrityError, for the stores.
    """

    def __init__(self, url: str, transaction_seconds: float = _TRANSACTION_SECONDS) -> None:
        """Use a URL with its driver: sqlite+aiosqlite:///file or postgresql+psycopg://user:password@host/name.

        A transaction on PostgreSQL that takes longer than `transaction_seconds` ends with ServiceUnavailable.
        """
        self._url = make_url(url)
        self.is_sqlite = self._url.get_backend_name() == "sqlite"
        # Waiting for an SQLite file is limited by busy_timeout, and cannot be interrupted.
        self._seconds = None if self.is_sqlite else transaction_seconds
        self._engine = _sqlite_engine(self._url) if self.is_sqlite else _postgresql_engine(self._url)
        self._writer_lock = asyncio.Lock()

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncConnection]:
        """Open a transaction that only reads."""
        with _TranslatedErrors():
            async with asyncio.timeout(self._seconds), self._engine.connect() as connection:
                yield connection

    @asynccontextmanager
    async def write(self, lock: Lock | None = None) -> AsyncIterator[AsyncConnection]:
        """Open a transaction: committed at the end of the block, rolled back by an error; `lock` makes it exclusive."""
        async with AsyncExitStack() as stack:
            stack.enter_context(_TranslatedErrors())
            await stack.enter_async_context(asyncio.timeout(self._seconds))
            if self.is_sqlite:  # SQLite has one writer: queue here instead of polling for its lock
                await stack.enter_async_context(self._writer_lock)
            connection = await stack.enter_async_context(self._engine.connect())
            await connection.execution_options(reelmill_write=True)
            await stack.enter_async_context(connection.begin())
            if lock is not None and not self.is_sqlite:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": int(lock)})
            yield connection

    async def ping(self) -> None:
        """Run a query to check that the database responds; raises ServiceUnavailable."""
        async with self.read() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_writable(self) -> None:
        """Raise ServiceUnavailable where nothing can be written: a file on a full, broken or read-only disk, a standby."""
        if self.is_sqlite:
            async with self.write() as connection:
                await connection.execute(text("PRAGMA user_version = 0"))  # as it is
            return
        async with self.read() as connection:
            only_reads = (await connection.execute(text("SHOW transaction_read_only"))).scalar_one() != "off"
        if only_reads:
            raise ServiceUnavailable("The task database takes no changes: the server is a standby, or made to be read only.")

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


class _TranslatedErrors:
    """Context that converts errors of SQLAlchemy and its drivers to those of Reelmill."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, TimeoutError):
            raise ServiceUnavailable("The task database does not respond in time.") from error
        if not isinstance(error, SQLAlchemyError) or isinstance(error, IntegrityError):
            return
        cause = error.orig if isinstance(error, StatementError) else error
        if isinstance(cause, ReelmillError):  # raised by one of our column types while binding a value
            raise cause from None
        name = getattr(cause, "sqlite_errorname", type(cause).__name__)  # SQLITE_FULL says more than OperationalError
        if isinstance(error, PoolTimeout) or (isinstance(error, DBAPIError) and _is_transient(error)):
            raise ServiceUnavailable(f"The task database does not respond ({name}).") from error
        raise InternalError(f"The task database refused a statement ({name}).") from error


def _is_transient(error: DBAPIError) -> bool:
    """Return whether the same statement may succeed later: a broken connection, no server, a deadlock, a busy file."""
    return error.connection_invalidated or type(error).__name__ in ("OperationalError", "InterfaceError")


def _postgresql_engine(url: URL) -> AsyncEngine:
    defaults = {"connect_timeout": _CONNECT_SECONDS, "application_name": "reelmill"}
    engine = create_async_engine(
        url,
        connect_args={key: value for key, value in defaults.items() if key not in url.query},
        pool_size=_POOL_CONNECTIONS,
        max_overflow=_POOL_CONNECTIONS,
        pool_timeout=_POOL_SECONDS,
        pool_pre_ping=True,
    )
    event.listen(engine.sync_engine, "connect", _require_utf8, insert=True)  # before SQLAlchemy asks for its version
    event.listen(engine.sync_engine, "handle_error", _leave_standby)
    return engine


def _leave_standby(context: ExceptionContext) -> None:
    """Have all connections made anew where a server takes no changes any more: the primary is another one since."""
    if getattr(context.original_exception, "sqlstate", None) == _READ_ONLY:
        context.is_disconnect = True


def _require_utf8(connection: Any, _: Any) -> None:
    """Raise InvalidArgument for a database that cannot keep all texts, or returns them as bytes."""
    info = connection.driver_connection.info
    encoding = info.parameter_status("server_encoding")
    if encoding not in ("UTF8", None):  # None: a proxy does not say
        raise InvalidArgument(
            f"The database {info.dbname} has the encoding {encoding} and must have UTF8: "
            f"CREATE DATABASE {info.dbname} ENCODING 'UTF8' TEMPLATE template0"
        )


def _sqlite_engine(url: URL) -> AsyncEngine:
    engine = create_async_engine(
        url,
        connect_args={"timeout": _BUSY_MILLISECONDS / 1000, "async_creator_fn": Connection},
        pool_size=_POOL_CONNECTIONS,
        pool_timeout=_POOL_SECONDS,
    )
    file = url.database

    def create_folder(*_: Any) -> None:
        if file:
            Path(file).parent.mkdir(parents=True, exist_ok=True)

    _listen(engine, "do_connect", create_folder)
    _listen(engine, "connect", _prepare_sqlite_connection)
    _listen(engine, "begin", _begin_sqlite)
    return engine


def _listen(engine: AsyncEngine, name: str, listener: Callable[..., None]) -> None:
    event.listen(engine.sync_engine, name, listener)


def _prepare_sqlite_connection(connection: Any, _: Any) -> None:
    # The driver's own transactions begin too late for reads and are never exclusive: _begin_sqlite replaces them.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_MILLISECONDS}")
    _switch_to_wal(cursor)
    cursor.execute("PRAGMA synchronous=NORMAL")  # with WAL, a power failure may lose the last commits, never the file
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


@retry(
    # Another connection is switching at this moment; SQLite ignores busy_timeout here.
    retry=retry_if_exception_type(sqlite3.OperationalError),
    stop=stop_after_delay(_BUSY_MILLISECONDS / 1000),
    wait=wait_fixed(_WAL_RETRY_MILLISECONDS / 1000),
    sleep=lambda seconds: await_only(asyncio.sleep(seconds)),
    reraise=True,
)
def _switch_to_wal(cursor: Any) -> None:
    """Enable WAL, so that readers and the writer do not block each other."""
    cursor.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Any) -> None:
    writes = connection.get_execution_options().get("reelmill_write", False)
    # A write takes the lock immediately: a transaction that began as a read could not wait for it later.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
