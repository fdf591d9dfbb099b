"""How far ingestion is: what it did with each topic, how fast, and how far behind the log it stands."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import sqlalchemy as sa

from modelway.errors import EngineError, EventLogError
from modelway.events.log import EventLog
from modelway.records import Ingested, dumps, loads
from modelway.state.database import LOCKED_SECONDS, Database
from modelway.state.schema import settings

_FAMILY = "progress/"
_MEMORY_SECONDS = 60.0
"""A rate forgets what lies this far back."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What ingestion did with a topic since `since`; counts of events and rows; `upto` are the positions that it reached."""

    topic: str
    since: datetime
    at: datetime
    events: int = 0
    accepted: int = 0
    doubles: int = 0
    corrections: int = 0
    quarantined: int = 0
    tombstones: int = 0
    per_second: float = 0.0
    upto: Mapping[str, int] = field(default_factory=dict)
    breaches: Mapping[str, int] = field(default_factory=dict)
    """By rule of the contract: values that broke it, of rows that entered all the same too."""

    @property
    def quarantine_share(self) -> float:
        """Of the rows that were judged."""
        judged = self.accepted + self.doubles + self.quarantined
        return self.quarantined / judged if judged else 0.0


@dataclass(frozen=True, slots=True)
class Lag:
    """How far a table is behind its topic; None: the log does not say."""

    rows: int | None
    seconds: float | None


def book(
    database: Database, done: Ingested, upto: Mapping[int, int], now: datetime, patience: float = LOCKED_SECONDS
) -> Progress:
    """Add a pass to a topic's figures; figures alone, which a crash may lose: what counts stands in the tables.

    `patience`: as for `Database.write`; EngineError is raised when the database is locked for longer.
    """
    name = _name(done.topic)
    with database.write(patience) as connection:
        before = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
        after = _added(loads(Progress, before) if before else Progress(done.topic, now, now), done, upto, now)
        connection.execute(settings.delete().where(settings.c.name == name))
        connection.execute(settings.insert().values(name=name, value=dumps(after).decode()))
    return after


def progress(database: Database, topic: str) -> Progress | None:
    """What was booked for a topic; None before anything was."""
    with database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == _name(topic))).scalar()
    return loads(Progress, found) if found else None


def all_progress(database: Database) -> dict[str, Progress]:
    """By topic, of all for which something was booked."""
    with database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name.like(f"{_FAMILY}%"))).scalars()
        told = [loads(Progress, one) for one in found]
    return {one.topic: one for one in told}


def moved(database: Database, topic: str, upto: Mapping[int, int]) -> None:
    """A person has set the positions: what is behind them counts as reached."""
    if (before := progress(database, topic)) is not None:
        _keep(database, replace(before, upto={**before.upto, **{str(p): offset for p, offset in upto.items()}}))


def positions_of(told: Progress | None) -> dict[int, int]:
    """The positions that were reached, as a log wants them."""
    return {int(partition): offset for partition, offset in told.upto.items()} if told else {}


def rate_now(told: Progress, now: datetime) -> float:
    """Events a second: it fades when nothing comes."""
    return told.per_second * max(0.0, 1 - (now - told.at).total_seconds() / _MEMORY_SECONDS)


def answers(log: EventLog) -> bool:
    """Asked once before the lags of many topics: a log that is away takes its time to say so, topic by topic."""
    try:
        log.ping()
    except EngineError:
        return False
    return True


def lag(log: EventLog, topic: str, positions: Mapping[int, int], now: datetime) -> Lag:
    """Events that the table has not seen, and the age of the oldest of them."""
    try:
        ends, starts = log.ends(topic), log.starts(topic)
        behind = sum(max(0, end - positions.get(p, starts.get(p, 0))) for p, end in ends.items())
        if not behind:
            return Lag(0, 0.0)
        first = log.read(topic, positions, 1)
    except EventLogError:
        return Lag(None, None)
    return Lag(behind, max(0.0, (now - first[0].arrived).total_seconds()) if first else 0.0)


def added(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """Counts by rule, summed."""
    found: dict[str, int] = {}
    for one in counts:
        for rule, count in one.items():
            found[rule] = found.get(rule, 0) + count
    return found


def _added(before: Progress, done: Ingested, upto: Mapping[int, int], now: datetime) -> Progress:
    passed = max(0.001, (now - before.at).total_seconds())
    keep = max(0.0, 1 - passed / _MEMORY_SECONDS)
    return replace(
        before,
        at=now,
        events=before.events + done.events,
        accepted=before.accepted + done.accepted,
        doubles=before.doubles + done.doubles,
        corrections=before.corrections + done.corrections,
        quarantined=before.quarantined + done.quarantined,
        tombstones=before.tombstones + done.tombstones,
        per_second=keep * before.per_second + (1 - keep) * done.events / passed if before.events else 0.0,
        upto={**before.upto, **{str(p): offset for p, offset in upto.items()}},
        breaches=added((before.breaches, done.breaches)),
    )


def _keep(database: Database, told: Progress) -> None:
    with database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == _name(told.topic)))
        connection.execute(settings.insert().values(name=_name(told.topic), value=dumps(told).decode()))


def _name(topic: str) -> str:
    return _FAMILY + hashlib.blake2b(topic.encode(), digest_size=16).hexdigest()
