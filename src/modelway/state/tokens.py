"""Tokens of clients, by name: the role of each, and its SHA-256; every one that is made or revoked stands in the ledger."""

import json
import re
from dataclasses import asdict, dataclass
from datetime import datetime

import sqlalchemy as sa

from modelway.errors import NotFoundError, UsageError
from modelway.state import ledger
from modelway.state.database import Database
from modelway.state.ledger import ALL
from modelway.state.schema import settings

_KIND = "token/"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,47}")


@dataclass(frozen=True, slots=True)
class Token:
    """`role` is "infer" or "operate"; `digest` in hexadecimal digits."""

    name: str
    role: str
    digest: str
    who: str
    made: datetime


def add(database: Database, token: Token, reason: str) -> None:
    """Raises UsageError for a name that is none, or is taken."""
    if not _NAME.fullmatch(token.name):
        raise UsageError(f"{token.name!r} names no token", "use letters, digits and . _ @ -, at most 48 of them")
    told = {**asdict(token), "made": token.made.isoformat()}
    with database.write() as connection:
        if connection.execute(sa.select(settings).where(settings.c.name == _KIND + token.name)).one_or_none():
            raise UsageError(
                f"there is a token {token.name!r} already",
                f"choose another name, or `modelway token revoke {token.name}` first",
            )
        connection.execute(settings.insert().values(name=_KIND + token.name, value=json.dumps(told)))
        _tell(connection, "token new", token, token.who, reason, token.made)


def revoke(database: Database, name: str, who: str, reason: str, now: datetime) -> Token:
    """The one that is no more. Raises NotFoundError."""
    with database.write() as connection:
        found = connection.execute(sa.select(settings.c.value).where(settings.c.name == _KIND + name)).scalar()
        if found is None:
            raise NotFoundError(f"there is no token {name!r}", "modelway token list")
        token = _token(found)
        connection.execute(settings.delete().where(settings.c.name == _KIND + name))
        _tell(connection, "token revoke", token, who, reason, now)
        return token


def every(database: Database) -> tuple[Token, ...]:
    """Those that hold now, by name."""
    asked = sa.select(settings.c.value).where(settings.c.name.startswith(_KIND, autoescape=True))
    with database.read() as connection:
        found = connection.execute(asked.order_by(settings.c.name)).scalars().all()
    return tuple(_token(text) for text in found)


def _token(text: str) -> Token:
    told = json.loads(text)
    return Token(told["name"], told["role"], told["digest"], told["who"], datetime.fromisoformat(told["made"]))


def _tell(connection: sa.Connection, action: str, token: Token, who: str, reason: str, now: datetime) -> None:
    """Each happens once to a token; by time they could not be told apart, which stands still in a replay."""
    ledger.write(
        connection,
        at=now,
        who=who,
        action=action,
        model=ALL,
        subject=token.name,
        reason=reason,
        data={"role": token.role},
        request=f"{action}/{token.digest}",
    )
