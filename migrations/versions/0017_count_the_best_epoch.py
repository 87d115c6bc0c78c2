"""Let a trial's best epoch count: note which one its value and its metrics are of.

This expands only. A server of the release before reads no study whose best epochs count, and
trials of all others have no such step: their last one counts.
"""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("value_step", sa.Integer(), nullable=True))
    op.add_column("reports", sa.Column("value_step", sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column("reports", "value_step")
    op.drop_column("trials", "value_step")
