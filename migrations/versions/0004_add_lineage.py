"""Add lineage: the trial that one confirms or was copied from, and the place of its fresh seed.

This expands only. Servers of the release before read and write both in the sampler's attributes,
and may go on running beside the next release: so it writes them there too, and reads them there
where its columns are empty. A later migration fills the columns once more, as this one does, takes
the keys out of the attributes, and ends both.
"""

import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

KEYS = {"confirm": ("confirms", "seed"), "copy": ("copies", "")}
MOST = 2**31  # of an INTEGER


def upgrade() -> None:
    for name in ("parent", "replica"):
        op.add_column("trials", sa.Column(name, sa.Integer(), nullable=True))
    trials = sa.table("trials", *map(sa.column, ("id", "source", "attrs", "parent", "replica")))
    text = sa.cast(trials.c.attrs, sa.Text())
    found = op.get_bind().execute(
        sa.select(trials.c.id, trials.c.source, text).where(trials.c.source.in_(KEYS))
    )
    rows = [
        {"which": key, "number": number, "place": place}
        for key, source, attrs in found.all()
        for number, place in [_lineage(attrs, *KEYS[source])]
        if number is not None
    ]
    if rows:
        op.get_bind().execute(
            sa.update(trials)
            .where(trials.c.id == sa.bindparam("which"))
            .values(parent=sa.bindparam("number"), replica=sa.bindparam("place")),
            rows,
        )


def _lineage(attrs: str, *keys: str) -> list[int | None]:
    """The numbers under these keys; None in place of what is not one."""
    try:
        known: Any = json.loads(attrs)
    except ValueError:
        return [None, None]
    values = [known.get(key) if isinstance(known, dict) else None for key in keys]
    return [each if type(each) is int and 0 <= each < MOST else None for each in values]


def downgrade() -> None:
    for name in ("replica", "parent"):
        op.drop_column("trials", name)
