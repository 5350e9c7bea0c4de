"""Indexes for lists of one status by time, which otherwise walk through the tasks of all others."""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the indexes."""
    op.create_index("ix_tasks_by_status_start", "tasks", ["project_name", "status", "start_time", "task_id"])
    op.create_index("ix_tasks_by_status_end", "tasks", ["project_name", "status", "end_time", "task_id"])


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_tasks_by_status_end", "tasks")
    op.drop_index("ix_tasks_by_status_start", "tasks")
