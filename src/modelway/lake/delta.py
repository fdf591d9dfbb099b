"""The embedded lake: Delta tables in a folder (delta-rs).

Offsets are Delta application transactions, one a partition. Delta itself takes a replay: it only refuses a *concurrent* commit
of the same application. So check and write go through one handle: whoever commits in between makes our commit fail, and we
look again (measured in the notes on delta-rs 1.6: 30 of 30 versions with the check, 39 without).
"""

import errno
import json
import os
import shutil
import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

import polars as pl

from modelway import faults
from modelway.errors import DiskFullError, EngineError, LakeError, NotFoundError, of_system
from modelway.lake.tables import Lake
from modelway.records import TableVersion

if TYPE_CHECKING:
    from deltalake import DeltaTable

_KEPT_FOR_EVER = {"delta.logRetentionDuration": "interval 3650 days"}
_PARTITIONS = "partitions"
_OF_POLARS = (pl.exceptions.PolarsError, pl.exceptions.PanicException)
_ROOM = 256 * 1024
"""Bytes that a commit needs besides its rows."""


class DeltaLake(Lake):
    """Tables in folders under `root`; safe for several processes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._open: dict[str, DeltaTable] = {}
        self._mutex = threading.RLock()

    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        app: str = "",
        upto: Mapping[int, int] | None = None,
        seen: TableVersion | None = None,
    ) -> TableVersion | None:
        from deltalake.exceptions import CommitFailedError

        with self._mapped(table), self._mutex:
            while True:
                handle = self._handle(table)
                if handle is not None:
                    if seen is not None and handle.version() != seen.version:
                        return None
                    recorded = _positions(handle, app)
                    if any(offset <= recorded.get(partition, 0) for partition, offset in (upto or {}).items()):
                        return None
                try:
                    return self._commit(table, handle, rows, app, upto or {}, exactly=seen is not None)
                except CommitFailedError:
                    self._open.pop(table, None)
                except Exception as error:
                    if handle is None and self._handle(table) is not None and "already exists" in str(error):
                        continue
                    raise

    def _commit(
        self,
        table: str,
        handle: "DeltaTable | None",
        rows: pl.DataFrame,
        app: str,
        upto: Mapping[int, int],
        *,
        exactly: bool,
    ) -> TableVersion:
        from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

        said = [Transaction(f"{app}/{partition}", offset) for partition, offset in upto.items()]
        if said:
            before = handle.transaction_version(f"{app}/{_PARTITIONS}") if handle is not None else None
            said.append(Transaction(f"{app}/{_PARTITIONS}", max(before or 0, max(upto) + 1)))
        properties = CommitProperties(
            app_transactions=said, max_commit_retries=0 if exactly or handle is None else None
        )
        place = self._place(table)
        _demand_room(self._root, rows, table)
        faults.point("lake.before-commit")
        if handle is None:
            place.parent.mkdir(parents=True, exist_ok=True)
            given = dict(_KEPT_FOR_EVER)
            write_deltalake(place, _writable(rows), mode="error", configuration=given, commit_properties=properties)
            handle = self._open[table] = DeltaTable(place)
        else:
            fitted = _fitted(_writable(rows), handle, table)
            write_deltalake(handle, fitted, mode="append", schema_mode="merge", commit_properties=properties)
        faults.point("lake.after-commit")
        return TableVersion(table, handle.version())

    def positions(self, table: str, app: str) -> dict[int, int]:
        with self._mapped(table), self._mutex:
            handle = self._handle(table)
            return _positions(handle, app) if handle is not None else {}

    def version(self, table: str) -> TableVersion | None:
        with self._mapped(table), self._mutex:
            handle = self._handle(table)
            return TableVersion(table, handle.version()) if handle is not None else None

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
        with self._mapped(table):
            return (rows if columns is None else rows.select(columns)).collect()

    def scan(self, table: str | TableVersion) -> pl.LazyFrame:
        with self._mapped(table), self._mutex:
            handle = self._at(table)
            if found := _lost(
                handle, self._place(_name(table))
            ):  # else polars says so, or panics, where it is collected
                raise _damaged(_name(table), found)
            return pl.scan_delta(handle)

    def maintain(self, table: str, keep: Collection[int] = (), *, retain_hours: float = 168) -> dict[str, int]:
        with self._mapped(table), self._mutex:
            handle = self._at(table)
            before = len(handle.file_uris())
            handle.optimize.compact()
            faults.point("lake.after-compact")
            removed = handle.vacuum(
                retention_hours=int(retain_hours),
                dry_run=False,
                enforce_retention_duration=False,
                keep_versions=sorted(keep) or None,
            )
            return {"files_before": before, "files_after": len(handle.file_uris()), "files_removed": len(removed)}

    def tables(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted(place.name for place in self._root.iterdir() if (place / "_delta_log").is_dir())

    def ping(self) -> None:
        probe = self._root / f".ping-{os.getpid()}"
        try:
            self._root.mkdir(parents=True, exist_ok=True)
            probe.write_bytes(b"")
            probe.unlink()
            tables = self.tables()
        except OSError as error:
            raise of_system(error, self._root, LakeError) or LakeError(
                f"the lake cannot be used: {error.strerror} ({error.filename})", f"look at {self._root}"
            ) from error
        for table in tables:
            with self._mapped(table):
                for folder in (self._place(table), self._place(table) / "_delta_log"):
                    _demand_access(folder, os.R_OK | os.W_OK)
                if found := _damage(self._place(table)):
                    raise _damaged(table, found)

    @contextmanager
    def _mapped(self, table: str | TableVersion) -> Iterator[None]:
        from deltalake.exceptions import CommitFailedError, DeltaError

        try:
            yield
        except CommitFailedError as error:
            raise LakeError(
                f"table {table}: another commit came first: {_told(error)}", "try again", transient=True
            ) from error
        except (DeltaError, OSError, *_OF_POLARS) as error:
            if "No space left" in str(error) or "os error 28" in str(error):
                raise DiskFullError(
                    f"table {table}: the disk is full; nothing of this commit was kept", "free space"
                ) from error
            raise self._trouble(table, error) from error

    def _trouble(self, table: str | TableVersion, error: BaseException) -> EngineError:
        """What a library's error is about: a place that is closed to us, a damaged table, or its own first line."""
        if isinstance(error, OSError) and (told := of_system(error, kind=LakeError)):
            return told
        place = self._place(_name(table))
        for number in (errno.EROFS, errno.EACCES, errno.EPERM):
            if f"os error {number})" in str(error) and (
                told := of_system(OSError(number, os.strerror(number)), place, LakeError)
            ):
                return told
        with suppress(OSError):
            if found := _damage(place) or (_unreadable(place) if isinstance(error, _OF_POLARS) else ""):
                return _damaged(_name(table), found)
        return LakeError(f"table {table}: {_told(error)}", "see `modelway doctor`")

    def _place(self, table: str) -> Path:
        return self._root / table

    def _handle(self, table: str) -> "DeltaTable | None":
        """The table at its newest version; None when it does not exist."""
        from deltalake import DeltaTable

        handle = self._open.get(table)
        if handle is not None:
            if (self._place(table) / "_delta_log" / f"{handle.version() + 1:020d}.json").exists():
                handle.update_incremental()
            return handle
        if not any((self._place(table) / "_delta_log").glob("*.json")):
            return None
        handle = self._open[table] = DeltaTable(self._place(table))
        return handle

    def _at(self, table: str | TableVersion) -> "DeltaTable":
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        name = _name(table)
        handle = self._handle(name)
        if handle is None:
            known = ", ".join(self.tables()) or "none yet"
            raise NotFoundError(f"no table {name} in the lake (there: {known})", "modelway ingest MODEL")
        if isinstance(table, str) or handle.version() == table.version:
            return handle
        try:
            return DeltaTable(self._place(name), version=table.version)
        except (TableNotFoundError, DeltaError) as error:
            raise NotFoundError(
                f"table {table} is not in the lake (newest: {name}@{handle.version()})",
                "only versions that were never there, or that lost their log, are missing: restore a backup",
            ) from error


def _positions(handle: "DeltaTable", app: str) -> dict[int, int]:
    partitions = range(handle.transaction_version(f"{app}/{_PARTITIONS}") or 0) if app else ()
    found = {partition: handle.transaction_version(f"{app}/{partition}") for partition in partitions}
    return {partition: offset for partition, offset in found.items() if offset is not None}


def _writable(rows: pl.DataFrame) -> pl.DataFrame:
    """Delta has no column without a type, none of unsigned integers and none of categories."""
    changed = {
        name: pl.String if dtype == pl.Null or isinstance(dtype, pl.Categorical | pl.Enum) else pl.Int64
        for name, dtype in rows.schema.items()
        if dtype == pl.Null or dtype.is_unsigned_integer() or isinstance(dtype, pl.Categorical | pl.Enum)
    }
    return rows.cast(changed) if changed else rows  # type: ignore[arg-type]


def _fitted(rows: pl.DataFrame, handle: "DeltaTable", table: str) -> pl.DataFrame:
    """Rows of the table's own types: nulls take any, whole numbers are numbers; else LakeError with both types."""
    import pyarrow as pa

    stored = pl.from_arrow(pa.schema(handle.schema().to_arrow()).empty_table()).schema  # type: ignore[union-attr]
    casts: dict[str, pl.DataType] = {}
    for name, dtype in rows.schema.items():
        want = stored.get(name)
        if want is None or want == dtype:
            continue
        widens = (want.is_float() and dtype.is_numeric()) or (want.is_integer() and dtype.is_integer())
        if not (widens or rows[name].null_count() == rows.height):
            raise LakeError(
                f"table {table}: column {name} is {want} there and {dtype} in the new rows",
                f"send {name} as {want}, or name it with one type in the contract",
            )
        casts[name] = want
    return rows.cast(casts) if casts else rows  # type: ignore[arg-type]


def _demand_room(root: Path, rows: pl.DataFrame, table: str) -> None:
    """Raises DiskFullError before delta-rs meets the full disk: there its own threads panic, and print it."""
    root.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(root).free < rows.estimated_size() + _ROOM:
        raise DiskFullError(f"table {table}: the disk is full; nothing of this commit was kept", "free space")


def _name(table: str | TableVersion) -> str:
    return table if isinstance(table, str) else table.table


def _damaged(table: str, found: str) -> LakeError:
    return LakeError(f"table {table} is damaged: {found}", "restore it from a backup")


def _damage(place: Path) -> str:
    """What is wrong with a table's log, or which file of the newest version is lost; "" if nothing. No rows are read."""
    from deltalake import DeltaTable

    log = place / "_delta_log"
    commits = sorted(log.glob("[0-9]*.json"))
    if not commits:
        return ""
    if empty := next((file for file in commits if not file.stat().st_size), None):  # delta-rs passes over it in silence
        return f"{empty} is empty"
    try:
        handle = DeltaTable(place)
    except Exception as error:  # noqa: BLE001 - whatever delta-rs makes of it, it cannot be opened
        for earlier, later in pairwise(commits):
            if int(later.stem) != int(earlier.stem) + 1:
                return f"{log / f'{int(earlier.stem) + 1:020d}.json'} is missing"
        torn = next((file for file in commits if not _is_commit(file)), None)
        return f"{torn} cannot be read" if torn else f"{log} cannot be read ({_told(error)})"
    return _lost(handle, place)


def _is_commit(file: Path) -> bool:
    """Whether every line of a file of the log is JSON."""
    try:
        return all(isinstance(json.loads(line), dict) for line in file.read_text().splitlines())
    except ValueError:
        return False


def _lost(handle: "DeltaTable", place: Path) -> str:
    """Which data files of this version are missing or were cut; "" if none."""
    files = handle.get_add_actions(flatten=True)
    lost = []
    for name, size in zip(files["path"].to_pylist(), files["size_bytes"].to_pylist(), strict=True):
        there = place / unquote(name)
        if not there.exists():
            lost.append(f"{there} is missing")
        elif there.stat().st_size != size:
            lost.append(f"{there} has {there.stat().st_size} bytes instead of {size}")
        else:
            _demand_access(there, os.R_OK)
    return f"{lost[0]} (and {len(lost) - 1} files more)" if len(lost) > 1 else "".join(lost)


def _unreadable(place: Path) -> str:
    """The first data file of the newest version whose rows cannot be read; "" if none."""
    from deltalake import DeltaTable
    from pyarrow import ArrowException, parquet

    for name in DeltaTable(place).file_uris():
        try:
            parquet.read_table(name, partitioning=None)
        except (ArrowException, OSError) as error:
            return f"{name} cannot be read ({_told(error)})"
    return ""


def _demand_access(path: Path, how: int) -> None:
    if not os.access(path, how):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))


def _told(error: BaseException) -> str:
    """The library's first line: a Rust backtrace follows it."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)[:300]
