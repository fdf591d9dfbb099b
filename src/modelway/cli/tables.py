"""table list, show, history, diff, schema, rename-column, drop-column: the lake's tables as they are and were."""

from datetime import datetime
from typing import Annotated, Any

import typer

from modelway.cli.context import HERE, Json, Reason, Where, opened, who

Named = Annotated[str, typer.Argument(help="TABLE, TABLE@VERSION or TABLE@2026-11-25T10:00 (UTC).")]
Table = Annotated[str, typer.Argument(help="Name of the table.")]
Limit = Annotated[int, typer.Option("--limit", min=1, help="How many at most.")]

_LONGEST = 200
"""Characters of a cell."""

group = typer.Typer(help="The lake's tables as they are and were.", no_args_is_help=True, rich_markup_mode=None)


def add_to(app: typer.Typer) -> None:
    app.add_typer(group, name="table")
    group.command("list", epilog="Example: modelway table list")(list_tables)
    group.command(epilog="Example: modelway table show loans@12 --limit 5")(show)
    group.command(epilog="Example: modelway table history loans")(history)
    group.command(epilog="Example: modelway table diff loans@12 loans@15")(diff)
    group.command(epilog="Example: modelway table schema loans@2026-11-25T10:00")(schema)
    group.command("rename-column", epilog="Example: modelway table rename-column loans amt amount --reason clearer")(
        rename
    )
    group.command("drop-column", epilog="Example: modelway table drop-column loans phone --reason 'not needed'")(drop)


def list_tables(where: Where = HERE, json: Json = False) -> None:
    """Every table: rows, files, versions, size."""
    from modelway.cli.output import print_json, table
    from modelway.flow.tables import tables

    with opened(where) as workspace:
        found = tables(workspace)
    if json:
        print_json(found)
        return
    heads = ("table", "rows", "files", "small files", "MB", "versions", "pinned", "log MB")
    rows = [
        (
            str(one.facts.table),
            one.facts.rows,
            one.facts.files,
            one.facts.small,
            one.facts.bytes / 1e6,
            one.facts.versions,
            one.pinned,
            one.facts.log_bytes / 1e6,
        )
        for one in found
    ]
    table("tables", heads, rows)


def show(named: Named, limit: Limit = 20, where: Where = HERE, json: Json = False) -> None:
    """The first rows of a version, in the order of their arrival."""
    import polars as pl

    from modelway.flow.tables import version_named

    with opened(where) as workspace:
        version = version_named(workspace, named)
        rows = workspace.lake.scan(version)
        order = [name for name in ("_arrived", "_partition", "_offset", "_index") if name in rows.collect_schema()]
        frame = (rows.sort(order) if order else rows).limit(limit).collect()
    _print(str(version), frame.select(pl.exclude(order), *order), json)


def history(named: Table, limit: Limit = 50, where: Where = HERE, json: Json = False) -> None:
    """The commits that the log still tells, newest first: pinned versions, changes of columns, the youngest."""
    from modelway.cli.output import print_json, table
    from modelway.flow.pins import pinned
    from modelway.flow.tables import version_named

    with opened(where) as workspace:
        name = version_named(workspace, named).table
        pins, changes = pinned(workspace.database, name), workspace.upkeep.history(name, limit)
    if json:
        print_json([{"pinned": change.version in pins, "change": change} for change in changes])
        return
    rows = [(c.version, c.at, c.what, c.rows, c.files, c.version in pins, _note(c.note)) for c in changes]
    table(name, ("version", "committed", "what", "rows added", "files", "pinned", "note"), rows)


def diff(
    before: Annotated[str, typer.Argument(help="The earlier: TABLE@VERSION or TABLE@MOMENT.")],
    after: Annotated[str, typer.Argument(help="The later one.")],
    limit: Limit = 50,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """The rows that one version has and the other has not."""
    import polars as pl

    from modelway.cli.output import say
    from modelway.flow.tables import version_named

    with opened(where) as workspace:
        versions = [version_named(workspace, text) for text in (before, after)]
        found = workspace.upkeep.diff(versions[0], versions[1])
    counts = {name: found.filter(pl.col("_change") == name).height for name in ("added", "removed")}
    _print(f"{versions[0]} → {versions[1]}", found.head(limit), json)
    if not json:
        say(f"{counts['added']} rows added, {counts['removed']} removed")


def schema(named: Named, where: Where = HERE, json: Json = False) -> None:
    """The columns of a version and their types."""
    from modelway.cli.output import print_json, table
    from modelway.flow.tables import version_named

    with opened(where) as workspace:
        version = version_named(workspace, named)
        columns = workspace.lake.scan(version).collect_schema()
    if json:
        print_json({name: str(dtype) for name, dtype in columns.items()})
    else:
        table(str(version), ("column", "type"), [(name, str(dtype)) for name, dtype in columns.items()])


def rename(
    named: Table,
    old: Annotated[str, typer.Argument(help="The column.")],
    new: Annotated[str, typer.Argument(help="Its new name.")],
    reason: Reason,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Give a column another name, in a new version; older versions stay as they are."""
    _change(named, {old: new}, reason, where, json)


def drop(
    named: Table,
    column: Annotated[str, typer.Argument(help="The column.")],
    reason: Reason,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Leave a column out of new versions; older ones keep it (erasing is another command)."""
    _change(named, {column: None}, reason, where, json)


def _change(name: str, columns: dict[str, str | None], reason: str, where: Any, json: bool) -> None:
    from modelway.cli.output import note, print_json, say
    from modelway.flow.tables import change_columns, still_named_by

    with opened(where) as workspace:
        version, done = change_columns(workspace, name, columns, who(), reason)
        named = {old: still_named_by(workspace, name, old) for old in columns}
    if json:
        print_json({"version": version, "changed": done})
        return
    say(f"{version}" if done else f"{version}: that is done already")
    for old, models in named.items():
        for model in models:
            note(f"models/{model}/modelway.yaml still names {old}: change it, or the next rows bring the column back")


def _print(title: str, rows: Any, json: bool) -> None:
    from modelway.cli.output import print_json, table

    if json:
        print_json(rows.to_dicts())
    else:
        table(title, rows.columns, [[_cut(value) for value in row] for row in rows.rows()])


def _cut(value: Any) -> Any:
    """Text and what holds many values are cut for people; with `--json` they are whole. Numbers and times are as they stand."""
    if isinstance(value, float | datetime):
        return str(value)
    text = value if isinstance(value, str) else str(value) if isinstance(value, bytes | list | dict) else ""
    return f"{text[:_LONGEST]}…" if len(text) > _LONGEST else value


def _note(note: Any) -> str:
    return "; ".join(f"{name}: {value}" for name, value in note.items())
