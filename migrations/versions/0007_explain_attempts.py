"""Note which attempts a retry has forgiven, and why each attempt's trial went where it did.

This expands only: servers of the release before count the forgiven attempts too, so a trial that
is lost once more may fail there early.
"""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("trials", sa.Column("forgiven", sa.Integer(), nullable=True))
    op.add_column("attempts", sa.Column("reason", sa.Text(), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("attempts") as attempts:
        attempts.drop_column("reason")
    with op.batch_alter_table("trials") as trials:
        trials.drop_column("forgiven")
