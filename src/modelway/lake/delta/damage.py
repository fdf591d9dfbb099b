"""What is wrong with a table, and which file it is: the sentence of an error."""

import json
from itertools import pairwise
from typing import TYPE_CHECKING
from urllib.parse import unquote

from modelway.lake.delta.bucket import first_line
from modelway.lake.delta.log import commit_name
from modelway.lake.delta.places import Place

if TYPE_CHECKING:
    from deltalake import DeltaTable


def damage(place: Place, table: str) -> str:
    """What is wrong with a table's log, or which file of the newest version is lost; "" if nothing. No rows are read."""
    from deltalake import DeltaTable

    commits = place.commits(table)
    if not commits:
        return ""
    if (empty := next((v for v, size in commits.items() if not size), None)) is not None:  # delta-rs passes over it
        return f"{place.uri(table, commit_name(empty))} is empty"
    try:
        handle = DeltaTable(place.uri(table), storage_options=dict(place.options))
    except Exception as error:  # noqa: BLE001 - whatever delta-rs makes of it, it cannot be opened
        for earlier, later in pairwise(commits):
            if later != earlier + 1:
                return f"{place.uri(table, commit_name(earlier + 1))} is missing"
        torn = next((v for v in commits if not _is_commit(place.read(table, commit_name(v)) or b"")), None)
        if torn is not None:
            return f"{place.uri(table, commit_name(torn))} cannot be read"
        return f"{place.uri(table, '_delta_log')} cannot be read ({first_line(error)})"
    return lost(handle, place, table)


def lost(handle: "DeltaTable", place: Place, table: str) -> str:
    """Which data files of this version are missing or were cut; "" if none."""
    files = handle.get_add_actions(flatten=True)
    names, wanted = [unquote(name) for name in files["path"].to_pylist()], files["size_bytes"].to_pylist()
    found = []
    for name, size, there in zip(names, wanted, place.sizes(table, names), strict=True):
        if there is None:
            found.append(f"{place.uri(table, name)} is missing")
        elif there != size:
            found.append(f"{place.uri(table, name)} has {there} bytes instead of {size}")
    return f"{found[0]} (and {len(found) - 1} files more)" if len(found) > 1 else "".join(found)


def unreadable(place: Place, table: str) -> str:
    """The first data file of the newest version whose rows cannot be read; "" if none."""
    import io

    from deltalake import DeltaTable
    from pyarrow import ArrowException, parquet

    handle = DeltaTable(place.uri(table), storage_options=dict(place.options))
    for path in handle.get_add_actions(flatten=True)["path"].to_pylist():
        name = unquote(path)
        try:
            parquet.read_table(io.BytesIO(place.read(table, name) or b""), partitioning=None)
        except (ArrowException, OSError) as error:
            return f"{place.uri(table, name)} cannot be read ({first_line(error)})"
    return ""


def _is_commit(content: bytes) -> bool:
    """Whether every line of a file of the log is JSON."""
    try:
        return all(isinstance(json.loads(line), dict) for line in content.splitlines())
    except ValueError:
        return False
