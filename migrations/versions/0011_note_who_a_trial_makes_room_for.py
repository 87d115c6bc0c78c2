"""Note for which study an attempt was asked to give its worker up.

This expands only: servers of the release before neither read nor write it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("attempts", sa.Column("yields_to", sa.BigInteger(), nullable=True))
    op.create_index(
        "ix_attempts_yields_to",
        "attempts",
        ["yields_to"],
        sqlite_where=sa.text("yields_to IS NOT NULL"),
        postgresql_where=sa.text("yields_to IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_attempts_yields_to", "attempts")
    op.drop_column("attempts", "yields_to")
