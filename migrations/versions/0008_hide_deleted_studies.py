"""Hide deleted studies for a while before they are removed, so that they can be restored.

This expands only: servers of the release before write no such column, and take a hidden study,
whose name and state were given up, for a cancelled one that is called `~` and its id. They delete
at once: what is hidden is removed on the way back to them.
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

_TABLES = ("studies", "trials", "reports", "attempts", "artifacts", "events", "idempotency_keys")


def upgrade() -> None:
    op.add_column("studies", sa.Column("deleted_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("studies", sa.Column("deleted_name", sa.String(100), nullable=True))
    op.add_column("studies", sa.Column("deleted_state", sa.String(16), nullable=True))


def downgrade() -> None:
    _remove_hidden()
    op.drop_column("studies", "deleted_state")
    op.drop_column("studies", "deleted_name")
    op.drop_column("studies", "deleted_at")


def _remove_hidden() -> None:
    """Children first: SQLite follows no foreign key while it migrates."""
    names = ("id", "study_id", "trial_id", "deleted_at")
    known = {table: sa.table(table, *map(sa.column, names)) for table in _TABLES}
    studies, trials = known["studies"], known["trials"]
    hidden = sa.select(studies.c.id).where(studies.c.deleted_at.is_not(None))
    lost = sa.select(trials.c.id).where(trials.c.study_id.in_(hidden))
    for table in ("reports", "attempts", "artifacts"):
        op.execute(sa.delete(known[table]).where(known[table].c.trial_id.in_(lost)))
    for table in ("trials", "events", "idempotency_keys"):
        op.execute(sa.delete(known[table]).where(known[table].c.study_id.in_(hidden)))
    op.execute(sa.delete(studies).where(studies.c.deleted_at.is_not(None)))
