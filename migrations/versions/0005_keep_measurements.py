"""Keep measurements: what a network costs where it is to run, measured once for all studies.

This expands only: servers of the release before do not look at the new table.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "measurements",
        sa.Column("signature", sa.String(64), nullable=False),
        sa.Column("deployment", sa.String(100), nullable=False),
        sa.Column("device", sa.String(200), nullable=False),
        sa.Column("metrics", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("signature", "deployment", name="pk_measurements"),
    )


def downgrade() -> None:
    op.drop_table("measurements")
