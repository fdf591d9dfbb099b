"""Which rows a table holds already, known in memory by 96 bits of their key and content: doubles are found without asking it.

What other processes commit is read from the files that their commits added. When the rows within the horizon would need more
memory than is allowed, the table itself is asked instead: slower, and the same answer.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl

from modelway.errors import NotFoundError
from modelway.ingest.runs import BYTES, Runs
from modelway.lake.tables import Lake
from modelway.records import TableVersion

_SEEDS = (0x6D6F64, 0x656C77)
_WANTED = ("_key", "_content", "_arrived")


@dataclass(frozen=True)
class Fresh:
    """Rows that the table does not hold; how many it did, and how many of the rest are of a key that it knows."""

    rows: pl.DataFrame
    doubles: int
    corrections: int


class Known:
    """What one table holds of the last `within`, by arrival; at most `room` bytes of it in memory."""

    def __init__(self, table: str, within: timedelta, room: int) -> None:
        self._table, self._within, self._room = table, within, room
        self._version = -1
        self._runs = Runs()
        self._since = 0.0
        self.beyond = False
        """Whether the table is asked, as memory does not suffice."""

    @property
    def size(self) -> int:
        """Bytes."""
        return self._runs.size

    def fresh(self, lake: Lake, seen: TableVersion, rows: pl.DataFrame) -> Fresh:
        """Of the rows those that are not in the table at the version `seen`, of equal ones the first."""
        if rows.height == 0:
            return Fresh(rows, 0, 0)
        horizon: datetime = rows["_arrived"].min() - self._within  # type: ignore[operator, assignment]
        self._look(lake, seen, horizon)
        if self.beyond:
            return _asked(lake, self._table, horizon, rows)
        keys, contents = _digests(rows)
        order = np.lexsort((contents, keys))
        sorted_keys, sorted_contents = keys[order], contents[order]
        double, key_known = self._runs.meet(sorted_keys, sorted_contents, horizon.timestamp())
        again = np.zeros(rows.height, dtype=bool)
        again[1:] = sorted_keys[1:] == sorted_keys[:-1]
        twice = again.copy()
        twice[1:] &= sorted_contents[1:] == sorted_contents[:-1]
        stays = np.empty(rows.height, dtype=bool)
        stays[order] = ~(double | twice)
        corrected = np.empty(rows.height, dtype=bool)
        corrected[order] = key_known
        fresh = rows if stays.all() else rows.filter(pl.Series(stays))
        first = _first_of_key(sorted_keys, order, stays)
        corrections = int((stays & (corrected | ~first)).sum())
        return Fresh(fresh, rows.height - fresh.height, corrections)

    def took(self, done: TableVersion, rows: pl.DataFrame) -> None:
        """A commit of ours stands as version `done`, with these rows; nobody else's lies in between."""
        self._version = done.version
        if not self.beyond and rows.height:
            self._add(rows)

    def forget(self) -> None:
        """All; the next look reads the table again."""
        self._version, self._runs, self.beyond, self._since = -1, Runs(), False, 0.0

    def _look(self, lake: Lake, seen: TableVersion, horizon: datetime) -> None:
        if seen.version < 0 or seen.version < self._version or horizon.timestamp() < self._since:
            self.forget()  # of another table, or of less: events that waited elsewhere arrived before those that are known
        if seen.version < 0 or seen.version == self._version:
            return
        recent = pl.col("_arrived") >= horizon
        if self._version >= 0 and not self.beyond:
            kept = pl.col("_arrived") >= datetime.fromtimestamp(self._since, UTC)
            try:
                new = lake.changes(self._table, self._version, seen.version).select(_WANTED).filter(kept).collect()
            except NotFoundError:
                self.forget()
            else:
                self._add(new)
        if self._version < 0 or self.beyond:
            count = lake.scan(seen).filter(recent).select(pl.len()).collect().item()
            self.beyond = count * BYTES > self._room
            self._runs, self._since = Runs(), horizon.timestamp()
            if not self.beyond:
                self._add(lake.scan(seen).select(_WANTED).filter(recent).collect())
        self._version = seen.version
        self._drop_old(horizon)

    def _add(self, rows: pl.DataFrame) -> None:
        if not rows.height:
            return
        keys, contents = _digests(rows)
        arrived = (rows["_arrived"].dt.epoch("s")).to_numpy().astype(np.uint32)
        self._runs.add(keys, contents, arrived)

    def _drop_old(self, horizon: datetime) -> None:
        """What lies before the horizon goes, when it is worth it; and the table is asked when the rest is still too much."""
        if self.size > self._room or horizon.timestamp() - self._since > self._within.total_seconds() / 4:
            self._since = horizon.timestamp()
            self._runs.drop_before(self._since)
        if self.size > self._room:
            self._runs, self.beyond = Runs(), True


def _digests(rows: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Of this process alone: polars promises no digest that lasts."""
    keys, contents = (rows[name].hash(seed).to_numpy() for name, seed in zip(("_key", "_content"), _SEEDS, strict=True))
    return keys, contents


def _first_of_key(sorted_keys: np.ndarray, order: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """Which rows are the first of their key among those that stay, in the order of the rows."""
    rows = np.flatnonzero(stays)
    keys = np.empty_like(sorted_keys)
    keys[order] = sorted_keys
    _, places = np.unique(keys[rows], return_index=True)
    first = np.zeros(stays.size, dtype=bool)
    first[rows[places]] = True
    return first


def _asked(lake: Lake, table: str, horizon: datetime, rows: pl.DataFrame) -> Fresh:
    """The same by a join with the table."""
    single = rows.unique(["_key", "_content"], keep="first", maintain_order=True)
    wanted = single.lazy().select("_key").unique()
    seen = lake.scan(table).filter(pl.col("_arrived") >= horizon.astimezone(UTC)).select("_key", "_content")
    known = seen.join(wanted, on="_key", how="semi").unique().collect()
    fresh = single.join(known, on=["_key", "_content"], how="anti", maintain_order="left")
    again = fresh.select(pl.col("_key").is_in(known["_key"].implode()) | ~pl.col("_key").is_first_distinct())
    return Fresh(fresh, rows.height - fresh.height, int(again.to_series().sum()))
