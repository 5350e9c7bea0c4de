"""Databases for the contract tests: every test runs on SQLite and on a private PostgreSQL."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import pytest

from reelmill_server.model.task import TaskRecord, TaskStatus
from reelmill_server.tasks.database import Database
from reelmill_server.tasks.migrate import upgrade
from reelmill_server.tasks.projects import ProjectStore
from reelmill_server.tasks.store import TaskStore
from tests.postgres import PrivatePostgres, started

_names = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PrivatePostgres]:
    """A running PostgreSQL with a migrated database `tasks`; skips where none can run, but fails in CI."""
    server = started()
    server.execute("CREATE DATABASE tasks")
    asyncio.run(upgrade(server.url("tasks")))
    yield server
    server.stop()


@pytest.fixture(scope="session")
def migrated_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture(params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The kind of database."""
    return str(request.param)


@pytest.fixture
def empty_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a database without tables."""
    if backend == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'folder' / 'empty.db'}"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    name = f"empty{next(_names)}"
    server.execute(f"CREATE DATABASE {name}")
    return server.url(name)


@pytest.fixture
def database_url(backend: str, request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a fresh database with our tables."""
    if backend == "sqlite":
        file = shutil.copy(request.getfixturevalue("migrated_file"), tmp_path / "tasks.db")
        return f"sqlite+aiosqlite:///{file}"
    server: PrivatePostgres = request.getfixturevalue("postgres")
    server.execute("DELETE FROM tasks; DELETE FROM projects", "tasks")  # much faster than another database
    return server.url("tasks")


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """A fresh database with our tables."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def projects(database: Database) -> ProjectStore:
    """Projects, one of them: demo."""
    store = ProjectStore(database)
    await store.create("demo")
    return store


@pytest.fixture
async def store(database: Database, projects: ProjectStore) -> TaskStore:
    """An empty task store with the project demo."""
    return TaskStore(database)


@pytest.fixture
def make_record() -> Callable[..., TaskRecord]:
    """Make a running task of the project demo; its number is in its id; keywords replace fields."""

    def make(number: int = 0, **fields: object) -> TaskRecord:
        given: dict[str, object] = {
            "task_id": f"MediaConvert-{number:04d}",
            "project_name": "demo",
            "request_id": "",
            "event_id": "2F6-1Bz99Xi93EnRpNEyLudILJm",
            "status": TaskStatus.RUNNING,
            "start_time": datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
            "request_json": '{"ProjectName":"demo"}',
            "work_json": "{}",
        }
        return TaskRecord(**(given | fields))  # type: ignore[arg-type]

    return make
