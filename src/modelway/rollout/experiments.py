"""Where each experiment stands: the control database, with a ledger entry in the transaction of each change."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.errors import StateError
from modelway.records import Experiment
from modelway.rollout.evidence import Turn
from modelway.rollout.standing import OPEN
from modelway.state import leases, ledger
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import experiments, releases

ON = ("waiting", "starting", "running")


def ask(
    database: Database,
    model: str,
    champion: int,
    shares: Mapping[int, float],
    lasts: timedelta,
    requests: int | None,
    now: datetime,
    who: str,
    reason: str,
    request: str,
) -> Experiment:
    """The experiment that this request opened, now or earlier. Raises StateError while a release or an experiment is on."""
    with database.write() as connection:
        there = connection.execute(sa.select(experiments).where(experiments.c.request == request)).one_or_none()
        if there is not None:
            return _experiment(there)
        demand_none(connection, model)
        asked = sa.select(releases.c.version).where(releases.c.model == model, releases.c.state.in_(OPEN))
        if (version := connection.execute(asked.limit(1)).scalar()) is not None:
            raise StateError(
                f"{model}@{version} is being released", f"wait until it is over, or modelway rollback {model}"
            )
        faults.point("experiment.before-ask")
        made = connection.execute(
            experiments.insert().values(
                model=model,
                champion=champion,
                shares={str(number): share for number, share in sorted(shares.items())},
                stopped={},
                state="waiting",
                lasts=lasts.total_seconds(),
                requests=requests,
                started=now,
                moved=now,
                reason=reason,
                evidence={"asked_by": who},
                request=request,
            )
        )
        opened = _get(connection, int(made.inserted_primary_key[0]))  # type: ignore[index]
        data = {"shares": opened.shares, "lasts": opened.lasts, "requests": requests}
        _tell(connection, opened, now, who, "start", reason, data)
    faults.point("experiment.after-ask")
    return opened


def demand_none(connection: Connection, model: str) -> None:
    """Raises StateError while an experiment of the model is on."""
    if (there := _on(connection, model)) is not None:
        until = "" if there.ends is None else f" until {there.ends:%Y-%m-%d %H:%M} UTC"
        raise StateError(
            f"an experiment of {model} is on{until}",
            f"wait for its end, or modelway experiment stop {model} --reason '…'",
        )


def on(database: Database, model: str) -> Experiment | None:
    """The one experiment of the model that is not over."""
    with database.read() as connection:
        return _on(connection, model)


def latest(database: Database, model: str) -> Experiment | None:
    """The one that was asked for last."""
    asked = sa.select(experiments).where(experiments.c.model == model).order_by(experiments.c.id.desc()).limit(1)
    with database.read() as connection:
        row = connection.execute(asked).one_or_none()
    return None if row is None else _experiment(row)


def get(database: Database, number: int) -> Experiment:
    """The experiment of this number, as it stands now."""
    with database.read() as connection:
        return _get(connection, number)


def turn(
    database: Database, standing: Experiment, step: Turn, now: datetime, who: str, lease: Lease | None = None
) -> Experiment:
    """Carry out what a look found, or what a person says. One that was turned meanwhile by another hand stays as that left it."""
    with database.write() as connection:
        leases.check(connection, lease)
        there = _get(connection, standing.id)
        if _place(there) != _place(standing):
            return there
        changed = _place(there) != (step.state, dict(step.stopped))
        if not changed and (there.reason, there.evidence) == (step.reason, step.evidence):
            return there
        # who stands behind it may have become more meanwhile
        evidence = {**step.evidence, **{n: there.evidence[n] for n in ("asked_by", "approved") if n in there.evidence}}
        values: dict[str, Any] = {
            "state": step.state,
            "stopped": dict(step.stopped),
            "reason": step.reason,
            "evidence": evidence,
        }
        if changed:
            values["moved"] = now
        if (there.state, step.state) == ("waiting", "starting"):
            values["ends"] = now + timedelta(seconds=there.lasts)
        faults.point("experiment.before-turn")
        connection.execute(experiments.update().where(experiments.c.id == there.id).values(**values))
        done = _get(connection, there.id)
        if changed:
            _tell_turn(connection, there, done, now, who)
    faults.point("experiment.after-turn")
    return done


def approve(database: Database, standing: Experiment, who: str, now: datetime) -> Experiment:
    """A person stands behind it; twice is once."""
    with database.write() as connection:
        there = _get(connection, standing.id)
        if who in approvers(there):
            return there
        evidence = {**there.evidence, "approved": [*there.evidence.get("approved", []), who]}
        connection.execute(experiments.update().where(experiments.c.id == there.id).values(evidence=evidence))
        _tell(connection, there, now, who, f"approved/{who}", "approved", {}, action="approve")
        return _get(connection, there.id)


def approvers(standing: Experiment) -> tuple[str, ...]:
    """Who asked for it, and who approved it."""
    return tuple(dict.fromkeys([standing.evidence["asked_by"], *standing.evidence.get("approved", [])]))


def keep_report(
    database: Database, standing: Experiment, report: Mapping[str, Any], now: datetime, who: str, lease: Lease | None
) -> Experiment:
    """The report of one that is over, once."""
    with database.write() as connection:
        leases.check(connection, lease)
        there = _get(connection, standing.id)
        if "report" not in there.evidence:
            change = experiments.update().where(experiments.c.id == there.id)
            connection.execute(change.values(evidence={**there.evidence, "report": dict(report)}))
            _tell(connection, there, now, who, "report", str(report["conclusion"]), {"report": report})
        return _get(connection, there.id)


def _tell_turn(connection: Connection, before: Experiment, done: Experiment, now: datetime, who: str) -> None:
    """An entry for the turn, and one for each arm that it stopped."""
    arms = done.evidence.get("arms", {})
    for number, why in done.stopped.items():
        if number not in before.stopped:
            data = {"version": int(number), "arms": {n: arms[n] for n in (number, str(done.champion)) if n in arms}}
            _tell(connection, done, now, who, f"arm/{number}", f"@{number} is stopped: {why}", data)
    if done.state != before.state:
        data = {"arms": arms, "split": done.evidence.get("split"), "stopped": dict(done.stopped), "ends": done.ends}
        _tell(connection, done, now, who, done.state, done.reason, data)


def _place(experiment: Experiment) -> tuple[str, dict[str, str]]:
    return experiment.state, dict(experiment.stopped)


def _on(connection: Connection, model: str) -> Experiment | None:
    asked = sa.select(experiments).where(experiments.c.model == model, experiments.c.state.in_(ON))
    row = connection.execute(asked.order_by(experiments.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _experiment(row)


def _get(connection: Connection, number: int) -> Experiment:
    return _experiment(connection.execute(sa.select(experiments).where(experiments.c.id == number)).one())


def _tell(
    connection: Connection,
    standing: Experiment,
    now: datetime,
    who: str,
    what: str,
    reason: str,
    data: Mapping[str, Any],
    action: str = "experiment",
) -> None:
    ledger.write(
        connection,
        at=now,
        who=who,
        action=action,
        model=standing.model,
        subject=f"{standing.model}, experiment {standing.id}",
        reason=reason,
        data={"experiment": standing.id, "state": standing.state, **data},
        request=f"experiment/{standing.id}/{what}",
    )


def _experiment(row: sa.Row[Any]) -> Experiment:
    return Experiment(
        row.id,
        row.model,
        row.champion,
        row.shares,
        row.stopped,
        row.state,
        row.lasts,
        row.requests,
        row.started,
        row.moved,
        row.ends,
        row.reason,
        row.evidence,
    )
