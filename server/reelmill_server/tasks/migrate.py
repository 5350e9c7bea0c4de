"""Brings a database to the tables of this version, from whatever version it has, or from nothing."""

import asyncio
import threading
from functools import cache

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection

from reelmill_server.errors import ServiceUnavailable
from reelmill_server.tasks.database import Database, Lock

_MIGRATION_SECONDS = 24 * 3600.0  # a large table may take its time
_one_migration = threading.Lock()


async def upgrade(database_url: str) -> str:
    """Apply the steps that the database lacks, all or none, and give the revision it has then.

    Safe to call from many processes at once: one works, the others wait and find nothing to do. A database of a later
    version is left as it is, so that a replica of this version can still start while a deployment is rolled out or back.
    ServiceUnavailable when the database does not answer.
    """
    return await asyncio.to_thread(_upgrade_alone, database_url)


async def check_current(database: Database) -> None:
    """Raise ServiceUnavailable while the database lacks a step of this version: a check for /readyz."""
    async with database.read() as connection:
        found = await connection.run_sync(_revision)
    if found != head() and found in _known():
        raise ServiceUnavailable(f"The database has tables of revision {found or 'none'}, not {head()}: run `migrate`.")


@cache
def head() -> str:
    """Name the revision of this version's tables."""
    return _scripts().get_current_head() or ""


def _upgrade_alone(database_url: str) -> str:
    # Alembic keeps the migration that is running in global variables: one at a time in a process, whatever the database.
    with _one_migration:
        return asyncio.run(_upgrade_locked(database_url))


async def _upgrade_locked(database_url: str) -> str:
    database = Database(database_url, _MIGRATION_SECONDS)
    try:
        async with database.write(Lock.MIGRATE) as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> str:
    found = _revision(connection)
    if found == head() or found not in _known():
        return found
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return _revision(connection)


def _revision(connection: Connection) -> str:
    """The revision that the database records; "" for an empty one."""
    return MigrationContext.configure(connection).get_current_revision() or ""


@cache
def _known() -> frozenset[str]:
    """The revisions of this version's steps, and that of an empty database."""
    return frozenset(("", *(script.revision for script in _scripts().walk_revisions())))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "reelmill_server.tasks:migrations")
    return config
