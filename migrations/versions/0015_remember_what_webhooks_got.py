"""Remember what webhooks got: which server sends to each, and the last event of each study.

This expands only: servers of the release before do not look at the new tables.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "webhooks",
        sa.Column("name", sa.String(64), nullable=False),
        sa.Column("sender", sa.String(32), nullable=True),
        sa.Column("held_until", TIME, nullable=True),
        sa.Column("created_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_webhooks")),
    )
    op.create_table(
        "webhook_cursors",
        sa.Column("webhook", sa.String(64), nullable=False),
        sa.Column("study_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("webhook", "study_id", name=op.f("pk_webhook_cursors")),
        sa.ForeignKeyConstraint(
            ["webhook"],
            ["webhooks.name"],
            name=op.f("fk_webhook_cursors_webhook"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(
            ["study_id"],
            ["studies.id"],
            name=op.f("fk_webhook_cursors_study_id"),
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("webhook_cursors")
    op.drop_table("webhooks")
