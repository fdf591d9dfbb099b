"""Looks in the control database, one for each model and moment."""

import sqlalchemy as sa

from modelway import faults
from modelway.monitoring.look import Look
from modelway.records import dumps, loads
from modelway.state import leases
from modelway.state.database import Database
from modelway.state.leases import Lease
from modelway.state.schema import looks


def keep(database: Database, look: Look, lease: Lease | None = None) -> Look:
    """Keep the look, unless one of the same moment stands already; returns the one that stands."""
    mine = sa.and_(looks.c.model == look.model, looks.c.at == look.at)
    with database.write() as connection:
        leases.check(connection, lease)
        there = connection.execute(sa.select(looks.c.report).where(mine)).scalar()
        if there is not None:
            return loads(Look, there)
        faults.point("look.before-keep")
        values = {"model": look.model, "at": look.at, "version": look.version, "report": dumps(look).decode()}
        connection.execute(looks.insert().values(**values))
    faults.point("look.after-keep")
    return look


def recent(database: Database, model: str, limit: int) -> tuple[Look, ...]:
    """The newest looks, newest first."""
    asked = sa.select(looks.c.report).where(looks.c.model == model).order_by(looks.c.at.desc()).limit(limit)
    with database.read() as connection:
        return tuple(loads(Look, text) for text in connection.execute(asked).scalars())


def last(database: Database, model: str) -> Look | None:
    """The newest look."""
    found = recent(database, model, 1)
    return found[0] if found else None
