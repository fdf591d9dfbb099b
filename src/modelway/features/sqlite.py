"""Online values in one SQLite file (WAL): one process writes, many read, each with its own connection.

`past` holds each version of an event once for every entity column and once for all events, in the order in which it is read:
one look is one range of one B-tree. A group of several columns is looked up by its first one, which had best be the rarest, and
sifted by the others. The log position is written in the transaction that writes the values.
"""

import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import msgspec

from modelway import faults
from modelway.errors import DiskFullError, EngineError
from modelway.features.online import Group, OnlineValues, PastEvent, PastLabel, Stream
from modelway.features.values import EPOCH, microseconds

_SCHEMA = """
create table if not exists events (
  key text, arrived integer, number integer, at integer, content blob,
  primary key (key, arrived, number)) without rowid;
create table if not exists past (
  by text, entity text, at integer, arrived integer, key text, until integer, content blob, target real, labelled integer,
  primary key (by, entity, at, arrived, key)) without rowid;
create table if not exists labels (key text, arrived integer, target real, primary key (key, arrived)) without rowid;
create table if not exists upto (stream text, partition integer, next integer, primary key (stream, partition)) without rowid;
"""
_READ = """
select key, at, arrived, content, target, labelled from past
where by = ? and entity = ? and at > ? and at <= ? and arrived <= ? and until > ? order by at, arrived, key
"""
_FOREVER = 2**62


class _Content(msgspec.Struct, array_like=True):
    entities: dict[str, str]
    values: dict[str, float | str]


_pack = msgspec.msgpack.Encoder(order="deterministic").encode
_unpack = msgspec.msgpack.Decoder(_Content).decode


class SqliteOnlineValues(OnlineValues):
    """The values of one plan (a plan with other windows remembers other columns: give it another file)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        with _mapped(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.executescript(_SCHEMA)

    def put(self, events: Sequence[PastEvent], upto: Mapping[int, int]) -> None:
        with self._writing() as connection:
            for event in events:
                _put(connection, event)
                if event.target is not None and event.label_arrived is not None:
                    _label(connection, PastLabel(event.key, event.target, event.label_arrived))
            _keep_upto(connection, "events", upto)

    def label(self, labels: Sequence[PastLabel], upto: Mapping[int, int]) -> None:
        with self._writing() as connection:
            for label in labels:
                _label(connection, label)
            _keep_upto(connection, "labels", upto)

    def past(
        self, group: Group, entity: Sequence[str], since: datetime, until: datetime, known: datetime | None
    ) -> Sequence[PastEvent]:
        moment = _FOREVER - 1 if known is None else microseconds(known)
        place = (group[0], entity[0]) if group else ("", "")
        with _mapped(self._path):
            rows = self._connection.execute(
                _READ, (*place, microseconds(since), microseconds(until), moment, moment)
            ).fetchall()
        found = [self._event(row, moment) for row in rows]
        if len(group) < 2:
            return found
        wanted = dict(zip(group, entity, strict=True)).items()
        return [event for event in found if wanted <= event.entities.items()]

    def upto(self, stream: Stream = "events") -> dict[int, int]:
        with _mapped(self._path):
            return dict(self._connection.execute("select partition, next from upto where stream = ?", (stream,)))

    def forget(self, before: datetime) -> int:
        moment = microseconds(before)
        with self._writing() as connection:
            gone = connection.execute("delete from events where at < ?", (moment,)).rowcount
            connection.execute("delete from past where at < ?", (moment,))
            connection.execute(
                "delete from labels where arrived < ? and key not in (select key from events)", (moment,)
            )
        return gone

    def ping(self) -> None:
        with _mapped(self._path):
            self._connection.execute("select 1 from past limit 1").fetchall()

    def close(self) -> None:
        self._connection.close()

    def _event(self, row: tuple[str, int, int, bytes, float | None, int | None], moment: int) -> PastEvent:
        key, at, arrived, content, target, labelled = row
        if labelled is not None and labelled > moment:
            target, labelled = self._label_known(key, moment)
        kept = _unpack(content)
        told = None if labelled is None else _moment(labelled)
        return PastEvent(key, _moment(at), _moment(arrived), kept.entities, kept.values, target, told)

    def _label_known(self, key: str, moment: int) -> tuple[float | None, int | None]:
        query = "select target, arrived from labels where key = ? and arrived <= ? order by arrived desc limit 1"
        with _mapped(self._path):
            return self._connection.execute(query, (key, moment)).fetchone() or (None, None)

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _mapped(self._path):
            self._connection.execute("begin immediate")
            try:
                yield self._connection
                faults.point("online.before-commit")
                self._connection.execute("commit")
                faults.point("online.after-commit")
            finally:
                if self._connection.in_transaction:
                    self._connection.execute("rollback")


def _put(connection: sqlite3.Connection, event: PastEvent) -> None:
    content = _pack(_Content(dict(event.entities), dict(event.values)))
    at, arrived = microseconds(event.at), microseconds(event.arrived)
    versions = connection.execute("select at, content from events where key = ?", (event.key,)).fetchall()
    if (at, content) in versions:
        return
    row = (event.key, arrived, len(versions), at, content)
    connection.execute("insert into events values (?, ?, ?, ?, ?)", row)
    _index(connection, event.key)


def _index(connection: sqlite3.Connection, key: str) -> None:
    """Write each version that ever counts, with the arrival of the next one and the newest label."""
    query = "select at, arrived, content from events where key = ? order by arrived, number"
    versions = connection.execute(query, (key,)).fetchall()
    newest = "select target, arrived from labels where key = ? order by arrived desc limit 1"
    target, labelled = connection.execute(newest, (key,)).fetchone() or (None, None)
    for n, (at, arrived, content) in enumerate(versions):
        until = versions[n + 1][1] if n + 1 < len(versions) else _FOREVER
        for by, entity in _entities(content):
            place = (by, entity, at, arrived, key)
            if until > arrived:
                row = (*place, until, content, target, labelled)
                connection.execute("insert or replace into past values (?, ?, ?, ?, ?, ?, ?, ?, ?)", row)
            else:  # never counted; a later version at the same place is written after it
                connection.execute(
                    "delete from past where by = ? and entity = ? and at = ? and arrived = ? and key = ?", place
                )


def _entities(content: bytes) -> Iterable[tuple[str, str]]:
    return (("", ""), *_unpack(content).entities.items())


def _label(connection: sqlite3.Connection, label: PastLabel) -> None:
    row = (label.key, microseconds(label.arrived), label.target)
    there = connection.execute("select target from labels where key = ? and arrived = ?", row[:2]).fetchone()
    if there == (label.target,):
        return
    connection.execute("insert or replace into labels values (?, ?, ?)", row)
    _index(connection, label.key)


def _keep_upto(connection: sqlite3.Connection, stream: str, upto: Mapping[int, int]) -> None:
    connection.executemany(
        "insert into upto values (?, ?, ?) on conflict (stream, partition) do update set next = max(next, excluded.next)",
        [(stream, partition, offset) for partition, offset in upto.items()],
    )


def _moment(us: int) -> datetime:
    return EPOCH + timedelta(microseconds=us)


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        if "disk is full" in str(error) or getattr(error, "errno", None) == 28:
            raise DiskFullError(
                f"no space for online values in {path}", "free some disk space", transient=True
            ) from error
        transient = "locked" in str(error) or "busy" in str(error)
        raise EngineError(
            f"online values in {path}: {error}", "remove the file: it is built again from the lake", transient=transient
        ) from error
