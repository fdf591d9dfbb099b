"""Alerts: one for each cause, opened once and closed when the cause is over, and the outbox through which they reach people.

An alert is booked together with its place in the outbox, in one transaction; it leaves the outbox when every sink has it. A crash
between the two loses nothing: each sink is told at least once, in the order in which it happened.

The family of a cause is what stands before its colon: `trouble: no space on disk` is of the family `trouble`.
"""

import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.errors import ModelwayError
from modelway.monitoring.look import Severity
from modelway.records import Alert
from modelway.state import leases
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import alerts, outbox

_log = logging.getLogger("modelway.monitoring")
_LONGEST_CAUSE = 128
_LONGEST_WAIT = timedelta(minutes=15)


class AlertSink(ABC):
    """A place where alerts are read. The same alert may come twice: after a crash, and when another sink failed."""

    name: str
    """As it stands in the spec: terminal, file, webhook:NAME."""

    @abstractmethod
    def send(self, alert: Alert) -> None:
        """Hand it over; when it returns, the place has it. Raises EngineError. `closed` is set when the cause is over."""

    @abstractmethod
    def ping(self) -> None:
        """Return if alerts can be sent, sending none; else raise EngineError."""


def book(
    database: Database,
    model: str,
    causes: Mapping[str, tuple[Severity, str]],
    now: datetime,
    lease: Lease | None = None,
    scope: Collection[str] | None = None,
) -> tuple[tuple[Alert, ...], tuple[Alert, ...]]:
    """Open an alert for each cause that has none, and close those whose cause is absent; returns (opened, closed).

    `scope`: the families of causes that were looked at; alerts of others stay open (None: all were looked at).
    """
    wanted = {cause[:_LONGEST_CAUSE]: what for cause, what in causes.items()}
    standing = open_alerts(database, model)
    if wanted.keys() <= {a.cause for a in standing} and not [a for a in standing if _over(a.cause, wanted, scope)]:
        return (), ()
    with database.write() as connection:
        leases.check(connection, lease)
        standing = _open(connection, model)
        there = {alert.cause for alert in standing}
        opened = [
            Alert(model, cause, severity, text, now) for cause, (severity, text) in wanted.items() if cause not in there
        ]
        ended = [
            Alert(a.model, a.cause, a.severity, a.text, a.opened, now)
            for a in standing
            if _over(a.cause, wanted, scope)
        ]
        faults.point("alerts.before-book")
        for alert in (*ended, *opened):
            _post(connection, _write(connection, alert), alert, now)
    faults.point("alerts.after-book")
    return tuple(opened), tuple(ended)


def end(database: Database, model: str, cause: str, now: datetime) -> tuple[Alert, ...]:
    """Close the alert of this cause, and no other one; returns it if it was open."""
    with database.write() as connection:
        ended = [
            Alert(a.model, a.cause, a.severity, a.text, a.opened, now)
            for a in _open(connection, model)
            if a.cause == cause[:_LONGEST_CAUSE]
        ]
        for alert in ended:
            _post(connection, _write(connection, alert), alert, now)
    return tuple(ended)


def deliver(database: Database, sinks: Sequence[AlertSink], now: datetime, *, model: str | None = None) -> int:
    """Send what is in the outbox and due (of one model, or of all) to the sinks that do not have it; returns how many left it.

    A sink that fails is tried again later, ever more rarely, and holds up no other one. It learns of an opening before the closing.
    """
    failed: set[str] = set()
    behind: dict[int, set[str]] = {}
    left = 0
    for row in _waiting(database, model):
        had: list[str] = json.loads(row.sent)
        missing = behind.setdefault(row.alert, set())
        for sink in sinks if row.due <= now else ():
            if sink.name in had or sink.name in failed or sink.name in missing:
                continue
            try:
                sink.send(_alert(row))
            except ModelwayError as error:
                _log.warning("alert not sent to %s, tried again later: %s", sink.name, error.problem)
                failed.add(sink.name)
                continue
            faults.point("alerts.after-send")
            had.append(sink.name)
        missing |= {sink.name for sink in sinks} - set(had)
        left += not missing
        if row.due <= now:
            _keep(database, row.id, had, not missing, row.attempts, now)
    return left


def open_alerts(database: Database, model: str) -> tuple[Alert, ...]:
    """Alerts whose cause is not over, oldest first."""
    with database.read() as connection:
        return _open(connection, model)


def family(cause: str) -> str:
    return cause.partition(":")[0]


def _over(cause: str, wanted: Mapping[str, object], scope: Collection[str] | None) -> bool:
    return cause not in wanted and (scope is None or family(cause) in scope)


def _open(connection: Connection, model: str) -> tuple[Alert, ...]:
    asked = sa.select(alerts).where(alerts.c.model == model, alerts.c.closed.is_(None)).order_by(alerts.c.id)
    return tuple(Alert(r.model, r.cause, r.severity, r.text, r.opened) for r in connection.execute(asked))


def _write(connection: Connection, alert: Alert) -> int:
    """The alert's id; one that was closed at the very moment at which it opens again is the same alert."""
    mine = sa.and_(alerts.c.model == alert.model, alerts.c.cause == alert.cause, alerts.c.opened == alert.opened)
    there = connection.execute(sa.select(alerts.c.id).where(mine)).scalar()
    if there is not None:
        connection.execute(alerts.update().where(mine).values(closed=alert.closed, text=alert.text))
        return int(there)
    made = connection.execute(
        alerts.insert().values(
            model=alert.model,
            cause=alert.cause,
            severity=alert.severity,
            text=alert.text,
            opened=alert.opened,
            closed=alert.closed,
        )
    )
    return int(made.inserted_primary_key[0])  # type: ignore[index]


def _post(connection: Connection, number: int, alert: Alert, now: datetime) -> None:
    change = "opened" if alert.closed is None else "closed"
    connection.execute(outbox.insert().values(alert=number, change=change, made=now, sent="[]", attempts=0, due=now))


def _waiting(database: Database, model: str | None) -> Sequence[sa.Row[Any]]:
    asked = sa.select(outbox, alerts.c.model, alerts.c.cause, alerts.c.severity, alerts.c.text, alerts.c.opened)
    asked = asked.join(alerts, alerts.c.id == outbox.c.alert).order_by(outbox.c.id)
    if model is not None:
        asked = asked.where(alerts.c.model == model)
    with database.read() as connection:
        return connection.execute(asked).all()


def _alert(row: sa.Row[Any]) -> Alert:
    closed = row.made if row.change == "closed" else None
    return Alert(row.model, row.cause, row.severity, row.text, row.opened, closed)


def _keep(database: Database, number: int, had: Sequence[str], complete: bool, attempts: int, now: datetime) -> None:
    mine = outbox.c.id == number
    wait = min(timedelta(seconds=2 ** min(attempts, 10)), _LONGEST_WAIT)
    with database.write() as connection:
        if complete:
            connection.execute(outbox.delete().where(mine))
        else:
            new = {"sent": json.dumps(list(had)), "attempts": attempts + 1, "due": now + wait}
            connection.execute(outbox.update().where(mine).values(**new))
