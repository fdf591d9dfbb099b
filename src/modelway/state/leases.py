"""Leases with fencing numbers: of several control loops only one takes a step, and a late one notices (Kleppmann 2016)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from modelway.errors import LeaseLostError
from modelway.state.database import Database
from modelway.state.schema import leases


@dataclass(frozen=True, slots=True)
class Lease:
    """Held by `holder` until `expires`; `fence` grows by one each time the lease changes hands."""

    name: str
    holder: str
    fence: int
    expires: datetime


def take(
    database: Database,
    name: str,
    holder: str,
    now: datetime,
    lasts: timedelta,
    *,
    dead: Callable[[str], bool] = lambda holder: False,
) -> Lease | None:
    """Take or renew the lease; None while another holder's has not expired, unless that holder is known to be `dead`."""
    with database.write() as connection:
        row = connection.execute(sa.select(leases).where(leases.c.name == name)).one_or_none()
        if row is None:
            connection.execute(leases.insert().values(name=name, holder=holder, fence=1, expires=now + lasts))
            return Lease(name, holder, 1, now + lasts)
        if row.holder != holder and row.expires > now and not dead(row.holder):
            return None
        fence = row.fence if row.holder == holder else row.fence + 1
        change = leases.update().where(leases.c.name == name)
        connection.execute(change.values(holder=holder, fence=fence, expires=now + lasts))
        return Lease(name, holder, fence, now + lasts)


def owner(database: Database, name: str) -> str:
    """Who holds the lease, or held it last; "" for nobody."""
    with database.read() as connection:
        return str(connection.execute(sa.select(leases.c.holder).where(leases.c.name == name)).scalar() or "")


def check(connection: Connection, lease: Lease | None) -> None:
    """Raise LeaseLostError, inside the caller's transaction, when the lease was taken over; no lease: nothing to check."""
    if lease is None:
        return
    fence = connection.execute(sa.select(leases.c.fence).where(leases.c.name == lease.name)).scalar()
    if fence != lease.fence:
        raise LeaseLostError(
            f"{lease.name} was taken over by another process (fence {fence}, ours {lease.fence})", "nothing to do"
        )


def release(database: Database, lease: Lease, now: Callable[[], datetime]) -> None:
    """Give the lease back early; nothing happens when it was taken over."""
    with database.write() as connection:
        mine = sa.and_(leases.c.name == lease.name, leases.c.fence == lease.fence)
        connection.execute(leases.update().where(mine).values(expires=now()))
