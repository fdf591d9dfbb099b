"""contract: show, diff, check, export, import."""

from pathlib import Path
from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Where, opened

Named = Annotated[str, typer.Argument(help="MODEL as its spec is now, or MODEL@VERSION.")]
_MOST = 50


def add_to(app: typer.Typer) -> None:
    group = typer.Typer(
        help="What a model's data must hold: show, diff, check, export, import.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    group.command(epilog="Example: modelway contract show loans")(show)
    group.command(epilog="Example: modelway contract diff loans@1 loans")(diff)
    group.command(epilog="Example: modelway contract check loans --data ../june.csv")(check)
    group.command(epilog="Example: modelway contract export loans --great-expectations suite.json --docs docs")(export)
    group.command("import", epilog="Example: modelway contract import --great-expectations suite.json")(import_)
    app.add_typer(group, name="contract")


def show(name: Named, where: Where = HERE, json: Json = False) -> None:
    """Every rule of a contract: what it wants, of what it is asked, and what a breach does."""
    from modelway.cli.output import print_json, table
    from modelway.flow import contracting

    with opened(where) as workspace:
        lines = contracting.shown(workspace, name)
    rows = [(one.column or "–", one.rule, one.text, one.asked_of, one.action, one.severity) for one in lines]
    heads = ("column", "rule", "wanted", "asked of", "on breach", "alert")
    if json:
        print_json(
            [
                dict(zip(("column", "rule", "wanted", "asked_of", "on_breach", "severity"), row, strict=True))
                for row in rows
            ]
        )
    else:
        table(f"{name}: contract", heads, rows)


def diff(
    then: Named,
    now: Annotated[str, typer.Argument(help="The same; absent: the model's spec as it is now.")] = "",
    where: Where = HERE,
    json: Json = False,
) -> None:
    """What is tighter, looser or changed from one contract to another, rule by rule."""
    from modelway.cli.output import print_json, say, table
    from modelway.flow import contracting

    later = now or then.partition("@")[0]
    with opened(where) as workspace:
        found = contracting.compared(workspace, then, later)
    if json:
        print_json(found)
    elif found:
        rows = [(one.column or "–", one.rule, one.how, one.then or "–", one.now or "–") for one in found]
        table(f"from {then} to {later}", ("column", "rule", "is", then, later), rows)
    else:
        say(f"{then} and {later} have the same contract")


def check(
    name: Named,
    data: Annotated[Path, typer.Option("--data", help="CSV (also .gz), Parquet or NDJSON.")],
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Every breach in a data file, by row, column, rule and value. Ends with 1 when a row or the batch would be refused."""
    from modelway.cli.output import note, print_json, say, table
    from modelway.flow import contracting

    with opened(where) as workspace:
        found = contracting.check_file(workspace, name, data)
    rows = found.table.height
    if json:
        print_json({"rows": found.rows.height, "accepted": found.accepted.height, "breaches": found.breaches})
    elif rows:
        shown = [
            (b.row, b.key or None, b.column or "–", b.rule, b.value, b.action, b.reason) for b in found.breaches[:_MOST]
        ]
        heads = ("row", "key", "column", "rule", "value", "on breach", "reason")
        table(f"{data.name}: {rows:,} breaches in {found.rows.height:,} rows", heads, shown)
        if rows > _MOST:
            note(f"the first {_MOST} of {rows:,} are shown; --json gives all")
        say(f"{found.accepted.height:,} of {found.rows.height:,} rows would be accepted")
    else:
        say(f"{data.name}: all {found.rows.height:,} rows hold")
    if found.accepted.height < found.rows.height:
        raise typer.Exit(1)


def export(
    name: Named,
    great_expectations: Annotated[Path, typer.Option(help="The file for the suite, as JSON.")],
    docs: Annotated[Path | None, typer.Option(help="A folder for Data Docs.")] = None,
    data: Annotated[Path | None, typer.Option(help="With --docs: a data file, whose verdicts the pages show.")] = None,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Write the contract as a suite of Great Expectations; what has no counterpart there is listed."""
    from modelway.cli.output import print_json, say, table
    from modelway.flow import contracting

    with opened(where) as workspace:
        done = contracting.export(workspace, name, great_expectations, docs, data)
    if json:
        print_json(done)
        return
    for file in done.files:
        say(f"wrote {file}")
    say(f"{done.expectations} expectations")
    if done.without:
        rows = [(one.column or "–", one.rule, one.why) for one in done.without]
        table("without a counterpart", ("column", "rule", "why"), rows)


def import_(
    great_expectations: Annotated[Path, typer.Option(help="The JSON file of a suite.")], json: Json = False
) -> None:
    """Print a suite of Great Expectations as the contract section of modelway.yaml; what cannot be said there is listed."""
    from modelway.cli.output import note, print_json, say
    from modelway.flow import contracting

    found = contracting.read_suite(great_expectations)
    text = contracting.section(found.contract)
    if json:
        print_json({"section": text, "without": found.without, "assumed": found.assumed})
        return
    say(text.rstrip("\n"))
    for words in found.assumed:
        note(f"assumed: {words}")
    for one in found.without:
        note(f"not imported: {one.rule}{f' of {one.column}' if one.column else ''}: {one.why}")
    if found.without or found.assumed:
        note("every rule warns; write on_breach: quarantine where a row must be refused")
