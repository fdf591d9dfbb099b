"""Who is champion: the version that serves, by model. The control database says so; everything else mirrors it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway import faults
from modelway.state import ledger
from modelway.state.schema import champions


def champion(connection: Connection, model: str) -> int | None:
    """The champion's version number, or None before there is one."""
    found = connection.execute(sa.select(champions.c.version).where(champions.c.model == model)).scalar()
    return None if found is None else int(found)


def set_champion(connection: Connection, model: str, version: int, now: datetime, *, who: str, reason: str) -> int:
    """Make it the champion, with its entry in the ledger; returns the generation, which grows at each change."""
    row = connection.execute(sa.select(champions).where(champions.c.model == model)).one_or_none()
    if row is not None and row.version == version:
        return int(row.generation)
    generation = 1 if row is None else row.generation + 1
    faults.point("champion.before-write")
    if row is None:
        connection.execute(champions.insert().values(model=model, version=version, since=now, generation=generation))
    else:
        change = champions.update().where(champions.c.model == model)
        connection.execute(change.values(version=version, since=now, generation=generation))
    ledger.write(
        connection,
        at=now,
        who=who,
        action="champion",
        model=model,
        subject=f"{model}@{version}",
        reason=reason,
        data={"version": version, "before": None if row is None else row.version, "generation": generation},
        request=f"champion/{model}/{generation}",
    )
    return generation
