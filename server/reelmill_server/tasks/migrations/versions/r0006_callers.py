"""API keys, and who created a task."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create the table and add the column."""
    text = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
    op.create_table(
        "api_keys",
        sa.Column("key_id", text, nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_digest", sa.String(64), nullable=False, comment="SHA-256 of the secret, which is not stored"),
        sa.Column("grants", sa.Text(), nullable=False, comment="JSON list of grants"),
        sa.Column("created_by", sa.Text(), nullable=False, comment="name of the principal"),
        sa.Column("create_time", sa.BigInteger(), nullable=False),
        sa.Column("expire_time", sa.BigInteger(), nullable=False, comment="9223372036854775807: never"),
        sa.PrimaryKeyConstraint("key_id", name="pk_api_keys"),
    )
    op.add_column(
        "tasks",
        sa.Column(
            "created_by", sa.Text(), nullable=False, server_default="", comment="name of the principal; empty: nobody asked"
        ),
    )


def downgrade() -> None:
    """Drop them."""
    op.drop_column("tasks", "created_by")
    op.drop_table("api_keys")
