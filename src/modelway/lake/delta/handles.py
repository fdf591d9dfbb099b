"""Open tables, one handle each, and what the library's errors are about."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import polars as pl

from modelway.errors import EngineError, LakeError, NotFoundError, UsageError
from modelway.lake.delta.bucket import first_line
from modelway.lake.delta.damage import damage, unreadable
from modelway.lake.delta.log import commit_name, last_checkpoint, newest_at, read_commit
from modelway.lake.delta.places import Place
from modelway.lake.delta.positions import Recorded
from modelway.records import TableVersion

if TYPE_CHECKING:
    from deltalake import DeltaTable

_OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)


class Handles:
    """The tables of one place; `mutex` is held while one of its handles is used."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.mutex = threading.RLock()
        self._open: dict[str, DeltaTable] = {}
        self._checkpoint: dict[str, int] = {}
        self._seen: dict[str, int] = {}
        self._recorded: dict[str, tuple[int, dict[str, int | None]]] = {}

    @property
    def options(self) -> Mapping[str, str] | None:
        """As the library takes them."""
        return dict(self.place.options) or None

    def newest(self, table: str) -> "DeltaTable | None":
        """The table at its newest version; None when it does not exist."""
        handle = self._open.get(table)
        if handle is None and not self.place.commits(table):
            return None
        if handle is None or last_checkpoint(self.place, table) > self._checkpoint[table]:
            # The commits between may have left the log. And a handle carries every commit since the checkpoint that it was
            # opened at: what it writes costs 5 ms at first, 70 after 600 commits.
            return self.reopen(table)
        if self.place.has(table, commit_name(handle.version() + 1)):
            handle.update_incremental()
        return handle

    def newest_version(self, table: str) -> int | None:
        """The newest version's number, for a few looks at the log: a handle reads what each file of the table says of itself."""
        handle = self._open.get(table)
        if handle is None and (handle := self.newest(table)) is None:
            return None
        version = max(handle.version(), self._seen.get(table, -1), last_checkpoint(self.place, table))
        while self.place.has(table, commit_name(version + 1)):
            version += 1
        self._seen[table] = version
        return version

    def recorded(self, table: str) -> Recorded:
        """What the version of the kept handle says of a transaction; each name is looked for once (the library reads the log)."""
        handle = self._open[table]
        version, found = self._recorded.get(table, (-1, {}))
        if version != handle.version():
            self._recorded[table] = (handle.version(), found := {})

        def told(name: str) -> int | None:
            if name not in found:
                value = handle.transaction_version(name)
                found[name] = None if value is None else int(value)
            return found[name]

        return told

    def recorded_since(self, table: str, before: int, said: Mapping[str, int]) -> None:
        """A commit of ours stands right behind the version `before`, and said this: the rest is as it was."""
        version, found = self._recorded.get(table, (-1, {}))
        if version == before and self._open[table].version() == before + 1:
            self._recorded[table] = (before + 1, {**found, **said})

    def reopen(self, table: str) -> "DeltaTable":
        """A fresh handle, kept as the table's."""
        self.forget(table)
        self._checkpoint[table] = last_checkpoint(self.place, table)
        handle = self._open[table] = self.open(table)
        return handle

    def swallowed(self, table: str, version: int) -> bool:
        """Whether a commit was written where the log had been cut: this process slept between its look and its commit."""
        hint = last_checkpoint(self.place, table)
        if hint <= version:
            return False
        there = self.place.commits(table)
        return any(one not in there for one in range(version, hint + 1))

    def undone(self, table: str, after: int, mark: str) -> bool:
        """Whether the commit with this mark was swallowed; then it is taken back: no reader has seen it."""
        for version in range(after + 1, last_checkpoint(self.place, table)):
            commit = read_commit(self.place, table, version)
            if commit is not None and commit.note.get("mark") == mark and self.swallowed(table, version):
                self.place.remove(table, [commit_name(version)])
                self.forget(table)
                return True
        return False

    def outrun(self, table: str, version: int) -> bool:
        """Whether the log was cut past a version: a handle of it cannot go on."""
        return last_checkpoint(self.place, table) > version and not self.place.has(table, commit_name(version + 1))

    def forget(self, table: str) -> None:
        """The next call opens the table anew."""
        for kept in (self._open, self._recorded, self._seen):
            kept.pop(table, None)

    def open(self, table: str, version: int | None = None) -> "DeltaTable":
        """A handle of the caller's own."""
        from deltalake import DeltaTable

        return DeltaTable(self.place.uri(table), version=version, storage_options=self.options)

    def at(self, table: str | TableVersion) -> "DeltaTable":
        """The table at a version (by name: at its newest). Raises NotFoundError."""
        from deltalake.exceptions import DeltaError, TableNotFoundError

        name = name_of(table)
        if isinstance(table, str) and name != table:
            table = self._named(name, table)
        handle = self.newest(name)
        if handle is None:
            known = ", ".join(self.place.tables()) or "none yet"
            raise NotFoundError(f"no table {name} in the lake (there: {known})", "modelway ingest MODEL")
        if isinstance(table, str) or handle.version() == table.version:
            return handle
        try:
            return self.open(name, table.version)
        except (TableNotFoundError, DeltaError) as error:
            raise NotFoundError(
                f"table {table} is not in the lake (newest: {name}@{handle.version()})",
                f"modelway table history {name} lists the versions that can be read: pinned ones and the youngest",
            ) from error

    def to_change(self, table: str) -> "DeltaTable":
        """The table at its newest version, which alone can be followed by another. Raises UsageError for a version's name."""
        name = name_of(table)
        if name != table:
            raise UsageError(
                f"{table} names a version, and versions stay as they are: a table is changed by a new one",
                f"name the table: {name}",
            )
        return self.at(table)

    def _named(self, name: str, text: str) -> TableVersion:
        """`table@version`, or `table@moment`: the newest version that was committed at or before it (no zone: UTC)."""
        _, _, asked = text.partition("@")
        if asked.isdigit():
            return TableVersion.parse(text)
        try:
            moment = datetime.fromisoformat(asked)
        except ValueError:
            raise UsageError(
                f"{text!r} names no version of a table", f"write {name}@VERSION or {name}@2026-11-25T10:00"
            ) from None
        found = newest_at(self.place, name, moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        if found is None:
            raise NotFoundError(
                f"table {name}: which version stood at {asked} can no longer be told, or there was none",
                f"modelway table history {name} lists the versions that can be read",
            )
        return TableVersion(name, found)

    @contextmanager
    def mapped(self, table: str | TableVersion) -> Iterator[None]:
        """Errors of the library as ours."""
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            yield
        except CommitFailedError as error:
            raise LakeError(
                f"table {table}: another commit came first: {first_line(error)}", "try again", transient=True
            ) from error
        except (DeltaError, OSError, *_OF_POLARS) as error:
            raise self._trouble(name_of(table), error) from error

    def _trouble(self, table: str, error: BaseException) -> EngineError:
        """What an error is about: the place, a damaged table, or its own first line."""
        if told := self.place.trouble(table, error):
            return told
        with suppress(OSError):
            found = damage(self.place, table)
            if not found and isinstance(error, _OF_POLARS):
                found = unreadable(self.place, table)
            if found:
                return damaged(table, found)
        return LakeError(f"table {table}: {first_line(error)}", "see `modelway doctor`")


def name_of(table: str | TableVersion) -> str:
    """The table's name, whatever the version."""
    return table.partition("@")[0] if isinstance(table, str) else table.table


def damaged(table: str, found: str) -> LakeError:
    """Of a table in which a file is lost or broken."""
    return LakeError(f"table {table} is damaged: {found}", "restore it from a backup")
