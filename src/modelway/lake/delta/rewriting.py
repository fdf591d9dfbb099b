"""Tables written anew: columns renamed or dropped, rows erased from every version that stays."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from modelway import faults
from modelway.errors import UsageError
from modelway.lake.delta.handles import Handles
from modelway.lake.delta.log import read_commit
from modelway.records import TableVersion

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable


def reshape(
    tables: Handles, table: str, columns: Mapping[str, str | None], note: Mapping[str, str]
) -> TableVersion | None:
    """See `Upkeep.reshape`. All rows are written anew, batch by batch, and take their place in one commit."""
    from deltalake import CommitProperties, write_deltalake
    from deltalake.exceptions import CommitFailedError

    while True:
        handle = tables.to_change(table)
        names = [field.name for field in handle.schema().fields]
        if _is_done(tables, table, names, columns):
            return None
        _demand_possible(table, names, columns)
        size = sum(handle.get_add_actions(flatten=True)["size_bytes"].to_pylist())
        tables.place.prepare(table, size)
        said: dict[str, Any] = {"modelway": {**note, "columns": dict(columns)}}
        properties = CommitProperties(max_commit_retries=0, custom_metadata=said)
        faults.point("lake.before-reshape")
        try:
            write_deltalake(
                handle,
                _renamed(handle, columns),
                mode="overwrite",
                schema_mode="overwrite",
                commit_properties=properties,
            )
        except CommitFailedError:
            tables.forget(table)
            continue
        faults.point("lake.after-reshape")
        return TableVersion(table, handle.version())


def _renamed(handle: "DeltaTable", columns: Mapping[str, str | None]) -> "pa.RecordBatchReader":
    import pyarrow as pa

    kept = [field.name for field in handle.schema().fields if columns.get(field.name, "") is not None]
    reader = handle.to_pyarrow_dataset().scanner(columns=kept).to_reader()
    schema = pa.schema([field.with_name(columns.get(field.name) or field.name) for field in reader.schema])
    batches = (pa.RecordBatch.from_arrays(batch.columns, schema=schema) for batch in reader)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _is_done(tables: Handles, table: str, names: list[str], columns: Mapping[str, str | None]) -> bool:
    """Whether a call before this one did it: the old names are gone, the new ones there, and the log says so."""
    if any(old in names or (new is not None and new not in names) for old, new in columns.items()):
        return False
    commits = (read_commit(tables.place, table, version) for version in tables.place.commits(table))
    return any(commit is not None and commit.note.get("columns") == dict(columns) for commit in commits)


def _demand_possible(table: str, names: list[str], columns: Mapping[str, str | None]) -> None:
    for old, new in columns.items():
        if old.startswith("_") or (new or "").startswith("_"):
            raise UsageError(f"table {table}: columns that begin with _ are the lake's own", "name another column")
        if old not in names:
            raise UsageError(f"table {table} has no column {old}", f"its columns: {', '.join(names)}")
        if new is not None:
            _demand_name(table, old, new, names)


def _demand_name(table: str, old: str, new: str, names: list[str]) -> None:
    """A name that a table can hold; readers tell columns apart without regard to case."""
    if not new.strip() or "\0" in new:
        raise UsageError(f"table {table}: {new!r} is no name that a column can have", f"give {old} another name")
    alike = next((name for name in names if name.casefold() == new.casefold()), None)
    if alike == new:
        raise UsageError(f"table {table} has a column {new} already", f"drop it first, or name {old} otherwise")
    if alike is not None:
        raise UsageError(
            f"table {table}: {new} differs from its column {alike} in nothing but case, which no table can tell apart",
            f"drop {alike} first, or name {old} otherwise" if alike != old else "go by way of a third name",
        )
