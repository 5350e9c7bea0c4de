"""The tables of projects, tasks, notifications, API keys and nonces. migrations/versions creates them; a test compares the two.

Times are whole microseconds since 1970 UTC, so that they are exact and sort alike on every database. Sorted texts are ordered
by their bytes ("C" collation), so that PostgreSQL agrees with SQLite and Python.
"""

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    literal_column,
    true,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from reelmill_server.errors import InvalidArgument

NOT_ENDED = 2**63 - 1
"""`end_time` of a running task: greater than any other, so that running tasks sort last (first, if descending) without
NULLs."""


class PlainText(TypeDecorator[str]):
    """Text without the character U+0000, which PostgreSQL cannot store; raises InvalidArgument if it contains one."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Refuse U+0000 in values to store."""
        if value is not None and "\0" in value:
            raise InvalidArgument("Strings must not contain the character U+0000.")
        return value


class SortedText(PlainText):
    """Text that is compared by its bytes."""

    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Return the C collation for PostgreSQL; SQLite compares bytes anyway."""
        return postgresql.TEXT(collation="C") if dialect.name == "postgresql" else super().load_dialect_impl(dialect)


metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

projects = Table(
    "projects",
    metadata,
    Column("project_name", SortedText, primary_key=True),
    Column("description", PlainText, nullable=False),
    Column("dataset_limits", PlainText, nullable=False, comment="JSON object: name of the limit to number"),
    Column("create_time", BigInteger, nullable=False),
    Column("update_time", BigInteger, nullable=False),
    Column("service_role", PlainText, nullable=False, server_default="", comment="empty: the worker's own identity"),
    Column("engine_concurrency", BigInteger, nullable=False, server_default="0", comment="0: the server's default"),
    Column("max_queued_tasks", BigInteger, nullable=False, server_default="0", comment="0: the server's default"),
    Column("fairness_weight", Float, nullable=False, server_default="0", comment="0: the server's default"),
    Column("change_count", BigInteger, nullable=False, server_default="0", comment="changes of its tasks so far"),
    Column("record_bytes", BigInteger, nullable=False, server_default="0", comment="of its tasks"),
)

project_tags = Table(
    "project_tags",
    metadata,
    Column("project_name", ForeignKey("projects.project_name", ondelete="CASCADE"), primary_key=True),
    Column("key", SortedText, primary_key=True),
    Column("value", SortedText, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("task_id", SortedText, primary_key=True),
    Column("project_name", ForeignKey("projects.project_name"), nullable=False),
    Column("request_id", PlainText, nullable=False),
    Column("request_key", SortedText, comment="request_id while it stands for this task; NULL: it has none or it expired"),
    Column("event_id", PlainText, nullable=False),
    Column("status", String(16), nullable=False, comment="Running, Succeeded, Failed or Canceled"),
    Column("priority", BigInteger, nullable=False),
    Column("start_time", BigInteger, nullable=False),
    Column("end_time", BigInteger, nullable=False, comment="9223372036854775807 while running"),
    Column("admitted", Boolean, nullable=False, server_default=true(), comment="false: waits for others of its project"),
    Column("admit_time", BigInteger, nullable=False, server_default="0", comment="0: admitted when it was made, or not yet"),
    Column("engine_started", Boolean, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Column("user_data", PlainText, nullable=False),
    Column("tags", PlainText, nullable=False, comment="JSON object"),
    Column("request_json", PlainText, nullable=False),
    Column("work_json", PlainText, nullable=False),
    Column("outcome", PlainText, comment="JSON of the outcome; NULL while running"),
    Column(
        "change_number", BigInteger, nullable=False, server_default="0", comment="its last change among those of the project"
    ),
    Column("record_bytes", BigInteger, nullable=False, server_default="0", comment="with indexes, about"),
    Column("created_by", PlainText, nullable=False, server_default="", comment="name of the principal; empty: nobody asked"),
    Column("retry_of", PlainText, nullable=False, server_default="", comment="id of the task that it retries"),
)

IS_RUNNING: ColumnElement[bool] = tasks.c.status == literal_column("'Running'")
"""Selects unfinished tasks; a literal, as both databases use indexes of unfinished tasks only where they see that it is one."""

task_progress = Table(
    "task_progress",
    metadata,
    Column("task_id", ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("round", BigInteger, nullable=False, comment="of the lease, when it was told last"),
    Column("percent", Integer, nullable=False, comment="never decreases"),
    Column("progress", PlainText, nullable=False, comment="JSON of the last progress"),
    Column("working", Boolean, nullable=False, comment="a worker has it"),
    Column(
        "lane",
        PlainText,
        nullable=False,
        server_default="",
        comment="in whose queue it waits; empty: the first one, or unknown",
    ),
    Column("problem", PlainText, nullable=False, server_default="", comment="why it does not go on; empty: it does"),
)
"""Facts of unfinished tasks that change often: kept beside their rows, so that the other columns are not rewritten."""

task_previews = Table(
    "task_previews",
    metadata,
    Column("task_id", ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("taken_time", BigInteger, primary_key=True),
    Column("seconds", Float, nullable=False, comment="of the output"),
    Column("jpeg", PlainText, nullable=False, comment="Base64"),
)
"""The latest frames that unfinished tasks have encoded."""

leases = Table(
    "leases",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("holder", PlainText, nullable=False, comment="the replica that does this work"),
    Column("expire_time", BigInteger, nullable=False, comment="after which another may take it"),
    Column("round", BigInteger, nullable=False, comment="counts what the holders have written"),
    Column("state", PlainText, nullable=False, comment="JSON: what the holder knows for all"),
)

task_tags = Table(
    "task_tags",
    metadata,
    Column("task_id", ForeignKey("tasks.task_id", ondelete="CASCADE"), primary_key=True),
    Column("tag_digest", String(32), primary_key=True, comment="of key and value: an index cannot hold values of any length"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("notification_id", SortedText, primary_key=True),
    Column("task_id", ForeignKey("tasks.task_id", ondelete="CASCADE"), nullable=False),
    Column("project_name", SortedText, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("destination", PlainText, nullable=False),
    Column("qualifier", PlainText, nullable=False),
    Column("percent", BigInteger, nullable=False, comment="progress that is told; 100: the end"),
    Column("state", String(16), nullable=False, comment="Waiting, Pending, Delivered, Failed or Superseded"),
    Column("attempts", BigInteger, nullable=False),
    Column("last_error", PlainText, nullable=False),
    Column("create_time", BigInteger, comment="NULL while waiting for the task's end"),
    Column("since_time", BigInteger, comment="when delivery was asked for"),
    Column("next_time", BigInteger, comment="of the next attempt"),
    Column("last_attempt_time", BigInteger),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("key_id", SortedText, primary_key=True),
    Column("name", PlainText, nullable=False),
    Column("secret_digest", String(64), nullable=False, comment="SHA-256 of the secret, which is not stored"),
    Column("grants", PlainText, nullable=False, comment="JSON list of grants"),
    Column("created_by", PlainText, nullable=False, comment="name of the principal"),
    Column("create_time", BigInteger, nullable=False),
    Column("expire_time", BigInteger, nullable=False, comment="9223372036854775807: never"),
)

used_nonces = Table(
    "used_nonces",
    metadata,
    Column("digest", String(32), primary_key=True, comment="of the nonce and the id of the key"),
    Column("expire_time", BigInteger, nullable=False, comment="after which no request with it is taken anyway"),
)

UNIQUE_REQUEST = Index("uq_tasks_request", tasks.c.project_name, tasks.c.request_key, unique=True)

# One index for each sort order of ListTasks; they are walked in both directions.
Index("ix_tasks_by_id", tasks.c.project_name, tasks.c.task_id)
Index("ix_tasks_by_start", tasks.c.project_name, tasks.c.start_time, tasks.c.task_id)
Index("ix_tasks_by_end", tasks.c.project_name, tasks.c.end_time, tasks.c.task_id)
# The same for lists of one status, and the number of running tasks in a project.
Index("ix_tasks_by_status", tasks.c.project_name, tasks.c.status, tasks.c.task_id)
Index("ix_tasks_by_status_start", tasks.c.project_name, tasks.c.status, tasks.c.start_time, tasks.c.task_id)
Index("ix_tasks_by_status_end", tasks.c.project_name, tasks.c.status, tasks.c.end_time, tasks.c.task_id)
# The reconciler: all running tasks, and those not started in the engine. Metrics: counts by status.
Index("ix_tasks_status", tasks.c.status, tasks.c.task_id)
Index(
    "ix_tasks_unstarted",
    tasks.c.start_time,
    tasks.c.task_id,
    postgresql_where=tasks.c.engine_started.is_(False),
    sqlite_where=tasks.c.engine_started.is_(False),
)
# Waiting tasks of a project, in the order of admission.
Index(
    "ix_tasks_waiting",
    tasks.c.project_name,
    tasks.c.priority,
    tasks.c.start_time,
    tasks.c.task_id,
    postgresql_where=tasks.c.admitted.is_(False),
    sqlite_where=tasks.c.admitted.is_(False),
)
# Quotas and shares: every new task counts the unfinished ones of its project, and asks for their priorities.
Index("ix_tasks_by_admission", tasks.c.project_name, tasks.c.status, tasks.c.admitted, tasks.c.priority)
# Unfinished tasks of a project in the order in which they wait: their place, and which projects have some that wait for it.
Index(
    "ix_tasks_unfinished",
    tasks.c.project_name,
    tasks.c.admitted,
    tasks.c.priority,
    tasks.c.start_time,
    tasks.c.task_id,
    postgresql_where=IS_RUNNING,
    sqlite_where=IS_RUNNING,
)
# The reconciler: unfinished tasks that the engine should have, and does not.
TO_START: ColumnElement[bool] = (
    IS_RUNNING & tasks.c.engine_started.is_(false()) & (tasks.c.admitted.is_(true()) | tasks.c.cancel_requested.is_(true()))
)
Index("ix_tasks_to_start", tasks.c.start_time, tasks.c.task_id, postgresql_where=TO_START, sqlite_where=TO_START)
# Watchers: what was told since.
Index("ix_task_progress_round", task_progress.c.round)
# Watchers: what has changed since.
Index("ix_tasks_by_change", tasks.c.project_name, tasks.c.change_number, tasks.c.task_id)
# Retention.
Index("ix_tasks_start", tasks.c.start_time)
# Tag selectors.
Index("ix_task_tags_digest", task_tags.c.tag_digest, task_tags.c.task_id)
Index("ix_project_tags_tag", project_tags.c.key, project_tags.c.value, project_tags.c.project_name)
# Lists of notifications; those of a task; those due.
Index("ix_notifications_by_id", notifications.c.project_name, notifications.c.notification_id)
Index("ix_notifications_task", notifications.c.task_id)
Index("ix_notifications_due", notifications.c.state, notifications.c.next_time)
# Nonces to forget.
Index("ix_used_nonces_expire", used_nonces.c.expire_time)
