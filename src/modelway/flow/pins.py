"""Table versions that a run used: they outlive compaction and vacuum, so that every version can be made again."""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from modelway.records import TableVersion
from modelway.state.database import Database
from modelway.state.schema import pins, settings
from modelway.workspace import Workspace


def pin(database: Database, run: str, tables: Sequence[TableVersion]) -> None:
    """Pin the versions for a run; pinned twice is pinned once."""
    with database.write() as connection:
        for table in tables:
            same = sa.and_(pins.c.lake_table == table.table, pins.c.version == table.version, pins.c.run == run)
            if connection.execute(sa.select(pins.c.run).where(same)).first() is None:
                connection.execute(pins.insert().values(lake_table=table.table, version=table.version, run=run))


def pinned(database: Database, table: str) -> set[int]:
    """The pinned versions of a table."""
    with database.read() as connection:
        return set(connection.execute(sa.select(pins.c.version).where(pins.c.lake_table == table)).scalars())


DAILY = timedelta(days=1)
MANY = 300
"""Commits; a pass over so many small files takes some 0.3 s."""
_DONE = "maintained"


def maintain_daily(workspace: Workspace, now: datetime) -> bool:
    """Maintain once a day; whoever asks first that day does it. Raises LakeError when another commit came in between."""
    with workspace.database.write() as connection:
        last = connection.execute(sa.select(settings.c.value).where(settings.c.name == _DONE)).scalar()
        if last is not None and datetime.fromisoformat(last) + DAILY > now:
            return False
        connection.execute(settings.delete().where(settings.c.name == _DONE))
        connection.execute(settings.insert().values(name=_DONE, value=now.isoformat()))
    maintain(workspace)
    return True


def maintain_when_due(workspace: Workspace, now: datetime) -> None:
    """Every table once a day, and in between those that are written to much."""
    if not maintain_daily(workspace, now):
        maintain_busy(workspace)


def maintain_busy(workspace: Workspace) -> list[str]:
    """Maintain the tables that took many commits since, and name them: each left a small file that every later pass opens."""
    lake, database, busy = workspace.lake, workspace.database, []
    with database.read() as connection:
        kept = {row.name: row.value for row in connection.execute(sa.select(settings))}
    for table in lake.tables():
        there, name = lake.version(table), _compacted(table)
        if there is None or there.version - int(kept.get(name, 0)) < MANY:
            continue
        workspace.upkeep.maintain(table, pinned(database, table), thorough=False)
        done = lake.version(table) or there
        with database.write() as connection:
            connection.execute(settings.delete().where(settings.c.name == name))
            connection.execute(settings.insert().values(name=name, value=str(done.version)))
        busy.append(table)
    return busy


def _compacted(table: str) -> str:
    return "compacted/" + hashlib.blake2b(table.encode(), digest_size=16).hexdigest()


def maintain(workspace: Workspace, *, retain_hours: float = 168) -> dict[str, dict[str, int]]:
    """Compact and vacuum every table; pinned versions stay readable. Returns counts by table."""
    upkeep = workspace.upkeep
    return {
        t: upkeep.maintain(t, pinned(workspace.database, t), retain_hours=retain_hours) for t in workspace.lake.tables()
    }
