"""The ledger: every decision with who, when and why; append-only, each entry chained to the one before by its digest.

An entry is written in the transaction that carries the decision out, so there is never one without the other.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from modelway import faults
from modelway.errors import LedgerError
from modelway.records import Entry
from modelway.state.database import Database
from modelway.state.schema import champions, ledger, settings

ALL = "*"
_FIRST = ""
_HEAD = "ledger.head"


def write(
    connection: Connection,
    *,
    at: datetime,
    who: str,
    action: str,
    model: str,
    subject: str,
    reason: str,
    data: Mapping[str, Any],
    request: str,
) -> Entry:
    """Append an entry within the caller's transaction; the same `request` again is the entry that stands already."""
    there = connection.execute(sa.select(ledger).where(ledger.c.request == request)).one_or_none()
    if there is not None:
        return _entry(there)
    last = connection.execute(sa.select(ledger).order_by(ledger.c.number.desc()).limit(1)).one_or_none()
    number, previous = (last.number + 1, last.digest) if last is not None else (1, _FIRST)
    text = json.dumps(dict(data), sort_keys=True, ensure_ascii=False, default=str)
    values = {
        "number": number,
        "at": at,
        "who": who,
        "action": action,
        "model": model,
        "subject": subject,
        "reason": reason,
        "data": text,
        "request": request,
        "previous": previous,
    }
    digest = _digest(values)
    faults.point("ledger.before-write")
    connection.execute(ledger.insert().values(**values, digest=digest))
    _keep_head(connection, number, digest)
    faults.point("ledger.after-write")
    return Entry(number, at, who, action, model, subject, reason, json.loads(text), previous, digest)


def newest(database: Database) -> int:
    """The number of the newest entry; 0 before there is one."""
    with database.read() as connection:
        return connection.execute(sa.select(sa.func.max(ledger.c.number))).scalar() or 0


def verify(database: Database) -> int:
    """The number of entries, when the chain is whole; raises LedgerError naming the first entry that does not fit.

    Whole is also to its end, which is kept beside it, and what it says of champions must be what stands.
    """
    previous, count = _FIRST, 0
    with database.read() as connection:
        for row in connection.execute(sa.select(ledger).order_by(ledger.c.number)):
            count += 1
            if row.number != count:
                raise LedgerError(f"ledger entry {count} is missing", _FIX)
            if row.previous != previous or row.digest != _digest(dict(row._mapping)):
                raise LedgerError(
                    f"ledger entry {count} ({row.action} {row.subject}) was changed after it was written", _FIX
                )
            previous = row.digest
        head = connection.execute(sa.select(settings.c.value).where(settings.c.name == _HEAD)).scalar()
        if (head or "0 ") != f"{count} {previous}":
            end = (head or "0 ").partition(" ")[0]
            raise LedgerError(f"the ledger ends at entry {count}, but entry {end} was the last written", _FIX)
        _demand_champions(connection)
    return count


def _demand_champions(connection: Connection) -> None:
    said: dict[str, int] = {}
    told = sa.select(ledger.c.model, ledger.c.data).where(ledger.c.action == "champion").order_by(ledger.c.number)
    for model, data in connection.execute(told):
        said[model] = json.loads(data)["version"]
    for row in connection.execute(sa.select(champions)):
        if said.get(row.model) != row.version:
            raise LedgerError(
                f"{row.model}@{row.version} stands as champion, and the ledger says @{said.get(row.model, 'none')}",
                _FIX,
            )


def _keep_head(connection: Connection, number: int, digest: str) -> None:
    """Where the chain ends: what is cut off at its end leaves no gap."""
    value = f"{number} {digest}"
    moved = connection.execute(settings.update().where(settings.c.name == _HEAD).values(value=value))
    if not moved.rowcount:
        connection.execute(settings.insert().values(name=_HEAD, value=value))


_FIX = "stop, keep a copy of the control database, and restore the newest backup whose ledger verifies"


def history(database: Database, model: str | None = None, at: datetime | None = None) -> tuple[Entry, ...]:
    """The entries of a model and those that concern all models (None: every entry), up to a moment, oldest first."""
    asked = sa.select(ledger).order_by(ledger.c.number)
    if model is not None:
        asked = asked.where(ledger.c.model.in_((model, ALL)))
    if at is not None:
        asked = asked.where(ledger.c.at <= at)
    with database.read() as connection:
        return tuple(_entry(row) for row in connection.execute(asked))


def state_at(entries: Iterable[Entry], moment: datetime) -> dict[str, dict[str, Any]]:
    """By model: champion, release and whether automation was frozen at that moment, read off the ledger alone."""
    found: dict[str, dict[str, Any]] = {}
    frozen: set[str] = set()
    for entry in entries:
        if entry.at > moment:
            continue
        if entry.action == "freeze":
            frozen.add(entry.model)
        elif entry.action == "thaw":
            frozen.discard(entry.model)
        if entry.model == ALL:
            continue
        state = found.setdefault(entry.model, {"champion": None, "release": "none", "frozen": False})
        if entry.action == "champion":
            state["champion"] = entry.data["version"]
        elif entry.action == "release":
            state["release"] = entry.data["state"]
    for model, state in found.items():
        state["frozen"] = bool(frozen & {model, ALL})
    return found


def _entry(row: Row[Any]) -> Entry:
    named = row._mapping
    return Entry(
        number=named["number"],
        at=named["at"],
        who=named["who"],
        action=named["action"],
        model=named["model"],
        subject=named["subject"],
        reason=named["reason"],
        data=json.loads(named["data"]),
        previous=named["previous"],
        digest=named["digest"],
    )


def _digest(values: Mapping[str, Any]) -> str:
    names = ("number", "who", "action", "model", "subject", "reason", "data", "request", "previous")
    at = values["at"].astimezone(UTC).isoformat(timespec="microseconds")
    return hashlib.sha256(json.dumps([at, *(values[name] for name in names)], ensure_ascii=False).encode()).hexdigest()
