"""Add data versions: which data a trial was trained on, and with how many threads it began."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

DOCUMENT = sa.JSON(none_as_null=True)


def upgrade() -> None:
    op.add_column("studies", sa.Column("data_versions", DOCUMENT, nullable=True))
    op.add_column("trials", sa.Column("data_version", sa.String(64), nullable=True))
    op.add_column("trials", sa.Column("threads", sa.Integer(), nullable=True))
    known = sa.table(
        "trials", sa.column("provenance", DOCUMENT), sa.column("data_version", sa.String(64))
    )
    # A fingerprint has 64 digits; anything else under this name came from another worker.
    reported = known.c.provenance["data"].as_string()
    op.execute(known.update().where(sa.func.length(reported) == 64).values(data_version=reported))


def downgrade() -> None:
    for name in ("threads", "data_version"):
        op.drop_column("trials", name)
    op.drop_column("studies", "data_versions")
