"""Migrations and connections: the same on SQLite and on PostgreSQL."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection, inspect, make_url, text

from reelmill_server.errors import InternalError, InvalidArgument, ServiceUnavailable
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.migrate import check_current, head, upgrade
from reelmill_server.tasks.tables import SortedText, metadata
from tests.postgres import PrivatePostgres

_UPGRADE = "import asyncio, sys\nfrom reelmill_server.tasks.migrate import upgrade\nprint(asyncio.run(upgrade(sys.argv[1])))"


async def test_upgrade_from_empty_makes_the_tables_and_may_be_repeated(empty_url: str) -> None:
    """An empty database, its folder included, gets this version's tables; a second upgrade changes nothing."""
    assert await upgrade(empty_url) == await upgrade(empty_url) == head() != ""
    database = Database(empty_url)

    def differences(connection: Connection) -> list[object]:
        return list(compare_metadata(MigrationContext.configure(connection), metadata))

    async with database.read() as connection:
        assert await connection.run_sync(differences) == []
    await check_current(database)
    await database.close()


async def test_sorted_texts_do_not_depend_on_the_locale(database: Database) -> None:
    """PostgreSQL is told to compare their bytes, as SQLite does."""

    def collations(connection: Connection) -> set[str | None]:
        results: set[str | None] = set()
        for table in metadata.tables.values():
            sorted_names = {column.name for column in table.c if isinstance(column.type, SortedText)}
            columns = inspect(connection).get_columns(table.name)
            results |= {getattr(column["type"], "collation", None) for column in columns if column["name"] in sorted_names}
        return results

    async with database.read() as connection:
        assert await connection.run_sync(collations) == {None if database.is_sqlite else "C"}


@pytest.mark.cluster
def test_upgrades_at_once_in_many_processes_are_safe(empty_url: str) -> None:
    """All give the same revision: one works, the others wait."""
    command = [sys.executable, "-c", _UPGRADE, empty_url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert {process.communicate()[0].strip() for process in running} == {head()}


async def test_upgrades_at_once_in_one_process_are_safe(empty_url: str) -> None:
    """As for processes."""
    assert set(await asyncio.gather(*(upgrade(empty_url) for _ in range(5)))) == {head()}


async def test_a_database_of_a_later_version_is_left_as_it_is(empty_url: str) -> None:
    """A replica of this version still starts beside it while a deployment is rolled out or back."""
    await upgrade(empty_url)
    database = Database(empty_url)
    async with database.write() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert await upgrade(empty_url) == "9999"
    await check_current(database)
    await database.close()


async def test_check_current_names_a_database_without_tables(empty_url: str) -> None:
    """ServiceUnavailable says what to run."""
    database = Database(empty_url)
    with pytest.raises(ServiceUnavailable, match=r"revision none.*run `migrate`"):
        await check_current(database)
    await database.close()


async def test_an_error_rolls_a_write_back(database: Database) -> None:
    """Nothing of a failed transaction is kept, and the next one can begin."""
    statement = text(
        "INSERT INTO projects (project_name, description, dataset_limits, create_time, update_time)"
        " VALUES ('p', '', '{}', 1, 1)"
    )
    with pytest.raises(RuntimeError):
        async with database.write() as connection:
            await connection.execute(statement)
            raise RuntimeError
    async with database.write() as connection:
        await connection.execute(statement)


async def test_foreign_errors_become_ours(database: Database) -> None:
    """A wrong statement is InternalError or ServiceUnavailable, never an error of the driver."""
    with pytest.raises((InternalError, ServiceUnavailable)) as caught:
        async with database.read() as connection:
            await connection.execute(text("SELECT nonsense FROM nowhere"))
    assert "nonsense" not in caught.value.message


@pytest.mark.parametrize(("contents", "error"), [(b"no database" * 100, "SQLITE_NOTADB"), (None, "SQLITE_FULL")])
async def test_a_file_that_cannot_be_used_is_told(contents: bytes | None, error: str, tmp_path: Path) -> None:
    """By SQLite's own name of what is wrong: on a full disk, "does not respond" alone leads nowhere."""
    database, file = Database(f"sqlite+aiosqlite:///{tmp_path}/records.db"), tmp_path / "records.db"
    with pytest.raises((ServiceUnavailable, InternalError), match=error):
        if contents:
            file.write_bytes(contents)
        async with database.write() as connection:
            await connection.execute(text("PRAGMA max_page_count = 1"))
            await connection.execute(text("CREATE TABLE more (number INTEGER)"))
    await database.close()


async def test_a_database_that_is_away_is_service_unavailable(tmp_path: Path) -> None:
    """The message tells no password."""
    database = Database(f"postgresql+psycopg://user:hunter2@/x?host={tmp_path}")
    with pytest.raises(ServiceUnavailable, match="does not respond") as caught:
        await database.ping()
    assert "hunter2" not in caught.value.message
    await database.close()


async def test_a_file_that_takes_no_changes_is_told(tmp_path: Path) -> None:
    """As on a disk that the kernel has made read-only: it can be read, and nobody may have called."""
    await upgrade(f"sqlite+aiosqlite:///{tmp_path}/records.db")
    database = Database(f"sqlite+aiosqlite:///file:{tmp_path}/records.db?mode=ro&uri=true")
    await database.ping()
    with pytest.raises(ServiceUnavailable, match="SQLITE_READONLY"):
        await check_current(database)
    await database.close()


async def test_a_server_that_takes_no_changes_is_away(postgres: PrivatePostgres) -> None:
    """After a switchover connections may lead to what is a standby now: callers try again, and new connections are made."""
    postgres.execute("CREATE DATABASE demoted")
    await upgrade(postgres.url("demoted"))
    database = Database(postgres.url("demoted"))

    async def write() -> None:
        async with database.write() as connection:
            await connection.execute(text("UPDATE leases SET round = round + 1"))

    postgres.execute("ALTER DATABASE demoted SET default_transaction_read_only = on")
    with pytest.raises(ServiceUnavailable, match="does not respond"):
        await write()
    with pytest.raises(ServiceUnavailable, match="takes no changes"):
        await check_current(database)
    postgres.execute("ALTER DATABASE demoted RESET default_transaction_read_only")  # for sessions that begin from now on
    with pytest.raises(ServiceUnavailable, match="does not respond"):
        await write()
    await write()
    await check_current(database)
    await database.close()


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
async def test_a_database_with_another_encoding_is_refused_by_name(postgres: PrivatePostgres, encoding: str) -> None:
    """It would return bytes, or take no texts but those of Western Europe."""
    name = f"encoded_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'")
    with pytest.raises(InvalidArgument, match=f"{name} has the encoding {encoding} and must have UTF8"):
        await upgrade(postgres.url(name))


async def test_ping_answers(database: Database) -> None:
    """A database that is there raises nothing."""
    await database.ping()


async def test_a_transaction_that_waits_for_ever_ends(database_url: str) -> None:
    """Another one holds what it wants: it says that the database does not answer, and those after it are served."""
    if database_url.startswith("sqlite"):
        pytest.skip("a file has a bound of its own")
    patient, hasty = Database(database_url), Database(database_url, transaction_seconds=0.5)
    statement = text(
        "INSERT INTO projects (project_name, description, dataset_limits, create_time, update_time)"
        " VALUES ('p', '', '{}', 1, 1)"
    )
    try:
        async with patient.write() as holding:
            await holding.execute(statement)
            for _ in range(3):
                with pytest.raises(ServiceUnavailable, match="does not respond"):
                    async with hasty.write() as waiting:
                        await waiting.execute(statement)
        hasty._seconds = patient._seconds
        await hasty.ping()
    finally:
        await patient.close()
        await hasty.close()


class Silent:
    """Stands before PostgreSQL, and can stop to hand on what it hears, as a balancer does whose server is gone."""

    def __init__(self, socket: Path) -> None:
        self._socket, self.fallen = socket, False

    async def serve(self) -> asyncio.Server:
        """Listens on a free port."""
        return await asyncio.start_server(self._pass, "127.0.0.1", 0)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_unix_connection(self._socket)
        await asyncio.gather(self._pump(reader, back), self._pump(there, writer))

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while heard := await reader.read(65536):
            if not self.fallen:
                writer.write(heard)
        writer.close()


async def test_a_server_that_falls_silent_does_not_hold_us_for_ever(database_url: str) -> None:
    """Nothing is closed, and no answer comes: the call ends all the same, and the next one with it when the server is back."""
    if database_url.startswith("sqlite"):
        pytest.skip("a file does not fall silent")
    url = make_url(database_url)
    front = Silent(Path(str(url.query["host"])) / ".s.PGSQL.5432")
    server = await front.serve()
    port = server.sockets[0].getsockname()[1]
    there = url.set(host="127.0.0.1", port=port, query={}).render_as_string(hide_password=False)
    database = Database(there)
    try:
        await database.ping()
        front.fallen, usual = True, database._seconds
        database._seconds = 0.5
        async with asyncio.timeout(40):
            with pytest.raises(ServiceUnavailable, match="does not respond"):
                await database.ping()
        front.fallen, database._seconds = False, usual
        await database.ping()
    finally:
        await database.close()
        server.close()
