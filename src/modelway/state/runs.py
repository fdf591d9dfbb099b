"""Runs and their finished steps: what a crash leaves behind, and where the next process goes on."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.errors import NotFoundError
from modelway.records import Trigger, plain
from modelway.state import leases, ledger
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import runs, steps

OPEN = ("pending", "running")


@dataclass(frozen=True, slots=True)
class Run:
    """One pass of the lifecycle; `state` is pending, running, done or failed."""

    id: str
    model: str
    trigger: Trigger
    state: str
    created: datetime
    finished: datetime | None
    attempts: int
    error: str


def open_run(
    database: Database, run_id: str, model: str, trigger: Trigger, now: datetime, lease: Lease | None = None
) -> Run:
    """The run of this id, opened with its ledger entry unless it exists."""
    with database.write() as connection:
        leases.check(connection, lease)
        there = _find(connection, run_id)
        if there is not None:
            return there
        faults.point("run.before-open")
        values = {"id": run_id, "model": model, "trigger": plain(trigger), "state": "pending", "created": now}
        connection.execute(runs.insert().values(**values, attempts=0, error=""))
        ledger.write(
            connection,
            at=now,
            who=trigger.who,
            action="run",
            model=model,
            subject=run_id,
            reason=trigger.reason,
            data={"trigger": trigger.kind},
            request=f"run/{run_id}",
        )
    faults.point("run.after-open")
    return Run(run_id, model, trigger, "pending", now, None, 0, "")


def get(database: Database, run_id: str) -> Run:
    """Raises NotFoundError."""
    with database.read() as connection:
        found = _find(connection, run_id)
    if found is None:
        raise NotFoundError(f"no run {run_id!r}", "modelway status lists the last run of each model")
    return found


def pending(database: Database, model: str) -> tuple[Run, ...]:
    """Runs that are not finished, oldest first."""
    return _list(database, sa.select(runs).where(runs.c.model == model, runs.c.state.in_(OPEN)).order_by(*_ORDER))


def recent(database: Database, model: str, limit: int) -> tuple[Run, ...]:
    """The newest runs, newest first."""
    newest = (runs.c.created.desc(), runs.c.id.desc())
    return _list(database, sa.select(runs).where(runs.c.model == model).order_by(*newest).limit(limit))


_ORDER = (runs.c.created, runs.c.id)


def start(database: Database, run_id: str, lease: Lease | None) -> Run:
    """Count an attempt and return the run as it stands; a finished run stays finished."""
    with database.write() as connection:
        leases.check(connection, lease)
        found = _find(connection, run_id)
        if found is None:
            raise NotFoundError(f"no run {run_id!r}", "modelway status lists the last run of each model")
        change = runs.update().where(runs.c.id == run_id)
        state = found.state if found.state == "done" else "running"
        connection.execute(change.values(state=state, attempts=found.attempts + 1, error=""))
        return Run(run_id, found.model, found.trigger, state, found.created, found.finished, found.attempts + 1, "")


def finish(
    database: Database,
    run_id: str,
    now: datetime,
    *,
    error: str = "",
    kind: str = "",
    told: str = "",
    lease: Lease | None = None,
) -> None:
    """Done, or failed with the reason; a run that is done already stays as it is.

    A failure stands in the ledger by its kind, and by what is `told` beside: the text may quote a cell, and what is in the ledger
    stays for ever.
    """
    with database.write() as connection:
        leases.check(connection, lease)
        found = _find(connection, run_id)
        if found is None or found.state == "done":
            return
        faults.point("run.before-finish")
        state = "failed" if error else "done"
        connection.execute(runs.update().where(runs.c.id == run_id).values(state=state, finished=now, error=error))
        if error:
            ledger.write(
                connection,
                at=now,
                who=found.trigger.who,
                action="run_failed",
                model=found.model,
                subject=run_id,
                reason=f"{kind or 'failed'}: {told or 'the text is kept with the run'}",
                data={},
                request=f"run/{run_id}/failed/{found.attempts}",
            )
    faults.point("run.after-finish")


def step(database: Database, run_id: str, name: str) -> str | None:
    """The record (JSON) that a finished step left, or None."""
    with database.read() as connection:
        return _record(connection, run_id, name)


def keep_step(database: Database, run_id: str, name: str, record: str, seconds: float, lease: Lease | None) -> str:
    """Keep a step's record, unless one stands already; returns the one that stands."""
    with database.write() as connection:
        leases.check(connection, lease)
        if (there := _record(connection, run_id, name)) is not None:
            return there
        faults.point(f"step.before-{name}")
        connection.execute(steps.insert().values(run=run_id, name=name, record=record, seconds=seconds))
    faults.point(f"step.after-{name}")
    return record


def fitted_here(database: Database, estimator: str) -> bool:
    """Whether a run of this workspace recorded that it fitted this estimator (a digest)."""
    told = steps.c.record.contains(f'"estimator":"{estimator}"', autoescape=True)
    with database.read() as connection:
        return connection.execute(sa.select(steps.c.run).where(steps.c.name == "train", told)).first() is not None


def _record(connection: Connection, run_id: str, name: str) -> str | None:
    asked = sa.select(steps.c.record).where(steps.c.run == run_id, steps.c.name == name)
    found = connection.execute(asked).scalar()
    return None if found is None else str(found)


def _find(connection: Connection, run_id: str) -> Run | None:
    row = connection.execute(sa.select(runs).where(runs.c.id == run_id)).one_or_none()
    return None if row is None else _run(row)


def _list(database: Database, asked: sa.Select[Any]) -> tuple[Run, ...]:
    with database.read() as connection:
        return tuple(_run(row) for row in connection.execute(asked))


def _run(row: sa.Row[Any]) -> Run:
    trigger = Trigger(**row.trigger)
    return Run(row.id, row.model, trigger, row.state, row.created, row.finished, row.attempts, row.error)
