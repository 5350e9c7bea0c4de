"""The role with which the storage of a project's tasks is accessed."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the column."""
    op.add_column(
        "projects",
        sa.Column("service_role", sa.Text(), nullable=False, server_default="", comment="empty: the worker's own identity"),
    )


def downgrade() -> None:
    """Drop the column."""
    op.drop_column("projects", "service_role")
