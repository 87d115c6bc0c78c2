"""Note who owns a study: the name of the token that submitted it.

This expands only: servers of the release before neither read nor write it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("studies", sa.Column("owner", sa.String(64), nullable=True))
    op.create_index("ix_studies_owner", "studies", ["owner"])


def downgrade() -> None:
    op.drop_index("ix_studies_owner", "studies")
    op.drop_column("studies", "owner")
