"""Online values in one SQLite file (WAL): one process writes, many read, each with its own connection.

`chunks` holds the events of each entity packed (`past.py`): one look is one range of one index. `records` holds what is known of
each key, for corrections and late labels. The log position is written in the transaction that writes the values.
"""

import sqlite3
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from modelway import faults
from modelway.errors import DiskFullError, EngineError
from modelway.expressions.values import microseconds
from modelway.features.erased import is_of, is_theirs, without
from modelway.features.forgotten import demand_kept
from modelway.features.keeping import (
    REFERENCE,
    Edits,
    Place,
    Record,
    absorbed,
    demand_group,
    entity_name,
    group_name,
    keys_of,
    pack_record,
    read_record,
    rewritten,
    superseded,
)
from modelway.features.online import EVENTS, LABELS, Group, Look, OnlineValues, PastEvent, PastLabel
from modelway.features.past import Past, keys_in, read

_LAYOUT = 2
_SCHEMA = """
create table if not exists chunks (
  by text, entity text, first integer, last integer, content blob, primary key (by, entity, first));
create table if not exists records (key text primary key, at integer, content blob) without rowid;
create index if not exists records_at on records (at);
create table if not exists upto (stream text, partition integer, next integer, primary key (stream, partition)) without rowid;
"""
_LOOK = "select content from chunks where by = ? and entity = ? and first <= ? and last > ? order by first"
_FIND = "select first, content from chunks where by = ? and entity = ? and first <= ? order by first desc limit 1"
_LEAST = "select first, content from chunks where by = ? and entity = ? order by first limit 1"
_FORGOTTEN = "forgotten"
_MAPPED = 2**31 - 2**16
"""Bytes of the file that are read in place, without a call of the system: SQLite's most."""


class SqliteOnlineValues(OnlineValues):
    """The values of one plan, for its groups (a plan with other windows remembers other columns: give it another file)."""

    def __init__(self, path: Path, groups: Sequence[Group]) -> None:
        self._path = path
        self._groups = {group: group_name(group) for group in groups}
        self._lock = threading.Lock()
        with _mapped(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False)
            self._connection.execute("pragma journal_mode = wal")
            self._connection.execute("pragma synchronous = normal")
            self._connection.execute(f"pragma mmap_size = {_MAPPED}")
            _lay_out(self._connection)
        self._kept: int | None = None
        self.upto()

    def put(self, events: Sequence[PastEvent], upto: Mapping[int, int], stream: str = EVENTS) -> None:
        self._take(events, [], upto, stream)

    def label(self, labels: Sequence[PastLabel], upto: Mapping[int, int]) -> None:
        self._take([], labels, upto, LABELS)

    def look(self, looks: Sequence[Look], known: int | None) -> list[Past]:
        execute, kept, found = self._connection.execute, self._kept, []
        try:
            for look in looks:
                group, entity, since, until, _ = look
                name = demand_group(group, self._groups)
                if kept is not None:
                    demand_kept(look, kept)
                rows = execute(_LOOK, (name, entity_name(entity), until, since)).fetchall()
                found.append(read([row[0] for row in rows], since, until, known))
        except sqlite3.Error as error:
            raise _told(self._path, error) from error
        return found

    def upto(self, stream: str = EVENTS) -> dict[int, int]:
        query = "select stream, partition, next from upto where stream in (?, ?)"
        with _mapped(self._path):
            found = self._connection.execute(query, (stream, _FORGOTTEN)).fetchall()
        self._kept = next((moment for name, _, moment in found if name == _FORGOTTEN), None)
        return {partition: offset for name, partition, offset in found if name == stream}

    def forget(self, before: datetime) -> int:
        moment = microseconds(before)
        with self._writing() as connection:
            gone = connection.execute("select content from records where at < ?", (moment,)).fetchall()
            connection.execute("delete from records where at < ?", (moment,))
            windows = f"by not glob '*:{REFERENCE}*'"
            connection.execute(f"delete from chunks where last < ? and {windows}", (moment,))
            places = f"select distinct by, entity from chunks where first < ? and not ({windows})"
            for by, entity in connection.execute(places, (moment,)).fetchall():
                _replace_statements(connection, (by, entity), moment)
            _keep_upto(connection, _FORGOTTEN, {0: moment})
        self.upto()
        return sum(len(read_record(content).versions) for (content,) in gone)

    def erase(self, keys: Collection[str], entities: Mapping[str, str]) -> int:
        with self._writing() as connection:
            connection.execute("pragma secure_delete = on")
            gone = _theirs(connection, keys, entities)
            _erase_chunks(connection, gone, entities)
            connection.executemany("delete from records where key = ?", [(key,) for key in gone])
        faults.point("online.after-erase")
        with _mapped(self._path):
            _wipe(self._path)
        return sum(gone.values())

    def clear(self) -> None:
        with self._writing() as connection:
            for table in ("chunks", "records", "upto"):
                connection.execute(f"delete from {table}")
        self._kept = None

    def ping(self) -> None:
        with _mapped(self._path):
            self._connection.execute("select 1 from chunks limit 1").fetchall()

    def close(self) -> None:
        self._connection.close()

    def _take(
        self, events: Sequence[PastEvent], labels: Sequence[PastLabel], upto: Mapping[int, int], stream: str
    ) -> None:
        with self._writing() as connection:
            changed, edits = absorbed(_records(connection, keys_of(events, labels)), events, labels, self._groups)
            written = [(key, record.at, pack_record(record)) for key, record in changed.items()]
            connection.executemany("insert or replace into records values (?, ?, ?)", written)
            for place, edit in edits.items():
                _edit(connection, place, edit)
            _keep_upto(connection, stream, upto)

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


def _lay_out(connection: sqlite3.Connection) -> None:
    """The tables; those of an older layout are dropped: the values are built again from the log."""
    (layout,) = connection.execute("pragma user_version").fetchone()
    if layout == _LAYOUT:
        return
    connection.execute("begin immediate")
    for (name,) in connection.execute("select name from sqlite_master where type = 'table'").fetchall():
        connection.execute(f'drop table "{name}"')
    for statement in _SCHEMA.split(";\n"):
        connection.execute(statement)
    connection.execute(f"pragma user_version = {_LAYOUT}")
    connection.execute("commit")


def _records(connection: sqlite3.Connection, keys: Sequence[str]) -> dict[str, Record]:
    found = {}
    for key in keys:
        row = connection.execute("select content from records where key = ?", (key,)).fetchone()
        if row is not None:
            found[key] = read_record(row[0])
    return found


def _edit(connection: sqlite3.Connection, place: Place, edits: Edits) -> None:
    def find(at: int) -> tuple[int, bytes] | None:
        found = connection.execute(_FIND, (*place, at)).fetchone() or connection.execute(_LEAST, place).fetchone()
        return found or None

    gone, chunks = rewritten(edits, find)
    connection.executemany(
        "delete from chunks where by = ? and entity = ? and first = ?", [(*place, first) for first in gone]
    )
    connection.executemany(
        "insert into chunks values (?, ?, ?, ?, ?)", [(*place, c.first, c.last, c.content) for c in chunks]
    )


def _replace_statements(connection: sqlite3.Connection, place: Place, moment: int) -> None:
    query = "select content from chunks where by = ? and entity = ? order by first"
    left = superseded([row[0] for row in connection.execute(query, place)], moment)
    connection.execute("delete from chunks where by = ? and entity = ?", place)
    connection.executemany(
        "insert into chunks values (?, ?, ?, ?, ?)", [(*place, c.first, c.last, c.content) for c in left]
    )


def _theirs(connection: sqlite3.Connection, keys: Collection[str], entities: Mapping[str, str]) -> dict[str, int]:
    """Each key that is to go, with the number of its versions; a chunk may outlive the records of its keys (see `forget`)."""
    given = set(keys)
    found = dict.fromkeys(given, 0)
    for by, entity, content in connection.execute("select by, entity, content from chunks") if entities else ():
        if is_theirs((by, entity), entities):
            found |= dict.fromkeys(keys_in(content), 0)
    for key, content in connection.execute("select key, content from records"):
        record = read_record(content)
        if key in found or is_of(record, entities):
            found[key] = len(record.versions)
    return found


def _erase_chunks(connection: sqlite3.Connection, keys: Collection[str], entities: Mapping[str, str]) -> None:
    chunks = connection.execute("select rowid, by, entity, content from chunks").fetchall
    changed = []
    for number, by, entity, content in chunks():
        left = [] if is_theirs((by, entity), entities) else without(content, keys)
        if left is not None:
            changed.append((number, (by, entity), left))
    connection.executemany("delete from chunks where rowid = ?", [(number,) for number, _, _ in changed])
    for _, place, left in changed:
        connection.executemany(
            "insert into chunks values (?, ?, ?, ?, ?)", [(*place, c.first, c.last, c.content) for c in left]
        )


def _wipe(path: Path) -> None:
    """What was deleted leaves the file, its free pages and the log beside it."""
    connection = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        connection.execute("vacuum")
        (busy, _, _) = connection.execute("pragma wal_checkpoint(truncate)").fetchone()
    finally:
        connection.close()
    if busy:
        raise sqlite3.OperationalError("the log is busy: a reader holds what was erased")


def _keep_upto(connection: sqlite3.Connection, stream: str, upto: Mapping[int, int]) -> None:
    connection.executemany(
        "insert into upto values (?, ?, ?) on conflict (stream, partition) do update set next = max(next, excluded.next)",
        [(stream, partition, offset) for partition, offset in upto.items()],
    )


@contextmanager
def _mapped(path: Path) -> Iterator[None]:
    """SQLite's errors as ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise _told(path, error) from error


def _told(path: Path, error: Exception) -> EngineError:
    if "disk is full" in str(error) or getattr(error, "errno", None) == 28:
        return DiskFullError(f"no space for online values in {path}", "free some disk space", transient=True)
    transient = "locked" in str(error) or "busy" in str(error)
    return EngineError(
        f"online values in {path}: {error}", "remove the file: it is built again from the lake", transient=transient
    )
