"""The log of a table cut to what somebody needs: pinned versions, and the youngest ones.

A version leaves together with the files that its successors took away, so neither the log nor the files grow without bound.
A pinned version keeps its commit and gets a checkpoint: it is read from that alone. A commit that says what the columns are
stays in the log too. Delta's own clean-up knows no pins; its property lets it touch nothing (see `log.PROPERTIES`).
"""

import time
from collections.abc import Collection, Iterable
from urllib.parse import unquote

from modelway import faults
from modelway.lake.delta.handles import Handles
from modelway.lake.delta.log import HINT, Commit, checkpoint_name, commit_name, read_commit

DAY = 24 * 3600.0


def active(tables: Handles, table: str, version: int | None = None) -> set[str]:
    """The data files of a version (None: the newest)."""
    handle = tables.open(table, version)
    return {unquote(name) for name in handle.get_add_actions(flatten=True)["path"].to_pylist()}


def checkpoint(tables: Handles, table: str, versions: Iterable[int]) -> None:
    """Checkpoints of these versions and of the newest; the hint is left pointing at the newest."""
    place = tables.place
    handle = tables.reopen(table)
    handle.create_checkpoint()
    hint = place.read(table, HINT)
    for version in versions:
        if not place.has(table, checkpoint_name(version)):
            tables.open(table, version).create_checkpoint()
    if hint is not None and place.read(table, HINT) != hint:
        place.write(table, HINT, hint)


def first_kept(tables: Handles, table: str, retain_hours: float, retain_versions: int, now: float) -> int:
    """The first version of those that are kept for their youth: the one that stood `retain_hours` ago, or a later one."""
    place = tables.place
    versions = sorted(place.commits(table))
    newest = versions[-1]
    low, high = 0, len(versions)
    while low < high:  # those before `low` were committed before that moment
        middle = (low + high) // 2
        commit = read_commit(place, table, versions[middle])
        if commit is None or commit.at.timestamp() <= now - retain_hours * 3600:
            low = middle + 1
        else:
            high = middle
    stood = versions[max(low - 1, 0)]
    return max(stood, newest - retain_versions)


def cut(tables: Handles, table: str, first: int, keep: Collection[int]) -> int:
    """Remove versions before `first` that are not in `keep`, and the files that only they needed; how many files went."""
    place = tables.place
    versions = sorted(place.commits(table))
    first = next(version for version in versions if version >= first)
    old = [version for version in versions if version < first]
    pinned = [version for version in keep if version in old]
    read = (read_commit(place, table, version) for version in [*old, first])
    commits = [commit for commit in read if commit is not None]
    leaving = [c.version for c in commits if c.version < first and c.version not in pinned and not c.schema]
    if not leaving and not any(commit.removed for commit in commits if commit.version == first):
        return 0
    checkpoint(tables, table, [first, *pinned])
    faults.point("lake.before-cut")
    needed = active(tables, table, first) | active(tables, table)
    for version in pinned:
        needed |= active(tables, table, version)
    going = sorted({name for commit in commits for name in commit.removed} - needed)
    place.remove(table, going)
    faults.point("lake.after-files")
    place.remove(table, [commit_name(version) for version in leaving])
    faults.point("lake.after-log")
    place.remove(table, _checkpoints(tables, table, first, pinned))
    return len(going)


def sweep(tables: Handles, table: str, keep: Collection[int], now: float, age: float = DAY) -> int:
    """Remove files older than `age` that no commit knows: a process died between its rows and its commit; how many went."""
    place = tables.place
    versions = sorted(place.commits(table))
    needed = active(tables, table)
    for version in keep:
        if version in versions:
            needed |= active(tables, table, version)
    for version in versions:
        if (commit := read_commit(place, table, version)) is not None:
            needed |= _named(commit)
    lost = [
        name
        for name, found in place.listing(table).items()
        if not name.startswith("_") and name not in needed and found.written < now - age
    ]
    place.remove(table, lost)
    return len(lost)


def trim(tables: Handles, table: str, keep: Collection[int], hours: float, versions: int, *, thorough: bool) -> int:
    """Cut, and swept when `thorough`; how many data files went."""
    now = time.time()
    first = first_kept(tables, table, hours, versions, now)
    gone = cut(tables, table, first, keep)
    return gone + (sweep(tables, table, keep, now) if thorough else 0)


def _named(commit: Commit) -> set[str]:
    return {*commit.added, *commit.removed}


def _checkpoints(tables: Handles, table: str, first: int, pinned: Collection[int]) -> list[str]:
    """Those of versions that left."""
    kept = {f"{version:020d}" for version in pinned}
    found = []
    for name in tables.place.listing(table):
        stem = name.removeprefix("_delta_log/").partition(".")[0]
        if ".checkpoint" in name and stem.isdigit() and int(stem) < first and stem not in kept:
            found.append(name)
    return found
