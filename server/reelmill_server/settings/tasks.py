"""Settings of task records and projects."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, ByteSize, Field, SecretStr

from reelmill_server.settings.fields import Bytes, Count, Folder, Hours, Metavar, Seconds
from reelmill_server.settings.group import Group, UsedBy

_DRIVERS: Mapping[str, str] = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
    "postgresql+psycopg": "postgresql+psycopg",
}


def _checked_database_url(value: SecretStr) -> SecretStr:
    url = value.get_secret_value()
    if url and url.partition("://")[0] not in _DRIVERS:
        raise ValueError("expected postgresql+psycopg://… or sqlite+aiosqlite:///…")
    return value


# It may hold a password, but mostly does not: unlike other secrets it has a flag.
DatabaseUrl = Annotated[SecretStr, AfterValidator(_checked_database_url), Metavar("URL")]


class TaskSettings(Group):
    """Settings of task records: where they are kept and for how long, and the quotas of projects."""

    title = "Tasks"
    used_by = UsedBy("serve", "api")

    data_dir: Annotated[Folder, UsedBy("serve", "api", "worker", "migrate")] = Field(
        default=Path(".reelmill"),
        description="Folder for the database file and work in progress. Tasks can neither read it nor write to it.",
    )
    database_url: Annotated[DatabaseUrl, UsedBy("serve", "api", "migrate")] = Field(
        default=SecretStr(""),
        description="Database of task records: postgresql+psycopg://user:password@host/name or sqlite+aiosqlite:///file."
        " Empty: an SQLite file in the data folder.",
    )
    retention_hours: Hours = Field(
        default=168, ge=1, le=87600, description="How long a finished task is kept, counted from its start."
    )
    max_projects: Count = Field(default=100, ge=1, le=1_000_000, description="Maximum number of projects.")
    project_concurrency: Count = Field(
        default=100,
        ge=0,
        le=1_000_000,
        description="Maximum number of tasks of a project in progress at once, unless the project has a limit of its own;"
        " further ones wait. 0: no limit.",
    )
    project_queue: Count = Field(
        default=10_000,
        ge=0,
        le=10_000_000,
        description="Maximum number of tasks of a project waiting at once, unless the project has a limit of its own; further"
        " ones are refused. 0: no limit.",
    )
    project_record_bytes: Bytes = Field(
        default=ByteSize(4 << 30),
        ge=0,
        le=1024**5,
        description="Maximum size of the records of a project's tasks: beyond it, the oldest ended tasks are deleted early, and"
        " new tasks are refused while all of them ended within an hour. 0: no limit.",
    )
    reconcile_seconds: Seconds = Field(
        default=10, ge=0.1, le=3600, description="How often records are compared with the engine, and differences repaired."
    )
    watch_poll_seconds: Seconds = Field(
        default=0.5,
        ge=0.05,
        le=60,
        description="How often a watched project is asked for changes, and a watched task for progress, once for all watchers.",
    )
    watch_limit: Count = Field(
        default=4000, ge=1, le=1_000_000, description="Maximum number of WatchTask and WatchTasks streams of a replica at once."
    )
    watch_caller_limit: Count = Field(
        default=2000, ge=1, le=1_000_000, description="Maximum number of those streams of one caller at once."
    )
    watch_rate: Count = Field(
        default=2000,
        ge=1,
        le=1_000_000,
        description="Maximum number of states of tasks that a replica sends to all of its watchers per second. Those that"
        " wait longer skip more of them.",
    )

    def resolved_database_url(self) -> str:
        """Return the database URL with its driver, by default that of a file in the data folder. It may hold a password."""
        url = self.database_url.get_secret_value()
        if not url:
            return f"sqlite+aiosqlite:///{self.data_dir / 'reelmill.db'}"
        scheme, _, rest = url.partition("://")
        return f"{_DRIVERS[scheme]}://{rest}"

    def database_file(self) -> Path | None:
        """Return the file of an SQLite database; None if records live elsewhere."""
        scheme, _, rest = self.resolved_database_url().partition(":///")
        name = rest.partition("?")[0].removeprefix("file:")
        return Path(name).absolute() if scheme.startswith("sqlite") and name not in ("", ":memory:") else None
