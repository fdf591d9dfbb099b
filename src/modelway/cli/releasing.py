"""rehearse, release, approve, rollback, freeze, thaw, history: what is decided, and by whom."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Reason, Where, opened, who

if TYPE_CHECKING:
    from modelway.records import Entry, Experiment, Release

Everything = Annotated[str, typer.Argument(help="Name of the model; absent: all.")]


def add_to(app: typer.Typer) -> None:
    app.command(epilog="Example: modelway rehearse loans --version 7 --days 7")(rehearse)
    app.command(epilog="Example: modelway release loans --version 3 --follow")(release)
    app.command(epilog="Example: modelway approve loans")(approve)
    app.command(epilog="Example: modelway rollback loans --reason 'complaints from branch 12'")(rollback)
    app.command(epilog="Example: modelway freeze loans --reason 'year-end close'")(freeze)
    app.command(epilog="Example: modelway thaw loans")(thaw)
    app.command(epilog="Example: modelway history loans --at 2026-03-01")(history)


def rehearse(
    model: Model,
    version: Annotated[int | None, typer.Option("--version", help="Number; absent: the newest accepted one.")] = None,
    days: Annotated[
        float | None, typer.Option("--days", min=0.001, help="How far back; absent: as the spec says.")
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option("--by", help="Tell the figures by this column too; repeatable.")
    ] = None,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Let a version answer the last days of the prediction log, before any client hears it. Ends with 1 when it fails."""
    from datetime import timedelta

    from modelway import lifecycle
    from modelway.cli.output import print_json, progress
    from modelway.cli.rehearsed import show_rehearsal

    name, _, number = model.partition("@")
    if number.isdigit() and version is None:
        model, version = name, int(number)
    window = None if days is None else timedelta(days=days)
    with opened(where) as workspace, progress(not json) as tell:
        done = lifecycle.rehearse(workspace, model, version, window, by or (), who(), tell)
    if json:
        print_json(done)
    else:
        show_rehearsal(done)
    if done.outcome == "fail":
        raise typer.Exit(1)


def release(
    model: Model,
    version: Annotated[int | None, typer.Option("--version", help="Number; absent: the newest accepted one.")] = None,
    reason: Reason = "asked for by hand",
    following: Annotated[
        bool | None,
        typer.Option(
            "--follow/--no-follow",
            help="Show how it goes until it is over.",
            show_default="on a terminal, while it runs",
        ),
    ] = None,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Ask for a version to be rolled out; what is running picks it up, or `modelway up` does so when it starts.

    With --follow it ends with 1 when the version is rolled back or superseded; with --json too, it prints a line a look.
    """
    import sys

    from modelway import lifecycle
    from modelway.cli.following import follow
    from modelway.cli.output import print_json, say
    from modelway.flow.reporting import server_address
    from modelway.rollout import store

    name, _, number = model.partition("@")
    if number.isdigit() and version is None:
        model, version = name, int(number)
    with opened(where) as workspace:
        before = store.open_release(workspace.database, model)
        asked = lifecycle.release(workspace, model, version, who(), reason)
        running = server_address(workspace) is not None
        if following is None:
            following = running and not json and sys.stdout.isatty()
        if json and not following:
            print_json(asked)
        if not json:
            if before is not None and before.version != asked.version:
                say(f"{model}@{before.version}, which was in {before.state}, is superseded")
            say(f"{model}@{asked.version}: {asked.state}; {asked.reason}")
            if not running or not following:
                say("next: modelway status" if running else "next: modelway up")
        if following and follow(workspace, asked.id, json=json).state not in ("full", "ended"):
            raise typer.Exit(1)


def approve(model: Model, where: Where = HERE, json: Json = False) -> None:
    """Stand behind the open release or experiment, where the spec asks for one person or two."""
    from modelway.cli.output import print_json, say
    from modelway.flow import releasing

    with opened(where) as workspace:
        done = releasing.approve(workspace, model, who())
    if json:
        print_json(done)
    else:
        say(f"{_what(done)}: approved by {who()}; {done.state}")


def rollback(model: Model, reason: Reason = "asked for by hand", where: Where = HERE, json: Json = False) -> None:
    """End the open release or experiment, or go back to the champion before this one."""
    from modelway.cli.output import print_json, say
    from modelway.flow import routing

    with opened(where) as workspace:
        done = routing.rollback(workspace, model, who(), reason)
        serving = routing.champion_of(workspace, model)
    if json:
        print_json(done)
    else:
        say(f"{_what(done)}: {done.state}; {done.reason}")
        say(f"{model}@{serving} serves" if serving else f"no version of {model} serves")


def freeze(
    model: Everything = "*", reason: Reason = "asked for by hand", where: Where = HERE, json: Json = False
) -> None:
    """Stop all automation of one model, or of all: no retraining, no step of a release; serving goes on."""
    from modelway.cli.output import print_json, say
    from modelway.state import freezes

    with opened(where) as workspace:
        workspace.demand_model(model)
        changed = freezes.freeze(workspace.database, model, who(), reason, workspace.clock.now())
    if json:
        print_json({"model": model, "frozen": True, "changed": changed})
    else:
        say(f"{'frozen' if changed else 'frozen already'}: {_named(model)}; `modelway thaw` ends it")


def thaw(
    model: Everything = "*", reason: Reason = "asked for by hand", where: Where = HERE, json: Json = False
) -> None:
    """End a freeze; one of all models is ended by `modelway thaw` alone."""
    from modelway.cli.output import note, print_json, say
    from modelway.state import freezes

    with opened(where) as workspace:
        workspace.demand_model(model)
        changed = freezes.thaw(workspace.database, model, who(), reason, workspace.clock.now())
        left = freezes.frozen(workspace.database, model)
    if json:
        print_json({"model": model, "frozen": left is not None, "changed": changed})
        return
    say(f"automation goes on: {_named(model)}" if changed else f"was not frozen: {_named(model)}")
    if left:
        note(left)


def _why(entry: "Entry") -> str:
    """The reason, and below it the numbers on which a release was decided."""
    from modelway.rollout.telling import summary

    numbers = summary(entry.data.get("evidence", {})) if entry.action == "release" else ""
    return f"{entry.reason}\n{numbers}" if numbers else entry.reason


def _what(done: "Release | Experiment") -> str:
    number = getattr(done, "version", None)
    return f"the experiment of {done.model}" if number is None else f"{done.model}@{number}"


def _named(model: str) -> str:
    return "all models" if model == "*" else model


def history(
    model: Everything = "*",
    at: Annotated[datetime | None, typer.Option("--at", help="What stood at this date (UTC).")] = None,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """The ledger: every decision with who, when and why; its hash chain is checked first."""
    from datetime import UTC

    from modelway.cli.output import print_json, say, table
    from modelway.state import ledger

    with opened(where) as workspace:
        workspace.demand_model(model)
        checked = ledger.verify(workspace.database)
        moment = at.replace(tzinfo=UTC) if at else None
        entries = ledger.history(workspace.database, None if model == "*" else model, moment)
    state = ledger.state_at(entries, moment) if moment else None
    if json:
        print_json({"entries": entries, "state": state, "checked": checked})
        return
    if not entries:
        say("nothing had been decided by then" if at else "nothing has been decided yet")
        return
    heads = ("no.", "at", "who", "action", "subject", "reason")
    table("ledger", heads, [(e.number, e.at, e.who, e.action, e.subject, _why(e)) for e in entries])
    if state:
        rows = [(name, s["champion"], s["release"], s["frozen"]) for name, s in state.items()]
        table(f"as it stood at {moment:%Y-%m-%d %H:%M}", ("model", "champion", "release", "frozen"), rows)
    say(f"{checked} entries, the chain is unbroken")
