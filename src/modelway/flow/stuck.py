"""What ingesting processes are stuck at, told once whoever holds the partitions: one alert for a topic, one for the event log.

Partitions pass from process to process. Which of them are stuck is kept in the control database, so that a topic's alert closes
when the last of them is free, and nobody closes what is another's trouble.
"""

import hashlib
import json
from collections.abc import Collection
from typing import TypeGuard

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway.errors import EngineError, EventLogError
from modelway.flow import progress
from modelway.monitoring import alerts
from modelway.state.database import Database
from modelway.state.schema import settings
from modelway.workspace import Workspace

INGESTION, ENGINE = "ingestion", "engine"
"""Families of causes: a topic that stands still; an engine under all topics that is away."""


def is_away(error: Exception) -> TypeGuard[EventLogError]:
    """Whether the event log is the trouble, and not a topic of it."""
    return isinstance(error, EventLogError) and error.transient


def book_stuck(workspace: Workspace, model: str, topic: str, partitions: Collection[int], error: Exception) -> None:
    """These partitions stand still: the topic's alert is opened, unless it is."""
    with workspace.database.write() as connection:
        _keep(connection, topic, _kept(connection, topic) | set(partitions))
    cause = f"{INGESTION}: {topic}"
    alerts.book(workspace.database, model, {cause: ("page", str(error))}, workspace.clock.now(), scope=set())


def book_free(workspace: Workspace, model: str, topic: str, partitions: Collection[int]) -> None:
    """These go on; the topic's alert is closed when no other one stands still."""
    with workspace.database.write() as connection:
        left = _kept(connection, topic) - set(partitions)
        _keep(connection, topic, left)
    if not left:
        alerts.end(workspace.database, model, f"{INGESTION}: {topic}", workspace.clock.now())


def stuck(database: Database, topic: str) -> frozenset[int]:
    """The partitions of a topic that stand still, whoever found it."""
    with database.read() as connection:
        return frozenset(_kept(connection, topic))


def book_away(workspace: Workspace, model: str, error: EngineError) -> None:
    """What all topics need is away: one alert for the model, whatever finds it how often."""
    now, cause = workspace.clock.now(), f"{ENGINE}: {'event log' if isinstance(error, EventLogError) else 'ingestion'}"
    alerts.book(workspace.database, model, {cause: ("page", str(error))}, now, scope=set())


def book_back(workspace: Workspace, model: str) -> None:
    """It answers: the alert is closed; while it does not, it stays."""
    standing = [a for a in alerts.open_alerts(workspace.database, model) if alerts.family(a.cause) == ENGINE]
    if standing and progress.answers(workspace.log):
        alerts.book(workspace.database, model, {}, workspace.clock.now(), scope={ENGINE})


def _kept(connection: Connection, topic: str) -> set[int]:
    found = connection.execute(sa.select(settings.c.value).where(settings.c.name == _name(topic))).scalar()
    return set(json.loads(found or "[]"))


def _keep(connection: Connection, topic: str, partitions: Collection[int]) -> None:
    connection.execute(settings.delete().where(settings.c.name == _name(topic)))
    if partitions:
        connection.execute(settings.insert().values(name=_name(topic), value=json.dumps(sorted(partitions))))


def _name(topic: str) -> str:
    return "stuck/" + hashlib.blake2b(topic.encode(), digest_size=16).hexdigest()
