"""The port of the lake's rows; `delta/` is its adapter, in a folder or in object storage. `upkeep.py` is the port of the rest.

Columns of ours in every table: `_key` (str), `_content` (str, digest of the row's content), `_at` (event time, UTC µs),
`_arrived` (arrival time in the event log, UTC µs), `_partition`, `_offset`, `_index` (place in the event log; `_index` counts
the rows within one event).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
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
        numbers: Mapping[str, int] | None = None,
    ) -> TableVersion | None:
        """Append rows in one commit that also records, for application `app`, the next offset by partition, and `numbers`.

        Returns None, having written nothing, when some of these offsets were committed before (or by a racing
        process): the caller re-reads its positions. With `seen`, also None when the table is no longer at that version
        (`absent(table)`: when it is there by now).
        New columns are added to the table (old rows: null); a column whose type changes raises LakeError with both types.
        """

    @abstractmethod
    def positions(self, table: str, app: str) -> dict[int, int]:
        """The next offset by partition that `append` recorded last for `app`; {} if none."""

    @abstractmethod
    def number(self, table: str, app: str, name: str) -> int | None:
        """The number of that name that was recorded last for `app`; None if none."""

    @abstractmethod
    def move(
        self,
        table: str,
        app: str,
        upto: Mapping[int, int],
        *,
        numbers: Mapping[str, int] | None = None,
        seen: TableVersion,
    ) -> TableVersion | None:
        """Set the positions of `app` to `upto` and nothing else, backwards too, in a commit without rows: a person's decision.

        None, having written nothing, when the table is no longer at the version `seen`. NotFoundError: there is no table.
        """

    @abstractmethod
    def version(self, table: str) -> TableVersion | None:
        """The newest version, or None when the table does not exist; of `table@version` and `table@moment` that version.

        A moment (ISO, UTC unless it says otherwise) means the newest version committed at or before it. Raises NotFoundError
        when there is no such version or it can no longer be told, UsageError when the text is neither.
        """

    @abstractmethod
    def read(
        self,
        table: str | TableVersion,
        columns: Sequence[str] | None = None,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
    ) -> pl.DataFrame:
        """The rows of a version (by name: the newest, or as `version` reads `table@…`), in no promised order.

        `since`/`until` bound `_arrived` as [since, until).

        Raises NotFoundError for a table or a version that does not exist.
        """

    @abstractmethod
    def scan(self, table: str | TableVersion) -> pl.LazyFrame:
        """The same, lazily: filters and columns are pushed down to the files."""

    @abstractmethod
    def changes(self, table: str, after: int, upto: int | None = None) -> pl.LazyFrame:
        """The rows that were added by the commits in (after, upto]; `upto` None: the newest. Only their files are read.

        Compaction adds no rows. Raises NotFoundError when this can no longer be told: the log or the files do not reach
        back to `after`, or a commit in between wrote rows anew (an erasure, a renamed column).
        """

    @abstractmethod
    def tables(self) -> list[str]:
        """Names of all tables, sorted."""

    @abstractmethod
    def ping(self) -> None:
        """Return if tables can be read and written; else raise LakeError."""
