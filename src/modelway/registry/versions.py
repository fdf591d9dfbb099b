"""The registry: a version is a manifest's digest with a number and its verdicts; refused candidates are kept too."""

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.errors import NotFoundError
from modelway.records import Validation, Version, dumps, loads
from modelway.state import leases, ledger
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import versions


def register(
    database: Database,
    model: str,
    run: str,
    digest: str,
    validation: Validation,
    now: datetime,
    lease: Lease | None = None,
    *,
    who: str = "modelway",
) -> Version:
    """The run's version: registered now under the model's next number, or the one that stands already."""
    with database.write() as connection:
        leases.check(connection, lease)
        if (there := _of_run(connection, run)) is not None:
            return there
        highest = connection.execute(
            sa.select(sa.func.max(versions.c.number)).where(versions.c.model == model)
        ).scalar()
        made = Version(model, (highest or 0) + 1, digest, run, now, validation.accepted, validation)
        faults.point("registry.before-write")
        connection.execute(
            versions.insert().values(
                model=model,
                number=made.number,
                digest=digest,
                run=run,
                created=now,
                accepted=made.accepted,
                validation=dumps(validation).decode(),
            )
        )
        ledger.write(
            connection,
            at=now,
            who=who,
            action="registered" if made.accepted else "refused",
            model=model,
            subject=str(made),
            reason=why(validation),
            data={"version": made.number, "digest": digest, "run": run},
            request=f"version/{run}",
        )
    faults.point("registry.after-write")
    return made


def why(validation: Validation) -> str:
    """The verdicts in a line: what failed or could not be decided, or that all gates passed."""
    open_gates = [v for v in validation.verdicts if v.outcome in ("fail", "undecided") and not v.warn_only]
    if not open_gates:
        return f"all {len(validation.verdicts)} gates passed or did not apply"
    return "; ".join(f"{v.gate} {v.outcome}: {v.reason}" for v in open_gates)


def get(database: Database, model: str, number: int) -> Version:
    """Raises NotFoundError with the numbers that exist."""
    for version in all_versions(database, model):
        if version.number == number:
            return version
    known = len(all_versions(database, model))
    there = f"1 to {known}" if known else "none yet"
    raise NotFoundError(f"no version {model}@{number} (there: {there})", f"modelway status, or modelway run {model}")


def all_versions(database: Database, model: str) -> tuple[Version, ...]:
    """By number."""
    return _list(database, sa.select(versions).where(versions.c.model == model).order_by(versions.c.number))


def newest_accepted(database: Database, model: str) -> Version | None:
    """The accepted version with the highest number."""
    asked = sa.select(versions).where(versions.c.model == model, versions.c.accepted)
    found = _list(database, asked.order_by(versions.c.number.desc()).limit(1))
    return found[0] if found else None


def of_run(database: Database, run: str) -> Version | None:
    """The version that a run made."""
    with database.read() as connection:
        return _of_run(connection, run)


def _of_run(connection: Connection, run: str) -> Version | None:
    row = connection.execute(sa.select(versions).where(versions.c.run == run)).one_or_none()
    return None if row is None else _version(row)


def _list(database: Database, asked: sa.Select[Any]) -> tuple[Version, ...]:
    with database.read() as connection:
        return tuple(_version(row) for row in connection.execute(asked))


def _version(row: sa.Row[Any]) -> Version:
    validation = loads(Validation, row.validation)
    return Version(row.model, row.number, row.digest, row.run, row.created, bool(row.accepted), validation)
