"""The tables. States are text, times are UTC, every constraint has a name."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    DateTime,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    TypeDecorator,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}
RowId = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows only in INTEGER


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time, kept in UTC; SQLite forgets the zone and gets it back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn to UTC; a naive time is a bug of the caller."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"time {value} has no zone; pass an aware datetime")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(
        self, dialect: Dialect, coltype: object
    ) -> Callable[[Any], datetime | None]:
        """Give the same in one call in place of three: pages read tens of thousands of times."""
        if dialect.name == "sqlite":
            return lambda text: None if text is None else datetime.fromisoformat(f"{text}+00:00")
        return lambda value: None if value is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Root of the models."""

    metadata = MetaData(naming_convention=NAMING)
    type_annotation_map = {datetime: UtcDateTime(), dict[str, Any]: JSON(none_as_null=True)}  # noqa: RUF012  # SQLAlchemy reads it as a class attribute


class Study(Base):
    """A submitted study. Its row is the lock under which trials are drawn and events numbered."""

    __tablename__ = "studies"
    __table_args__ = (
        Index("ix_studies_state_priority", "state", "priority"),
        Index("ix_studies_owner", "owner"),
        {"sqlite_autoincrement": True},
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(100), unique=True)
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Text, default="")
    spec: Mapped[dict[str, Any]]
    priority: Mapped[int]
    weight: Mapped[float]
    # Trials that exist: the next one's number. The column has the name that earlier releases read.
    trial_count: Mapped[int] = mapped_column("drawn", key="trial_count", default=0)
    warnings: Mapped[dict[str, Any]]  # what its owner should know, by what it is about
    confirmations: Mapped[int] = mapped_column(default=0)  # of them, those that confirm a leader
    copies: Mapped[int] = mapped_column(default=0)  # of them, those that go on from another trial
    event_seq: Mapped[int] = mapped_column(default=0)
    epochs: Mapped[int] = mapped_column(BigInteger, default=0)
    seconds: Mapped[float] = mapped_column(default=0.0)
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    data_versions: Mapped[dict[str, Any] | None]  # of its trials: see `spec.versions`
    # Hidden from everything since then, until upkeep removes it: see `store.deletion`.
    deleted_at: Mapped[datetime | None]
    deleted_name: Mapped[str | None] = mapped_column(String(100))  # None too once it is removed
    deleted_state: Mapped[str | None] = mapped_column(String(16))  # what it goes on in if restored
    owner: Mapped[str | None] = mapped_column(String(64))  # who submitted it; None: not known


class Trial(Base):
    """One configuration, trained once, by one attempt or several."""

    __tablename__ = "trials"
    __table_args__ = (
        Index("uq_trials_study_id_number", "study_id", "number", unique=True),
        Index("ix_trials_study_id_state", "study_id", "state"),
        Index("ix_trials_study_id_revision", "study_id", "revision"),
        {"sqlite_autoincrement": True},
    )
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    number: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))
    source: Mapped[str] = mapped_column(String(16))
    params: Mapped[dict[str, Any]]
    config: Mapped[dict[str, Any]]
    attrs: Mapped[dict[str, Any]]  # what the sampler wants back with this trial
    step: Mapped[int] = mapped_column(default=0)
    epochs: Mapped[int]  # the full budget
    value: Mapped[float | None]  # first objective at the step that counts
    value_step: Mapped[int | None]  # the one that `value` and `metrics` are of; None: the last
    best_value: Mapped[float | None]
    metrics: Mapped[dict[str, Any]]
    feasible: Mapped[bool | None]
    attempts: Mapped[int] = mapped_column(default=0)
    verdict: Mapped[dict[str, Any]]
    reason: Mapped[str] = mapped_column(Text, default="")
    error: Mapped[str | None] = mapped_column(Text)
    error_kind: Mapped[str | None] = mapped_column(String(32))
    provenance: Mapped[dict[str, Any]]
    seconds: Mapped[float] = mapped_column(default=0.0)
    revision: Mapped[int] = mapped_column(default=0)  # the study's event_seq at the last change
    created_at: Mapped[datetime]
    started_at: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]
    study_epochs: Mapped[int | None] = mapped_column(BigInteger)  # of all trials, at its end
    study_seconds: Mapped[float | None]
    data_version: Mapped[str | None] = mapped_column(String(64))  # fingerprint; None: not known yet
    threads: Mapped[int | None]  # CPU threads that it began with, where its numbers need them
    parent: Mapped[int | None]  # number of the trial that it confirms, or is a copy of
    replica: Mapped[int | None]  # which of the fresh seeds confirms its parent, from 0
    forgiven: Mapped[int | None]  # the last attempt before a retry: up to it none counts any more
    study: Mapped[Study] = relationship(lazy="raise")


class Worker(Base):
    """A process that pulls trials."""

    __tablename__ = "workers"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(128), unique=True)
    capabilities: Mapped[dict[str, Any]]
    trials_done: Mapped[int] = mapped_column(default=0)
    unfit: Mapped[dict[str, Any] | None]  # what keeps it from a study, or from all: see faults.py
    drained_at: Mapped[datetime | None]  # since when a user lets it have no further trial
    first_seen_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]


class Attempt(Base):
    """One lease of a trial; it is held while `ended_at` is empty."""

    __tablename__ = "attempts"
    __table_args__ = (
        Index(
            "uq_attempts_trial_id_held",
            "trial_id",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_attempts_expires_at_held",
            "expires_at",
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
        Index(
            "ix_attempts_ended_at_id_lost",
            "ended_at",
            "id",
            sqlite_where=text("outcome IN ('lost', 'crashed', 'hung')"),
            postgresql_where=text("outcome IN ('lost', 'crashed', 'hung')"),
        ),
        Index("uq_attempts_trial_id_number", "trial_id", "number", unique=True),
        Index(
            "ix_attempts_yields_to",
            "yields_to",
            sqlite_where=text("yields_to IS NOT NULL"),
            postgresql_where=text("yields_to IS NOT NULL"),
        ),
    )
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"))
    number: Mapped[int]
    worker_id: Mapped[int] = mapped_column(ForeignKey("workers.id"), index=True)
    token_hash: Mapped[str] = mapped_column(String(64))
    expires_at: Mapped[datetime]
    renewed_at: Mapped[datetime | None]  # when its worker was last heard of
    usage: Mapped[dict[str, Any] | None]  # of its worker's device, at the last heartbeat: `Usage`
    started_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    error: Mapped[str | None] = mapped_column(Text)
    error_kind: Mapped[str | None] = mapped_column(String(32))
    reason: Mapped[str | None] = mapped_column(Text)  # why its trial went where it did then
    yields_to: Mapped[int | None] = mapped_column(BigInteger)  # the study it makes room for
    trial: Mapped[Trial] = relationship(lazy="raise")
    worker: Mapped[Worker] = relationship(lazy="raise")


class AttemptLog(Base):
    """The end of an attempt's log; beside its row, which every report writes."""

    __tablename__ = "attempt_logs"
    attempt_id: Mapped[str] = mapped_column(
        ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True
    )
    text: Mapped[str] = mapped_column(Text)
    updated_at: Mapped[datetime]


class Report(Base):
    """The metrics of one step, stored once, whoever sends them again."""

    __tablename__ = "reports"
    __table_args__ = (Index("ix_reports_study_id_step", "study_id", "step"),)
    trial_id: Mapped[int] = mapped_column(
        ForeignKey("trials.id", ondelete="CASCADE"), primary_key=True
    )
    step: Mapped[int] = mapped_column(primary_key=True)
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    value: Mapped[float | None]  # first objective: what trials are compared by
    value_step: Mapped[int | None]  # the one that counted for its trial then; None: this one
    metrics: Mapped[dict[str, Any]]
    confusion: Mapped[bytes | None] = mapped_column(LargeBinary)
    seconds: Mapped[float]
    created_at: Mapped[datetime]


class Measurement(Base):
    """What a network costs where it is to run: measured once, whichever study asks."""

    __tablename__ = "measurements"
    signature: Mapped[str] = mapped_column(String(64), primary_key=True)  # of its architecture
    deployment: Mapped[str] = mapped_column(String(100), primary_key=True)  # see `Deployment.key`
    device: Mapped[str] = mapped_column(String(200))  # the one that measured
    metrics: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Artifact(Base):
    """A stored file of a trial; the bytes lie in the artifact store under their sha256."""

    __tablename__ = "artifacts"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    trial_id: Mapped[int] = mapped_column(ForeignKey("trials.id", ondelete="CASCADE"), index=True)
    attempt: Mapped[int]
    kind: Mapped[str] = mapped_column(String(16))
    name: Mapped[str] = mapped_column(String(128))
    step: Mapped[int | None]
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64), index=True)
    details: Mapped[dict[str, Any] | None]  # of a sheet of examples: see `spec.examples`
    created_at: Mapped[datetime]


class Event(Base):
    """One change of a study, numbered without gaps under the study's row lock."""

    __tablename__ = "events"
    study_id: Mapped[int] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(32))
    trial: Mapped[int | None]
    data: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class IdempotencyKey(Base):
    """The study that a submission with this key made, so that a retry does not make another."""

    __tablename__ = "idempotency_keys"
    key: Mapped[str] = mapped_column(String(200), primary_key=True)
    body_hash: Mapped[str] = mapped_column(String(64))
    study_id: Mapped[int] = mapped_column(ForeignKey("studies.id", ondelete="CASCADE"))
    created_at: Mapped[datetime] = mapped_column(index=True)


class Token(Base):
    """What a caller shows to be let in; its secret is kept as a sha256 alone."""

    __tablename__ = "tokens"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    name: Mapped[str] = mapped_column(String(64), unique=True)
    owner: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[str] = mapped_column(String(64))  # their names, separated by commas
    secret_hash: Mapped[str] = mapped_column(String(64), unique=True)
    previous_hash: Mapped[str | None] = mapped_column(String(64))  # before the last rotation
    previous_until: Mapped[datetime | None]  # until when that one is good
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    revoked_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class Login(Base):
    """A browser that was let in, for as long as the secret that it showed lets in."""

    __tablename__ = "logins"
    cookie_hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    secret_hash: Mapped[str | None] = mapped_column(String(64))  # of a token
    proof: Mapped[str | None] = mapped_column(String(64))  # of the server's own, by the cookie
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime] = mapped_column(index=True)


class Deed(Base):
    """One change that a caller made. It outlives what it was done to."""

    __tablename__ = "deeds"
    __table_args__ = ({"sqlite_autoincrement": True},)
    id: Mapped[int] = mapped_column(RowId, primary_key=True)
    caller: Mapped[str] = mapped_column(String(64))  # name of the token
    owner: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    target: Mapped[str] = mapped_column(String(200))
    study_id: Mapped[int | None] = mapped_column(BigInteger)
    details: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]


class Webhook(Base):
    """An address to which events are sent, and the server process that sends them now."""

    __tablename__ = "webhooks"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    sender: Mapped[str | None] = mapped_column(String(32))
    held_until: Mapped[datetime | None]
    created_at: Mapped[datetime]


class WebhookCursor(Base):
    """The last event of a study that a webhook was sent; none yet: it is sent all of them."""

    __tablename__ = "webhook_cursors"
    webhook: Mapped[str] = mapped_column(
        ForeignKey("webhooks.name", ondelete="CASCADE"), primary_key=True
    )
    study_id: Mapped[int] = mapped_column(
        ForeignKey("studies.id", ondelete="CASCADE"), primary_key=True
    )
    seq: Mapped[int]


class OwnerLimit(Base):
    """How many device hours the studies of an owner may train, all together."""

    __tablename__ = "owner_limits"
    owner: Mapped[str] = mapped_column(String(64), primary_key=True)
    hours: Mapped[float]


class Maintenance(Base):
    """While there is a row, the one with id 1, no trial is given out."""

    __tablename__ = "maintenance"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    reason: Mapped[str] = mapped_column(String(500))
    since: Mapped[datetime]
