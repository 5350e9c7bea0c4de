"""Progress beside the rows, the lease of the replica that writes it, and indexes of unfinished tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_RUNNING = "status = 'Running'"
_TO_START = f"{_RUNNING} AND engine_started IS false AND (admitted IS true OR cancel_requested IS true)"
_TO_START_SQLITE = f"{_RUNNING} AND engine_started IS 0 AND (admitted IS 1 OR cancel_requested IS 1)"


def _text() -> sa.Text:
    """Return text sorted by its bytes."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables, the column and the indexes."""
    op.create_table(
        "task_progress",
        sa.Column(
            "task_id",
            _text(),
            sa.ForeignKey("tasks.task_id", name="fk_task_progress_tasks", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("round", sa.BigInteger(), nullable=False, comment="of the lease, when it was told last"),
        sa.Column("percent", sa.Integer(), nullable=False, comment="never decreases"),
        sa.Column("progress", sa.Text(), nullable=False, comment="JSON of the last progress"),
        sa.Column("working", sa.Boolean(), nullable=False, comment="a worker has it"),
        sa.Column(
            "lane",
            sa.Text(),
            nullable=False,
            server_default="",
            comment="in whose queue it waits; empty: the first one, or unknown",
        ),
        sa.Column("problem", sa.Text(), nullable=False, server_default="", comment="why it does not go on; empty: it does"),
        sa.PrimaryKeyConstraint("task_id", name="pk_task_progress"),
    )
    op.create_index("ix_task_progress_round", "task_progress", ["round"])
    leases = op.create_table(
        "leases",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False, comment="the replica that does this work"),
        sa.Column("expire_time", sa.BigInteger(), nullable=False, comment="after which another may take it"),
        sa.Column("round", sa.BigInteger(), nullable=False, comment="counts what the holders have written"),
        sa.Column("state", sa.Text(), nullable=False, comment="JSON: what the holder knows for all"),
        sa.PrimaryKeyConstraint("name", name="pk_leases"),
    )
    op.bulk_insert(leases, [{"name": "housekeeping", "holder": "", "expire_time": 0, "round": 0, "state": ""}])
    op.add_column(
        "tasks",
        sa.Column(
            "admit_time",
            sa.BigInteger(),
            nullable=False,
            server_default="0",
            comment="0: admitted when it was made, or not yet",
        ),
    )
    op.create_index(
        "ix_tasks_unfinished",
        "tasks",
        ["project_name", "admitted", "priority", "start_time", "task_id"],
        postgresql_where=sa.text(_RUNNING),
        sqlite_where=sa.text(_RUNNING),
    )
    op.create_index(
        "ix_tasks_to_start",
        "tasks",
        ["start_time", "task_id"],
        postgresql_where=sa.text(_TO_START),
        sqlite_where=sa.text(_TO_START_SQLITE),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_index("ix_tasks_to_start", "tasks")
    op.drop_index("ix_tasks_unfinished", "tasks")
    op.drop_column("tasks", "admit_time")
    op.drop_table("leases")
    op.drop_table("task_progress")
