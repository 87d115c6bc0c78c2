"""Hide deleted studies for a while before they are removed, so that they can be restored.

This expands only: servers of the release before write no such column, and take a hidden study,
whose name was given up, for one that is called `~` and its id.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("studies", sa.Column("deleted_name", sa.String(100), nullable=True))


def downgrade() -> None:
    op.drop_column("studies", "deleted_name")
    op.drop_column("studies", "deleted_at")
