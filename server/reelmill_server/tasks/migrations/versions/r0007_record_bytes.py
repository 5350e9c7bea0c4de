"""Bytes of records, so that ended tasks of a project that has too many expire early."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_TEXTS = ("user_data", "tags", "request_json", "work_json", "coalesce(outcome, '')")


def upgrade() -> None:
    """Add the columns, and fill them for what is there."""
    for table, comment in (("projects", "of its tasks"), ("tasks", "with indexes, about")):
        op.add_column(table, sa.Column("record_bytes", sa.BigInteger(), nullable=False, server_default="0", comment=comment))
    op.execute(f"UPDATE tasks SET record_bytes = 2000 + {' + '.join(f'length({text})' for text in _TEXTS)}")
    total = "SELECT coalesce(sum(tasks.record_bytes), 0) FROM tasks WHERE tasks.project_name = projects.project_name"
    op.execute(f"UPDATE projects SET record_bytes = ({total})")


def downgrade() -> None:
    """Drop the columns."""
    for table in ("tasks", "projects"):
        op.drop_column(table, "record_bytes")
