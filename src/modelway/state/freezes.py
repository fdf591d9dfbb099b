"""Freezes: automation stopped by hand, for one model or for all; every freeze and thaw stands in the ledger."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway.state import ledger
from modelway.state.database import Database
from modelway.state.ledger import ALL
from modelway.state.schema import freezes


def freeze(database: Database, model: str, who: str, reason: str, now: datetime) -> bool:
    """Stop all automation of a model ("*": of every model); False when it was frozen already."""
    with database.write() as connection:
        if _row(connection, model) is not None:
            return False
        connection.execute(freezes.insert().values(model=model, who=who, reason=reason, since=now))
        _tell(connection, "freeze", model, who, reason, now)
        return True


def thaw(database: Database, model: str, who: str, reason: str, now: datetime) -> bool:
    """Let automation go on; False when it was not frozen."""
    with database.write() as connection:
        if _row(connection, model) is None:
            return False
        connection.execute(freezes.delete().where(freezes.c.model == model))
        _tell(connection, "thaw", model, who, reason, now)
        return True


def frozen(database: Database, model: str) -> str | None:
    """Why automation of the model stands still; None when it does not."""
    with database.read() as connection:
        for name in (model, ALL):
            if (row := _row(connection, name)) is not None:
                scope = "all models" if name == ALL else model
                return f"{scope} frozen by {row.who} since {row.since:%Y-%m-%d %H:%M}: {row.reason}"
    return None


def _row(connection: Connection, model: str) -> sa.Row[tuple[str, str, str, datetime]] | None:
    return connection.execute(sa.select(freezes).where(freezes.c.model == model)).one_or_none()


def _tell(connection: Connection, action: str, model: str, who: str, reason: str, now: datetime) -> None:
    ledger.write(
        connection,
        at=now,
        who=who,
        action=action,
        model=model,
        subject=model,
        reason=reason,
        data={},
        request=f"{action}/{model}/{now.isoformat()}",
    )
