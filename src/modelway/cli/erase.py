"""erase: a person leaves the log, the tables and their pinned versions, the training sets and the online values."""

from typing import Annotated

import typer

from modelway.cli.context import HERE, Json, Where, opened, who


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: modelway erase loans --entity customer_id=C17 --reason 'request 2026-114'")(erase)


def erase(
    model: Annotated[str, typer.Argument(help="Name of the model; absent with --resume.")] = "",
    key: Annotated[list[str] | None, typer.Option("--key", help="Key of a row; may be given several times.")] = None,
    entity: Annotated[str, typer.Option("--entity", help="COLUMN=VALUE: all rows of this entity.")] = "",
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger, so name nobody.")] = "",
    within: Annotated[str, typer.Option("--within", help="How long it may take, for example 30d.")] = "30d",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with all open requests.")] = False,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Erase a person's rows everywhere, pinned versions and training sets included; ask again after any failure."""
    from modelway.cli.output import print_json, table
    from modelway.errors import UsageError
    from modelway.flow import erasing
    from modelway.flow.persons import Person
    from modelway.spec.units import parse_duration
    from modelway.state import erasures

    with opened(where) as workspace:
        if resume:
            asked = erasures.requests(workspace.database, still_open=True)
        else:
            column, found, value = entity.partition("=")
            if entity and not (found and column and value):
                raise UsageError(f"--entity {entity!r} is not COLUMN=VALUE", "for example --entity customer_id=C17")
            person = Person(tuple(sorted(set(key or ()))), column, value)
            asked = [erasing.ask(workspace, model, person, who(), reason, parse_duration(within))]
        done = [erasing.work_off(workspace, request) for request in asked]
    if json:
        print_json([erasing.told(request) for request in done])
        return
    for request in done:
        rows = [(step, told.get("rows", ""), _rest(told)) for step, told in request.report.items()]
        table(f"{request.model}: erasure {request.id} is done", ("where", "rows", "besides"), rows)


def _rest(told: dict[str, object]) -> str:
    return ", ".join(f"{name} {value}" for name, value in told.items() if name not in ("rows", "states") and value)
