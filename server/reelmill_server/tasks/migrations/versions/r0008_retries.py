"""Which task a task retries."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    column = sa.Column("retry_of", sa.Text(), nullable=False, server_default="", comment="id of the task that it retries")
    op.add_column("tasks", column)


def downgrade() -> None:
    """Drop it."""
    op.drop_column("tasks", "retry_of")
