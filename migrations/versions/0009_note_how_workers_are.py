"""Note how workers are: drained or not, how busy their devices, when heard of, the end of logs.

This expands only: servers of the release before neither read nor write any of it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)
LOST = sa.text("outcome IN ('lost', 'crashed', 'hung')")


def upgrade() -> None:
    op.add_column("workers", sa.Column("drained_at", TIME, nullable=True))
    op.add_column("attempts", sa.Column("renewed_at", TIME, nullable=True))
    op.add_column("attempts", sa.Column("usage", sa.JSON(none_as_null=True), nullable=True))
    op.create_index(
        "ix_attempts_ended_at_id_lost",
        "attempts",
        ["ended_at", "id"],
        sqlite_where=LOST,
        postgresql_where=LOST,
    )
    op.create_table(
        "attempt_logs",
        sa.Column("attempt_id", sa.String(64), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("updated_at", TIME, nullable=False),
        sa.PrimaryKeyConstraint("attempt_id", name=op.f("pk_attempt_logs")),
        sa.ForeignKeyConstraint(
            ["attempt_id"],
            ["attempts.id"],
            name=op.f("fk_attempt_logs_attempt_id"),
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    op.drop_table("attempt_logs")
    op.drop_index("ix_attempts_ended_at_id_lost", "attempts")
    for name in ("usage", "renewed_at"):
        op.drop_column("attempts", name)
    op.drop_column("workers", "drained_at")
