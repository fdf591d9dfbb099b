"""The one schema of the control database (SQLAlchemy Core); a change here needs a migration beside it.

Times are ISO 8601 text in UTC with microseconds, so that SQLite and PostgreSQL order and return them alike.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Float,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.engine import Dialect


class Moment(TypeDecorator[datetime]):
    """An aware UTC datetime kept as text of fixed width."""

    impl = String(32)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> str | None:
        del dialect
        return None if value is None else value.astimezone(UTC).isoformat(timespec="microseconds")

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        del dialect
        return None if value is None else datetime.fromisoformat(value)


metadata = MetaData()
NAMES = 255  # what is put together from names: model, policy, moment, machine

runs = Table(
    "runs",
    metadata,
    Column("id", String(NAMES), primary_key=True),
    Column("model", String(64), nullable=False, index=True),
    Column("trigger", JSON, nullable=False),
    Column("state", String(16), nullable=False),  # pending | running | done | failed
    Column("created", Moment, nullable=False),
    Column("finished", Moment),
    Column("attempts", Integer, nullable=False, default=0),
    Column("error", Text, nullable=False, default=""),
    comment="One pass of the lifecycle for one model; the id is the idempotency key.",
)
steps = Table(
    "steps",
    metadata,
    Column("run", String(NAMES), primary_key=True),
    Column("name", String(32), primary_key=True),
    Column("record", Text, nullable=False),
    Column("seconds", Float, nullable=False),
    comment="The record that a finished step of a run made; a step that stands here is never done again.",
)
versions = Table(
    "versions",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("run", String(NAMES), nullable=False, unique=True),
    Column("created", Moment, nullable=False),
    Column("accepted", Boolean, nullable=False),
    Column("validation", Text, nullable=False),
)
releases = Table(
    "releases",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(64), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("champion", Integer),
    Column("state", String(16), nullable=False),
    Column("step", Integer, nullable=False),
    Column("weight", Float, nullable=False),
    Column("started", Moment, nullable=False),
    Column("moved", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("request", String(NAMES), nullable=False, unique=True),
    comment="The rollout of one version; `request` makes asking twice one release.",
)
experiments = Table(
    "experiments",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(64), nullable=False, index=True),
    Column("champion", Integer, nullable=False),
    Column("shares", JSON, nullable=False),
    Column("stopped", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("lasts", Float, nullable=False),
    Column("requests", Integer),
    Column("started", Moment, nullable=False),
    Column("moved", Moment, nullable=False),
    Column("ends", Moment),
    Column("reason", Text, nullable=False),
    Column("evidence", JSON, nullable=False),
    Column("request", String(NAMES), nullable=False, unique=True),
    comment="Several versions beside the champion with fixed shares; `request` makes asking twice one experiment.",
)
champions = Table(
    "champions",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("version", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("generation", Integer, nullable=False),
)
ledger = Table(
    "ledger",
    metadata,
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("at", Moment, nullable=False),
    Column("who", String(128), nullable=False),
    Column("action", String(64), nullable=False),
    Column("model", String(64), nullable=False, index=True),
    Column("subject", String(NAMES), nullable=False),
    Column("reason", Text, nullable=False),
    Column("data", Text, nullable=False),
    Column("request", String(NAMES), nullable=False, unique=True),
    Column("previous", String(64), nullable=False),
    Column("digest", String(64), nullable=False),
    comment="Append-only and hash-chained; `request` makes the same decision, written twice, one entry.",
)
freezes = Table(
    "freezes",
    metadata,
    Column("model", String(64), primary_key=True),  # "*": all models
    Column("who", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Moment, nullable=False),
)
leases = Table(
    "leases",
    metadata,
    Column("name", String(NAMES), primary_key=True),
    Column("holder", String(NAMES), nullable=False),
    Column("fence", Integer, nullable=False),
    Column("expires", Moment, nullable=False),
)
pins = Table(
    "pins",
    metadata,
    Column("lake_table", String(NAMES), primary_key=True),
    Column("version", Integer, primary_key=True),
    Column("run", String(NAMES), primary_key=True),
    comment="Table versions that a run used: they survive compaction and vacuum.",
)
alerts = Table(
    "alerts",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("model", String(64), nullable=False, index=True),
    Column("cause", String(NAMES), nullable=False),
    Column("severity", String(8), nullable=False),
    Column("text", Text, nullable=False),
    Column("opened", Moment, nullable=False),
    Column("closed", Moment),
    UniqueConstraint("model", "cause", "opened"),
)
outbox = Table(
    "outbox",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("alert", Integer, nullable=False),
    Column("change", String(8), nullable=False),  # opened | closed
    Column("made", Moment, nullable=False),
    Column("sent", Text, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("due", Moment, nullable=False),
    comment="Changes of alerts that not every sink has yet; `sent` names (JSON) the sinks that have it.",
)
looks = Table(
    "looks",
    metadata,
    Column("model", String(64), primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("report", Text, nullable=False),
    comment="What monitoring saw at one look: drift, performance, quality, volume.",
)
erasures = Table(
    "erasures",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("model", String(64), nullable=False),
    Column("opened", Moment, nullable=False),
    Column("due", Moment, nullable=False),
    Column("done", Moment),
    Column("who", String(128), nullable=False),
    Column("reason", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("report", Text, nullable=False),
    comment="Requests to erase a person; `subject` names the person only while the request is open, `digest` is salted.",
)
replaced = Table(
    "replaced",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("new", String(64), nullable=False),
    Column("rows", Integer, nullable=False),
    Column("request", String(32), nullable=False),
    comment="Artefacts that were removed because rows in them were erased, and what stands for them.",
)
settings = Table(
    "settings",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
    comment="Among others `replay.now`, the time of a replay.",
)
