"""Let admins hold the fleet back: maintenance, and hours that an owner's studies may train.

This expands only: servers of the release before go on giving out trials.
"""

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "owner_limits",
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("hours", sa.Double(), nullable=False),
        sa.PrimaryKeyConstraint("owner", name="pk_owner_limits"),
    )
    op.create_table(
        "maintenance",
        sa.Column("id", sa.Integer(), nullable=False, autoincrement=False),
        sa.Column("reason", sa.String(500), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_maintenance"),
    )


def downgrade() -> None:
    op.drop_table("maintenance")
    op.drop_table("owner_limits")
