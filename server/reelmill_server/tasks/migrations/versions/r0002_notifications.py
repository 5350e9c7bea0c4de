"""Notifications: recipients of a task, and the state of their delivery."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def _sorted_text() -> sa.Text:
    """Return a text type sorted by its bytes on both databases."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Create the table and its indexes."""
    op.create_table(
        "notifications",
        sa.Column("notification_id", _sorted_text(), nullable=False),
        sa.Column("task_id", _sorted_text(), nullable=False),
        sa.Column("project_name", _sorted_text(), nullable=False),
        sa.Column("channel", sa.String(32), nullable=False),
        sa.Column("destination", sa.Text(), nullable=False),
        sa.Column("qualifier", sa.Text(), nullable=False),
        sa.Column("percent", sa.BigInteger(), nullable=False, comment="progress that is told; 100: the end"),
        sa.Column("state", sa.String(16), nullable=False, comment="Waiting, Pending, Delivered, Failed or Superseded"),
        sa.Column("attempts", sa.BigInteger(), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=False),
        sa.Column("create_time", sa.BigInteger(), comment="NULL while waiting for the task's end"),
        sa.Column("since_time", sa.BigInteger(), comment="when delivery was asked for"),
        sa.Column("next_time", sa.BigInteger(), comment="of the next attempt"),
        sa.Column("last_attempt_time", sa.BigInteger()),
        sa.PrimaryKeyConstraint("notification_id", name="pk_notifications"),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.task_id"], name="fk_notifications_tasks", ondelete="CASCADE"),
    )
    op.create_index("ix_notifications_by_id", "notifications", ["project_name", "notification_id"])
    op.create_index("ix_notifications_task", "notifications", ["task_id"])
    op.create_index("ix_notifications_due", "notifications", ["state", "next_time"])


def downgrade() -> None:
    """Drop the table."""
    op.drop_table("notifications")
