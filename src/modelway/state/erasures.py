"""Requests to erase a person, kept until they are done; and the artefacts that were replaced on the way.

The person is named in `subject` only while the request is open. What stays is a digest with the installation's own salt
(`erasure.salt` in the settings: destroy it, and no digest can be tied to anybody), and counts.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from modelway.records import TrainingSet
from modelway.state import ledger
from modelway.state.database import Database
from modelway.state.schema import erasures, replaced, settings

_SALT = "erasure.salt"


@dataclass(frozen=True)
class Request:
    """One request; `subject` is empty when it is done, `report` holds what each step did, by its name."""

    id: str
    model: str
    opened: datetime
    due: datetime
    done: datetime | None
    who: str
    reason: str
    subject: Mapping[str, Any]
    digest: str
    report: Mapping[str, Any]


def open_request(
    database: Database, model: str, subject: Mapping[str, Any], opened: datetime, due: datetime, who: str, reason: str
) -> Request:
    """The open request about this person; a new one if there is none. It stands in the ledger by its digest."""
    with database.write() as connection:
        digest = _digest(connection, {"model": model, **subject})
        asked = sa.select(erasures).where(erasures.c.digest == digest, erasures.c.done.is_(None))
        if (there := connection.execute(asked).first()) is not None:
            return _request(there)
        name = secrets.token_hex(8)
        values = {
            "id": name, "model": model, "opened": opened, "due": due, "who": who, "reason": reason,
            "subject": json.dumps(dict(subject)), "digest": digest, "report": "{}",
        }  # fmt: skip
        connection.execute(erasures.insert().values(**values))
        _tell(connection, opened, who, "erasure", model, name, reason, {"digest": digest, "due": due.isoformat()})
    return get(database, name)


def get(database: Database, name: str) -> Request:
    """A request by its id, which is known to stand."""
    with database.read() as connection:
        return _request(connection.execute(sa.select(erasures).where(erasures.c.id == name)).one())


def requests(database: Database, *, still_open: bool = False) -> list[Request]:
    """All requests, oldest first."""
    asked = sa.select(erasures).order_by(erasures.c.opened)
    if still_open:
        asked = asked.where(erasures.c.done.is_(None))
    with database.read() as connection:
        return [_request(row) for row in connection.execute(asked)]


def note(database: Database, name: str, step: str, told: Any, subject: Mapping[str, Any] | None = None) -> None:
    """Keep what a step did; a step that stands is not done again."""
    with database.write() as connection:
        row = connection.execute(sa.select(erasures).where(erasures.c.id == name)).one()
        report = json.dumps({**json.loads(row.report), step: told})
        values = {"report": report} if subject is None else {"report": report, "subject": json.dumps(dict(subject))}
        connection.execute(erasures.update().where(erasures.c.id == name).values(**values))


def forget_subject(database: Database, name: str) -> None:
    """All is done but to say so: the person's name goes."""
    with database.write() as connection:
        connection.execute(erasures.update().where(erasures.c.id == name).values(subject="{}"))


def close(database: Database, request: Request, now: datetime, counts: Mapping[str, Any]) -> None:
    """The request is done, and the ledger tells the counts."""
    with database.write() as connection:
        connection.execute(erasures.update().where(erasures.c.id == request.id).values(done=now, subject="{}"))
        data = {"digest": request.digest, **counts}
        _tell(connection, now, request.who, "erased", request.model, request.id, request.reason, data)


def replace_artefact(database: Database, old: str, new: str, rows: int, request: str) -> None:
    """Record what stands for an artefact that is about to be removed; said twice is said once."""
    with database.write() as connection:
        if connection.execute(sa.select(replaced).where(replaced.c.digest == old)).first() is None:
            connection.execute(replaced.insert().values(digest=old, new=new, rows=rows, request=request))


def replaced_by(database: Database, request: str) -> list[str]:
    """The artefacts that this request replaced: they are to be gone."""
    with database.read() as connection:
        return list(connection.execute(sa.select(replaced.c.digest).where(replaced.c.request == request)).scalars())


def newest(database: Database, digest: str) -> tuple[str, int]:
    """The artefact that stands for this one now, and how many rows were erased on the way."""
    rows = 0
    with database.read() as connection:
        while (found := connection.execute(sa.select(replaced).where(replaced.c.digest == digest)).first()) is not None:
            digest, rows = found.new, rows + found.rows
    return digest, rows


def as_it_stands(database: Database, made: TrainingSet) -> TrainingSet:
    """The training set with the artefacts that stand for its own."""
    data, _ = newest(database, made.data)
    audit = newest(database, made.audit)[0] if made.audit else ""
    return made if (data, audit) == (made.data, made.audit) else replace(made, data=data, audit=audit)


def _tell(
    connection: Connection, at: datetime, who: str, action: str, model: str, name: str, reason: str, data: Any
) -> None:
    ledger.write(
        connection, at=at, who=who, action=action, model=model, subject=name, reason=reason, data=data,
        request=f"{action}/{name}",
    )  # fmt: skip


def _digest(connection: Connection, subject: Mapping[str, Any]) -> str:
    salt = connection.execute(sa.select(settings.c.value).where(settings.c.name == _SALT)).scalar()
    if salt is None:
        salt = secrets.token_hex(32)
        connection.execute(settings.insert().values(name=_SALT, value=salt))
    return hashlib.sha256((salt + json.dumps(dict(subject), sort_keys=True)).encode()).hexdigest()


def _request(row: Row[Any]) -> Request:
    values = dict(row._mapping)
    return Request(**{**values, "subject": json.loads(row.subject), "report": json.loads(row.report)})
