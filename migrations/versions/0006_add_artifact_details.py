"""Add artifact details: what lies where on a sheet of validation images.

This expands only: the column may be empty, and servers of the release before leave it so.
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("artifacts", sa.Column("details", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("artifacts", "details")
