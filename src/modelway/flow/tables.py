"""What a person asks of tables: their facts, their columns changed by hand with a reason."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from modelway.errors import UsageError
from modelway.flow.pins import pinned
from modelway.lake.upkeep import TableFacts
from modelway.records import TableVersion
from modelway.state import ledger
from modelway.workspace import Workspace


@dataclass(frozen=True)
class TableNow:
    """A table's facts, and how many of its versions are pinned by runs."""

    facts: TableFacts
    pinned: int


def tables(workspace: Workspace) -> list[TableNow]:
    """Every table, by name."""
    found = (workspace.upkeep.facts(name) for name in workspace.lake.tables())
    return [TableNow(facts, len(pinned(workspace.database, facts.table.table))) for facts in found]


def version_named(workspace: Workspace, text: str) -> TableVersion:
    """`TABLE`, `TABLE@VERSION` or `TABLE@MOMENT` as a version; raises NotFoundError, UsageError."""
    found = workspace.lake.version(text)
    if found is None:
        workspace.lake.scan(text)  # says what tables there are
        raise UsageError(f"no table {text}", "modelway table list")
    return found


def change_columns(
    workspace: Workspace, table: str, columns: Mapping[str, str | None], who: str, reason: str
) -> tuple[TableVersion, bool]:
    """Rename (or drop: None) columns; the newest version, and whether this call did it. Written to the ledger once."""
    if not reason.strip():
        raise UsageError("no reason given", "say why with --reason; it stands in the ledger")
    made = workspace.upkeep.reshape(table, columns, {"who": who, "reason": reason})
    now = made or version_named(workspace, table)
    told = "; ".join(f"{old} → {new or 'dropped'}" for old, new in columns.items())
    request = hashlib.sha256(f"{table}|{told}|{_done_at(workspace, table, columns)}".encode()).hexdigest()
    with workspace.database.write() as connection:
        ledger.write(
            connection,
            at=workspace.clock.now(),
            who=who,
            action="columns",
            model=ledger.ALL,
            subject=table,
            reason=reason,
            data={"columns": dict(columns), "version": _done_at(workspace, table, columns)},
            request=f"columns/{request}",
        )
    return now, made is not None


def _done_at(workspace: Workspace, table: str, columns: Mapping[str, str | None]) -> int | None:
    """The newest commit that changed these columns so: asked again after a crash, the ledger's entry is the same one."""
    changes = workspace.upkeep.history(table, 10_000)
    return next((change.version for change in changes if change.note.get("columns") == dict(columns)), None)


def still_named_by(workspace: Workspace, table: str, column: str) -> list[str]:
    """Models on this table whose spec still names the column: the next rows would bring it back."""
    found = []
    for model in workspace.models():
        spec = workspace.spec(model)
        if spec.topic == table and column in workspace.places.spec(model).read_text():
            found.append(model)
    return found
