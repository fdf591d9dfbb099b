"""run, ingest, quarantine, reproduce: from data to a registered version."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Where, opened, who

if TYPE_CHECKING:
    from modelway.records import Ingested


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: modelway run loans --json")(run)
    app.command(epilog="Example: modelway ingest loans")(ingest)
    app.command(epilog="Example: modelway step train --run loans-0001", hidden=True)(step)
    app.command(epilog="Example: modelway reproduce loans@3")(reproduce)
    quarantine = typer.Typer(
        help="Rows that broke the contract: list, show, replay.", no_args_is_help=True, rich_markup_mode=None
    )
    quarantine.command("list", epilog="Example: modelway quarantine list loans")(quarantine_list)
    quarantine.command("show", epilog="Example: modelway quarantine show loans 0:17:0")(quarantine_show)
    quarantine.command("replay", epilog="Example: modelway quarantine replay loans")(quarantine_replay)
    app.add_typer(quarantine, name="quarantine")


def run(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Ingest, check, train, export, validate and register a version."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, progress
    from modelway.cli.reports import show_run
    from modelway.records import Trigger

    with opened(where) as workspace:
        with progress(not json) as step:
            name = lifecycle.open_run(workspace, model, Trigger("manual", "asked for by hand", who()), step)
            version = lifecycle.run(workspace, name, step)
        report = lifecycle.run_report(workspace, name)
    if json:
        print_json(report)
    else:
        show_run(report, version)
    if not version.accepted:
        raise typer.Exit(1)


def ingest(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Bring new files, source rows, labels and predictions into the lake. Ends with 1 when a topic is missing."""
    from modelway import lifecycle
    from modelway.cli.output import note, print_json, progress

    with opened(where) as workspace, progress(not json) as step:
        spec = workspace.spec(model)
        lifecycle.send_files(workspace, spec, step)
        passes = lifecycle.ingest(workspace, spec, step)
        missing = lifecycle.absent(workspace, spec)
    if json:
        print_json(passes)
    else:
        _show_passes(model, passes)
    for one in missing:
        note(f"{one.problem}\n  fix: {one.fix}")
    if missing:
        raise typer.Exit(1)


def _show_passes(model: str, passes: "Sequence[Ingested]") -> None:
    from modelway.cli.output import say, table

    if not passes:
        say(f"{model}: nothing new")
        return
    counts = ["read", "accepted", "doubles", "corrections", "quarantined"]
    counts += ["tombstones"] if any(p.tombstones for p in passes) else []
    rows = [(p.topic, p.table, *(getattr(p, name) for name in counts)) for p in passes]
    table(f"{model}: ingested", ("topic", "table", *counts), rows)
    warned = [(p.topic, rule, count) for p in passes for rule, count in p.warnings.items()]
    if warned:
        table("broken by rows that entered (their rules only warn)", ("topic", "rule", "values or batches"), warned)


def step(
    name: Annotated[str, typer.Argument(help="ingest, prepare, train, export, validate or register.")],
    run: Annotated[str, typer.Option("--run", help="Id of the run.")],
    where: Where = HERE,
) -> None:
    """Do one step of a run and print its record: what an orchestrator's task calls."""
    from modelway import lifecycle
    from modelway.cli.output import print_json

    with opened(where) as workspace:
        print_json(lifecycle.one_step(workspace, run, name))


def reproduce(
    version: Annotated[str, typer.Argument(help="MODEL@VERSION")], where: Where = HERE, json: Json = False
) -> None:
    """Train a version again from its pinned data, code and parameters, and compare the predictions."""
    from modelway.cli.output import print_json, progress, table
    from modelway.flow.reproducing import reproduce as again

    with opened(where) as workspace, progress(not json) as tell:
        report = again(workspace, version, tell)
    if json:
        print_json(report)
    else:
        table(f"{version}, trained again", ("what", "then", "now", "equal"), report.rows())
    if not report.equal:
        raise typer.Exit(1)


def quarantine_list(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Rows that were refused, each with its reasons."""
    from modelway import lifecycle
    from modelway.cli.output import brief, print_json, say, table

    with opened(where) as workspace:
        rows = lifecycle.quarantined(workspace, workspace.spec(model))
    if json:
        print_json(rows)
    elif rows:
        table(
            f"{model}: quarantine",
            ("place", "key", "reason", "row"),
            [tuple(brief(value) for value in r.values()) for r in rows],
        )
        say(
            f"mend the contract in models/{model}/modelway.yaml, then: modelway quarantine replay {model}; or send them again"
        )
    else:
        say(f"{model}: the quarantine is empty")


def quarantine_show(
    model: Model,
    place: Annotated[str, typer.Argument(help="PARTITION:OFFSET:INDEX, as `list` writes it.")],
    where: Where = HERE,
    json: Json = False,
) -> None:
    """One refused row or message as it came: its place, its reasons, its bytes."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, table

    with opened(where) as workspace:
        found = lifecycle.refused(workspace, workspace.spec(model), place)
    raw = found.pop("bytes", None)
    whole = {**found, "hex": raw.hex(" ") if isinstance(raw, bytes) else None}
    if json:
        print_json(whole)
    else:
        table(f"{model}: refused at {place}", ("what", "value"), [(k, v) for k, v in whole.items() if v is not None])


def quarantine_replay(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Check the refused rows again under today's contract; those that hold now enter the table."""
    from modelway import lifecycle
    from modelway.cli.output import print_json, say

    with opened(where) as workspace:
        done = lifecycle.replay_quarantine(workspace, workspace.spec(model))
    if json:
        print_json(done)
    elif done is None:
        say(f"{model}: no refused row is waiting")
    else:
        say(f"{model}: {done.accepted} rows released, {done.quarantined} stay")
