"""Rows erased from every version of a table that stays: the newest and the pinned ones. All other versions are given up.

The newest version loses them by an ordinary commit. A pinned version is rewritten where it stands: the data files that hold
such rows are written without them, and its checkpoint, from which alone it is read, names the new files. What the log says
of smallest and largest values could name a person too, so new entries have a count only, and commits lose theirs.
"""

import hashlib
import io
import json
import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

import polars as pl

from modelway import faults
from modelway.lake.delta.cutting import active, checkpoint, cut
from modelway.lake.delta.handles import Handles
from modelway.lake.delta.log import checkpoint_name, commit_name
from modelway.lake.upkeep import Erased
from modelway.records import TableVersion

_GOING = "_delta_log/_erasing.json"
"""Data files that were replaced: removed by whoever comes next, should this process die."""


@dataclass(frozen=True)
class _New:
    """What stands for a data file: its name ("": no row was left), bytes and rows; and how many rows went."""

    name: str
    size: int
    rows: int
    gone: int


def erase(tables: Handles, table: str, where: pl.Expr, keep: Collection[int], note: Mapping[str, str]) -> Erased:
    """See `Upkeep.erase`."""
    _finish(tables, table, keep)
    made: dict[str, _New] = {}
    newest = _from_newest(tables, table, where, note, made)
    versions = tables.place.commits(table)
    now = max(versions)
    pinned = [version for version in keep if version in versions and version != now]
    checkpoint(tables, table, pinned)
    counts = {version: _from_pinned(tables, table, version, where, made) for version in pinned}
    faults.point("lake.before-erased-cut")
    cut(tables, table, now, pinned)
    for version in tables.place.commits(table):
        if version != now:
            _strip(tables, table, version)
    _finish(tables, table, keep)
    return Erased(
        TableVersion(table, now),
        newest,
        {version: count for version, count in counts.items() if count},
        {version: state(tables, table, version) for version in (*pinned, now)},
    )


def holds(tables: Handles, table: str, where: pl.Expr) -> tuple[int, int]:
    """Rows in all data files, referred to or not, and how many files were looked at."""
    names = [name for name in tables.place.listing(table) if name.endswith(".parquet") and not name.startswith("_")]
    return sum(_count(tables, table, name, where) for name in names), len(names)


def state(tables: Handles, table: str, version: int) -> str:
    """A digest of a version: its data files by name and size; they are never changed."""
    files = tables.open(table, version).get_add_actions(flatten=True)
    named = sorted(zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True))
    return hashlib.sha256(json.dumps(named).encode()).hexdigest()


def _from_newest(tables: Handles, table: str, where: pl.Expr, note: Mapping[str, str], made: dict[str, _New]) -> int:
    from deltalake import CommitProperties
    from deltalake.exceptions import CommitFailedError, DeltaError
    from deltalake.transaction import AddAction, RemoveAction

    while True:
        handle = tables.at(table)
        files = handle.get_add_actions(flatten=True)
        sizes = {unquote(p): s for p, s in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True)}
        new = _without(tables, table, sizes, where, made)
        if not new:
            return 0
        at = int(time.time() * 1000)
        adds = [AddAction(n.name, n.size, {}, at, True, _stats(n.rows)) for n in new.values() if n.name]
        gone = [
            RemoveAction(path=old, data_change=True, deletion_timestamp=at, size=sizes[old], partition_values={})
            for old in new
        ]
        said = CommitProperties(
            max_commit_retries=0, custom_metadata={"modelway": {**note, "erased": sum(n.gone for n in new.values())}}
        )
        faults.point("lake.before-erase")
        try:
            handle.create_write_transaction([*adds, *gone], "append", handle.schema(), commit_properties=said)
        except CommitFailedError:
            tables.forget(table)
            continue
        except DeltaError:
            if tables.outrun(table, handle.version()):
                tables.forget(table)
                continue
            raise
        faults.point("lake.after-erase")
        tables.forget(table)
        return sum(n.gone for n in new.values())


def _from_pinned(tables: Handles, table: str, version: int, where: pl.Expr, made: dict[str, _New]) -> int:
    new = _without(tables, table, active(tables, table, version), where, made)
    if not new:
        return 0
    place, name = tables.place, checkpoint_name(version)
    before = json.loads(place.read(table, _GOING) or b"[]")
    place.write(table, _GOING, json.dumps(sorted({*before, *new})).encode())
    faults.point("lake.before-pinned")
    place.write(table, name, _renamed(place.read(table, name) or b"", new))
    faults.point("lake.after-pinned")
    return sum(one.gone for one in new.values())


def _without(
    tables: Handles, table: str, names: Iterable[str], where: pl.Expr, made: dict[str, _New]
) -> dict[str, _New]:
    """The files among these that hold such rows, each with what stands for it now."""
    for name in names:
        if name not in made and _count(tables, table, name, where):
            made[name] = _rewritten(tables, table, name, where)
    return {name: made[name] for name in names if name in made}


def _rewritten(tables: Handles, table: str, name: str, where: pl.Expr) -> _New:
    rows = pl.read_parquet(io.BytesIO(tables.place.read(table, name) or b""))
    left = rows.filter(~_mask(rows.lazy(), where).collect().to_series())
    if left.height == 0:
        return _New("", 0, 0, rows.height)
    out = io.BytesIO()
    left.write_parquet(out, compression="snappy")
    written = f"part-erased-{uuid4()}.parquet"
    tables.place.write(table, written, out.getvalue())
    return _New(written, len(out.getvalue()), left.height, rows.height - left.height)


def _count(tables: Handles, table: str, name: str, where: pl.Expr) -> int:
    given: dict[str, Any] = {"storage_options": tables.options} if tables.options else {}
    rows = pl.scan_parquet(tables.place.uri(table, name), hive_partitioning=False, **given)
    return int(_mask(rows, where).sum().collect().item() or 0)


def _mask(rows: pl.LazyFrame, where: pl.Expr) -> pl.LazyFrame:
    there = rows.collect_schema().names()
    lacking = [name for name in where.meta.root_names() if name not in there]
    known = rows.with_columns(pl.lit(None, pl.String).alias(name) for name in lacking)
    return known.select(where.fill_null(False).alias("gone"))


def _renamed(content: bytes, new: Mapping[str, _New]) -> bytes:
    """A checkpoint that names the new files, and no smallest and largest values of theirs."""
    import pyarrow as pa
    from pyarrow import parquet

    before = parquet.read_table(io.BytesIO(content), partitioning=None)
    rows = []
    for row in before.to_pylist():
        add = row.get("add")
        one = new.get(unquote(add["path"])) if add else None
        if one is not None:
            if not one.name:
                continue
            row = {**row, "add": {**add, "path": one.name, "size": one.size, "stats": _stats(one.rows)}}
        rows.append(row)
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows, schema=before.schema), out)
    return out.getvalue()


def _strip(tables: Handles, table: str, version: int) -> None:
    """Leave of a kept commit what is not about rows: a checkpoint tells those."""
    content = tables.place.read(table, commit_name(version)) or b""
    lines = [line for line in content.splitlines() if line]
    left = [line for line in lines if not {"add", "remove", "cdc"} & json.loads(line).keys()]
    if len(left) < len(lines):
        tables.place.write(table, commit_name(version), b"\n".join(left) + b"\n")


def _finish(tables: Handles, table: str, keep: Collection[int]) -> None:
    """Remove the files that were replaced, as far as no version needs them."""
    place = tables.place
    if (content := place.read(table, _GOING)) is None:
        return
    needed = active(tables, table)
    for version in keep:
        if version in place.commits(table):
            needed |= active(tables, table, version)
    place.remove(table, [name for name in json.loads(content) if name not in needed])
    faults.point("lake.before-finished")
    if not needed & set(json.loads(content)):
        place.remove(table, [_GOING])


def _stats(rows: int) -> str:
    return json.dumps({"numRecords": rows})
