"""Quotas of projects, and tasks that wait for others of their project."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_DEFAULT = "0: the server's default"


def upgrade() -> None:
    """Add the columns and the index."""
    op.add_column(
        "projects", sa.Column("engine_concurrency", sa.BigInteger(), nullable=False, server_default="0", comment=_DEFAULT)
    )
    op.add_column(
        "projects", sa.Column("max_queued_tasks", sa.BigInteger(), nullable=False, server_default="0", comment=_DEFAULT)
    )
    op.add_column("projects", sa.Column("fairness_weight", sa.Float(), nullable=False, server_default="0", comment=_DEFAULT))
    op.add_column(
        "tasks",
        sa.Column(
            "admitted",
            sa.Boolean(),
            nullable=False,
            server_default=sa.true(),
            comment="false: waits for others of its project",
        ),
    )
    waiting = sa.column("admitted", sa.Boolean()).is_(False)
    op.create_index(
        "ix_tasks_waiting",
        "tasks",
        ["project_name", "priority", "start_time", "task_id"],
        postgresql_where=waiting,
        sqlite_where=waiting,
    )


def downgrade() -> None:
    """Drop the index and the columns."""
    op.drop_index("ix_tasks_waiting", "tasks")
    op.drop_column("tasks", "admitted")
    for name in ("fairness_weight", "max_queued_tasks", "engine_concurrency"):
        op.drop_column("projects", name)
