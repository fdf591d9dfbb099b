"""The port of the lake; `delta.py` is the embedded adapter.

Columns of ours in every table: `_key` (str), `_content` (str, digest of the row's content), `_at` (event time, UTC µs),
`_arrived` (arrival time in the event log, UTC µs), `_partition`, `_offset`, `_index` (place in the event log; `_index` counts
the rows within one event).
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import polars as pl

from modelway.records import TableVersion


def absent(table: str) -> TableVersion:
    """What is seen of a table that does not exist yet."""
    return TableVersion(table, -1)


class Lake(ABC):
    """Named tables whose every commit is a version that can be read again."""

    @abstractmethod
    def append(
        self,
        table: str,
        rows: pl.DataFrame,
        *,
        app: str = "",
        upto: Mapping[int, int] | None = None,
        seen: TableVersion | None = None,
    ) -> TableVersion | None:
        """Append rows in one commit that also records, for application `app`, the next offset by partition.

        Returns None, having written nothing, when some of these offsets were committed before (or by a racing
        process): the caller re-reads its positions. With `seen`, also None when the table is no longer at that version
        (`absent(table)`: when it is there by now).
        New columns are added to the table (old rows: null); a column whose type changes raises LakeError with both types.
        """

    @abstractmethod
    def positions(self, table: str, app: str) -> dict[int, int]:
        """The next offset by partition that `append` recorded last for `app`; {} if none."""

    @abstractmethod
    def version(self, table: str) -> TableVersion | None:
        """The newest version, or None when the table does not exist."""

    @abstractmethod
    def read(
        self,
        table: str | TableVersion,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.DataFrame:
        """The rows of a version (by name: the newest), in no promised order; `since`/`until` bound `_arrived` as [since, until).

        Raises NotFoundError for a table or a version that does not exist.
        """

    @abstractmethod
    def scan(self, table: str | TableVersion) -> pl.LazyFrame:
        """The same, lazily: filters and columns are pushed down to the files."""

    @abstractmethod
    def maintain(self, table: str, keep: Collection[int] = (), *, retain_hours: float = 168) -> dict[str, int]:
        """Compact small files, then vacuum what no kept version and no version younger than `retain_hours` needs.

        Returns counts (files before, files after, files removed). Versions in `keep` stay readable.
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """Names of all tables, sorted."""

    @abstractmethod
    def ping(self) -> None:
        """Return if tables can be read and written; else raise LakeError."""
