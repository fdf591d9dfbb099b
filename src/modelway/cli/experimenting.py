"""experiment start, status, stop: several versions beside the champion, with fixed shares and a stated end."""

import json as text
import sys
from typing import TYPE_CHECKING, Annotated

import typer

from modelway.cli.context import HERE, Json, Model, Reason, Where, opened, who

if TYPE_CHECKING:
    from modelway.records import Experiment
    from modelway.workspace import Workspace

_LOOK_SECONDS = 0.5


def add_to(app: typer.Typer) -> None:
    told = "Several versions at a time, each with its share, until a stated end."
    group = typer.Typer(help=told, no_args_is_help=True, rich_markup_mode=None)
    group.command(epilog="Example: modelway experiment start loans --arm 3=20% --arm 4=20% --for 14d")(start)
    group.command(epilog="Example: modelway experiment status loans --follow")(status)
    group.command(epilog="Example: modelway experiment stop loans --reason 'year-end close'")(stop)
    app.add_typer(group, name="experiment")


def start(
    model: Model,
    arm: Annotated[list[str], typer.Option("--arm", help="VERSION=SHARE of the requests; repeatable.")],
    lasts: Annotated[str, typer.Option("--for", help="How long, as 14d, 12h or 30m.")],
    requests: Annotated[
        int | None, typer.Option("--requests", min=1, help="It ends sooner, when it has seen so many.")
    ] = None,
    reason: Reason = "asked for by hand",
    where: Where = HERE,
    json: Json = False,
) -> None:
    """Give versions fixed shares beside the champion, which keeps the rest and gets all back at the end."""
    from datetime import timedelta

    from modelway.cli.output import print_json, say
    from modelway.errors import UsageError
    from modelway.flow import experimenting
    from modelway.flow.reporting import server_address
    from modelway.spec.units import parse_duration

    try:
        duration = parse_duration(lasts)
    except ValueError as error:
        raise UsageError(f"--for: {error}", "--for 14d") from error
    if duration <= timedelta(0):
        raise UsageError("--for: an experiment lasts longer than nothing", "--for 14d")
    with opened(where) as workspace:
        asked = experimenting.start(workspace, model, _arms(arm), duration, requests, who(), reason)
        running = server_address(workspace) is not None
    if json:
        print_json(asked)
        return
    shares = ", ".join(f"@{number} {share:.4g}" for number, share in asked.shares.items())
    say(f"{model}: experiment {asked.state}; {shares}, the champion @{asked.champion} the rest")
    say(f"next: modelway experiment status {model} --follow" if running else "next: modelway up")


def status(
    model: Model,
    following: Annotated[bool, typer.Option("--follow", help="Show how it goes until it is over.")] = False,
    where: Where = HERE,
    json: Json = False,
) -> None:
    """How the model's last experiment goes, or what it has shown. With --follow and --json it prints a line a look."""
    from modelway.cli.output import print_json
    from modelway.flow import experimenting

    with opened(where) as workspace:
        if following:
            _follow(workspace, model, json=json)
            return
        found = experimenting.latest(workspace, model)
    if json:
        print_json(found)
    else:
        show(found)


def stop(
    model: Model,
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the ledger.")],
    where: Where = HERE,
    json: Json = False,
) -> None:
    """End the experiment before its time: all goes back to the champion at once, and nothing is concluded."""
    from modelway.cli.output import print_json, say
    from modelway.flow import experimenting

    with opened(where) as workspace:
        done = experimenting.stop(workspace, model, who(), reason)
    if json:
        print_json(done)
    else:
        say(f"{model}: experiment {done.state}; {done.reason}; @{done.champion} has all requests")


def _arms(given: list[str]) -> dict[int, float]:
    from modelway.errors import UsageError
    from modelway.spec.units import share_named

    arms: dict[int, float] = {}
    for one in given:
        number, _, share = one.partition("=")
        number = number.rpartition("@")[2]
        if not number.isdigit() or int(number) in arms:
            raise UsageError(f"--arm {one}: each version once, with its share", "--arm 3=20% --arm 4=20%")
        try:
            arms[int(number)] = share_named(share)
        except ValueError as error:
            raise UsageError(f"--arm {one}: {error}", "--arm 3=20%") from error
    return arms


def _follow(workspace: "Workspace", model: str, *, json: bool) -> None:
    import time

    from modelway.cli.interrupt import Interrupted
    from modelway.cli.output import note
    from modelway.flow import experimenting
    from modelway.records import plain

    last: Experiment | None = None
    try:
        while True:
            found = experimenting.latest(workspace, model)
            if found != last:
                last = found
                if json:
                    sys.stdout.write(text.dumps(plain(found), ensure_ascii=False, default=str) + "\n")
                else:
                    show(found)
                sys.stdout.flush()
            if found.state in ("ended", "stopped") and not experimenting.report_due(workspace, found):
                return
            time.sleep(_LOOK_SECONDS)
    except Interrupted:
        note(f"the experiment goes on; modelway experiment status {model} --follow shows it again")
        raise


def show(found: "Experiment") -> None:
    """The arms and what speaks against them; once it is reported, what was shown."""
    from modelway.cli.output import say, table
    from modelway.rollout.experiment_telling import ARMS, DIFFERENCES, arm_rows, difference_rows

    until = f", until {found.ends:%Y-%m-%d %H:%M:%S} UTC" if found.ends else ""
    table(f"{found.model}: experiment {found.state}{until}", ARMS, arm_rows(found))
    for number, why in found.stopped.items():
        say(f"@{number} was stopped: {why}")
    report = found.evidence.get("report")
    if report is None:
        say(found.reason)
        return
    level = 1 - report["alpha"] / report["intervals"]
    together = f"differences, each with its {level:.2%} interval: all hold together at {1 - report['alpha']:.0%}"
    table(together, DIFFERENCES, difference_rows(report))
    say(found.reason)
    say(report["conclusion"])
