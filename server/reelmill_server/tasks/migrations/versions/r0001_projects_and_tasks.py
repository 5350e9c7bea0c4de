"""Projects and tasks, with their tags."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def _sorted_text() -> sa.Text:
    """Return a text type sorted by its bytes on both databases."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the tables and their indexes."""
    _create_projects()
    _create_tasks()
    _create_indexes()


def downgrade() -> None:
    """Drop all tables."""
    for table in ("task_tags", "tasks", "project_tags", "projects"):
        op.drop_table(table)


def _create_projects() -> None:
    op.create_table(
        "projects",
        sa.Column("project_name", _sorted_text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("dataset_limits", sa.Text(), nullable=False, comment="JSON object: name of the limit to number"),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("update_time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("project_name", name="pk_projects"),
    )
    op.create_table(
        "project_tags",
        sa.Column("project_name", _sorted_text(), nullable=False),
        sa.Column("key", _sorted_text(), nullable=False),
        sa.Column("value", _sorted_text(), nullable=False),
        sa.PrimaryKeyConstraint("project_name", "key", name="pk_project_tags"),
        sa.ForeignKeyConstraint(
            ["project_name"], ["projects.project_name"], name="fk_project_tags_projects", ondelete="CASCADE"
        ),
    )


def _create_tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("task_id", _sorted_text(), nullable=False),
        sa.Column("project_name", _sorted_text(), nullable=False),
        sa.Column("request_id", sa.Text(), nullable=False),
        sa.Column(
            "request_key", _sorted_text(), comment="request_id while it stands for this task; NULL: it has none or it expired"
        ),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("status", sa.String(16), nullable=False, comment="Running, Succeeded, Failed or Canceled"),
        sa.Column("priority", sa.BigInteger(), nullable=False),
        sa.Column("start_time", sa.BigInteger(), nullable=False),
        sa.Column("end_time", sa.BigInteger(), nullable=False, comment="9223372036854775807 while running"),
        sa.Column("engine_started", sa.Boolean(), nullable=False),
        sa.Column("cancel_requested", sa.Boolean(), nullable=False),
        sa.Column("user_data", sa.Text(), nullable=False),
        sa.Column("tags", sa.Text(), nullable=False, comment="JSON object"),
        sa.Column("request_json", sa.Text(), nullable=False),
        sa.Column("work_json", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), comment="JSON of the outcome; NULL while running"),
        sa.PrimaryKeyConstraint("task_id", name="pk_tasks"),
        sa.ForeignKeyConstraint(["project_name"], ["projects.project_name"], name="fk_tasks_projects"),
    )
    op.create_table(
        "task_tags",
        sa.Column("task_id", _sorted_text(), nullable=False),
        sa.Column(
            "tag_digest",
            sa.String(32),
            nullable=False,
            comment="of key and value: an index cannot hold values of any length",
        ),
        sa.PrimaryKeyConstraint("task_id", "tag_digest", name="pk_task_tags"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.task_id"], name="fk_task_tags_tasks", ondelete="CASCADE"),
    )


def _create_indexes() -> None:
    op.create_index("uq_tasks_request", "tasks", ["project_name", "request_key"], unique=True)
    op.create_index("ix_tasks_by_id", "tasks", ["project_name", "task_id"])
    op.create_index("ix_tasks_by_start", "tasks", ["project_name", "start_time", "task_id"])
    op.create_index("ix_tasks_by_end", "tasks", ["project_name", "end_time", "task_id"])
    op.create_index("ix_tasks_by_status", "tasks", ["project_name", "status", "task_id"])
    op.create_index("ix_tasks_status", "tasks", ["status", "task_id"])
    unstarted = sa.column("engine_started", sa.Boolean()).is_(False)
    op.create_index(
        "ix_tasks_unstarted", "tasks", ["start_time", "task_id"], postgresql_where=unstarted, sqlite_where=unstarted
    )
    op.create_index("ix_tasks_start", "tasks", ["start_time"])
    op.create_index("ix_task_tags_digest", "task_tags", ["tag_digest", "task_id"])
    op.create_index("ix_project_tags_tag", "project_tags", ["key", "value", "project_name"])
