"""The port of what keeps the lake's tables small and lawful, and tells of them: `delta/upkeep.py` is its adapter."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import polars as pl

from modelway.records import TableVersion

SMALL = 8 * 1024 * 1024
"""Bytes: a smaller data file is a small one; many of them make every reader slow."""
VERSIONS = 2_000
"""How many of the newest versions stay readable, pinned or not, at most."""


@dataclass(frozen=True)
class TableFacts:
    """A table as it stands at its newest version."""

    table: TableVersion
    rows: int
    files: int
    small: int
    bytes: int
    versions: int
    """How many versions can be read."""
    log_bytes: int


@dataclass(frozen=True)
class Change:
    """One commit of a table, as its log tells it."""

    version: int
    at: datetime
    what: str
    """The lake's word for it; "positions moved": no row came or went."""
    rows: int
    """Rows that it added."""
    files: int
    """Data files that it added with new rows."""
    note: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Erased:
    """What an erasure did with one table: rows taken from the newest version, and from pinned ones; counts of this call alone."""

    table: TableVersion
    rows: int
    pinned: Mapping[int, int]
    states: Mapping[int, str]
    """Digest of each version that stays, as it is now."""


class Upkeep(ABC):
    """For the same tables as `Lake`, and safe beside its readers and writers. Raises NotFoundError and LakeError as `Lake` does.

    Whatever changes a table raises UsageError for the name of one of its versions.
    """

    @abstractmethod
    def maintain(
        self,
        table: str,
        keep: Collection[int] = (),
        *,
        retain_hours: float = 168,
        retain_versions: int = VERSIONS,
        thorough: bool = True,
    ) -> dict[str, int]:
        """Compact small files, write checkpoints, and remove files and log of versions that nobody needs.

        Readable stay: versions in `keep` for ever; of the others those younger than `retain_hours`, `retain_versions` at
        most. `thorough`: into large files, and with a look for files that no commit knows (a day old at least).
        Returns counts (files before, files after, files removed).
        """

    @abstractmethod
    def facts(self, table: str) -> TableFacts:
        """Counts and sizes of the newest version and of the log."""

    @abstractmethod
    def history(self, table: str, limit: int = 100) -> list[Change]:
        """The newest commits that the log still tells, newest first."""

    @abstractmethod
    def diff(self, before: TableVersion, after: TableVersion) -> pl.DataFrame:
        """The rows of one version that the other does not have, as often as it does not: `_change` is "added" or "removed".

        Only files that one of them has alone are read. Columns are those of both; where a version has none, it is null.
        """

    @abstractmethod
    def reshape(self, table: str, columns: Mapping[str, str | None], note: Mapping[str, str]) -> TableVersion | None:
        """Rename columns, or drop them (None), in one commit; older versions stay as they are. None: that is done already.

        Raises UsageError for a column that is not there, a new name that is taken (case makes no difference) or that none can
        have ("", NUL), our own columns (`_…`), and a version's name in place of the table's.
        """

    @abstractmethod
    def erase(self, table: str, where: pl.Expr, keep: Collection[int], note: Mapping[str, str]) -> Erased:
        """Remove the rows for which `where` is true from the newest version and from those in `keep`; all others are given up.

        Afterwards no file of the table holds such a row. May be killed anywhere and called again; what is counted is what
        this call did. A column that `where` names and a file lacks is null there.
        """

    @abstractmethod
    def holds(self, table: str, where: pl.Expr) -> tuple[int, int]:
        """Rows for which `where` is true in all files of the table, referred to or not, and the number of files: the proof."""
