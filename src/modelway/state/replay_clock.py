"""The clock of a replay: every process reads its time from the control database."""

from datetime import datetime

import sqlalchemy as sa

from modelway.clock import Clock
from modelway.errors import StateError
from modelway.state.database import Database
from modelway.state.schema import settings

NOW = "replay.now"
LOOK = "replay.look"


class ReplayClock(Clock):
    """Stands still until `set_replay_time` moves it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def now(self) -> datetime:
        found = replay_time(self._database)
        if found is None:
            raise StateError("this workspace is not being replayed", "run the replay again from its start")
        return found


def replay_time(database: Database) -> datetime | None:
    """The replay's time, or None in a workspace that lives in wall time."""
    with database.read() as connection:
        text = connection.execute(sa.select(settings.c.value).where(settings.c.name == NOW)).scalar()
    return datetime.fromisoformat(text) if text else None


def set_replay_time(database: Database, now: datetime) -> None:
    """Move the replay to `now`; raises StateError when that would go back."""
    with database.write() as connection:
        text = connection.execute(sa.select(settings.c.value).where(settings.c.name == NOW)).scalar()
        if text is None:
            connection.execute(settings.insert().values(name=NOW, value=now.isoformat()))
            return
        if datetime.fromisoformat(text) > now:
            raise StateError(
                f"a replay cannot go back from {text} to {now.isoformat()}", "start it in an empty workspace"
            )
        connection.execute(settings.update().where(settings.c.name == NOW).values(value=now.isoformat()))


def ask_look(database: Database, at: datetime) -> None:
    """Have the control loops look once, now that the replay has come to `at`: between two looks they stand still."""
    with database.write() as connection:
        connection.execute(settings.delete().where(settings.c.name == LOOK))
        connection.execute(settings.insert().values(name=LOOK, value=at.isoformat()))


def asked_look(database: Database) -> str:
    """The look that was asked for last, as text; "" if none."""
    with database.read() as connection:
        return str(connection.execute(sa.select(settings.c.value).where(settings.c.name == LOOK)).scalar() or "")
