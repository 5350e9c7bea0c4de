"""Numbers of changes, so that watchers read only what has changed; unfinished tasks are counted from an index."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns and the indexes."""
    op.add_column(
        "projects",
        sa.Column("change_count", sa.BigInteger(), nullable=False, server_default="0", comment="changes of its tasks so far"),
    )
    op.add_column(
        "tasks",
        sa.Column(
            "change_number",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="its last change among those of the project",
        ),
    )
    op.create_index("ix_tasks_by_change", "tasks", ["project_name", "change_number", "task_id"])
    op.create_index("ix_tasks_by_admission", "tasks", ["project_name", "status", "admitted", "priority"])


def downgrade() -> None:
    """Drop the indexes and the columns."""
    op.drop_index("ix_tasks_by_admission", "tasks")
    op.drop_index("ix_tasks_by_change", "tasks")
    op.drop_column("tasks", "change_number")
    op.drop_column("projects", "change_count")
