"""The lake on Delta tables (delta-rs).

Offsets are Delta application transactions, one a partition. Delta itself takes a replay: it only refuses a *concurrent* commit
of the same application. So check and write go through one handle: whoever commits in between makes our commit fail, and we
look again (measured in the notes on delta-rs 1.6: 30 of 30 versions with the check, 39 without).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import polars as pl

from modelway import faults
from modelway.errors import NotFoundError
from modelway.lake.delta import positions as told
from modelway.lake.delta.damage import damage, lost
from modelway.lake.delta.fit import fitted, schema_of, writable
from modelway.lake.delta.handles import Handles, damaged, name_of
from modelway.lake.delta.log import PROPERTIES, read_commit
from modelway.lake.delta.opening import place_of
from modelway.lake.delta.packing import packing
from modelway.lake.tables import Lake
from modelway.records import TableVersion

if TYPE_CHECKING:
    from deltalake import DeltaTable, Transaction


class DeltaLake(Lake):
    """Tables under a folder or an address of object storage; safe for several processes and threads."""

    def __init__(self, root: Path | str, options: Mapping[str, str] | None = None) -> None:
        self._tables = self.handles = Handles(place_of(root, options or {}))

    def address(self, table: str) -> str:
        """Where another engine reads the table: an absolute folder, or an address in object storage."""
        found = self._tables.place.uri(table)
        return found if "://" in found else str(Path(found).resolve())

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        app: str = "",
        upto: Mapping[int, int] | None = None,
        seen: TableVersion | None = None,
        numbers: Mapping[str, int] | None = None,
    ) -> TableVersion | None:
        from deltalake.exceptions import CommitFailedError

        with self._tables.mapped(table), self._tables.mutex:
            while True:
                handle = self._tables.newest(table)
                recorded = told.nothing if handle is None else self._tables.recorded(table)
                if handle is not None:
                    if seen is not None and handle.version() != seen.version:
                        return None
                    here = told.positions(recorded, app)
                    if any(offset <= here.get(partition, 0) for partition, offset in (upto or {}).items()):
                        return None
                said = told.transactions(recorded, app, upto or {}, numbers or {})
                try:
                    return self._commit(table, handle, rows, said, exactly=seen is not None)
                except CommitFailedError:
                    self._tables.forget(table)
                except Exception as error:
                    if handle is None and self._tables.newest(table) is not None and "already exists" in str(error):
                        continue
                    raise

    def move(
        self,
        table: str,
        app: str,
        upto: Mapping[int, int],
        *,
        numbers: Mapping[str, int] | None = None,
        seen: TableVersion,
    ) -> TableVersion | None:
        from deltalake.exceptions import CommitFailedError

        with self._tables.mapped(table), self._tables.mutex:
            handle = self._tables.to_change(table)
            if handle.version() != seen.version:
                return None
            said = told.moved(self._tables.recorded(table), app, upto, numbers or {})
            try:
                return self._commit(table, handle, pl.DataFrame(schema=schema_of(handle)), said, exactly=True)
            except CommitFailedError:
                self._tables.forget(table)
                return None

    def _commit(
        self,
        table: str,
        handle: "DeltaTable | None",
        rows: pl.DataFrame,
        said: "list[Transaction]",
        *,
        exactly: bool,
    ) -> TableVersion:
        from deltalake import CommitProperties, write_deltalake
        from deltalake.exceptions import CommitFailedError, DeltaError

        place, tries = self._tables.place, 0 if exactly or handle is None else None
        place.prepare(table, int(rows.estimated_size()))
        faults.point("lake.before-commit")
        if handle is None:
            first = writable(rows)
            write_deltalake(
                place.uri(table),
                first,
                mode="error",
                writer_properties=packing(first),
                configuration=dict(PROPERTIES),
                storage_options=self._tables.options,
                commit_properties=CommitProperties(app_transactions=said, max_commit_retries=tries),
            )
            handle = self._tables.reopen(table)
        else:
            stored, mark, before = schema_of(handle), uuid4().hex[:12], handle.version()
            fit = fitted(writable(rows), stored, table)
            properties = CommitProperties(
                app_transactions=said, max_commit_retries=tries, custom_metadata=_note(fit, stored, mark)
            )
            try:
                write_deltalake(
                    handle,
                    fit,
                    mode="append",
                    schema_mode="merge",
                    writer_properties=packing(fit),
                    commit_properties=properties,
                )
            except DeltaError as error:
                if self._tables.undone(table, before, mark) or self._tables.outrun(table, before):
                    raise CommitFailedError(f"{table}@{before} left the log meanwhile") from error
                raise
            if self._tables.undone(table, before, mark):
                raise CommitFailedError(f"{table}@{before} left the log meanwhile")
            self._tables.recorded_since(table, before, {one.app_id: one.version for one in said})
        faults.point("lake.after-commit")
        return TableVersion(table, handle.version())

    def positions(self, table: str, app: str) -> dict[int, int]:
        with self._tables.mapped(table), self._tables.mutex:
            handle = self._tables.newest(table)
            return told.positions(self._tables.recorded(table), app) if handle is not None else {}

    def number(self, table: str, app: str, name: str) -> int | None:
        with self._tables.mapped(table), self._tables.mutex:
            handle = self._tables.newest(table)
            return told.number(self._tables.recorded(table), app, name) if handle is not None else None

    def version(self, table: str) -> TableVersion | None:
        with self._tables.mapped(table), self._tables.mutex:
            name = name_of(table)
            found = self._tables.newest_version(name)
            if found is None:
                return None
            return TableVersion(name, found if name == table else self._tables.at(table).version())

    def read(
        self,
        table: str | TableVersion,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.DataFrame:
        rows = self.scan(table)
        if since is not None:
            rows = rows.filter(pl.col("_arrived") >= since)
        if until is not None:
            rows = rows.filter(pl.col("_arrived") < until)
        with self._tables.mapped(table):
            return (rows if columns is None else rows.select(columns)).collect()

    def scan(self, table: str | TableVersion) -> pl.LazyFrame:
        with self._tables.mapped(table), self._tables.mutex:
            handle, place, name = self._tables.at(table), self._tables.place, name_of(table)
            if place.cheap and (found := lost(handle, place, name)):
                raise damaged(name, found)  # else polars says so, or panics, where it is collected
            return pl.scan_delta(handle)

    def changes(self, table: str, after: int, upto: int | None = None) -> pl.LazyFrame:
        with self._tables.mapped(table), self._tables.mutex:
            handle = self._tables.at(table if upto is None else TableVersion(table, upto))
            place, files = self._tables.place, list[str]()
            for version in range(after + 1, handle.version() + 1):
                commit = read_commit(place, table, version)
                if commit is None or commit.rewrites:
                    what = "is no longer in the log" if commit is None else "wrote rows anew"
                    raise _no_changes(table, after, f"{table}@{version} {what}")
                files += commit.added
            there = place.sizes(table, files) if files else []
            if gone := next((name for name, size in zip(files, there, strict=True) if size is None), None):
                raise _no_changes(table, after, f"{gone} was removed since")
            return scan_files([place.uri(table, name) for name in files], schema_of(handle), self._tables.options)

    def tables(self) -> list[str]:
        with self._tables.mapped("*"):
            return self._tables.place.tables()

    def ping(self) -> None:
        place = self._tables.place
        place.ping()
        for table in self.tables():
            with self._tables.mapped(table):
                place.demand_access(table)
                if found := damage(place, table):
                    raise damaged(table, found)


def scan_files(files: Sequence[str], schema: pl.Schema, options: Mapping[str, str] | None) -> pl.LazyFrame:
    """The rows of these data files, with the columns of `schema`."""
    if not files:
        return pl.LazyFrame(schema=schema)
    given: dict[str, Any] = {"storage_options": dict(options)} if options else {}
    return pl.scan_parquet(list(files), schema=schema, missing_columns="insert", hive_partitioning=False, **given)


def _note(rows: pl.DataFrame, stored: pl.Schema, mark: str) -> dict[str, Any]:
    """For the log: the columns that this commit adds to the table, and what it is known by again."""
    added = {name: str(dtype) for name, dtype in rows.schema.items() if name not in stored}
    return {"modelway": {"mark": mark, **({"added_columns": added} if added else {})}}


def _no_changes(table: str, after: int, why: str) -> NotFoundError:
    return NotFoundError(
        f"table {table}: what changed after {table}@{after} can no longer be told: {why}", "read it whole"
    )
