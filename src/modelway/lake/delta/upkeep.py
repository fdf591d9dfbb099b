"""Compaction, the cut of the log, and what a table tells of itself."""

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING
from uuid import uuid4

import polars as pl

from modelway import faults
from modelway.lake.delta import erasing, rewriting
from modelway.lake.delta.cutting import active, trim
from modelway.lake.delta.fit import schema_of
from modelway.lake.delta.lake import DeltaLake, scan_files
from modelway.lake.delta.log import PROPERTIES, Commit, read_commit
from modelway.lake.delta.packing import packing_of
from modelway.lake.upkeep import SMALL, VERSIONS, Change, Erased, TableFacts, Upkeep
from modelway.records import TableVersion

if TYPE_CHECKING:
    from deltalake import DeltaTable


class DeltaUpkeep(Upkeep):
    """Works through the handles of a lake."""

    def __init__(self, lake: DeltaLake) -> None:
        self._tables = lake.handles

    def maintain(
        self,
        table: str,
        keep: Collection[int] = (),
        *,
        retain_hours: float = 168,
        retain_versions: int = VERSIONS,
        thorough: bool = True,
    ) -> dict[str, int]:
        from deltalake import CommitProperties

        with self._tables.mapped(table), self._tables.mutex:
            handle = self._tables.to_change(table)
            before = len(handle.file_uris())
            _demand_properties(handle)
            mark, version = uuid4().hex[:12], handle.version()
            said = CommitProperties(custom_metadata={"modelway": {"mark": mark}})
            handle.optimize.compact(
                target_size=None if thorough else SMALL,
                writer_properties=packing_of(schema_of(handle)),
                commit_properties=said,
            )
            self._tables.undone(table, version, mark)
            faults.point("lake.after-compact")
            removed = trim(self._tables, table, keep, retain_hours, retain_versions, thorough=thorough)
            after = len(self._tables.at(table).file_uris())
            return {"files_before": before, "files_after": after, "files_removed": removed}

    def facts(self, table: str) -> TableFacts:
        with self._tables.mapped(table), self._tables.mutex:
            handle, place = self._tables.at(table), self._tables.place
            files = handle.get_add_actions(flatten=True)
            sizes, log = files["size_bytes"].to_pylist(), place.listing(table)
            return TableFacts(
                table=TableVersion(table, handle.version()),
                rows=sum(count or 0 for count in files["num_records"].to_pylist()) if sizes else 0,
                files=len(sizes),
                small=sum(size < SMALL for size in sizes),
                bytes=sum(sizes),
                versions=len(place.commits(table)),
                log_bytes=sum(found.size for name, found in log.items() if name.startswith("_delta_log/")),
            )

    def history(self, table: str, limit: int = 100) -> list[Change]:
        with self._tables.mapped(table), self._tables.mutex:
            self._tables.at(table)
            place = self._tables.place
            newest = sorted(place.commits(table), reverse=True)[:limit]
            return [_change(commit) for version in newest if (commit := read_commit(place, table, version)) is not None]

    def diff(self, before: TableVersion, after: TableVersion) -> pl.DataFrame:
        with self._tables.mapped(after), self._tables.mutex:
            old, new = (self._tables.at(table) for table in (before, after))
            files = [active(self._tables, table.table, table.version) for table in (before, after)]
            schema = pl.Schema({**schema_of(old), **schema_of(new)})
            parts = []
            for handle, table, mine, others, change in (
                (old, before, files[0], files[1], "removed"),
                (new, after, files[1], files[0], "added"),
            ):
                alone = sorted(mine - others if before.table == after.table else mine)
                found = [self._tables.place.uri(table.table, name) for name in alone]
                rows = scan_files(found, schema_of(handle), self._tables.options)
                told = rows.select(
                    pl.lit(change).alias("_change"),
                    *(
                        pl.col(c).cast(t) if c in schema_of(handle) else pl.lit(None, t).alias(c)
                        for c, t in schema.items()
                    ),
                )
                parts.append(told)
            return _difference(pl.concat(parts), list(schema)).collect()

    def reshape(self, table: str, columns: Mapping[str, str | None], note: Mapping[str, str]) -> TableVersion | None:
        with self._tables.mapped(table), self._tables.mutex:
            return rewriting.reshape(self._tables, table, columns, note)

    def erase(self, table: str, where: pl.Expr, keep: Collection[int], note: Mapping[str, str]) -> Erased:
        with self._tables.mapped(table), self._tables.mutex:
            self._tables.to_change(table)
            return erasing.erase(self._tables, table, where, keep, note)

    def holds(self, table: str, where: pl.Expr) -> tuple[int, int]:
        with self._tables.mapped(table), self._tables.mutex:
            self._tables.at(table)
            return erasing.holds(self._tables, table, where)


def _demand_properties(handle: "DeltaTable") -> None:
    """A table that an earlier version made gets what newer ones have from the start."""
    there = handle.metadata().configuration
    if any(there.get(name) != value for name, value in PROPERTIES.items()):
        handle.alter.set_table_properties(dict(PROPERTIES))


def _difference(rows: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """Of equal rows only as many as the one side has more."""
    sign = pl.when(pl.col("_change") == "added").then(1).otherwise(-1)
    counted = rows.with_columns(sign.alias("_sign")).group_by(columns).agg(pl.col("_sign").sum())
    change = pl.when(pl.col("_sign") > 0).then(pl.lit("added")).otherwise(pl.lit("removed"))
    told = counted.filter(pl.col("_sign") != 0).with_columns(change.alias("_change"))
    each = told.with_columns(pl.int_ranges(0, pl.col("_sign").abs()).alias("_each")).explode("_each")
    return each.select("_change", *columns)


def _change(commit: Commit) -> Change:
    note = {name: value for name, value in commit.note.items() if name != "mark"}
    return Change(commit.version, commit.at, _what(commit), commit.rows, len(commit.added), note)


def _what(commit: Commit) -> str:
    """What it did; one that writes no file stands for the positions that it holds."""
    written = commit.operation.lower()
    return "positions moved" if written == "write" and not commit.added and not commit.removed else written
