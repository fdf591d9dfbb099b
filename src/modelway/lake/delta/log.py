"""The log of a Delta table, read commit by commit: what delta-rs does not tell."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote

from modelway.lake.delta.places import Place

PROPERTIES = {
    "delta.logRetentionDuration": "interval 3650 days",
    "delta.deletedFileRetentionDuration": "interval 1 minutes",
}
"""The log is cut by our own upkeep, which knows the pins; the library's clean-up does not. It needs no list of removed files
either, of which every checkpoint would hold those of the last seven days."""
HINT = "_delta_log/_last_checkpoint"


@dataclass(frozen=True)
class Commit:
    """One commit: the files that it added and took away, and what it says of itself."""

    version: int
    at: datetime
    operation: str
    added: tuple[str, ...]
    """Data files that hold new rows; those of a compaction hold none."""
    rows: int
    """Rows in them, as far as the log says."""
    removed: tuple[str, ...]
    rewrites: bool
    """Whether it took rows of others away, or wrote them anew."""
    schema: bool
    """Whether it says what the columns are."""
    note: Mapping[str, Any] = field(default_factory=dict)
    """What we wrote beside it."""


def commit_name(version: int) -> str:
    """Where the commit lies in the table."""
    return f"_delta_log/{version:020d}.json"


def checkpoint_name(version: int) -> str:
    """Where the checkpoint of a version lies (in one part, as delta-rs writes it)."""
    return f"_delta_log/{version:020d}.checkpoint.parquet"


def read_commit(place: Place, table: str, version: int) -> Commit | None:
    """The commit of a version; None when the log no longer has it."""
    content = place.read(table, commit_name(version))
    return None if content is None else parsed(version, content)


def parsed(version: int, content: bytes) -> Commit:
    """A commit from its file."""
    said = [json.loads(line) for line in content.splitlines() if line]
    info: dict[str, Any] = next((action["commitInfo"] for action in said if "commitInfo" in action), {})
    adds = [action["add"] for action in said if "add" in action]
    gone = [action["remove"] for action in said if "remove" in action]
    new = [add for add in adds if add.get("dataChange", True)]
    return Commit(
        version=version,
        at=datetime.fromtimestamp(info.get("timestamp", 0) / 1000, UTC),
        operation=info.get("operation", ""),
        added=tuple(unquote(add["path"]) for add in new),
        rows=sum(json.loads(add.get("stats") or "{}").get("numRecords", 0) for add in new),
        removed=tuple(unquote(remove["path"]) for remove in gone),
        rewrites=any(remove.get("dataChange", True) for remove in gone),
        schema=any("metaData" in action for action in said),
        note=info.get("modelway") or {},
    )


def last_checkpoint(place: Place, table: str) -> int:
    """The version of the newest checkpoint that the log points to; -1 if none."""
    content = place.read(table, HINT)
    try:
        return int(json.loads(content)["version"]) if content else -1
    except (ValueError, KeyError):  # a hint alone: the library reads the log without it
        return -1


def newest_at(place: Place, table: str, moment: datetime) -> int | None:
    """The newest version that was committed at or before the moment; None when that cannot be told any more."""
    versions = sorted(place.commits(table))
    low, high = 0, len(versions)  # versions[:low] are from before, versions[high:] from after
    while low < high:
        middle = (low + high) // 2
        commit = read_commit(place, table, versions[middle])
        if commit is not None and commit.at <= moment:
            low = middle + 1
        else:
            high = middle
    if low == 0:
        return None
    found = versions[low - 1]
    whole = low == len(versions) or versions[low] == found + 1
    return found if whole else None
