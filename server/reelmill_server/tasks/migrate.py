"""Migration of a database of any version, or an empty one, to the tables of this version."""

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

_MIGRATION_SECONDS = 24 * 3600.0  # a large table may take long
_migration_lock = threading.Lock()


async def upgrade(database_url: str) -> str:
    """Apply the missing migration steps, all or none, and return the resulting revision.

    Safe to call from many processes at once: one works, the others wait and find nothing to do. A database of a later version
    is left unchanged, so that a replica of this version can still start during a rollout or rollback. Raises
    ServiceUnavailable if the database does not respond.
    """
    return await asyncio.to_thread(_upgrade_exclusively, database_url)


async def check_current(database: Database) -> None:
    """Raise ServiceUnavailable while the database lacks a step of this version, or cannot be written: a check for /readyz."""
    await database.check_writable()
    async with database.read() as connection:
        current = await connection.run_sync(_revision)
    if current != head() and current in _known_revisions():
        raise ServiceUnavailable(f"The database is at revision {current or 'none'} instead of {head()}: run `migrate`.")


@cache
def head() -> str:
    """Return the revision of this version's tables."""
    return _scripts().get_current_head() or ""


def _upgrade_exclusively(database_url: str) -> str:
    # Alembic keeps the current migration in global variables: only one at a time per process, for whatever database.
    with _migration_lock:
        return asyncio.run(_upgrade_locked(database_url))


async def _upgrade_locked(database_url: str) -> str:
    database = Database(database_url, _MIGRATION_SECONDS)
    try:
        async with database.write(Lock.MIGRATE) as connection:
            return await connection.run_sync(_upgrade)
    finally:
        await database.close()


def _upgrade(connection: Connection) -> str:
    current = _revision(connection)
    if current == head() or current not in _known_revisions():
        return current
    config = _config()
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return _revision(connection)


def _revision(connection: Connection) -> str:
    """Return the revision recorded in the database, or "" for an empty one."""
    return MigrationContext.configure(connection).get_current_revision() or ""


@cache
def _known_revisions() -> frozenset[str]:
    """Return the revisions of this version's steps, and that of an empty database."""
    return frozenset(("", *(script.revision for script in _scripts().walk_revisions())))


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", "reelmill_server.tasks:migrations")
    return config
