"""Previews of running encodes, and the nonces of signed requests."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def _text() -> sa.Text:
    """Return text sorted by its bytes."""
    return sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    """Add the tables and the index."""
    op.create_table(
        "task_previews",
        sa.Column(
            "task_id",
            _text(),
            sa.ForeignKey("tasks.task_id", name="fk_task_previews_tasks", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("taken_time", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Float(), nullable=False, comment="of the output"),
        sa.Column("jpeg", sa.Text(), nullable=False, comment="Base64"),
        sa.PrimaryKeyConstraint("task_id", "taken_time", name="pk_task_previews"),
    )
    op.create_table(
        "used_nonces",
        sa.Column("digest", sa.String(32), nullable=False, comment="of the nonce and the id of the key"),
        sa.Column("expire_time", sa.BigInteger(), nullable=False, comment="after which no request with it is taken anyway"),
        sa.PrimaryKeyConstraint("digest", name="pk_used_nonces"),
    )
    op.create_index("ix_used_nonces_expire", "used_nonces", ["expire_time"])


def downgrade() -> None:
    """Drop them."""
    op.drop_table("used_nonces")
    op.drop_table("task_previews")
