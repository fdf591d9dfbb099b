"""Places of erased events that an event log still holds: whoever reads it again leaves them out.

A broker keeps what a person sent until retention or compaction removes it. Only places are kept here: they name nobody.
"""

import hashlib
import json
from collections.abc import Collection, Mapping

import sqlalchemy as sa

from modelway.state.database import Database
from modelway.state.schema import settings

WHOLE = -1
"""The index of an event of which no row is to be read."""
Spot = tuple[int, int, int]
"""Partition, offset, index in the event."""


def withhold(database: Database, topic: str, places: Collection[Spot], starts: Mapping[int, int]) -> None:
    """Keep these places too; those that the log no longer holds are forgotten."""
    name = _name(topic)
    with database.write() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == name)).scalar()
        every = {tuple(place) for place in json.loads(found or "[]")} | set(places)
        kept = sorted(place for place in every if place[1] >= starts.get(place[0], 0))
        connection.execute(settings.delete().where(settings.c.name == name))
        if kept:
            connection.execute(settings.insert().values(name=name, value=json.dumps(kept)))


def withheld(database: Database, topic: str) -> frozenset[Spot]:
    """The places of a topic."""
    with database.read() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == _name(topic))).scalar()
    return frozenset((p, offset, index) for p, offset, index in json.loads(found or "[]"))


def _name(topic: str) -> str:
    return "withheld/" + hashlib.blake2b(topic.encode(), digest_size=16).hexdigest()
