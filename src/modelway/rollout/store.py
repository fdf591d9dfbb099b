"""Where each release stands: the control database, with a ledger entry in the transaction of each change."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.errors import RefusedError, StateError
from modelway.records import Release
from modelway.rollout import experiments
from modelway.rollout.evidence import Move
from modelway.rollout.standing import OPEN, rolled_back, watched
from modelway.state import champions, leases, ledger
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import releases

OURSELVES = "modelway"


def ask(
    database: Database,
    model: str,
    version: int,
    champion: int | None,
    now: datetime,
    who: str,
    reason: str,
    request: str,
    lease: Lease | None = None,
    *,
    accepted: bool,
) -> Release:
    """The release that this request opened, now or earlier; another open release of the model is superseded.

    Raises RefusedError for a version that its gates did not accept, StateError while an experiment of the model is on.
    """
    if not accepted:
        raise RefusedError(
            f"{model}@{version} did not pass its gates and cannot be released",
            "see the verdicts: modelway history " + model,
        )
    with database.write() as connection:
        leases.check(connection, lease)
        there = connection.execute(sa.select(releases).where(releases.c.request == request)).one_or_none()
        if there is not None:
            return _release(there)
        experiments.demand_none(connection, model)
        if (before := _open(connection, model)) is not None:
            over = Move("superseded", before.step, 0.0, "failed", f"superseded by {model}@{version}", before.evidence)
            _write(connection, before, over, now, who)
        faults.point("release.before-ask")
        made = connection.execute(
            releases.insert().values(
                model=model,
                version=version,
                champion=champion,
                state="waiting",
                step=0,
                weight=0.0,
                started=now,
                moved=now,
                reason=reason,
                evidence={"asked_by": who},
                request=request,
            )
        )
        release = _get(connection, int(made.inserted_primary_key[0]))  # type: ignore[index]
        _tell(connection, release, now, who, {"request": request})
    faults.point("release.after-ask")
    return release


def open_release(database: Database, model: str) -> Release | None:
    """The one release of the model that is not over."""
    with database.read() as connection:
        return _open(connection, model)


def judged_release(database: Database, model: str) -> Release | None:
    """The one that is looked at: the open release, or else the one that is full and still watched."""
    with database.read() as connection:
        if (release := _open(connection, model)) is not None:
            return release
    last = latest(database, model)
    return last if last is not None and watched(last) else None


def latest(database: Database, model: str) -> Release | None:
    """The release that changed last: the open one, or else the one that made or unmade the champion, or was ended."""
    asked = sa.select(releases).where(releases.c.model == model)
    with database.read() as connection:
        row = connection.execute(asked.order_by(releases.c.moved.desc(), releases.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _release(row)


def get(database: Database, number: int) -> Release:
    """The release of this number, as it stands now."""
    with database.read() as connection:
        return _get(connection, number)


def history_of(database: Database, model: str) -> tuple[Release, ...]:
    """All releases of the model, newest first."""
    asked = sa.select(releases).where(releases.c.model == model).order_by(releases.c.id.desc())
    with database.read() as connection:
        return tuple(_release(row) for row in connection.execute(asked))


def move(
    database: Database, release: Release, step: Move, now: datetime, lease: Lease | None = None, *, who: str = OURSELVES
) -> Release:
    """Carry a move out: the release, the champion when it comes to full or back from it, and the ledger, in one transaction.

    A release that was moved meanwhile by another hand stays as that left it, and is returned so.
    """
    with database.write() as connection:
        leases.check(connection, lease)
        there = _get(connection, release.id)
        if _place(there) != _place(release):
            return there
        if _place(there) == (step.state, step.step, step.weight):
            kept = _keep_reason(connection, there, step)
            if step.verdict == "passed":  # watched to the end
                _tell(connection, kept, now, who, {"evidence": kept.evidence, "verdict": step.verdict}, "watched")
            return kept
        faults.point("release.before-move")
        moved = _write(connection, there, step, now, who)
    faults.point("release.after-move")
    return moved


def rollback(
    database: Database, model: str, who: str, reason: str, now: datetime, lease: Lease | None = None
) -> Release:
    """End the open release; with none, make the champion before this one champion again. Raises StateError without either."""
    with database.write() as connection:
        leases.check(connection, lease)
        faults.point("release.before-rollback")
        if (release := _open(connection, model)) is not None:
            done = _write(connection, release, rolled_back(release, reason), now, who)
        else:
            done = _back_to_former(connection, model, who, reason, now)
    faults.point("release.after-rollback")
    return done


def approve(database: Database, model: str, who: str, now: datetime) -> Release:
    """A person stands behind the open release; twice is once. Raises StateError when none is open."""
    with database.write() as connection:
        release = _open(connection, model)
        if release is None:
            raise StateError(f"no release of {model} is open", f"modelway release {model}")
        if who in approvers(release):
            return release
        evidence = {**release.evidence, "approved": [*release.evidence.get("approved", []), who]}
        connection.execute(releases.update().where(releases.c.id == release.id).values(evidence=evidence))
        ledger.write(
            connection,
            at=now,
            who=who,
            action="approve",
            model=model,
            subject=f"{model}@{release.version}",
            reason="approved",
            data={"release": release.id},
            request=f"approve/{release.id}/{who}",
        )
        return _get(connection, release.id)


def approvers(release: Release) -> tuple[str, ...]:
    """The people behind a release: who asked for it, unless automation did, and who approved it."""
    asked = str(release.evidence.get("asked_by", OURSELVES))
    named = [*([] if asked == OURSELVES else [asked]), *release.evidence.get("approved", [])]
    return tuple(dict.fromkeys(named))


def _back_to_former(connection: Connection, model: str, who: str, reason: str, now: datetime) -> Release:
    champion = champions.champion(connection, model)
    asked = sa.select(releases).where(
        releases.c.model == model, releases.c.state == "full", releases.c.version == champion
    )
    row = connection.execute(asked.order_by(releases.c.id.desc()).limit(1)).one_or_none()
    if row is None or row.champion is None:
        raise StateError(
            f"{model} has no earlier champion to go back to",
            f"modelway release {model} --version N, or stop the server",
        )
    release = _release(row)
    return _write(connection, release, rolled_back(release, reason), now, who)


def _write(connection: Connection, release: Release, step: Move, now: datetime, who: str) -> Release:
    evidence = _kept(release) | dict(step.evidence)
    connection.execute(
        releases.update()
        .where(releases.c.id == release.id)
        .values(state=step.state, step=step.step, weight=step.weight, moved=now, reason=step.reason, evidence=evidence)
    )
    moved = _get(connection, release.id)
    _tell(connection, moved, now, who, {"evidence": evidence, "verdict": step.verdict})
    if step.state == "full":
        champions.set_champion(connection, release.model, release.version, now, who=who, reason=step.reason)
    undone = (release.state, step.state) == ("full", "rolled_back")
    if undone and release.champion is not None and champions.champion(connection, release.model) == release.version:
        why = f"rollback: {step.reason}"
        champions.set_champion(connection, release.model, release.champion, now, who=who, reason=why)
    return moved


def _keep_reason(connection: Connection, release: Release, step: Move) -> Release:
    """What is missing is news, not a decision: it is kept, and not told to the ledger."""
    evidence = _kept(release) | dict(step.evidence)
    if (release.reason, release.evidence) == (step.reason, evidence):
        return release
    change = releases.update().where(releases.c.id == release.id)
    connection.execute(change.values(reason=step.reason, evidence=evidence))
    return _get(connection, release.id)


def _kept(release: Release) -> dict[str, Any]:
    """Who stands behind it; what a release goes on from is in each move's own evidence (`release.KEPT`)."""
    return {name: release.evidence[name] for name in ("asked_by", "approved") if name in release.evidence}


def _place(release: Release) -> tuple[str, int, float]:
    return release.state, release.step, release.weight


def _open(connection: Connection, model: str) -> Release | None:
    asked = sa.select(releases).where(releases.c.model == model, releases.c.state.in_(OPEN))
    row = connection.execute(asked.order_by(releases.c.id.desc()).limit(1)).one_or_none()
    return None if row is None else _release(row)


def _get(connection: Connection, number: int) -> Release:
    return _release(connection.execute(sa.select(releases).where(releases.c.id == number)).one())


def _tell(
    connection: Connection, release: Release, now: datetime, who: str, data: Mapping[str, Any], what: str = ""
) -> None:
    ledger.write(
        connection,
        at=now,
        who=who,
        action="release",
        model=release.model,
        subject=f"{release.model}@{release.version}",
        reason=release.reason,
        data={"release": release.id, "state": release.state, "step": release.step, "weight": release.weight, **data},
        request=f"release/{release.id}/{what or release.state}/{release.step}",
    )


def _release(row: sa.Row[Any]) -> Release:
    return Release(
        row.id,
        row.model,
        row.version,
        row.champion,
        row.state,
        row.step,
        row.weight,
        row.started,
        row.moved,
        row.reason,
        row.evidence,
    )
